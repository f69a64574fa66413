// The servers' settings as their operators give them.
#include "cmd/mgmt_config.h"
#include "cmd/signal_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace nb::cmd {
namespace {
using namespace std::chrono_literals;
using config::Cli;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

constexpr const char* kKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

class ConfigTest : public testing::Test {
 protected:
  config::Environment environment() {
    return [this](std::string_view name) -> std::optional<std::string> {
      const auto it = env.find(std::string(name));
      return it == env.end() ? std::nullopt : std::optional(it->second);
    };
  }
  std::map<std::string, std::string> env;
};

class SignalConfigTest : public ConfigTest {
 protected:
  SignalConfigTest() : cli("netbird-signal", "NetBird signal server", "test") {
    add_signal_rows(table, config);
    cli.command(signal_command(table, config, nullptr));
  }
  Cli::Outcome run(std::vector<std::string> args = {}) {
    args.insert(args.begin(), "run");
    return cli.prepare(args, environment());
  }
  SignalConfig config;
  config::Table table;
  Cli cli;
};

TEST_F(SignalConfigTest, DefaultsAreThoseOfTheContract) {
  const auto outcome = run();
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(config.service.port, 80);
  EXPECT_EQ(config.service.metrics_port, 9090);
  EXPECT_EQ(config.service.log.file, "/var/log/netbird/signal.log");
  EXPECT_EQ(config.registry_key, "nb:signal:registry");
  EXPECT_EQ(config.channel_prefix, "nb:signal:instance:");
  EXPECT_EQ(config.peer_ttl, 30s);
  EXPECT_EQ(config.heartbeat_interval, 10s);
  EXPECT_EQ(config.limits.send_timeout, 10s);
  EXPECT_FALSE(config.service.ha.enabled);
  EXPECT_FALSE(config.service.ha.instance_id.empty());
  EXPECT_GE(config.service.loops, 1U);
  EXPECT_THAT(outcome.invocation.warnings, IsEmpty());
}

TEST_F(SignalConfigTest, ForkFlagsAndVariablesWork) {
  env = {{"NB_HA_ENABLED", "t"},
         {"NB_HA_INSTANCE_ID", "signal-1"},
         {"NB_REDIS_ADDRESS", "alias:1"},
         {"NB_REDIS_DIAL_TIMEOUT", "2s"},
         {"NB_SIGNAL_PEER_TTL", "60s"},
         {"NB_SIGNAL_HEARTBEAT_INTERVAL", "30s"},
         {"NB_SIGNAL_SECRET", "0123456789abcdef"},
         {"NB_LOG_LEVEL", "WARNING"}};
  const auto outcome =
      run({"--ha-redis-address=redis:6379", "--port", "10000", "--log-file", "console"});
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(config.service.ha.redis.address.reveal(), "redis:6379");
  EXPECT_EQ(config.service.ha.redis.dial_timeout, 2s);
  EXPECT_EQ(config.service.ha.instance_id, "signal-1");
  EXPECT_EQ(config.heartbeat_interval, 30s);
  EXPECT_EQ(config.service.log.level, "warning");
  EXPECT_EQ(config.service.ha.secret.reveal(), "0123456789abcdef");
  EXPECT_THAT(outcome.invocation.warnings, IsEmpty());
  EXPECT_EQ(net_config(config.service, kSignalLegacyPort).listeners.size(), 1U)
      << "the legacy port is the main port";
}

TEST_F(SignalConfigTest, HeartbeatAboveHalfTheTtlIsRefused) {
  EXPECT_THAT(
      run({"--signal-peer-ttl", "10s", "--signal-heartbeat-interval", "5001ms"}).err,
      HasSubstr(
          "--signal-heartbeat-interval 5001 ms: at most half of --signal-peer-ttl (10000 ms)"));
}

TEST_F(SignalConfigTest, HeartbeatFollowsAShortTtl) {
  ASSERT_FALSE(run({"--signal-peer-ttl", "3s"}).done);
  EXPECT_EQ(config.heartbeat_interval, 1s);
}

TEST_F(SignalConfigTest, TimeoutsAreCapped) {
  EXPECT_THAT(run({"--ha-redis-read-timeout", "31s"}).err, HasSubstr("allowed: 10ms..30s"));
}

TEST_F(SignalConfigTest, PasswordFileIsRememberedForReconnects) {
  const auto path = testing::TempDir() + "nb_pw_" + std::to_string(::getpid());
  std::ofstream(path) << "pw\n";
  env = {{"NB_HA_ENABLED", "1"}, {"NB_HA_REDIS_PASSWORD_FILE", path}};
  ASSERT_FALSE(run().done);
  const auto options = redis_options(config.service.ha.redis, "signal");
  EXPECT_EQ(options->password.reveal(), "pw");
  EXPECT_EQ(options->password_file, path);
  std::filesystem::remove(path);
}

TEST_F(SignalConfigTest, RedisUrlAndSentinelsAreUnderstood) {
  env = {{"NB_HA_ENABLED", "1"},
         {"NB_HA_REDIS_ADDRESS", "rediss://u:p%40@r.example:7000/3"},
         {"NB_HA_REDIS_SENTINELS", "s1,s2:5,[::1]:6"}};
  ASSERT_FALSE(run().done);
  const auto options = *redis_options(config.service.ha.redis, "x");
  EXPECT_EQ(options.address, (redis::Address{"r.example", 7000}));
  EXPECT_TRUE(options.tls.enabled);
  EXPECT_EQ(options.user, "u");
  EXPECT_EQ(options.password.reveal(), "p@");
  EXPECT_EQ(options.db, 3);
  EXPECT_THAT(options.sentinels, ElementsAre(redis::Address{"s1", 26379}, redis::Address{"s2", 5},
                                             redis::Address{"::1", 6}));
}

TEST_F(SignalConfigTest, BadRedisAddressIsNotRepeated) {
  env = {{"NB_HA_REDIS_ADDRESS", "redis://u:hunter2@h:port"}};
  const auto outcome = run();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("NB_HA_REDIS_ADDRESS (value hidden)"));
  EXPECT_THAT(outcome.err, Not(HasSubstr("hunter2")));
}

