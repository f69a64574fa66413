// netbird-server migrate-store: a single node grows into PostgreSQL without losing a row.
#include "integration/combined_server.h"
#include "integration/mgmt_harness.h"
#include "integration/sqlite_file.h"
#include "support/paths.h"
#include "support/servers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <stdexcept>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

/// The key of the database that the official server wrote; made for its tests.
constexpr const char* kExampleKey = "bmV0YmlyZC1nb2xkZW4tZXhhbXBsZS1rZXktMDAwMDE=";

std::string unpacked(const std::string& name) {
  const std::string path = source_dir() + "/tests/data/upstream/" + name;
  const gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) throw std::runtime_error("cannot open " + path);
  std::string out;
  std::array<char, 65536> buffer{};
  for (int n = 0; (n = gzread(file, buffer.data(), buffer.size())) > 0;)
    out.append(buffer.data(), static_cast<std::size_t>(n));
  gzclose(file);
  return out;
}

std::string on_postgres(const PostgresServer& postgres) {
  return "  store: {engine: postgres, dsn: \"" + postgres.dsn() + "\"}\n" +
         "  activityStore: {engine: postgres, dsn: \"" + postgres.dsn("netbird_events") + "\"}\n" +
         "  authStore: {engine: postgres, dsn: \"" + postgres.dsn("netbird_auth") + "\"}\n";
}

class MigrateStore : public testing::Test {
 protected:
  MigrateStore() {
    postgres_.create_database("netbird_auth");
    postgres_.create_database("netbird_events");
  }
  Finished migrate(const CombinedServer& server) const {
    return server.verb({"migrate-store"},
                       {{"NB_MIGRATE_TO", postgres_.dsn()},
                        {"NB_MIGRATE_AUTH_TO", postgres_.dsn("netbird_auth")},
                        {"NB_MIGRATE_EVENTS_TO", postgres_.dsn("netbird_events")}});
  }
  /// Rows of every table of the file are in the database.
  void expect_counts(const std::string& file, const std::string& database) const {
    const std::string names =
        sqlite(file,
               "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' "
               "AND name <> 'nb_schema_migrations'");
    std::size_t tables = 0;
    for (std::size_t at = 0; at < names.size(); ++tables) {
      const std::size_t end = names.find('\n', at);
      const std::string count = "SELECT COUNT(*) FROM \"" + names.substr(at, end - at) + "\"";
      EXPECT_EQ(sqlite(file, count), postgres_.psql(count, database) + "\n") << count;
      at = end + 1;
    }
    EXPECT_GT(tables, 0U);
  }
  PostgresServer postgres_;
};

TEST_F(MigrateStore, OurOwnServerGoesOnWhereItWas) {
  CombinedServer server(
      {.yaml = "  auth:\n    owner: {email: owner@example.org, password: Passw0rd!}\n",
       .env = {{"NB_DATASTORE_ENCRYPTION_KEY", kDataKey}}});
  server.start();
  const std::string key = server.setup_key();
  const Agent agent("laptop");
  const auto before = agent.login(server.target(), key);
  ASSERT_TRUE(before.ok()) << before.status.error_message();
  const std::string server_key = agent.server_key(server.target()).value;
  const std::string signing_keys = http_get(server.port(), "/oauth2/keys").body;

  const Finished early = migrate(server);
  EXPECT_NE(early.status, 0);
  EXPECT_THAT(early.output, HasSubstr("stop it first"));
  server.process().terminate();
  const Finished done = migrate(server);
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("checksums agree"));
  EXPECT_THAT(done.output, Not(HasSubstr(kDataKey)));
  expect_counts(server.dir() / "store.db", "netbird");
  expect_counts(server.dir() / "events.db", "netbird_events");
  expect_counts(server.dir() / "idp.db", "netbird_auth");
  const Finished again = migrate(server);
  EXPECT_NE(again.status, 0) << "never over what servers may have written";

  server.configure(on_postgres(postgres_));
  server.start();
  EXPECT_EQ(agent.server_key(server.target()).value, server_key);
  EXPECT_EQ(http_get(server.port(), "/oauth2/keys").body, signing_keys);
  const auto after = agent.login(server.target());
  ASSERT_TRUE(after.ok()) << after.status.error_message();
  EXPECT_EQ(after.value.peerconfig().address(), before.value.peerconfig().address());
  EXPECT_TRUE(Agent("another").login(server.target(), key).ok());
  const Finished owner =
      server.verb({"admin", "user", "reset-mfa", "--email", "owner@example.org"});
  EXPECT_EQ(owner.status, 0) << owner.output;
}

