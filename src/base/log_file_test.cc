#include "base/log_file.h"

#include "base/log_sinks.h"
#include "support/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace nb {
namespace {
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

/// A wall clock that its test turns, read by the threads of log files.
class WallClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override { return start_ + turned_.load(); }
  [[nodiscard]] Instant now() const override { return Instant(turned_.load()); }
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds /*time*/) override { co_return; }
  void turn(std::chrono::nanoseconds by) { turned_ = turned_.load() + by; }

 private:
  const WallTime start_ = std::chrono::sys_days(std::chrono::year(2026) / 3 / 9) + 4h + 5min + 6s;
  std::atomic<std::chrono::nanoseconds> turned_{0ns};
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Nothing where it is no complete gzip file.
std::optional<std::string> unzipped(const fs::path& path) {
  gzFile file = ::gzopen(path.c_str(), "rb");
  if (file == nullptr) return std::nullopt;
  std::string out;
  std::array<char, 4096> chunk;
  int got = 0;
  while ((got = ::gzread(file, chunk.data(), chunk.size())) > 0)
    out.append(chunk.data(), static_cast<std::size_t>(got));
  const bool raw = ::gzdirect(file) != 0;
  return ::gzclose_r(file) == Z_OK && got == 0 && !raw ? std::optional(out) : std::nullopt;
}

class LogFileTest : public testing::Test {
 protected:
  void write(std::string_view name, std::string_view text) {
    std::ofstream(dir / name, std::ios::binary) << text;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(dir.path()))
      out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
  std::size_t count(std::string_view ending) const {
    const auto all = names();
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const std::string& name) { return name.ends_with(ending); }));
  }
  std::unique_ptr<LogFile> open(LogFileOptions options) {
    options.path = log;
    auto file = LogFile::open(std::move(options), clock);
    return file ? std::move(*file) : nullptr;
  }
  bool names_become(const std::vector<std::string>& wanted) {
    return test::eventually([&] { return names() == wanted; }, 10s);
  }

  test::TempDir dir;
  const std::string log = dir / "a.log";
  const std::shared_ptr<WallClock> clock = std::make_shared<WallClock>();
  const std::atomic<bool> go_on{false};
};

TEST_F(LogFileTest, ABackupHasUpstreamsName) {
  EXPECT_EQ(log_backup_path("/x/signal.log", clock->wall() + 7ms),
            "/x/signal-2026-03-09T04-05-06.007-size.log");
  EXPECT_EQ(log_backup_path("plain", clock->wall()), "plain-2026-03-09T04-05-06.000-size");
}

TEST_F(LogFileTest, ANameThatIsTakenIsNotUsedAgain) {
  write("a-2026-03-09T04-05-06.000-size.log", "");
  write("a-2026-03-09T04-05-06.001-size.log.gz", "");
  EXPECT_EQ(log_backup_path(log, clock->wall()), dir / "a-2026-03-09T04-05-06.002-size.log");
}

TEST_F(LogFileTest, NamesOfBackupsAreToldFromOthers) {
  const auto time = [](std::string_view name) { return log_backup_time("/x/a.log", name); };
  EXPECT_EQ(time("a-2026-03-09T04-05-06.007-size.log"), clock->wall() + 7ms);
  EXPECT_EQ(time("a-2026-03-09T04-05-06.007-time.log.gz"), clock->wall() + 7ms);
  EXPECT_EQ(time("a-2026-03-09T04-05-06.007.log"), clock->wall() + 7ms);
  for (const char* other :
       {"a.log", "a.1.log", "b-2026-03-09T04-05-06.007-size.log", "a-2026-13-09T04-05-06.007.log",
        "a-2026-02-30T04-05-06.007.log", "a-2026-03-09T24-05-06.007.log", "a-x.log", "a-.log",
        "a-2026-03-09T04-05-06.007x.log", "a-2026-03-09T04-05-06.007-size.txt",
        "a-2026-03-09T04-05-06.007-size.log.gz.tmp", "a-b-2026-03-09T04-05-06.007-size.log"})
    EXPECT_EQ(time(other), std::nullopt) << other;
}