TEST_F(SignalConfigTest, CheckConfigShowsTheAddressWithoutItsPassword) {
  env = {{"NB_HA_REDIS_ADDRESS", "redis://u:hunter2@h:1"}};
  const auto outcome = run({"--check-config"});
  EXPECT_THAT(outcome.out,
              HasSubstr("--ha-redis-address = redis://***@h:1  [NB_HA_REDIS_ADDRESS]"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("hunter2")));
}

TEST_F(SignalConfigTest, HaWithoutASecretIsWarnedAbout) {
  env = {{"NB_HA_ENABLED", "true"}};
  EXPECT_THAT(run().invocation.warnings, ElementsAre(HasSubstr("no secret is set")));
}

TEST_F(SignalConfigTest, HalfACertificatePairIsRefused) {
  EXPECT_THAT(run({"--cert-file", "c.pem"}).err, HasSubstr("--cert-key is missing"));
  ASSERT_FALSE(run({"--cert-file", "c.pem", "--cert-key", "k.pem"}).done);
  EXPECT_EQ(config.service.port, 443);
}

class MgmtConfigTest : public ConfigTest {
 protected:
  MgmtConfigTest() : cli("netbird-mgmt", "NetBird management server", "test") {
    dir = testing::TempDir() + "nb_mgmt_" + std::to_string(::getpid());
    std::filesystem::create_directories(dir);
    add_mgmt_rows(table, config);
    auto command = mgmt_command(table, config, environment());
    command.path = "management";
    cli.command(std::move(command));
  }
  ~MgmtConfigTest() override { std::filesystem::remove_all(dir); }
  Cli::Outcome run(std::string_view json, std::vector<std::string> args = {}) {
    std::ofstream(dir + "/management.json") << json;
    args.insert(args.begin(), {"management", "--config", dir + "/management.json"});
    return cli.prepare(args, environment());
  }
  std::string dir;
  MgmtConfig config;
  config::Table table;
  Cli cli;
};