TEST_F(MigrateStore, TheOfficialServersDatabaseIsCarriedOverAfterAnInterruption) {
  CombinedServer server({.env = {{"NB_DATASTORE_ENCRYPTION_KEY", kExampleKey}}});
  sqlite(server.dir() / "store.db", unpacked("example.sqlite.sql.gz"));
  sqlite(server.dir() / "idp.db", unpacked("example-idp.sqlite.sql.gz"));
  // A row that the target refuses, late in the order of tables: everything before it is copied.
  sqlite(server.dir() / "store.db",
         "UPDATE zones SET name = NULL WHERE FALSE;"
         "CREATE TABLE zzz_stray (id TEXT NOT NULL, v TEXT)");
  postgres_.psql("CREATE TABLE zzz_stray (id text NOT NULL, v text CHECK (v <> 'bad'))");
  sqlite(server.dir() / "store.db", "INSERT INTO zzz_stray VALUES ('1', 'bad')");
  const Finished broken = migrate(server);
  EXPECT_NE(broken.status, 0);
  EXPECT_THAT(broken.output, HasSubstr("zzz_stray"));
  EXPECT_THAT(broken.output, HasSubstr("run the same command again"));
  {
    CombinedServer too_early(
        {.yaml = on_postgres(postgres_), .env = {{"NB_DATASTORE_ENCRYPTION_KEY", kExampleKey}}});
    EXPECT_THROW(too_early.start(), std::runtime_error);
    EXPECT_THAT(too_early.process().output(), HasSubstr("migrate-store has not finished"));
  }
  sqlite(server.dir() / "store.db", "UPDATE zzz_stray SET v = 'good'");
  const Finished done = migrate(server);
  ASSERT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("copied before, unchanged"));
  expect_counts(server.dir() / "store.db", "netbird");
  expect_counts(server.dir() / "idp.db", "netbird_auth");
  // Encrypted fields byte for byte, foreign keys back in place.
  EXPECT_EQ(sqlite(server.dir() / "store.db", "SELECT id, email FROM users ORDER BY id"),
            postgres_.psql("SELECT id, email FROM users ORDER BY id COLLATE \"C\"") + "\n");
  EXPECT_NE(postgres_.psql("SELECT COUNT(*) FROM pg_constraint WHERE contype = 'f'"), "0");
  server.configure(on_postgres(postgres_));
  server.start();
  const Finished doctor = server.verb({"doctor"});
  EXPECT_THAT(doctor.output, Not(HasSubstr("decrypt"))) << doctor.output;
  EXPECT_EQ(http_get(server.port(), "/oauth2/keys").status, 200);
}

TEST_F(MigrateStore, ADatabaseWithRowsIsLeftAlone) {
  CombinedServer filled(
      {.yaml = on_postgres(postgres_), .env = {{"NB_DATASTORE_ENCRYPTION_KEY", kDataKey}}});
  filled.start();
  ASSERT_FALSE(filled.setup_key().empty());
  filled.process().terminate();
  const std::string before = postgres_.psql("SELECT id FROM accounts");
  CombinedServer single({.env = {{"NB_DATASTORE_ENCRYPTION_KEY", kDataKey}}});
  single.start();
  ASSERT_FALSE(single.setup_key().empty());
  single.process().terminate();
  const Finished refused = migrate(single);
  EXPECT_NE(refused.status, 0);
  EXPECT_THAT(refused.output, HasSubstr("has rows already"));
  EXPECT_EQ(postgres_.psql("SELECT id FROM accounts"), before);
  filled.start();
}

}  // namespace
}  // namespace nb::test
