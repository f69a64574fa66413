// Setup keys that become invalid while machines register with them, through two instances over one
// PostgreSQL: which code says what. Source: contract/management-grpc.md §4.1.
#include "management/store/test_race.h"

#include <functional>
#include <map>
#include <string>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

const Error kUnknown = fail(Code::kNotFound, "couldn't add peer: setup key is invalid");
const Error kTooLate = fail(Code::kFailedPrecondition, "couldn't add peer: setup key is invalid");

class SetupKeyRaceTest : public RaceTest {
 protected:
  using Change = std::function<Result<>(sql::Session&, const work::Context&)>;

  /// Registers through the one instance, which finds the key valid and then waits for its row: the
  /// other has changed it, and commits only now.
  Result<Registered> register_during(Registration request, const Change& change) {
    Result<Registered> out;
    run_during(change, [&] { out = get(a_.store->register_peer(soon(), std::move(request))); });
    return out;
  }
  static Change statement(std::string text) {
    return [text = std::move(text)](sql::Session& session, const work::Context&) {
      return session.script(text);
    };
  }
  /// Everything that a registration writes.
  std::map<std::string, std::string> written() {
    std::map<std::string, std::string> out;
    for (const char* const table : {"peers", "group_peers", "nb_event_outbox"})
      out[table] = a_.value(std::string("SELECT COUNT(*) FROM ") + table);
    out["serial"] = a_.value("SELECT network_serial FROM accounts");
    return out;
  }
};

TEST_F(SetupKeyRaceTest, WhatBecomesInvalidMeanwhileIsNoUnknownKey) {
  const SetupKey unknown = fresh_setup_key(account_.id);
  EXPECT_EQ(get(a_.store->register_peer(soon(), registration(unknown))).error(), kUnknown);
  const std::map<std::string, std::string> ways = {
      {"revoked", "UPDATE setup_keys SET revoked = TRUE"},
      {"expired", "UPDATE setup_keys SET expires_at = now() - interval '1 hour'"},
      {"used up", "UPDATE setup_keys SET used_times = usage_limit"},
      {"deleted", "DELETE FROM setup_keys"},
  };
  for (const auto& [way, change] : ways) {
    const SetupKey key = make_key({.type = "one-off"});
    const auto before = written();
    const auto late = register_during(registration(key, "late"),
                                      statement(change + " WHERE id = '" + key.id.value() + "'"));
    ASSERT_FALSE(late) << way;
    EXPECT_EQ(late.error(), kTooLate) << way;
    const auto after = get(a_.store->register_peer(soon(), registration(key)));
    ASSERT_FALSE(after) << way;
    EXPECT_EQ(after.error(), kUnknown) << way;
    EXPECT_EQ(written(), before) << way;
  }
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM peers"), "0");
}

TEST_F(SetupKeyRaceTest, WhoComesSecondForTheLastUseIsTooLate) {
  const SetupKey key = make_key({.type = "one-off"});
  const auto late =
      register_during(registration(key, "late"),
                      [&](sql::Session& session, const work::Context& context) -> Result<> {
                        NB_TRY(work::register_peer(session, context, registration(key, "first")));
                        return {};
                      });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), kTooLate);
  EXPECT_EQ(a_.value("SELECT name FROM peers"), "first");
  EXPECT_EQ(get(a_.store->setup_key(soon(), account_.id, key.id))->used_times, 1);
}

// Agents do not try again when they hear that their key is invalid.
TEST_F(SetupKeyRaceTest, WhoUsedItsKeyUpAtAnotherInstanceIsToldThatItIsRegistered) {
  const SetupKey key = make_key({.type = "one-off"});
  const Registration machine = registration(key);
  const auto again = register_during(
      machine, [&](sql::Session& session, const work::Context& context) -> Result<> {
        NB_TRY(session.script("LOCK TABLE setup_keys IN ACCESS EXCLUSIVE MODE"));
        NB_TRY(work::register_peer(session, context, machine));
        return {};
      });
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), (Error{Code::kFailedPrecondition, "peer has been already registered"}));
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM peers"), "1");
}

TEST_F(SetupKeyRaceTest, LastUsesAndRevocationsLeaveNoOtherOutcome) {
  int too_late = 0;
  for (int round = 0; round < 300; ++round) {
    const SetupKey one_off = make_key({.type = "one-off"});
    const auto before = written();
    Tally last_use;
    Tally revoked;
    const SetupKey doomed = make_key();
    together(4, [&](int i) {
      if (i < 2) {
        const auto done = get(store(i).register_peer(soon(), registration(one_off)));
        last_use.count(done, {kUnknown, kTooLate});
      } else if (i == 2) {
        const auto done = get(store(i).register_peer(soon(), registration(doomed)));
        revoked.count(done, {kUnknown, kTooLate});
        if (!done && done.error() == kTooLate) ++too_late;
      } else {
        EXPECT_TRUE(
            get(store(i).revoke_setup_key(soon(), account_.id, doomed.id, account_.created_by)));
      }
    });
    ASSERT_EQ(last_use.done, 1) << "round " << round;
    ASSERT_EQ(last_use.refused, 1) << "round " << round;
    const auto stored = get(a_.store->setup_key(soon(), account_.id, doomed.id));
    ASSERT_EQ(stored->used_times, revoked.done) << "round " << round;
    ASSERT_TRUE(stored->revoked);
    const int added = 1 + revoked.done;
    const auto after = written();
    for (const char* const what : {"peers", "group_peers", "serial"})
      ASSERT_EQ(std::stoi(after.at(what)), std::stoi(before.at(what)) + added)
          << what << ", round " << round;
    ASSERT_EQ(get(b_.store->register_peer(soon(), registration(doomed))).error(), kUnknown);
  }
  RecordProperty("too_late", too_late);
}

}  // namespace
}  // namespace nb::management