constexpr std::string_view kWhole = R"({
    "Stuns": [{"Proto": "udp", "URI": "stun:stun.example:3478", "Username": "", "Password": null}],
    "TURNConfig": {"TimeBasedCredentials": true, "CredentialsTTL": "12h", "Secret": "turnsecret",
      "Turns": [{"Proto": "udp", "URI": "turn:turn.example:3478", "Username": "u", "Password": "p"}]},
    "relay": {"Addresses": ["rels://relay.example:443"], "CredentialsTTL": 43200000000000, "Secret": "{{ .RELAY }}"},
    "Signal": {"Proto": "http", "URI": "signal-1:10000", "Username": "", "Password": null},
    "Datadir": "/elsewhere",
    "DataStoreEncryptionKey": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "HttpConfig": {"Address": "0.0.0.0:33073", "AuthIssuer": "https://idp.example", "IdpSignKeyRefreshEnabled": true},
    "IdpManagerConfig": {"ManagerType": "none", "ClientConfig": {"Issuer": "x"}, "ExtraConfig": {"any": "thing"}},
    "DeviceAuthorizationFlow": {"Provider": "None", "ProviderConfig": {"ClientID": "cli", "AuthorizationEndpoint": "", "Domain": ""}},
    "PKCEAuthorizationFlow": {"ProviderConfig": {"ClientID": "cli", "RedirectURLs": ["http://localhost:53000"], "LoginFlag": 1}},
    "StoreConfig": {"Engine": "postgres"},
    "ReverseProxy": {"TrustedHTTPProxies": ["10.0.0.0/8"], "TrustedHTTPProxiesCount": 0, "TrustedPeers": ["10.1.0.1"], "AccessLogRetentionDays": 7},
    "DisableDefaultPolicy": true,
    "HighestSupportedSyncMessageVersion": 1,
    "PerAccountHighestSupportedSyncMessageVersion": {"acc": 0},
    "EmbeddedIdP": null,
    "HA": {"Enabled": true, "RedisAddress": "redis.nb:6379", "RedisPassword": "filepw", "DialTimeout": 4000000000, "InstanceID": "mgmt-1", "TLSEnabled": false, "MaxIdleConns": 5},
    "Comment": "unknown"
})";

TEST_F(MgmtConfigTest, WholeFileIsRead) {
  env = {{"RELAY", "relaysecret"},
         {"NB_STORE_ENGINE_POSTGRES_DSN", "postgres://netbird:pw@127.0.0.1/netbird"}};
  const auto outcome = run(kWhole);
  ASSERT_FALSE(outcome.done) << outcome.err;
  ASSERT_EQ(config.stuns.size(), 1U);
  EXPECT_EQ(config.stuns[0].uri, "stun:stun.example:3478");
  EXPECT_EQ(config.turn.turns[0].password.reveal(), "p");
  EXPECT_EQ(config.turn.credentials_ttl, 12h);
  EXPECT_EQ(config.relay.secret.reveal(), "relaysecret");
  EXPECT_EQ(config.relay.credentials_ttl, 12h);
  EXPECT_EQ(config.signal.uri, "signal-1:10000");
  EXPECT_EQ(config.datadir, "/var/lib/netbird/");
  EXPECT_TRUE(config.http.idp_sign_key_refresh_enabled);
  EXPECT_EQ(config.idp_manager_type, "");
  EXPECT_EQ(config.device_flow.provider, "");
  EXPECT_EQ(config.device_flow.scope, "openid");
  EXPECT_EQ(config.pkce_flow.login_flag, 1);
  EXPECT_EQ(config.store.engine, "postgres");
  EXPECT_THAT(config.service.trusted_proxies, ElementsAre("10.1.0.1", "10.0.0.0/8"));
  EXPECT_EQ(config.sync_message_version_max, 1);
  EXPECT_THAT(config.sync_message_version_per_account, ElementsAre(testing::Pair("acc", 0)));
  EXPECT_TRUE(config.service.ha.enabled);
  EXPECT_EQ(config.service.ha.instance_id, "mgmt-1");
  EXPECT_EQ(config.service.ha.redis.dial_timeout, 4s);
  EXPECT_THAT(
      outcome.invocation.warnings,
      ElementsAre("config file: unknown key \"Comment\" is ignored", HasSubstr("no secret is set"),
                  HasSubstr("Datadir \"/elsewhere\" is not used")));
}

