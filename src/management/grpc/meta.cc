#include "management/grpc/meta.h"

#include "management/grpc/text.h"
#include "proto/management.pb.h"

#include <utility>

namespace nb::management::grpc {
namespace {

Result<> bounded(const std::string& text, const char* field) {
  if (!is_storable(text))
    return fail(Code::kInvalidArgument, "peer system meta: {} is no text", field);
  if (text.size() <= static_cast<std::size_t>(kMetaTextBytesMax)) return {};
  return fail(Code::kInvalidArgument, "peer system meta: {} longer than {} bytes", field,
              kMetaTextBytesMax);
}

Result<> bounded(int count, int most, const char* field) {
  if (count <= most) return {};
  return fail(Code::kInvalidArgument, "peer system meta: more than {} {}", most, field);
}

}  // namespace

Result<PeerMeta> meta_from(const ::management::PeerSystemMeta& sent) {
  PeerMeta meta;
  const auto take = [](std::string& to, const std::string& from, const char* field) -> Result<> {
    NB_TRY(bounded(from, field));
    to = from;
    return {};
  };
  NB_TRY(take(meta.hostname, sent.hostname(), "hostname"));
  NB_TRY(take(meta.go_os, sent.goos(), "goOS"));
  NB_TRY(take(meta.kernel, sent.kernel(), "kernel"));
  NB_TRY(take(meta.platform, sent.platform(), "platform"));
  NB_TRY(take(meta.os, sent.os(), "OS"));
  NB_TRY(take(meta.os_version, sent.osversion().empty() ? sent.core() : sent.osversion(),
              "OSVersion"));
  NB_TRY(take(meta.wt_version, sent.netbirdversion(), "netbirdVersion"));
  NB_TRY(take(meta.ui_version, sent.uiversion(), "uiVersion"));
  NB_TRY(take(meta.kernel_version, sent.kernelversion(), "kernelVersion"));
  NB_TRY(take(meta.system_serial_number, sent.sysserialnumber(), "sysSerialNumber"));
  NB_TRY(take(meta.system_product_name, sent.sysproductname(), "sysProductName"));
  NB_TRY(take(meta.system_manufacturer, sent.sysmanufacturer(), "sysManufacturer"));
  NB_TRY(take(meta.environment_cloud, sent.environment().cloud(), "environment.cloud"));
  NB_TRY(take(meta.environment_platform, sent.environment().platform(), "environment.platform"));

  NB_TRY(bounded(sent.networkaddresses_size(), kMetaAddressesMax, "networkAddresses"));
  for (const auto& entry : sent.networkaddresses()) {
    NB_TRY(bounded(entry.mac(), "mac"));
    if (const auto prefix = Prefix::parse(entry.netip()))
      meta.network_addresses.push_back({*prefix, entry.mac()});
  }
  NB_TRY(bounded(sent.files_size(), kMetaFilesMax, "files"));
  for (const auto& file : sent.files()) {
    NB_TRY(bounded(file.path(), "file path"));
    meta.files.push_back({file.path(), file.exist(), file.processisrunning()});
  }
  NB_TRY(bounded(sent.capabilities_size(), kMetaCapabilitiesMax, "capabilities"));
  for (const int capability : sent.capabilities()) meta.capabilities.push_back(capability);

  const auto& flags = sent.flags();
  meta.flags = {.rosenpass_enabled = flags.rosenpassenabled(),
                .rosenpass_permissive = flags.rosenpasspermissive(),
                .server_ssh_allowed = flags.serversshallowed(),
                .disable_client_routes = flags.disableclientroutes(),
                .disable_server_routes = flags.disableserverroutes(),
                .disable_dns = flags.disabledns(),
                .disable_firewall = flags.disablefirewall(),
                .block_lan_access = flags.blocklanaccess(),
                .block_inbound = flags.blockinbound(),
                .disable_ipv6 = flags.disableipv6(),
                .lazy_connection_enabled = flags.lazyconnectionenabled()};
  meta.sync_message_version = sent.syncmessageversion();
  return meta;
}

PeerLocation location_of(const std::string& ip) {
  PeerLocation location;
  if (const auto address = IpAddress::parse(ip)) location.connection_ip = address->unmapped();
  return location;
}

}  // namespace nb::management::grpc
