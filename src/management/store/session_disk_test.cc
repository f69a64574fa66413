// What SQLite has on the disk of sessions when the power goes: decision 0128.
#include "management/store/agent_store.h"
#include "management/store/test_store.h"
#include "sql/test_disk.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class SessionDisk : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(instance_.prepare());
    ASSERT_TRUE(prepare_agent_tables(instance_.parts, soon()));
    agents_ = make_sql_agent_store(instance_.parts);
    const auto account = get(instance_.store->ensure_account(soon(), fresh_account()));
    ASSERT_TRUE(account) << account.error().text;
    const auto key = get(instance_.store->create_setup_key(
        soon(), fresh_setup_key(account->first.id), account->first.created_by));
    ASSERT_TRUE(key) << key.error().text;
    const auto made = get(instance_.store->register_peer(soon(), registration(*key)));
    ASSERT_TRUE(made) << made.error().text;
    peer_ = made->peer;
    serial_ = made->serial;
  }
  Result<SessionStarted> connect() {
    return get(instance_.store->connect(soon(), {peer_.id, InstanceId("a"), 1, 1}));
  }
  void beat() { ASSERT_TRUE(get(instance_.store->heartbeat(soon(), InstanceId("a"), 1, 60s))); }

  /// First column of the first row.
  std::string after_power_cut(const std::string& query) const {
    nb::test::TempDir elsewhere;
    const std::filesystem::path file = fixture_.dsn().file;
    sql::test::disk().after_power_cut(file, elsewhere);
    auto dsn = sql::Dsn::sqlite(elsewhere / file.filename().string());
    auto database = sql::Database::open(*std::move(dsn), {}, Logger());
    const auto rows = (*database)->run_blocking<sql::Rows>(
        soon(), {.read_only = true}, [&](sql::Session& session) { return session.query(query); });
    EXPECT_TRUE(rows) << rows.error().text;
    return !rows || rows->empty() ? "(none)" : (*rows)[0].string(0);
  }
  std::string connected() const {
    return after_power_cut("SELECT peer_status_connected FROM peers WHERE id = '" +
                           peer_.id.value() + "'");
  }

  sql::test::TestDatabase fixture_{sql::Engine::kSqlite};
  Instance instance_{fixture_};
  std::unique_ptr<AgentStore> agents_;
  Peer peer_;
  std::uint64_t serial_ = 0;
};

TEST_F(SessionDisk, TheNextHeartbeatTakesMarksAlong) {
  const auto session = connect();
  ASSERT_TRUE(session);
  EXPECT_EQ(connected(), "0");
  beat();
  EXPECT_EQ(connected(), "1");
  ASSERT_TRUE(*get(instance_.store->disconnect(soon(), peer_.id, session->epoch)));
  EXPECT_EQ(connected(), "1");
  beat();
  EXPECT_EQ(connected(), "0");
}

TEST_F(SessionDisk, ASerialThatWasToldIsNeverLost) {
  instance_.sql("UPDATE peers SET proxy_meta_embedded = TRUE");
  const auto session = connect();  // maps name it from now on
  ASSERT_TRUE(session) << session.error().text;
  EXPECT_EQ(after_power_cut("SELECT network_serial FROM accounts"), std::to_string(serial_ + 1));
  EXPECT_EQ(connected(), "1");
  ASSERT_TRUE(*get(instance_.store->disconnect(soon(), peer_.id, session->epoch)));
  EXPECT_EQ(after_power_cut("SELECT network_serial FROM accounts"), std::to_string(serial_ + 2));
}

TEST_F(SessionDisk, WhatAnAgentSaysOfItselfLasts) {
  MetaUpdate update{.key = peer_.key, .meta = peer_.meta, .location = {}};
  const SessionCall call{{}, InstanceId("a"), 1, 1};
  const auto same = get(instance_.store->begin_sync(soon(), update, call));
  ASSERT_TRUE(same && same->session);
  EXPECT_EQ(connected(), "0");
  update.meta->wt_version = "9.9.9";
  const auto changed = get(instance_.store->begin_sync(soon(), update, call));
  ASSERT_TRUE(changed && changed->session);
  EXPECT_EQ(after_power_cut("SELECT meta_wt_version FROM peers"), "9.9.9");
  EXPECT_EQ(connected(), "1");
}

TEST_F(SessionDisk, AJobIsNeverGivenOutTwice) {
  ASSERT_TRUE(connect());
  const auto stream = get(agents_->open_job_stream(soon(), peer_.key, InstanceId("a"), 1));
  ASSERT_TRUE(stream) << stream.error().text;
  Job job;
  job.id = "job-1";
  job.account_id = peer_.account_id;
  job.peer_id = peer_.id;
  job.triggered_by = UserId("owner-1");
  job.type = "bundle";
  ASSERT_TRUE(get(agents_->create_job(soon(), job)));
  const auto given = get(agents_->claim_job(soon(), peer_.id, stream->epoch));
  ASSERT_TRUE(given) << given.error().text;
  ASSERT_TRUE(*given);
  EXPECT_EQ(after_power_cut("SELECT COUNT(*) FROM nb_job_dispatch"), "1");
  // What the next stream finds unfinished has failed, and stays so.
  ASSERT_TRUE(get(agents_->open_job_stream(soon(), peer_.key, InstanceId("a"), 1)));
  EXPECT_EQ(after_power_cut("SELECT status FROM jobs"), "failed");
}

}  // namespace
}  // namespace nb::management