TEST_F(LogFileTest, TheOldestBackupsBeyondTheNumberGo) {
  const WallTime now = clock->wall();
  const std::vector<LogBackup> backups = {{"d.log", now, false},
                                          {"c.log.gz", now - 1h, true},
                                          {"c.log", now - 1h, false},
                                          {"b.log.gz", now - 2h, true},
                                          {"a.log.gz", now - 3h, true}};
  EXPECT_THAT(log_backups_to_remove(backups, {.backups = 2}, now),
              ElementsAre("b.log.gz", "a.log.gz"));
  EXPECT_THAT(log_backups_to_remove(backups, {.backups = 4}, now), IsEmpty());
  EXPECT_THAT(log_backups_to_remove(backups, {.backups = 0}, now), SizeIs(5));
}

TEST_F(LogFileTest, BackupsGoAMomentAfterTheirLastDay) {
  const std::vector<LogBackup> backups = {{"b.log.gz", clock->wall() - 24h * 30, true},
                                          {"a.log.gz", clock->wall() - 24h * 30 - 1ms, true}};
  EXPECT_THAT(log_backups_to_remove(backups, {}, clock->wall()), ElementsAre("a.log.gz"));
  EXPECT_THAT(log_backups_to_remove(backups, {.age_max = std::chrono::days(0)}, clock->wall()),
              IsEmpty());
}

