#include "base/config/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nb::config {
namespace {
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

struct Demo {
  bool debug = false;
  std::uint16_t port = 80;
  Secret secret;
  std::string name;
};
constexpr Option<Demo> kDemo[] = {
    {.flag = "debug", .member = &Demo::debug, .help = "say more"},
    {.flag = "port", .member = &Demo::port, .help = "port to listen on"},
    {.flag = "ha-secret", .key = "Secret", .member = &Demo::secret, .help = "signs"},
    {.flag = "name", .member = &Demo::name, .help = "a name"},
};

class CliTest : public testing::Test {
 protected:
  CliTest() : cli("netbird-demo", "A server", "1.2.3") {
    table.add(kDemo, demo);
    table.rule([this]() -> Result<> {
      if (demo.port == 13) return fail(Code::kInvalidArgument, "--port 13: unlucky");
      return {};
    });
    cli.command({.path = "run",
                 .aliases = {"serve"},
                 .help = "Start the server",
                 .table = &table,
                 .read_file = [this](std::vector<std::string>&) -> Result<std::optional<Node>> {
                   if (file.empty()) return std::nullopt;
                   NB_LET(auto node, parse_json(file));
                   return node;
                 },
                 .run = [](const Invocation&) { return 7; }});
    cli.command({.path = "setup-key create",
                 .help = "Make a key",
                 .usage = "<name>",
                 .table = &table,
                 .arguments_max = 1});
    cli.command({.path = "setup-key list", .help = "List keys", .table = &table});
  }
  Cli::Outcome call(std::vector<std::string> args) {
    return cli.prepare(args, [](std::string_view) { return std::nullopt; });
  }
  Demo demo;
  Table table;
  Cli cli;
  std::string file;
};

TEST_F(CliTest, FlagsMayStandBeforeTheCommand) {
  const auto outcome =
      call({"--debug", "--port", "81", "setup-key", "--name=x", "create", "laptop"});
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(outcome.command->path, "setup-key create");
  EXPECT_THAT(outcome.invocation.arguments, ElementsAre("laptop"));
  EXPECT_EQ(demo.port, 81);
  EXPECT_TRUE(demo.debug);
}

TEST_F(CliTest, AValueThatLooksLikeACommandStaysAValue) {
  const auto outcome = call({"--name", "run", "serve"});
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(outcome.command->path, "run");
  EXPECT_EQ(demo.name, "run");
}

TEST_F(CliTest, UnknownWordsAreErrorsWithStatusOne) {
  for (const auto& args : std::vector<std::vector<std::string>>{
           {"rnu"}, {"run", "extra"}, {"run", "--prot", "1"}, {"setup-key", "drop"}, {"--debug"}}) {
    const auto outcome = call(args);
    EXPECT_EQ(outcome.status, 1) << args[0];
    EXPECT_THAT(outcome.err, HasSubstr("Error: "));
    EXPECT_TRUE(outcome.out.empty());
  }
  EXPECT_THAT(call({"rnu"}).err, HasSubstr("did you mean run?"));
}

TEST_F(CliTest, HelpNamesCommandsFlagsAndVariables) {
  EXPECT_THAT(call({}).out, HasSubstr("setup-key create   Make a key"));
  EXPECT_THAT(call({"setup-key"}).out, HasSubstr("setup-key list"));
  EXPECT_THAT(call({"setup-key"}).out, Not(HasSubstr("Start the server")));
  const auto outcome = call({"run", "--help"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("netbird-demo run [flags]"));
  EXPECT_THAT(outcome.out,
              HasSubstr("--port uint16        port to listen on (default 80) [NB_PORT]"));
  EXPECT_EQ(call({"--version"}).out, "1.2.3\n");
  EXPECT_EQ(call({"run", "-v"}).out, "1.2.3\n");
}

TEST_F(CliTest, CheckConfigPrintsWithoutSecrets) {
  file = R"({"Secret":"hunter2"})";
  const auto outcome = call({"run", "--check-config", "--ha-secret=hunter3"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(outcome.done);
  EXPECT_THAT(outcome.out, HasSubstr("--ha-secret = (set)  [--ha-secret]"));
  EXPECT_THAT(outcome.err, HasSubstr("Warning: --ha-secret: a secret on the command line"));
  EXPECT_THAT(outcome.out + outcome.err, Not(HasSubstr("hunter")));
}

TEST_F(CliTest, RulesStopTheStart) {
  EXPECT_EQ(call({"run", "--port", "13"}).err,
            "Error: --port 13: unlucky\nSee netbird-demo --help.\n");
}

TEST_F(CliTest, MainRunsTheCommandAndWipesSecretsFromArgv) {
  std::vector<std::string> texts = {"netbird-demo", "run", "--ha-secret", "hunter2",
                                    "--ha-secret=hunter3"};
  std::vector<char*> argv;
  for (auto& text : texts) argv.push_back(text.data());
  EXPECT_EQ(cli.main(static_cast<int>(argv.size()), argv.data()), 7);
  EXPECT_EQ(demo.secret.reveal(), "hunter3");
  EXPECT_EQ(texts[3], "*******");
  EXPECT_EQ(texts[4], "--ha-secret=*******");
}

TEST_F(CliTest, FallbackServesProgramsWithoutVerbs) {
  cli.fallback("run");
  const auto outcome = call({"--port=9"});
  ASSERT_FALSE(outcome.done) << outcome.err;
  EXPECT_EQ(outcome.command->path, "run");
}

}  // namespace
}  // namespace nb::config
