// Settings from flags, variables and files: precedence, syntax, errors.
#include "base/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

namespace nb::config {
namespace {
using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Demo {
  bool on = false;
  std::string name = "x";
  Secret password;
  std::uint16_t port = 80;
  std::uint32_t db = 0;
  std::chrono::milliseconds ttl{30'000};
  std::vector<std::string> domains{"default.example"};
  std::vector<std::uint16_t> stun_ports{3478};
  std::string level = "info";
  std::string engine = "sqlite";
  std::optional<std::int32_t> version;
  std::chrono::milliseconds interval{1};
  bool limit = false;
  std::uint32_t rate = 6;
};

constexpr Option<Demo> kDemo[] = {
    {.flag = "enable-stun", .key = "Stun.Enabled", .member = &Demo::on, .help = "serve STUN"},
    {.flag = "name", .letter = 'n', .key = "Name", .member = &Demo::name, .help = "a name"},
    {.flag = "ha-redis-password",
     .aliases = {"NB_REDIS_PASSWORD"},
     .key = "HA.RedisPassword",
     .member = &Demo::password,
     .help = "password"},
    {.flag = "port", .letter = 'p', .member = &Demo::port, .min = 1, .max = 65'535, .help = "port"},
    {.flag = "ha-redis-db",
     .aliases = {"NB_REDIS_DB"},
     .key = "HA.RedisDB",
     .member = &Demo::db,
     .max = 15,
     .help = "database"},
    {.flag = "ttl",
     .key = "HA.TTL",
     .member = &Demo::ttl,
     .min = 100,
     .max = 3'600'000,
     .help = "time"},
    {.flag = "domains",
     .letter = 'a',
     .key = "Domains",
     .member = &Demo::domains,
     .check = check_domain,
     .help = "names"},
    {.flag = "stun-ports", .member = &Demo::stun_ports, .min = 1, .max = 65'535, .help = "ports"},
    {.flag = "log-level",
     .member = &Demo::level,
     .allowed = "error|warn|warning|info",
     .reload = Reload::kLive,
     .help = "level"},
    {.env = "NB_STORE_ENGINE",
     .aliases = {"NETBIRD_STORE_ENGINE"},
     .key = "StoreConfig.Engine",
     .member = &Demo::engine,
     .allowed = "sqlite|postgres",
     .file_before_alias = true,
     .help = "engine"},
    {.key = "MaxVersion", .member = &Demo::version, .max = 1, .help = "version"},
    {.env = "NB_INTERVAL_MS", .member = &Demo::interval, .bare_number = true, .help = "interval"},
    {.env = "NB_LIMIT", .member = &Demo::limit, .lenient = true, .help = "limit"},
    {.env = "NB_RATE",
     .member = &Demo::rate,
     .min = 1,
     .max = 100,
     .lenient = true,
     .help = "rate"},
};

class Settings : public testing::Test {
 protected:
  Settings() {
    table.add(kDemo, demo);
    table.describe("Stuns[]", kDemo);
    table.describe_key("Extra", "*", "anything");
  }
  Result<> load(std::vector<std::string> args, std::string_view file = "") {
    NB_LET(const auto flags, parse_flags(table, args));
    positional = flags.positional;
    NB_TRY(apply_flags_and_env(
        table, flags,
        [this](std::string_view name) -> std::optional<std::string> {
          const auto it = env.find(std::string(name));
          if (it == env.end()) return std::nullopt;
          return it->second;
        },
        warnings));
    if (file.empty()) return {};
    NB_LET(const auto node, parse_json(file));
    return apply_file(table, node, warnings);
  }
  std::string error(std::vector<std::string> args, std::string_view file = "") {
    const auto result = load(std::move(args), file);
    return result ? "no error" : result.error().text;
  }
  Demo demo;
  Table table;
  std::map<std::string, std::string> env;
  std::vector<std::string> positional;
  std::vector<std::string> warnings;
};

TEST_F(Settings, FlagsFollowGoRules) {
  ASSERT_TRUE(load({"--name", "a b", "--port=81", "--enable-stun", "false", "-a", "a.b,c.d",
                    "-a=e.f", "--", "--x"}));
  EXPECT_EQ(demo.name, "a b");
  EXPECT_EQ(demo.port, 81);
  EXPECT_TRUE(demo.on) << "a boolean never takes the next argument";
  EXPECT_THAT(positional, ElementsAre("false", "--x"));
  EXPECT_THAT(demo.domains, ElementsAre("a.b", "c.d", "e.f"));
}

TEST_F(Settings, ShortFlagsTakeTheRestOrTheNextArgument) {
  ASSERT_TRUE(load({"-p82", "-nfoo"}));
  EXPECT_EQ(demo.port, 82);
  EXPECT_EQ(demo.name, "foo");
  ASSERT_TRUE(load({"-p=83", "-n", "bar"}));
  EXPECT_EQ(demo.port, 83);
  EXPECT_EQ(demo.name, "bar");
}

TEST_F(Settings, GoBooleans) {
  for (const auto* yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    demo.on = false;
    ASSERT_TRUE(load({std::string("--enable-stun=") + yes}));
    EXPECT_TRUE(demo.on) << yes;
  }
  for (const auto* no : {"0", "f", "F", "false", "FALSE", "False"}) {
    demo.on = true;
    ASSERT_TRUE(load({std::string("--enable-stun=") + no}));
    EXPECT_FALSE(demo.on) << no;
  }
  for (const auto* bad : {"yes", "on", "tRUE", "2", ""}) {
    EXPECT_THAT(error({std::string("--enable-stun=") + bad}),
                HasSubstr("not a boolean; allowed: true or false"))
        << bad;
  }
}

TEST_F(Settings, BadVariablesOfLenientSettingsAreWarningsAndTheDefaultStays) {
  for (const auto* const bad : {"0", "-1", "101", "many", "6.5", "99999999999999999999"}) {
    warnings.clear();
    env = {{"NB_RATE", bad}};
    ASSERT_TRUE(load({})) << bad;
    EXPECT_EQ(demo.rate, 6U) << bad;
    EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr(std::string("NB_RATE \"") + bad + "\": "),
                                            HasSubstr("allowed: 1..100; the default 6 stays"))));
  }
  env = {{"NB_LIMIT", "yes"}, {"NB_RATE", "7"}};
  warnings.clear();
  ASSERT_TRUE(load({}));
  EXPECT_FALSE(demo.limit);
  EXPECT_EQ(demo.rate, 7U);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("the default false stays")));
}

