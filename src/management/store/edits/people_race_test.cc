// Users, their machines and their logins, on two instances over one PostgreSQL at the same moment.
// Source: contract/network-map.md §4.5, §6.4, §7.
#include "management/store/edits/edit_race.h"

namespace nb::management {
namespace {

using namespace test;

class PeopleRace : public EditRace {
 protected:
  User human(const std::string& id) {
    return must(AddUser{
        .id = UserId(id), .name = "Name of " + id, .email = id + "@example.org", .role = "user"});
  }
  static Registration machine(const User& user, const std::string& name) {
    Registration request;
    request.key = fresh_peer_key();
    request.user = user.id;
    request.name = name;
    request.meta.hostname = name;
    return request;
  }
  /// A machine of the user whose login has expired.
  Registration expired_machine(const User& user) {
    const Registration request = machine(user, "old");
    const auto done = get(instance.store->register_peer(soon(), request));
    EXPECT_TRUE(done) << done.error().text;
    instance.sql("UPDATE peers SET last_login = now() - interval '25 hours'");
    return request;
  }
  Result<Registered> joins(const Registration& request) {
    return get(second_instance.store->register_peer(soon(), request));
  }
  Result<ReloggedIn> logs_in(const Registration& request) {
    return get(second_instance.store->relogin(soon(), {request.key, request.user, "ssh", false}));
  }
  void expect_one_order_of_locks() const {
    EXPECT_EQ(instance.retries(), 0) << "somebody locks in another order";
    EXPECT_EQ(second_instance.retries(), 0);
  }
};

TEST_F(PeopleRace, ADeletedUserLeavesNoMachine) {
  int joined = 0;
  for (int round = 0; round < kRounds; ++round) {
    const User user = human("u" + std::to_string(round));
    const Registration old = expired_machine(user);
    Result<Edited<User>> deleted;
    Result<Registered> fresh;
    Result<ReloggedIn> login;
    nb::test::together({[&] { deleted = editor.edit(owner, DeleteUser{user.id}); },
                        [&] { fresh = joins(machine(user, "new")); },
                        [&] { login = logs_in(old); }});
    ASSERT_TRUE(deleted) << deleted.error().text;
    if (!fresh) {
      ASSERT_EQ(fresh.error(), fail(Code::kNotFound, "failed adding new peer: user not found"));
    }
    if (!login) {
      ASSERT_EQ(login.error(), fail(Code::kNotFound, "peer is not registered"));
    }
    ASSERT_EQ(value("SELECT COUNT(*) FROM peers"), "0") << "round " << round;
    joined += fresh ? 1 : 0;
  }
  RecordProperty("joined_first", joined);
  expect_one_order_of_locks();
}

TEST_F(PeopleRace, ABlockedUserHasNoMachineThatStays) {
  const User user = human("ann");
  int joined = 0;
  for (int round = 0; round < kRounds; ++round) {
    must(UpdateUser{.id = user.id, .role = "user"});
    instance.sql("DELETE FROM peers");
    const Registration old = expired_machine(user);
    Result<Edited<User>> blocked;
    Result<Registered> fresh;
    Result<ReloggedIn> login;
    nb::test::together({[&] {
                          blocked = editor.edit(
                              owner, UpdateUser{.id = user.id, .role = "user", .blocked = true});
                        },
                        [&] { fresh = joins(machine(user, "new")); },
                        [&] { login = logs_in(old); }});
    ASSERT_TRUE(blocked) << blocked.error().text;
    const Error refusal = fail(Code::kPermissionDenied, "user is blocked");
    if (!fresh) {
      ASSERT_EQ(fresh.error(), refusal);
    }
    if (!login) {
      ASSERT_EQ(login.error(), refusal);
    }
    ASSERT_EQ(value("SELECT COUNT(*) FROM peers WHERE NOT peer_status_login_expired"), "0")
        << "round " << round;
    joined += fresh ? 1 : 0;
  }
  RecordProperty("joined_first", joined);
  expect_one_order_of_locks();
}

TEST_F(PeopleRace, MachinesOfOneUserJoinTogether) {
  const User user = human("ann");
  for (int round = 0; round < kRounds; ++round) {
    nb::test::together(4, [&](int i) {
      const Instance& at = i % 2 == 0 ? instance : second_instance;
      const auto done = get(at.store->register_peer(soon(), machine(user, "box")));
      EXPECT_TRUE(done) << done.error().text;
    });
    ASSERT_EQ(value("SELECT COUNT(*) FROM peers"), "4") << "round " << round;
    instance.sql("DELETE FROM peers");
  }
  expect_one_order_of_locks();
}

}  // namespace
}  // namespace nb::management