TEST_F(MgmtConfigTest, VariablesWinOverTheHaSection) {
  env = {{"RELAY", "r"},
         {"NB_STORE_ENGINE_POSTGRES_DSN", "x"},
         {"NB_REDIS_ADDRESS", "other:1"},
         {"NB_HA_INSTANCE_ID", "mgmt-9"},
         {"NB_HA_REDIS_PASSWORD", "envpw"}};
  ASSERT_FALSE(run(kWhole).done);
  EXPECT_EQ(config.service.ha.redis.address.reveal(), "other:1");
  EXPECT_EQ(config.service.ha.instance_id, "mgmt-9");
  EXPECT_EQ(config.service.ha.redis.password.reveal(), "envpw");
}

TEST_F(MgmtConfigTest, UnsetTemplateVariableStopsTheStart) {
  EXPECT_THAT(run(kWhole).err, HasSubstr("template: variable RELAY is not set"));
}

TEST_F(MgmtConfigTest, HaNeedsOneDatabaseAndAGivenKey) {
  EXPECT_THAT(run("{}", {"--ha-enabled"}).err,
              HasSubstr("DataStoreEncryptionKey is required with HA"));
  EXPECT_THAT(run(fmt::format(R"({{"DataStoreEncryptionKey":"{}"}})", kKey), {"--ha-enabled"}).err,
              HasSubstr("HA needs one database for all instances"));
}

TEST_F(MgmtConfigTest, BadValuesNameTheirKeyAndHideSecrets) {
  EXPECT_THAT(
      run(R"({"DataStoreEncryptionKey":"hunter2"})").err,
      AllOf(HasSubstr("DataStoreEncryptionKey (value hidden): not the base64 form of 32 bytes"),
            Not(HasSubstr("hunter2"))));
  EXPECT_THAT(run(R"({"Stuns":[{"Proto":"udp"},{"Proto":"smtp"}]})").err,
              HasSubstr("Stuns[1].Proto \"smtp\": not one of the allowed values"));
  EXPECT_THAT(run(R"({"Stuns":[{"Password":["hunter2"]}]})").err,
              AllOf(HasSubstr("Stuns[0].Password"), Not(HasSubstr("hunter2"))));
  EXPECT_THAT(run(R"({"Stuns":5})").err, HasSubstr("Stuns: must be a list"));
  EXPECT_THAT(run(R"({"StoreConfig":{"Engine":"mysql"}})").err,
              HasSubstr("StoreConfig.Engine \"mysql\""));
  EXPECT_THAT(run(R"({"ReverseProxy":{"TrustedPeers":["nonsense"]}})").err,
              HasSubstr("not an IP address or prefix"));
  for (const char* version : {"2", "-1"})  // contract/management-grpc.md §3.8
    EXPECT_THAT(run(fmt::format(R"({{"HighestSupportedSyncMessageVersion":{}}})", version)).err,
                HasSubstr("HighestSupportedSyncMessageVersion \""));
  EXPECT_THAT(run(R"({"PerAccountHighestSupportedSyncMessageVersion":{"acc":2}})").err,
              HasSubstr("PerAccountHighestSupportedSyncMessageVersion.acc: must be 0 or 1"));
  EXPECT_THAT(run("{\"a\":").err, HasSubstr("management.json: JSON: "));
  EXPECT_THAT(run("[]").err, HasSubstr("must be a map"));
}

TEST_F(MgmtConfigTest, ImpossibleLimitsOfTheApiAreDefaults) {  // contract/rest-api.md §5.1
  env = {{"NB_API_RATE_LIMITING_ENABLED", "true"},
         {"NB_API_RATE_LIMITING_RPM", "0"},
         {"NB_API_RATE_LIMITING_BURST", "plenty"}};
  const auto outcome = run("{}");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_TRUE(config.limits.api_rate_limiting);
  EXPECT_EQ(config.limits.api_rate_per_minute, 6U);
  EXPECT_EQ(config.limits.api_rate_burst, 500U);
  EXPECT_THAT(outcome.invocation.warnings,
              IsSupersetOf({HasSubstr("NB_API_RATE_LIMITING_RPM \"0\": out of range"),
                            HasSubstr("NB_API_RATE_LIMITING_BURST \"plenty\": not a whole")}));
}

