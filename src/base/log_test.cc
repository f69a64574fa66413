#include "base/log_keys.h"
#include "base/log_sinks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

namespace nb {
namespace {
using testing::HasSubstr;
using testing::MatchesRegex;

TEST(Log, TextLineIsUpstreams) {
  const std::vector<LogField> context = {{"context", "GRPC"}};
  const std::vector<LogField> fields = {{"peerID", "p1"}, {"tookMs", "3"}};
  EXPECT_THAT(
      format_log_text(LogLevel::kWarn, "peer left", context, fields,
                      std::source_location::current(), "2026-01-02T03:04:05.006Z"),
      MatchesRegex(R"(2026-01-02T03:04:05\.006Z WARN \[context: GRPC, peerID: p1, tookMs: 3\] )"
                   R"(src/base/log_test\.cc:[0-9]+: peer left)"));
  EXPECT_THAT(format_log_text(LogLevel::kPanic, "x", {}, {}, std::source_location::current(), "T"),
              MatchesRegex("T PANC src/base/log_test.cc:[0-9]+: x"));
}

TEST(Log, ValuesCannotForgeLines) {
  const std::vector<LogField> fields = {{"peerID", "a\n2026 ERRO x: forged\x1b[2J"}};
  const auto text =
      format_log_text(LogLevel::kInfo, "s", {}, fields, std::source_location::current(), "T");
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_THAT(text, HasSubstr("a\\n2026 ERRO x: forged\\x1b[2J"));
  const auto json =
      format_log_json(LogLevel::kInfo, "s", {}, fields, std::source_location::current(), "T");
  EXPECT_EQ(json.find('\n'), std::string::npos);
}

TEST(Log, JsonLineKeepsItsOwnKeys) {
  const std::vector<LogField> fields = {{"msg", "not the message"}, {"peerID", "\"p\""}};
  const auto json = format_log_json(LogLevel::kError, "the message", {}, fields,
                                    std::source_location::current(), "T");
  EXPECT_THAT(
      json,
      testing::StartsWith(
          R"({"time":"T","level":"error","msg":"the message","source":"src/base/log_test.cc:)"));
  EXPECT_THAT(json, HasSubstr(R"("field.msg":"not the message","peerID":"\"p\"")"));
}

TEST(Log, TimestampHasMillisecondsAndZone) {
  ::setenv("TZ", "UTC0", 1);
  ::tzset();
  EXPECT_EQ(log_timestamp(1'767'323'045'006), "2026-01-02T03:04:05.006Z");
  EXPECT_EQ(log_timestamp(-1), "1969-12-31T23:59:59.999Z");
  ::setenv("TZ", "XST-5:30", 1);
  ::tzset();
  EXPECT_EQ(log_timestamp(0), "1970-01-01T05:30:00.000+05:30");
  ::setenv("TZ", "UTC0", 1);
  ::tzset();
}

TEST(Log, LevelsAreUpstreams) {
  EXPECT_EQ(parse_log_level("WARNING"), LogLevel::kWarn);
  EXPECT_EQ(parse_log_level("panic"), LogLevel::kPanic);
  EXPECT_EQ(parse_log_level("loud"), std::nullopt);
  EXPECT_FALSE(make_log_sink({.level = "loud", .file = "console"}, "x"));
}

TEST(Log, BelowTheLevelNothingIsWrittenAndTheLevelMayChange) {
  const auto sink = std::make_shared<MemoryLogSink>(LogLevel::kWarn);
  const Logger log(sink);
  log.info("quiet");
  sink->set_level(LogLevel::kDebug);
  log.debug("loud");
  EXPECT_EQ(sink->count("quiet"), 0U);
  EXPECT_EQ(sink->count("loud"), 1U);
}

TEST(Log, ContextFieldsStandOnEveryLine) {
  const auto sink = std::make_shared<MemoryLogSink>();
  const Logger log =
      Logger(sink).with({log::f(log::kInstance, "i1")}).with({log::f(log::kContext, "GRPC")});
  log.info("one", {log::f(log::kPeer, 7)});
  ASSERT_EQ(sink->lines().size(), 1U);
  EXPECT_EQ(sink->lines()[0].field("instance"), "i1");
  EXPECT_EQ(sink->lines()[0].field("context"), "GRPC");
  EXPECT_EQ(sink->lines()[0].field("peerID"), "7");
}

TEST(Log, LimitedCallSitesAreCutAndOthersAreNot) {
  const auto sink = std::make_shared<MemoryLogSink>();
  const Logger log(sink);
  for (int i = 0; i < 1000; ++i) log.limited().warn("flood");
  for (int i = 0; i < 5; ++i) log.limited().warn("calm");
  for (int i = 0; i < 50; ++i) log.warn("free");
  EXPECT_EQ(sink->count("flood"), kLimitedLines);
  EXPECT_EQ(sink->count("calm"), 5U);
  EXPECT_EQ(sink->count("free"), 50U);
}

class LogFile : public testing::Test {
 protected:
  LogFile() : dir_(testing::TempDir() + "nb_log_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(dir_);
  }
  ~LogFile() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(LogFile, ManyThreadsWriteWholeLines) {
  const auto sink = make_log_sink({.file = dir_ + "/b.log", .disable_rotation = true}, "x");
  ASSERT_TRUE(sink);
  const Logger log(*sink);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) log.info("a sentence", {log::f("n", i)});
    });
  }
  for (auto& thread : threads) thread.join();
  std::ifstream file(dir_ + "/b.log");
  std::size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    EXPECT_TRUE(line.ends_with(": a sentence")) << line;
  }
  EXPECT_EQ(lines, 800U);
}

TEST_F(LogFile, AFileThatCannotBeOpenedIsAnError) {
  EXPECT_EQ(make_log_sink({.file = "/proc/none/x.log"}, "x").error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace nb
