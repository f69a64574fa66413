#include "support/servers.h"

#include <gtest/gtest.h>

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