TEST_F(MgmtConfigTest, AnyNumberOfConcurrentSyncsStarts) {  // contract/management-grpc.md §5.3
  for (const auto& [given, meant] :
       std::map<std::string, int>{{"-7", -7}, {"0", 0}, {"20", 20}, {"many", 1'000}}) {
    config = {};
    env = {{"NB_MAX_CONCURRENT_SYNCS", given}};
    const auto outcome = run("{}");
    ASSERT_FALSE(outcome.done) << outcome.err;
    EXPECT_EQ(config.limits.concurrent_syncs_max, meant) << given;
    const auto warns = Contains(HasSubstr("NB_MAX_CONCURRENT_SYNCS \"many\""));
    if (given == "many") {
      EXPECT_THAT(outcome.invocation.warnings, warns);
    } else {
      EXPECT_THAT(outcome.invocation.warnings, Not(warns));
    }
  }
}

TEST_F(MgmtConfigTest, ManagersOfOtherProvidersAreWarnedAbout) {
  EXPECT_THAT(run(R"({"IdpManagerConfig":{"ManagerType":"auth0"}})").invocation.warnings,
              Contains(HasSubstr("IdpManagerConfig.ManagerType \"auth0\"")));
}

TEST_F(MgmtConfigTest, NoManagerIsNothingToWarnAbout) {
  EXPECT_THAT(run(R"({"IdpManagerConfig":{"ManagerType":"None"}})").invocation.warnings,
              Not(Contains(HasSubstr("IdpManagerConfig"))));
}

TEST_F(MgmtConfigTest, SettingsWithoutEffectAreWarnedAboutWithTheReason) {
  env = {{"NB_IDP_CACHE_REDIS_ADDRESS", "redis://:hunter2@cache:6379"}, {"NB_IDP_TIMEOUT", "10s"}};
  const auto outcome = run("{}");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_THAT(
      outcome.invocation.warnings,
      testing::UnorderedElementsAre(AllOf(HasSubstr("NB_CACHE_REDIS_ADDRESS has no effect"),
                                          HasSubstr("main database"), Not(HasSubstr("hunter2"))),
                                    HasSubstr("NB_IDP_TIMEOUT has no effect")));
}

TEST_F(MgmtConfigTest, NullsEverywhereLeaveDefaults) {
  const auto outcome = run(
      R"({"Stuns":null,"TURNConfig":null,"Relay":null,"Signal":null,"HttpConfig":null,"StoreConfig":null,"HA":null,"ReverseProxy":null,"EmbeddedIdP":null,"DataStoreEncryptionKey":null})");
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(config.store.engine, "sqlite");
  EXPECT_THAT(config.service.trusted_proxies, IsEmpty());
}

TEST_F(MgmtConfigTest, FetchingCertificatesIsRefusedWithAWayOut) {
  const auto refusal =
      testing::AllOf(HasSubstr("--letsencrypt-domain nb.example.com: certificates are not fetched "
                               "by this version"),
                     HasSubstr("--cert-file and --cert-key, or end TLS at the proxy"));
  EXPECT_THAT(run(R"({"HttpConfig":{"LetsEncryptDomain":"nb.example.com"}})").err, refusal);
  EXPECT_THAT(run("{}", {"--letsencrypt-domain", "nb.example.com"}).err, refusal);
}

TEST_F(SignalConfigTest, FetchingCertificatesIsRefusedWithAWayOut) {
  EXPECT_THAT(run({"--letsencrypt-domain", "nb.example.com"}).err,
              HasSubstr("certificates are not fetched by this version; give --cert-file and"));
}

TEST_F(MgmtConfigTest, PortsOfProxiesAreARange) {
  env = {{"NB_PROXY_PORT_MIN", "20001"}, {"NB_PROXY_PORT_MAX", "20000"}};
  EXPECT_THAT(run("{}").err, HasSubstr("NB_PROXY_PORT_MIN 20001: more than NB_PROXY_PORT_MAX"));
  env["NB_PROXY_PORT_MAX"] = "20001";
  ASSERT_FALSE(run("{}").done);
  EXPECT_EQ(config.limits.proxy_port_min, 20'001);
  EXPECT_EQ(config.limits.proxy_port_max, 20'001);
}

TEST_F(MgmtConfigTest, StoreVariablesOfComposeFilesWork) {
  env = {{"NB_STORE_ENGINE", "postgres"},
         {"NETBIRD_STORE_ENGINE_POSTGRES_DSN", "host=db password=hunter2"},
         {"NB_MGMT_METRICS_PORT", "9191"},
         {"NB_MAX_CONCURRENT_SYNCS", "-1"},
         {"NB_PEER_UPDATE_INTERVAL_MS", "50"}};
  ASSERT_FALSE(run(R"({"StoreConfig":{"Engine":"sqlite"}})").done);
  EXPECT_EQ(config.store.engine, "postgres") << "the canonical variable wins over the file";
  EXPECT_EQ(config.service.metrics_port, 9191);
  EXPECT_EQ(config.limits.concurrent_syncs_max, -1);
  EXPECT_EQ(config.limits.peer_update_interval, 50ms);
  EXPECT_THAT(run("{}", {"--check-config"}).out, Not(HasSubstr("hunter2")));
}

TEST_F(MgmtConfigTest, MissingFileIsAnErrorOnlyWhenNamed) {
  EXPECT_THAT(cli.prepare({"management", "--config", dir + "/none.json"}, environment()).err,
              HasSubstr("/none.json: cannot open"));
}

TEST_F(MgmtConfigTest, AMissingKeyIsMadeAndOnlyThatKeyIsWritten) {
  env = {{"NB_TEST_URI", "stun:x:1"}};
  constexpr std::string_view kFile =
      "{\n  \"Stuns\": [{\"URI\": \"{{ .NB_TEST_URI }}\"}],\n  \"DataStoreEncryptionKey\": "
      "\"\"\n}\n";
  ASSERT_FALSE(run(kFile).done);
  std::vector<std::string> warnings;
  ASSERT_TRUE(ensure_encryption_key(
      config, [] { return Secret(kKey); }, warnings));
  EXPECT_EQ(config.data_store_encryption_key.reveal(), kKey);
  EXPECT_EQ(
      *config::read_file(config.config_file),
      "{\n  \"Stuns\": [{\"URI\": \"{{ .NB_TEST_URI }}\"}],\n  \"DataStoreEncryptionKey\": \"" +
          std::string(kKey) + "\"\n}\n");
  EXPECT_THAT(warnings, ElementsAre(Not(HasSubstr(kKey))));
  ASSERT_TRUE(ensure_encryption_key(
      config,
      []() -> Secret {
        ADD_FAILURE();
        return {};
      },
      warnings));
}

TEST_F(MgmtConfigTest, WithHaNoKeyIsEverMade) {
  config.service.ha.enabled = true;
  std::vector<std::string> warnings;
  const auto result = ensure_encryption_key(
      config,
      []() -> Secret {
        ADD_FAILURE();
        return {};
      },
      warnings);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kFailedPrecondition);
}

TEST_F(MgmtConfigTest, EmbeddedIdpNeedsItsIssuerAndOneAccount) {
  EXPECT_THAT(run(R"({"EmbeddedIdP":{"Enabled":true}})").err,
              HasSubstr("EmbeddedIdP.Issuer is missing"));
  EXPECT_THAT(run(R"({"EmbeddedIdP":{"Enabled":true,"Issuer":"https://x/oauth2"}})",
                  {"--disable-single-account-mode"})
                  .err,
              HasSubstr("cannot be used with EmbeddedIdP"));
  config.disable_single_account_mode = false;
  const auto outcome = run(
      R"({"EmbeddedIdP":{"Enabled":true,"Issuer":"https://x/oauth2","StaticConnectors":[{"type":"oidc"}]}})",
      {"--disable-single-account-mode=false"});
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(config.embedded_idp.storage_file, "/var/lib/netbird/idp.db");
  EXPECT_THAT(outcome.invocation.warnings, IsEmpty());
  for (const char* name : {"sqlite3", "sqlite"}) {
    const std::string json =
        R"({"EmbeddedIdP":{"Enabled":true,"Issuer":"https://x/oauth2","Storage":{"Type":")" +
        std::string(name) + R"("}}})";
    EXPECT_FALSE(run(json, {"--disable-single-account-mode=false"}).done) << name;
  }
}

}  // namespace
}  // namespace nb::cmd
