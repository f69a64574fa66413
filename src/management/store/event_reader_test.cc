// The activity log as people read it.
#include "management/store/event_reader.h"

#include "management/store/edits/edit_fixture.h"
#include "management/store/event_log.h"

namespace nb::management {
namespace {

using namespace test;

class EventReaderTest : public testing::TestWithParam<sql::Engine>, public EditAccount {
 protected:
  EventReaderTest() : EditAccount(GetParam()) {}
  void SetUp() override { ASSERT_TRUE(log_.prepare(soon())); }

  /// Everything that happened so far.
  std::vector<ListedEvent> listed() {
    const auto moved = get(log_.move(soon(), 1'000));
    EXPECT_TRUE(moved) << moved.error().text;
    auto events = get(reader_.list(soon(), account.id));
    EXPECT_TRUE(events) << events.error().text;
    return *std::move(events);
  }
  static std::string meta(const ListedEvent& event, const std::string& key) {
    for (const auto& [name, value] : event.meta)
      if (name == key) return value;
    return "(none)";
  }

  sql::test::TestDatabase events_fixture_{GetParam()};
  std::unique_ptr<sql::Database> events_database_ = events_fixture_.open();
  EventLog log_{*instance.database, *events_database_, Logger()};
  EventReader reader_{*instance.database, *events_database_, &example_cipher(), random_source()};
};
INSTANTIATE_TEST_SUITE_P(Engines, EventReaderTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& tested) {
                           return tested.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(EventReaderTest, TheNewestComesFirstWithNames) {
  const Peer router = peer("router");
  const Group servers = group("servers", {router.id});
  must(SaveRoute{.draft = {.network = "10.0.0.0/16",
                           .peer_groups = {{servers.id, all_group().id}},
                           .net_id = "lan",
                           .metric = 1,
                           .groups = {servers.id}}});
  const auto events = listed();
  ASSERT_GE(events.size(), 3U);
  EXPECT_EQ(activity_code(events[0].activity), "route.add");
  EXPECT_EQ(events[0].initiator_name, "Olga Owner");
  EXPECT_EQ(events[0].initiator_email, "olga@example.org");
  EXPECT_EQ(meta(events[0], "name"), "lan");
  EXPECT_EQ(meta(events[0], "peer_groups"),
            "[" + servers.id.value() + " " + all_group().id.value() + "]");
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_GE(events[i - 1].at, events[i].at);
}

TEST_P(EventReaderTest, ADeletedUserKeepsItsName) {
  const User ann = must(
      AddUser{.id = UserId("ann"), .name = "Ann", .email = "ann@example.org", .role = "admin"});
  ASSERT_TRUE(run_as({account.id, ann.id, "admin", false}, SaveGroup{.name = "by ann"}));
  must(DeleteUser{ann.id});
  const auto events = listed();
  EXPECT_EQ(activity_code(events[0].activity), "user.delete");
  EXPECT_EQ(meta(events[0], "username"), "Ann");
  EXPECT_EQ(meta(events[0], "email"), "ann@example.org");
  EXPECT_EQ(meta(events[0], "name"), "(none)");
  EXPECT_EQ(activity_code(events[1].activity), "group.add");
  EXPECT_EQ(events[1].initiator_name, "Ann");
  // Sealed, and nowhere else.
  const auto rows = events_database_->run_blocking<sql::Rows>(
      soon(), {.read_only = true}, [](sql::Session& session) {
        return session.query("SELECT COUNT(*) FROM events WHERE meta LIKE '%ann@example.org%'");
      });
  ASSERT_TRUE(rows);
  EXPECT_EQ((*rows)[0].integer(0), 0);
}

TEST_P(EventReaderTest, NamesOfUsersDeletedLongAgoOpenOrSayThatTheyDoNot) {
  const auto written =
      events_database_->run_blocking<void>(soon(), {}, [&](sql::Session& session) -> Result<> {
        // AES-CBC as the first servers sealed, our key; sealed with a key that nobody has.
        NB_TRY(session.exec(
            "INSERT INTO deleted_users (id, name, email, enc_algo) VALUES ('lena', "
            "'xZ86SEwG5O0/Eq+XjzdOWg==', '7DB3A80y3cpq+d00UvBUjajiNJDQB40d4ExjOJqdMHA=', '')"));
        NB_TRY(
            session.exec("INSERT INTO deleted_users (id, name, email, enc_algo) VALUES ('lost', "
                         "'AAAAAAAAAAAAAAAAb/zX8NaATNYPvwTovEefveayylOB', "
                         "'AAAAAAAAAAAAAAAAb/zX8NaATNYPvwTovEefveayylOB', 'GCM')"));
        for (const char* who : {"lost", "lena"})
          NB_TRY(
              session.exec("INSERT INTO events (timestamp, activity, initiator_id, target_id, "
                           "account_id, meta) VALUES ('2030-01-01 00:00:00+00:00', 16, $1, 't', "
                           "$2, '{}')",
                           {who, account.id.value()}));
        return {};
      });
  ASSERT_TRUE(written) << written.error().text;
  const auto events = listed();
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events[0].initiator_name, "Lena Legacy");
  EXPECT_EQ(events[0].initiator_email, "lena@example.org");
  EXPECT_EQ(events[1].initiator_name, "unknown");
  EXPECT_EQ(events[1].initiator_email, "unknown@unknown.com");
}

TEST_P(EventReaderTest, WhatOldServersWroteIsPrinted) {
  const auto written =
      events_database_->run_blocking<void>(soon(), {}, [&](sql::Session& session) -> Result<> {
        for (const char* meta : {R"({"a":true,"b":[1,"x"],"c":1.5,"d":3.0,"e":null})", "damaged"})
          NB_TRY(
              session.exec("INSERT INTO events (timestamp, activity, initiator_id, target_id, "
                           "account_id, meta) VALUES ('2030-01-01 00:00:00+00:00', 126, 'sys', "
                           "'t', $1, $2)",
                           {account.id.value(), meta}));
        for (int i = 0; i < 3; ++i)
          NB_TRY(
              session.exec("INSERT INTO events (timestamp, activity, initiator_id, target_id, "
                           "account_id, meta) VALUES ('2029-01-01 00:00:00+00:00', 2, 'u', 'u', "
                           "$1, '{}')",
                           {account.id.value()}));
        return {};
      });
  ASSERT_TRUE(written) << written.error().text;
  const auto events = listed();
  ASSERT_GE(events.size(), 3U);
  EXPECT_TRUE(events[0].meta.empty());  // the damaged one
  EXPECT_EQ(meta(events[1], "a"), "true");
  EXPECT_EQ(meta(events[1], "b"), "[1 x]");
  EXPECT_EQ(meta(events[1], "c"), "1.5");
  EXPECT_EQ(meta(events[1], "d"), "3");
  EXPECT_EQ(meta(events[1], "e"), "");
  EXPECT_EQ(activity_code(events[1].activity), "agent_network.provider.create");
  EXPECT_EQ(std::count_if(events.begin(), events.end(),
                          [](const ListedEvent& event) { return event.activity == 2; }),
            1);
}

}  // namespace
}  // namespace nb::management
