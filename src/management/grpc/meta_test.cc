#include "management/grpc/meta.h"

#include "proto/management.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

using testing::ElementsAre;

TEST(Meta, EveryFieldArrivesWhereItBelongs) {  // contract/management-grpc.md §3.2, §5.2.4
  ::management::PeerSystemMeta sent;
  sent.set_hostname("box");
  sent.set_goos("linux");
  sent.set_kernel("Linux");
  sent.set_core("12");
  sent.set_platform("x86_64");
  sent.set_os("Debian");
  sent.set_netbirdversion("0.70.0");
  sent.set_uiversion("0.70.1");
  sent.set_kernelversion("6.1.0-18");
  sent.set_osversion("12.5");
  sent.set_sysserialnumber("serial");
  sent.set_sysproductname("product");
  sent.set_sysmanufacturer("maker");
  sent.mutable_environment()->set_cloud("AWS");
  sent.mutable_environment()->set_platform("Fargate");
  auto& file = *sent.add_files();
  file.set_path("/usr/bin/x");
  file.set_exist(true);
  file.set_processisrunning(true);
  sent.add_capabilities(::management::PeerCapabilityIPv6Overlay);
  sent.set_syncmessageversion(1);
  const auto meta = meta_from(sent);
  ASSERT_TRUE(meta) << meta.error().text;
  EXPECT_EQ(meta->hostname, "box");
  EXPECT_EQ(meta->go_os, "linux");
  EXPECT_EQ(meta->kernel, "Linux");
  EXPECT_EQ(meta->core, "");  // never stored
  EXPECT_EQ(meta->platform, "x86_64");
  EXPECT_EQ(meta->os, "Debian");
  EXPECT_EQ(meta->os_version, "12.5");
  EXPECT_EQ(meta->wt_version, "0.70.0");
  EXPECT_EQ(meta->ui_version, "0.70.1");
  EXPECT_EQ(meta->kernel_version, "6.1.0-18");
  EXPECT_EQ(meta->system_serial_number, "serial");
  EXPECT_EQ(meta->system_product_name, "product");
  EXPECT_EQ(meta->system_manufacturer, "maker");
  EXPECT_EQ(meta->environment_cloud, "AWS");
  EXPECT_EQ(meta->environment_platform, "Fargate");
  EXPECT_THAT(meta->files, ElementsAre(MetaFile{"/usr/bin/x", true, true}));
  EXPECT_THAT(meta->capabilities, ElementsAre(kCapabilityIpv6Overlay));
  EXPECT_EQ(meta->sync_message_version, 1);
}

TEST(Meta, WithoutAnOsVersionTheCoreVersionStandsForIt) {
  ::management::PeerSystemMeta sent;
  sent.set_core("22.04");
  EXPECT_EQ(meta_from(sent)->os_version, "22.04");
}

TEST(Meta, AddressesThatAreNoneAreDroppedAndTheRestKept) {
  ::management::PeerSystemMeta sent;
  for (const char* const text : {"192.168.1.5/24", "nonsense", "10.0.0.1", "fd00::1/64"}) {
    auto& address = *sent.add_networkaddresses();
    address.set_netip(text);
    address.set_mac("02:00:00:00:00:01");
  }
  const auto meta = meta_from(sent);
  ASSERT_TRUE(meta);
  ASSERT_EQ(meta->network_addresses.size(), 2U);
  EXPECT_EQ(meta->network_addresses[0].net_ip.to_string(), "192.168.1.5/24");
  EXPECT_EQ(meta->network_addresses[0].mac, "02:00:00:00:00:01");
  EXPECT_EQ(meta->network_addresses[1].net_ip.to_string(), "fd00::1/64");
}

TEST(Meta, EachFlagIsItsOwnAndSshFeaturesAreNotStored) {
  using Flags = ::management::Flags;
  using Set = void (Flags::*)(bool);
  const std::pair<Set, bool MetaFlags::*> pairs[] = {
      {&Flags::set_rosenpassenabled, &MetaFlags::rosenpass_enabled},
      {&Flags::set_rosenpasspermissive, &MetaFlags::rosenpass_permissive},
      {&Flags::set_serversshallowed, &MetaFlags::server_ssh_allowed},
      {&Flags::set_disableclientroutes, &MetaFlags::disable_client_routes},
      {&Flags::set_disableserverroutes, &MetaFlags::disable_server_routes},
      {&Flags::set_disabledns, &MetaFlags::disable_dns},
      {&Flags::set_disablefirewall, &MetaFlags::disable_firewall},
      {&Flags::set_blocklanaccess, &MetaFlags::block_lan_access},
      {&Flags::set_blockinbound, &MetaFlags::block_inbound},
      {&Flags::set_disableipv6, &MetaFlags::disable_ipv6},
      {&Flags::set_lazyconnectionenabled, &MetaFlags::lazy_connection_enabled}};
  for (const auto& [set, member] : pairs) {
    ::management::PeerSystemMeta sent;
    (sent.mutable_flags()->*set)(true);
    MetaFlags wanted;
    wanted.*member = true;
    EXPECT_EQ(meta_from(sent)->flags, wanted);
  }
  ::management::PeerSystemMeta sent;
  auto& flags = *sent.mutable_flags();
  flags.set_enablesshroot(true);
  flags.set_enablesshsftp(true);
  flags.set_enablesshlocalportforwarding(true);
  flags.set_enablesshremoteportforwarding(true);
  flags.set_disablesshauth(true);
  EXPECT_EQ(meta_from(sent)->flags, MetaFlags{});
}

TEST(Meta, ItsSizeIsBounded) {
  const auto refused = [](auto fill) {
    ::management::PeerSystemMeta sent;
    fill(sent);
    const auto meta = meta_from(sent);
    return !meta && meta.error().code == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](auto& m) { m.set_hostname(std::string(kMetaTextBytesMax + 1, 'x')); }));
  EXPECT_TRUE(refused([](auto& m) { m.set_kernel(std::string("a\0b", 3)); }));
  EXPECT_TRUE(refused([](auto& m) {
    for (int i = 0; i <= kMetaAddressesMax; ++i) m.add_networkaddresses();
  }));
  EXPECT_TRUE(refused([](auto& m) {
    for (int i = 0; i <= kMetaFilesMax; ++i) m.add_files();
  }));
  EXPECT_TRUE(refused([](auto& m) {
    for (int i = 0; i <= kMetaCapabilitiesMax; ++i)
      m.add_capabilities(::management::PeerCapabilityIPv6Overlay);
  }));
}

TEST(Meta, LocationIsAnAddressOrNothing) {
  EXPECT_EQ(location_of("::ffff:192.0.2.7").connection_ip.to_string(), "192.0.2.7");
  EXPECT_EQ(location_of("2001:db8::1").connection_ip.to_string(), "2001:db8::1");
  EXPECT_FALSE(location_of("unix:").connection_ip.is_set());
}

}  // namespace
}  // namespace nb::management::grpc
