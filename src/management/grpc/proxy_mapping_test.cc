#include "management/grpc/proxy_mapping.h"

#include "proto/proxy_service.pb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;
using testing::ElementsAre;

Service a_service(const std::string& id, const std::string& account = "a") {
  Service out;
  out.id = ServiceId(id);
  out.account_id = AccountId(account);
  out.domain = id + ".example.net";
  out.mode = "http";
  out.enabled = true;
  FullTarget target;
  target.host = "100.64.0.1";
  target.protocol = "http";
  target.port = 8080;
  target.enabled = true;
  out.targets.push_back(target);
  return out;
}

std::string target_of(const std::string& mode, const std::string& protocol, const std::string& host,
                      std::int64_t port) {
  Service service = a_service("s");
  service.mode = mode;
  service.targets.front().protocol = protocol;
  service.targets.front().host = host;
  service.targets.front().port = port;
  return mapping_of(service).path(0).target();
}

TEST(ProxyMapping, TargetsAreAddressesAsProxiesReadThem) {
  EXPECT_EQ(target_of("http", "http", "100.64.0.1", 8080), "http://100.64.0.1:8080/");
  EXPECT_EQ(target_of("http", "https", "db.example.net", 443), "https://db.example.net/");
  EXPECT_EQ(target_of("http", "http", "fd00::1", 80), "http://[fd00::1]/");
  EXPECT_EQ(target_of("tcp", "tcp", "fd00::1", 5432), "[fd00::1]:5432");
  EXPECT_EQ(target_of("udp", "udp", "100.64.0.1", 53), "100.64.0.1:53");
}

TEST(ProxyMapping, DisabledTargetsAreNotTold) {
  Service service = a_service("s");
  service.targets.front().enabled = false;
  EXPECT_EQ(mapping_of(service).path_size(), 0);
}

TEST(ProxyMapping, SecretsOfVisitorsStayHereExceptWhatProxiesCheckThemselves) {
  Service service = a_service("s");
  service.auth.password = SecretAuth{true, "$argon2id$password"};
  service.auth.headers = {{true, "X-Key", "$argon2id$header"}, {false, "X-Off", "$argon2id$off"}};
  const pb::ProxyMapping mapping = mapping_of(service);
  EXPECT_EQ(mapping.SerializeAsString().find("$argon2id$password"), std::string::npos);
  EXPECT_TRUE(mapping.auth().password());
  ASSERT_EQ(mapping.auth().header_auths_size(), 1);
  EXPECT_EQ(mapping.auth().header_auths(0).hashed_value(), "$argon2id$header");
}

struct Book : testing::Test {
  MappingBook book{ProxyAbilities{}};

  static MappingBook::Stamp stamp() {
    return [](const std::string& account, const std::string& service) {
      return account + "/" + service;
    };
  }
  std::vector<std::string> told() {
    std::vector<std::string> out;
    while (!book.empty())
      for (const pb::ProxyMapping& mapping : book.take(stamp()))
        out.push_back(mapping.id() + ":" + std::to_string(mapping.type()) +
                      (mapping.auth_token().empty() ? "" : "+"));
    return out;
  }
  void apply(const std::vector<AccountMark>& marks, const std::vector<Service>& services) {
    book.apply(book.behind(marks), services, marks);
  }
};

TEST_F(Book, TellsWhatIsNewWhatChangedAndWhatIsGone) {
  apply({{AccountId("a"), 1}}, {a_service("s1"), a_service("s2")});
  EXPECT_THAT(told(), ElementsAre("s1:0+", "s2:0+"));
  EXPECT_TRUE(book.behind({{AccountId("a"), 1}}).empty());
  Service changed = a_service("s2");
  changed.pass_host_header = true;
  apply({{AccountId("a"), 2}}, {changed, a_service("s3")});
  EXPECT_THAT(told(), ElementsAre("s1:2", "s2:1+", "s3:0+"));
  apply({{AccountId("a"), 3}}, {changed, a_service("s3")});
  EXPECT_TRUE(told().empty());
}

TEST_F(Book, AccountsAreApart) {
  apply({{AccountId("a"), 1}, {AccountId("b"), 1}}, {a_service("s1"), a_service("t1", "b")});
  EXPECT_EQ(told().size(), 2U);
  EXPECT_THAT(book.behind({{AccountId("a"), 1}, {AccountId("b"), 2}}), ElementsAre(AccountId("b")));
  apply({{AccountId("a"), 1}}, {});  // b has nothing here any more
  EXPECT_THAT(told(), ElementsAre("t1:2"));
}

TEST_F(Book, DistrustReadsEverythingAndTellsOnlyWhatIsDifferent) {
  apply({{AccountId("a"), 1}}, {a_service("s1")});
  EXPECT_EQ(told().size(), 1U);
  book.distrust();
  EXPECT_THAT(book.behind({{AccountId("a"), 1}}), ElementsAre(AccountId("a")));
  apply({{AccountId("a"), 1}}, {a_service("s1")});
  EXPECT_TRUE(told().empty());
}

TEST_F(Book, WhatWasNeverToldIsNotTakenBack) {
  apply({{AccountId("a"), 1}}, {a_service("s1")});
  apply({{AccountId("a"), 2}}, {});
  EXPECT_TRUE(told().empty());
}

TEST_F(Book, ProxiesAreSparedWhatTheyWouldServeWrongly) {
  Service secret = a_service("s1");
  secret.is_private = true;
  Service port = a_service("s2");
  port.mode = "tcp";
  port.listen_port = 5432;
  Service tls = a_service("s3");
  tls.mode = "tls";
  tls.listen_port = 443;
  apply({{AccountId("a"), 1}}, {secret, port, tls});
  EXPECT_THAT(told(), ElementsAre("s3:0+"));
  book = MappingBook({.custom_ports_known = true, .private_services = true});
  apply({{AccountId("a"), 1}}, {secret, port, tls});
  EXPECT_THAT(told(), ElementsAre("s1:0+", "s2:0+", "s3:0+"));
}

TEST_F(Book, ManyMappingsAreManyMessages) {
  std::vector<Service> services;
  for (int i = 0; i < 1'200; ++i) services.push_back(a_service("s" + std::to_string(i)));
  apply({{AccountId("a"), 1}}, services);
  EXPECT_EQ(book.take(stamp()).size(), 500U);
  EXPECT_EQ(told().size(), 700U);
}

}  // namespace
}  // namespace nb::management::grpc
