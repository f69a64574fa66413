#include "support/servers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace nb::test {
namespace {
using namespace std::chrono_literals;

TEST(RedisServer, AnswersAndForgetsEverythingWhenKilled) {
  RedisServer redis;
  EXPECT_EQ(redis.cli({"SET", "a", "1"}), "OK");
  redis.kill();
  redis.start();
  EXPECT_EQ(redis.cli({"GET", "a"}), "");
}

TEST(PostgresServer, SurvivesAStopWithWhatWasCommitted) {
  PostgresServer postgres;
  postgres.psql("CREATE TABLE t(i int); INSERT INTO t VALUES (7)");
  postgres.stop();
  postgres.start();
  EXPECT_EQ(postgres.psql("SELECT i FROM t"), "7");
}

TEST(FreePort, IsTheProcesssOwnAndNoneOfOutgoingConnections) {
  const std::uint16_t port = free_port();
  unsigned outgoing = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> outgoing;
  if (outgoing > 30'000) {
    EXPECT_LT(port, outgoing);
  }
  EXPECT_NE(free_port(), port);
  const pid_t other = ::fork();
  if (other == 0) {
    const auto lock =
        std::filesystem::temp_directory_path() / "nb-test-ports" / std::to_string(port);
    ::_exit(::flock(::open(lock.c_str(), O_RDWR), LOCK_EX | LOCK_NB) == 0 ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  EXPECT_EQ(status, 0) << "another process was given the same port";
}

TEST(Servers, OneThatCannotStartIsToldAtOnce) {
  EXPECT_THROW(HaProxy("no such section\n"), std::runtime_error);
}

TEST(Process, ReportsStatusAndOutput) {
  const auto done = run({.argv = {"sh", "-c", "echo hello; exit 3"}});
  EXPECT_EQ(done.status, 3);
  EXPECT_EQ(done.output, "hello\n");
}

TEST(Process, TerminateEscalatesToKill) {
  Process process({.argv = {"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"}});
  ASSERT_TRUE(process.wait_for_output("ready", 5s));
  process.terminate(100ms);
  EXPECT_FALSE(process.running());
}

}  // namespace
}  // namespace nb::test