TEST_F(LogFileTest, ACompressedBackupHasTheSameBytesAndRights) {
  const std::string name = "a-2026-03-09T04-05-06.000-size.log";
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "line " + std::to_string(i) + "\n";
  write(name, text);
  ::chmod((dir / name).c_str(), 0640);
  ASSERT_TRUE(compress_log_backup(dir / name, go_on));
  EXPECT_THAT(names(), ElementsAre(name + ".gz"));
  EXPECT_EQ(unzipped(dir / (name + ".gz")), text);
  EXPECT_LT(fs::file_size(dir / (name + ".gz")), text.size() / 4);
  struct stat facts {};
  ASSERT_EQ(::stat((dir / (name + ".gz")).c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U & ~0640U, 0U);
}

TEST_F(LogFileTest, AFileThatSomebodyWritesToIsNotCompressed) {
  const std::string name = "a-2026-03-09T04-05-06.000-size.log";
  write(name, "more is coming");
  const int writer = ::open((dir / name).c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_EQ(::flock(writer, LOCK_SH), 0);
  EXPECT_EQ(compress_log_backup(dir / name, go_on).error().code, Code::kAborted);
  EXPECT_THAT(names(), ElementsAre(name));
  ::close(writer);
  EXPECT_TRUE(compress_log_backup(dir / name, go_on));
}

TEST_F(LogFileTest, StoppingACompressionLeavesTheOriginalAlone) {
  const std::string name = "a-2026-03-09T04-05-06.000-size.log";
  write(name, std::string(1U << 20U, 'x'));
  EXPECT_EQ(compress_log_backup(dir / name, std::atomic<bool>(true)).error().code, Code::kAborted);
  EXPECT_THAT(names(), ElementsAre(name));
}

TEST_F(LogFileTest, WhatAKilledProcessLeftIsFinished) {
  const std::string name = "a-2026-03-09T04-05-06.000-size.log";
  const std::string gone = "a-2026-03-08T04-05-06.000-size.log";
  write(name, "whole");
  write(name + ".gz.tmp", "half");
  write(gone + ".gz.tmp", "of nothing");
  // Renamed, killed before the original was removed; or upstream's, which writes in place.
  const std::string both = "a-2026-03-07T04-05-06.000-size.log";
  write(both, "all of it");
  write(both + ".gz", "\x1f\x8b a part");
  write("b-2026-03-07T04-05-06.000-size.log.gz.tmp", "not ours");
  EXPECT_EQ(maintain_log_backups(log, {}, clock->wall(), go_on), 0U);
  EXPECT_THAT(names(),
              ElementsAre(both + ".gz", name + ".gz", "b-2026-03-07T04-05-06.000-size.log.gz.tmp"));
  EXPECT_EQ(unzipped(dir / (name + ".gz")), "whole");
  EXPECT_EQ(unzipped(dir / (both + ".gz")), "all of it");
}

TEST_F(LogFileTest, AKillInMidCompressionLosesNothing) {
  const std::string name = "a-2026-03-09T04-05-06.000-size.log";
  std::string text;
  for (unsigned i = 0, x = 1; text.size() < (std::size_t{4} << 20U); ++i) {
    x = x * 1664525U + 1013904223U;  // compresses badly, so there is time to be killed in
    text += std::to_string(x) + (i % 8 == 0 ? "\n" : " ");
  }
  write(name, text);
  const fs::path half = dir / (name + ".gz.tmp");
  int killed_within = 0;
  for (std::uintmax_t step = 1; step <= 8; ++step) {
    const pid_t child = ::fork();
    if (child == 0) {
      ignore(compress_log_backup(dir / name, go_on), "the parent looks at what is there");
      ::_exit(0);
    }
    // Killed once so much of the copy is there; a child that was faster is simply done.
    std::error_code error;
    int status = 0;
    bool ended = false;
    for (;;) {
      const auto written = fs::file_size(half, error);
      if (!error && written >= step * 100'000) break;
      ended = ::waitpid(child, &status, WNOHANG) == child;
      if (ended) break;
    }
    if (ended) break;
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
    if (!fs::exists(dir / name)) break;
    ++killed_within;
    EXPECT_EQ(read_file(dir / name), text);
    EXPECT_FALSE(fs::exists(dir / (name + ".gz")) && !unzipped(dir / (name + ".gz")));
  }
  EXPECT_GT(killed_within, 0);
  EXPECT_EQ(maintain_log_backups(log, {}, clock->wall(), go_on), 0U);
  EXPECT_THAT(names(), ElementsAre(name + ".gz"));
  EXPECT_EQ(unzipped(dir / (name + ".gz")), text);
}

TEST_F(LogFileTest, LinesGoOnInANewFileAndTheOldOneIsCompressed) {
  const auto file = open({.bytes_max = 10});
  ASSERT_NE(file, nullptr);
  EXPECT_TRUE(file->write("12345\n"));
  EXPECT_TRUE(file->write("789\n"));  // ten bytes, which may be
  clock->turn(1s);
  EXPECT_TRUE(file->write("next\n"));
  EXPECT_EQ(read_file(log), "next\n");
  EXPECT_TRUE(names_become({"a-2026-03-09T04-05-07.000-size.log.gz", "a.log"}));
  EXPECT_EQ(unzipped(dir / "a-2026-03-09T04-05-07.000-size.log.gz"), "12345\n789\n");
}

TEST_F(LogFileTest, WhatARestartFindsIsCountedAndKept) {
  write("a.log", "from before\n");
  const auto file = open({.bytes_max = 15});
  EXPECT_TRUE(file->write("123\n"));  // 16 bytes in all
  EXPECT_EQ(read_file(log), "123\n");
  EXPECT_TRUE(names_become({"a-2026-03-09T04-05-06.000-size.log.gz", "a.log"}));
}

TEST_F(LogFileTest, OldBackupsGoAtTheStartAtRotationAndWhileNothingIsLogged) {
  write("a-2026-02-01T00-00-00.000-size.log.gz", "36 days old");
  write("a-2026-02-08T00-00-00.000-size.log.gz", "29 days old");
  const auto file = open({.bytes_max = 10, .look_interval = 5ms});
  EXPECT_TRUE(names_become({"a-2026-02-08T00-00-00.000-size.log.gz", "a.log"}));
  file->write("12345678\n");
  clock->turn(24h);
  EXPECT_TRUE(names_become({"a.log"}));
  file->write("12345678\n");
  EXPECT_TRUE(names_become({"a-2026-03-10T04-05-06.000-size.log.gz", "a.log"}));
  clock->turn(24h * 30 + 1s);
  EXPECT_TRUE(names_become({"a.log"}));
}

TEST_F(LogFileTest, NoMoreBackupsStayThanAskedFor) {
  const auto file = open({.bytes_max = 10, .keeping = {.backups = 3}});
  for (int i = 0; i < 20; ++i) {
    clock->turn(1s);
    file->write("12345678\n");
  }
  EXPECT_TRUE(names_become({"a-2026-03-09T04-05-24.000-size.log.gz",
                            "a-2026-03-09T04-05-25.000-size.log.gz",
                            "a-2026-03-09T04-05-26.000-size.log.gz", "a.log"}));
}

TEST_F(LogFileTest, AFileThatWasMovedOrRemovedIsMadeAnew) {
  const auto file = open({});  // as with logrotate
  file->write("one\n");
  fs::rename(log, dir / "a.log.1");
  file->write("two\n");
  fs::remove(log);
  file->write("three\n");
  EXPECT_EQ(read_file(dir / "a.log.1"), "one\n");
  EXPECT_EQ(read_file(log), "three\n");
}

TEST_F(LogFileTest, ALinkIsFollowedAndStays) {
  fs::create_directory(dir.path() / "data");
  fs::create_symlink("data/real.log", log);
  const auto file = open({.bytes_max = 10});
  ASSERT_NE(file, nullptr);
  file->write("12345678\n");
  file->write("next\n");
  EXPECT_TRUE(fs::is_symlink(log));
  EXPECT_EQ(read_file(log), "next\n");
  EXPECT_TRUE(test::eventually(
      [&] { return fs::exists(dir / "data/real-2026-03-09T04-05-06.000-size.log.gz"); }, 10s));
}

TEST_F(LogFileTest, ADeviceIsNeverRotated) {
  auto file = LogFile::open({.path = "/dev/null", .bytes_max = 4}, clock);
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_TRUE((*file)->write("12345678\n"));
  EXPECT_TRUE((*file)->write("12345678\n"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(LogFileTest, WithoutRoomForBackupsLinesGoOn) {
  // No name is short enough for the backup of a file with a name as long as can be.
  LogFileOptions options{.path = dir / (std::string(240, 'n') + ".log"), .bytes_max = 10};
  auto file = LogFile::open(options, clock);
  ASSERT_TRUE(file) << file.error().text;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE((*file)->write("12345678\n"));
  EXPECT_EQ(read_file(options.path).size(), 45U);
}

TEST_F(LogFileTest, ANewFileIsItsOwnersAlone) {
  const auto file = open({.bytes_max = 10});
  struct stat facts {};
  ASSERT_EQ(::stat(log.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(LogFileTest, TheSinkTakesSizeNumberAgeAndClockFromItsSettings) {
  write("a-2026-03-01T00-00-00.000-size.log.gz", "8 days old");
  const auto sink =
      make_log_sink({.file = log, .max_size_mb = 1, .backups = 2, .max_age_days = 7}, "x", clock);
  ASSERT_TRUE(sink) << sink.error().text;
  const std::string line(64 * 1024, 'x');
  for (int i = 0; i < 80; ++i) Logger(*sink).info(line);
  EXPECT_TRUE(test::eventually([&] { return count(".log.gz") == 2 && names().size() == 3; }, 10s));
  EXPECT_LE(fs::file_size(log), 1U << 20U);
  EXPECT_GT(fs::file_size(log), 1U << 16U);
  EXPECT_FALSE(fs::exists(dir / "a-2026-03-01T00-00-00.000-size.log.gz"));
  EXPECT_THAT(names().front(), testing::StartsWith("a-2026-03-09T04-05-06.0"));
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(clock->wall());
  EXPECT_THAT(read_file(log), testing::StartsWith(log_timestamp(ms.time_since_epoch().count())));
}

TEST_F(LogFileTest, ALogrotateConfigurationCountsOutsideOfComments) {
  fs::create_directory(dir.path() / "d");
  write("logrotate.conf", "weekly # not of netbird\n");
  write("d/one", "# netbird\n/var/log/one.log {}\n");
  EXPECT_EQ(logrotate_conflict(dir / "logrotate.conf", dir / "d"), std::nullopt);
  write("d/two", "/var/log/netbird/*.log {\n}\n");
  EXPECT_EQ(logrotate_conflict(dir / "logrotate.conf", dir / "d"), dir / "d/two");
  write("logrotate.conf", "/var/log/netbird/*.log {}\n");
  EXPECT_EQ(logrotate_conflict(dir / "logrotate.conf", dir / "d"), dir / "logrotate.conf");
  EXPECT_EQ(logrotate_conflict(dir / "none", dir / "nowhere"), std::nullopt);
}

}  // namespace
}  // namespace nb
