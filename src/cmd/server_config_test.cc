// config.yaml of netbird-server as operators write it (contract/signal-relay-ops.md §5.2, §5.3).
#include "cmd/server_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace nb::cmd {
namespace {
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr const char* kLeast =
    "  exposedAddress: https://nb.example.com:443\n"
    "  authSecret: hunter2-secret\n";

class ServerConfigTest : public testing::Test {
 protected:
  ServerConfigTest() : cli("netbird-server", "all in one", "test") {
    std::filesystem::create_directories(dir);
    add_server_rows(table, config);
    auto command = server_command(table, config);
    command.path = "run";
    cli.command(std::move(command));
    cli.fallback("run");
  }
  ~ServerConfigTest() override { std::filesystem::remove_all(dir); }
  config::Cli::Outcome run(const std::string& yaml, std::vector<std::string> args = {}) {
    std::ofstream(dir + "/config.yaml") << "server:\n" << yaml;
    args.insert(args.begin(), {"-c", dir + "/config.yaml", "--datadir", dir});
    return cli.prepare(args, [this](std::string_view name) -> std::optional<std::string> {
      const auto it = env.find(std::string(name));
      return it == env.end() ? std::nullopt : std::optional(it->second);
    });
  }
  const std::string dir = testing::TempDir() + "nb_server_" + std::to_string(::getpid());
  std::map<std::string, std::string> env;
  ServerConfig config;
  config::Table table;
  config::Cli cli;
};

TEST_F(ServerConfigTest, FetchingCertificatesIsRefusedWithAWayOut) {
  const std::string acme =
      std::string(kLeast) + "  tls:\n    letsencrypt: {enabled: true, domains: [nb.example.com]}\n";
  EXPECT_THAT(run(acme).err,
              testing::AllOf(HasSubstr("server.tls.letsencrypt.enabled: certificates are not "
                                       "fetched by this version"),
                             HasSubstr("server.tls.certFile and keyFile"),
                             HasSubstr("or end TLS at the proxy")));
}

TEST_F(ServerConfigTest, AnUnusedSectionForCertificatesIsFine) {
  const auto off = run(std::string(kLeast) +
                       "  tls:\n    letsencrypt: {enabled: false, domains: [nb.example.com]}\n");
  EXPECT_FALSE(off.done) << off.err;
}

TEST_F(ServerConfigTest, TheLeastFileRunsEverything) {
  const auto outcome = run(kLeast);
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_THAT(outcome.invocation.warnings, IsEmpty());
  EXPECT_TRUE(config.run_signal && config.run_relay && config.run_stun);
  EXPECT_EQ(config.listener.port, 443);
  EXPECT_FALSE(config.listener.tls) << "no certificates: a proxy ends TLS";
  EXPECT_EQ(config.health_listener.port, 9000);
  EXPECT_EQ(config.mgmt.service.metrics_port, 9090);
  EXPECT_EQ(config.mgmt.service.log.file, "console");
  EXPECT_THAT(config.mgmt.relay.addresses, ElementsAre("rels://nb.example.com:443"));
  EXPECT_EQ(config.mgmt.relay.credentials_ttl, 12h);
  EXPECT_EQ(config.mgmt.relay.secret.reveal(), "hunter2-secret");
  EXPECT_EQ(config.mgmt.signal.uri, "nb.example.com:443");
  EXPECT_EQ(config.mgmt.signal.proto, "https");
  ASSERT_EQ(config.mgmt.stuns.size(), 1U);
  EXPECT_EQ(config.mgmt.stuns[0].uri, "stun:nb.example.com:3478");
  const EmbeddedIdpConfig& idp = config.mgmt.embedded_idp;
  EXPECT_TRUE(idp.enabled);
  EXPECT_EQ(idp.issuer, "https://nb.example.com/oauth2");
  EXPECT_THAT(idp.dashboard_redirect_uris, ElementsAre("https://nb.example.com/nb-auth",
                                                       "https://nb.example.com/nb-silent-auth"));
  EXPECT_EQ(idp.storage_file, dir + "/idp.db");
  EXPECT_EQ(config.mgmt.single_account_mode_domain, "netbird.selfhosted");
}

TEST_F(ServerConfigTest, TheFileOfGettingStartedWorks) {
  const auto outcome =
      run("  listenAddress: \":80\"\n"
          "  exposedAddress: \"https://nb.example.com:443\"\n"
          "  stunPorts:\n    - 3478\n    - 3479\n"
          "  metricsPort: 9091\n"
          "  healthcheckAddress: \"127.0.0.1:9001\"\n"
          "  logLevel: \"warn\"\n  logFile: \"console\"\n"
          "  authSecret: \"hunter2-secret\"\n"
          "  dataDir: \"/elsewhere\"\n"
          "  disableAnonymousMetrics: true\n"
          "  auth:\n"
          "    issuer: \"https://nb.example.com/oauth2\"\n"
          "    signKeyRefreshEnabled: true\n"
          "    dashboardRedirectURIs: [\"https://nb.example.com/nb-auth\"]\n"
          "    cliRedirectURIs: [\"http://localhost:53000/\"]\n"
          "    owner: {email: o@example.com, password: Passw0rd!}\n"
          "  reverseProxy:\n"
          "    trustedHTTPProxies: [\"172.30.0.10/32\"]\n"
          "    accessLogRetentionDays: 7\n"
          "  store:\n    engine: \"sqlite\"\n    encryptionKey: \"" +
          std::string(kKey) +
          "\"\n"
          "  supportedSyncMessageVersions: 0\n"
          "  perAccountSupportedSyncMessageVersions: {acc1: 1}\n");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_THAT(outcome.invocation.warnings, IsEmpty());
  EXPECT_EQ(config.listener.port, 80);
  EXPECT_EQ(config.mgmt.stuns.size(), 2U);
  EXPECT_EQ(config.mgmt.data_store_encryption_key.reveal(), kKey);
  EXPECT_EQ(config.mgmt.sync_message_version_max, 0);
  EXPECT_THAT(config.mgmt.sync_message_version_per_account,
              ElementsAre(std::pair<std::string, std::int32_t>("acc1", 1)));
  EXPECT_THAT(config.mgmt.service.trusted_proxies, ElementsAre("172.30.0.10/32"));
  EXPECT_EQ(config.mgmt.datadir, dir) << "the flag wins";
}

TEST_F(ServerConfigTest, OtherServersReplaceParts) {
  const auto outcome =
      run("  exposedAddress: http://10.0.0.1\n"
          "  authSecret: hunter2-secret\n"
          "  signalUri: http://signal:80/\n"
          "  relays: {addresses: [\"rel://r1:80\", \"rel://r2:80\"], credentialsTTL: 1h30m}\n"
          "  stuns:\n    - uri: stuns:s:5349\n    - {uri: \"stun:t:3478\", proto: tcp}\n");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_FALSE(config.run_signal || config.run_relay || config.run_stun);
  EXPECT_EQ(config.mgmt.signal.uri, "signal:80");
  EXPECT_EQ(config.mgmt.signal.proto, "http");
  EXPECT_THAT(config.mgmt.relay.addresses, ElementsAre("rel://r1:80", "rel://r2:80"));
  EXPECT_EQ(config.mgmt.relay.credentials_ttl, 90min);
  EXPECT_EQ(config.mgmt.relay.secret.reveal(), "hunter2-secret");
  EXPECT_EQ(config.mgmt.stuns[0].proto, "dtls");
  EXPECT_EQ(config.mgmt.stuns[1].proto, "tcp");
  EXPECT_EQ(config.mgmt.embedded_idp.issuer, "http://10.0.0.1/oauth2");
}

TEST_F(ServerConfigTest, RelaysElsewhereLeaveStunHere) {
  ASSERT_FALSE(run(std::string(kLeast) + "  relays: {addresses: [\"rel://r1:80\"]}\n").done);
  EXPECT_FALSE(config.run_relay);
  EXPECT_TRUE(config.run_stun);
}

TEST_F(ServerConfigTest, HaSectionReachesEveryPart) {
  const auto outcome = run(std::string(kLeast) +
                           "  relayExposedAddress: rels://one.example.com:443\n"
                           "  store: {engine: postgres, dsn: \"postgres://u:p%40ss@h/db\", "
                           "encryptionKey: \"" +
                           kKey +
                           "\"}\n"
                           "  authStore: {engine: postgres, dsn: \"postgres://u:p@h/auth\"}\n"
                           "  ha:\n"
                           "    enabled: true\n"
                           "    redisAddress: redis:6379\n"
                           "    redisPassword: r3dis\n"
                           "    instanceId: server-1\n"
                           "    secret: 0123456789\n"
                           "    signal: {peerTTL: 60s}\n"
                           "    management: {lockTTL: 20s}\n");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_THAT(outcome.invocation.warnings, IsEmpty());
  for (const HaConfig* ha :
       {&config.mgmt.service.ha, &config.signal.service.ha, &config.relay.ha}) {
    EXPECT_TRUE(ha->enabled);
    EXPECT_EQ(ha->instance_id, "server-1");
    EXPECT_EQ(ha->redis.address.reveal(), "redis:6379");
    EXPECT_EQ(ha->redis.password.reveal(), "r3dis");
  }
  EXPECT_EQ(config.signal.peer_ttl, 60s);
  EXPECT_EQ(config.mgmt.ha.lock_ttl, 20s);
  EXPECT_EQ(config.relay.relay.instance_url, "rels://one.example.com:443");
  EXPECT_EQ(config.mgmt.embedded_idp.storage_type, "postgres");
}

TEST_F(ServerConfigTest, VariablesWinOverTheFile) {
  env = {{"NB_AUTH_SECRET", "from-env"}, {"NB_HA_INSTANCE_ID", "other"}};
  ASSERT_FALSE(run(std::string(kLeast) + "  ha: {instanceId: one}\n").done);
  EXPECT_EQ(config.mgmt.relay.secret.reveal(), "from-env");
  EXPECT_EQ(config.mgmt.service.ha.instance_id, "other");
}

TEST_F(ServerConfigTest, UnknownKeysAreWarnedAboutAndCaseDoesNotMatter) {
  const auto outcome =
      run("  ExposedAddress: nb.example.com\n  AUTHSECRET: hunter2-secret\n  exposdAddress: x\n");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(config.mgmt.signal.uri, "nb.example.com:443");
  EXPECT_THAT(outcome.invocation.warnings,
              ElementsAre(HasSubstr("unknown key \"server.exposdAddress\"")));
}

TEST_F(ServerConfigTest, CheckConfigHidesSecrets) {
  const auto outcome =
      run(std::string(kLeast) + "  store: {dsn: \"postgres://u:p@ss@h/db\"}\n", {"--check-config"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("hunter2")));
  EXPECT_THAT(outcome.out, Not(HasSubstr("p@ss")));
  EXPECT_THAT(outcome.out, HasSubstr("--auth-secret = (set)  [server.authSecret]"));
}

TEST_F(ServerConfigTest, LivesOfLoginsAreSettings) {
  ASSERT_FALSE(run(std::string(kLeast) + "  auth: {idTokenLifetime: 1h, authCodeLifetime: 90s, "
                                         "connectorOwnerAllowed: true}\n")
                   .done);
  const EmbeddedIdpConfig& idp = config.mgmt.embedded_idp;
  EXPECT_EQ(idp.token_lifetime, std::chrono::hours(1));
  EXPECT_EQ(idp.auth_code_lifetime, std::chrono::seconds(90));
  EXPECT_EQ(idp.device_code_lifetime, std::chrono::minutes(5));
  EXPECT_TRUE(idp.connector_owner_allowed);
}

TEST_F(ServerConfigTest, WhatCannotWorkIsRefusedByName) {
  struct Case {
    std::string yaml;
    const char* says;
  };
  const Case cases[] = {
      {"  authSecret: s\n", "server.exposedAddress is missing"},
      {"  exposedAddress: https://h\n", "server.authSecret is missing"},
      {"  exposedAddress: ftp://h\n  authSecret: s\n", "must begin with https:// or http://"},
      {"  exposedAddress: https://h/path\n  authSecret: s\n", "only a host and a port"},
      {std::string(kLeast) + "  stunPorts: [3478, 3478]\n", "3478 stands there twice"},
      {std::string(kLeast) + "  stunPorts: [0]\n", "server.stunPorts"},
      {std::string(kLeast) + "  tls: {letsencrypt: {enabled: true}}\n", "certificates are not"},
      {std::string(kLeast) + "  tls: {certFile: /c.pem}\n", "belong together"},
      {std::string(kLeast) + "  store: {engine: mysql}\n", "sqlite"},
      {std::string(kLeast) + "  store: {engine: postgres}\n", "NB_STORE_ENGINE_POSTGRES_DSN"},
      {std::string(kLeast) + "  activityStore: {engine: postgres}\n",
       "NB_ACTIVITY_EVENT_POSTGRES_DSN"},
      {std::string(kLeast) + "  authStore: {engine: postgres}\n", "server.authStore.dsn"},
      {std::string(kLeast) + "  ha: {enabled: true}\n", "one database for all instances"},
      {std::string(kLeast) + "  supportedSyncMessageVersions: 2\n",
       "server.supportedSyncMessageVersions"},
      {std::string(kLeast) + "  reverseProxy: {trustedPeers: [\"10.0.0.0/40\"]}\n",
       "server.reverseProxy.trustedPeers"},
      {std::string(kLeast) + "  healthcheckAddress: \":443\"\n", "is the main port"},
      {std::string(kLeast) + "  logLevel: loud\n", "server.logLevel"},
      {std::string(kLeast) + "  auth: {idTokenLifetime: 30s}\n", "server.auth.idTokenLifetime"},
  };
  for (const Case& wrong : cases) {
    ServerConfig fresh;
    config::Table rows;
    add_server_rows(rows, fresh);
    config::Cli program("netbird-server", "", "test");
    auto command = server_command(rows, fresh);
    command.path = "run";
    program.command(std::move(command));
    program.fallback("run");
    std::ofstream(dir + "/config.yaml") << "server:\n" << wrong.yaml;
    const auto outcome = program.prepare({"-c", dir + "/config.yaml"},
                                         [](std::string_view) { return std::nullopt; });
    EXPECT_EQ(outcome.status, 1) << wrong.yaml;
    EXPECT_THAT(outcome.err, HasSubstr(wrong.says)) << wrong.yaml;
  }
}

TEST_F(ServerConfigTest, AFileWithoutTheSectionIsRefused) {
  std::ofstream(dir + "/config.yaml") << "management: {}\n";
  const auto outcome =
      cli.prepare({"-c", dir + "/config.yaml"}, [](std::string_view) { return std::nullopt; });
  EXPECT_THAT(outcome.err, HasSubstr("the section \"server:\" is missing"));
}

TEST_F(ServerConfigTest, AKeyIsMadeOnlyForANewDatabase) {
  ASSERT_FALSE(run(kLeast).done);
  std::vector<std::string> warnings;
  const auto make = [] { return Secret(kKey); };
  ASSERT_TRUE(ensure_server_key(config, make, warnings));
  EXPECT_EQ(config.mgmt.data_store_encryption_key.reveal(), kKey);
  EXPECT_EQ(std::filesystem::status(dir + "/encryption.key").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  config.mgmt.data_store_encryption_key = Secret();
  ASSERT_TRUE(ensure_server_key(
      config, [] { return Secret("never"); }, warnings));
  EXPECT_EQ(config.mgmt.data_store_encryption_key.reveal(), kKey) << "read from the file";
  std::filesystem::remove(dir + "/encryption.key");
  std::ofstream(dir + "/store.db") << "rows";
  config.mgmt.data_store_encryption_key = Secret();
  const auto refused = ensure_server_key(config, make, warnings);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(dir + "/encryption.key"));
}

}  // namespace
}  // namespace nb::cmd