TEST_F(Settings, PrecedenceIsFlagVariableAliasFileDefault) {
  const auto* file = R"({"ha":{"redisdb":4}})";
  ASSERT_TRUE(load({}, file));
  EXPECT_EQ(demo.db, 4U);
  EXPECT_EQ(table.find("NB_HA_REDIS_DB")->origin.source, Source::kFile);
  env["NB_REDIS_DB"] = "3";
  ASSERT_TRUE(load({}, file));
  EXPECT_EQ(demo.db, 3U);
  env["NB_HA_REDIS_DB"] = "2";
  ASSERT_TRUE(load({}, file));
  EXPECT_EQ(demo.db, 2U);
  ASSERT_TRUE(load({"--ha-redis-db", "1"}, file));
  EXPECT_EQ(demo.db, 1U);
  EXPECT_EQ(table.find("--ha-redis-db")->origin.name, "--ha-redis-db");
}

TEST_F(Settings, FileWinsOverTheAliasWhereDeclared) {
  env["NETBIRD_STORE_ENGINE"] = "postgres";
  ASSERT_TRUE(load({}, R"({"StoreConfig":{"Engine":"sqlite"}})"));
  EXPECT_EQ(demo.engine, "sqlite");
}

TEST_F(Settings, EmptyEngineInTheFileLeavesTheAlias) {
  env["NETBIRD_STORE_ENGINE"] = "postgres";
  ASSERT_TRUE(load({}, R"({"StoreConfig":{"Engine":""}})"));
  EXPECT_EQ(demo.engine, "postgres");
}

TEST_F(Settings, EmptyVariableIsUnset) {
  env["NB_HA_REDIS_DB"] = "";
  env["NB_REDIS_DB"] = "7";
  ASSERT_TRUE(load({}));
  EXPECT_EQ(demo.db, 7U);
}

TEST_F(Settings, VariableReplacesAListAndFlagsAppendToIt) {
  env["NB_DOMAINS"] = "a.example, b.example";
  ASSERT_TRUE(load({"--domains", "c.example"}));
  EXPECT_THAT(demo.domains, ElementsAre("a.example", "b.example", "c.example"));
}

TEST_F(Settings, FirstFlagReplacesADefaultList) {
  ASSERT_TRUE(load({"--stun-ports", "1,2", "--stun-ports", "3"}));
  EXPECT_THAT(demo.stun_ports, ElementsAre(1, 2, 3));
}

TEST_F(Settings, ErrorsNameSourceValueAndWhatIsAllowed) {
  env["NB_HA_REDIS_DB"] = "abc";
  EXPECT_EQ(error({}), "NB_HA_REDIS_DB \"abc\": not a whole number; allowed: 0..15");
  env.clear();
  EXPECT_EQ(error({"--port", "0"}), "--port \"0\": out of range; allowed: 1..65535");
  EXPECT_EQ(error({"--port", "99999"}), "--port \"99999\": out of range; allowed: 1..65535");
  EXPECT_EQ(
      error({"--ttl", "5"}),
      "--ttl \"5\": not a duration (a number with h, m, s, ms, us or ns); allowed: 100ms..1h0m0s");
  EXPECT_EQ(error({"--ttl", "99.9ms"}),
            "--ttl \"99.9ms\": finer than this setting can be; allowed: 100ms..1h0m0s");
  EXPECT_EQ(
      error({"--log-level", "loud"}),
      "--log-level \"loud\": not one of the allowed values; allowed: error, warn, warning, info");
  EXPECT_EQ(error({"--domains", "*.x"}), "--domains \"*.x\": not a domain name");
  EXPECT_EQ(error({"--port"}), "flag --port needs a value");
  EXPECT_EQ(error({}, R"({"HA":{"RedisDB":16}})"),
            "HA.RedisDB \"16\": out of range; allowed: 0..15");
}

TEST_F(Settings, UnknownFlagSuggestsTheNearest) {
  EXPECT_EQ(error({"--prot", "1"}), "unknown flag --prot (did you mean --port?)");
  EXPECT_EQ(error({"--zzzzzzzz"}), "unknown flag --zzzzzzzz");
  EXPECT_EQ(error({"-z"}), "unknown flag -z");
}

TEST_F(Settings, SecretsComeFromFilesAndAreNeverShown) {
  const auto path = testing::TempDir() + "nb_secret_" + std::to_string(::getpid());
  std::ofstream(path) << "hunter2\r\n";
  env["NB_HA_REDIS_PASSWORD_FILE"] = path;
  ASSERT_TRUE(load({}));
  EXPECT_EQ(demo.password.reveal(), "hunter2");
  EXPECT_EQ(table.find("NB_HA_REDIS_PASSWORD")->origin.file, path);
  EXPECT_THAT(dump(table), HasSubstr("--ha-redis-password = (set)  [NB_HA_REDIS_PASSWORD_FILE]"));
  EXPECT_THAT(dump(table), Not(HasSubstr("hunter2")));
  env["NB_HA_REDIS_PASSWORD"] = "hunter3";
  const auto both = error({});
  EXPECT_EQ(both, "NB_HA_REDIS_PASSWORD and NB_HA_REDIS_PASSWORD_FILE are both set; use one");
  env.erase("NB_HA_REDIS_PASSWORD");
  std::filesystem::remove(path);
  EXPECT_THAT(error({}), HasSubstr("NB_HA_REDIS_PASSWORD_FILE: " + path + ": cannot open"));
}

TEST_F(Settings, SecretInAWrongFormIsNotRepeated) {
  EXPECT_EQ(error({}, R"({"HA":{"RedisPassword":["hunter2"]}})"),
            "HA.RedisPassword (value hidden): must be a single value");
}

TEST_F(Settings, FileTakesNumbersAsNanosecondsAndTexts) {
  ASSERT_TRUE(load(
      {},
      R"({"HA":{"TTL":45000000000},"Domains":["a.b",null],"Stun":{"Enabled":true},"MaxVersion":1,"Name":null})"));
  EXPECT_EQ(demo.ttl, 45s);
  EXPECT_THAT(demo.domains, ElementsAre("a.b"));
  EXPECT_TRUE(demo.on);
  EXPECT_EQ(demo.version, 1);
  EXPECT_EQ(demo.name, "x");
  ASSERT_TRUE(load({}, R"({"ha":{"ttl":"1m"}})"));
  EXPECT_EQ(demo.ttl, 45s) << "the earlier load has set it";
}

TEST_F(Settings, BareNumbersCountInTheOwnUnit) {
  env["NB_INTERVAL_MS"] = "250";
  ASSERT_TRUE(load({}));
  EXPECT_EQ(demo.interval, 250ms);
  env["NB_INTERVAL_MS"] = "2s";
  ASSERT_TRUE(load({}));
  EXPECT_EQ(demo.interval, 2s);
}

TEST_F(Settings, UnknownFileKeysAreWarnedWithASuggestion) {
  ASSERT_TRUE(load(
      {},
      R"({"Nmae":1,"HA":{"RedisDB":1,"Foo":{"x":1}},"Stuns":[{"Name":"ok","Bad":1}],"Extra":{"any":{"thing":1}}})"));
  EXPECT_THAT(warnings,
              ElementsAre("config file: unknown key \"Nmae\" is ignored (did you mean \"Name\"?)",
                          HasSubstr("\"HA.Foo\""), HasSubstr("\"Stuns[].Bad\"")));
}

TEST_F(Settings, ChangesTellWhatAReloadWouldAlter) {
  Demo other;
  Table after;
  after.add(kDemo, other);
  other.level = "error";
  other.port = 9;
  const auto list = changes(table, after);
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0].name, "--port");
  EXPECT_EQ(list[0].reload, Reload::kRestart);
  EXPECT_EQ(list[1].name, "--log-level");
  EXPECT_EQ(list[1].reload, Reload::kLive);
}

TEST_F(Settings, DumpEscapesControlCharacters) {
  env["NB_NAME"] = "a\nb";
  ASSERT_TRUE(load({}));
  EXPECT_THAT(dump(table), HasSubstr("--name = a\\nb  [NB_NAME]\n"));
}

}  // namespace
}  // namespace nb::config
