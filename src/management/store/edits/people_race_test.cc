// Users, their machines and their logins, on two instances over one PostgreSQL at the same moment.
// Source: contract/network-map.md §4.5, §6.4, §7.
#include "management/store/edits/test_edit_race.h"
#include "management/store/identity_store.h"

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
  Result<GroupSync> token_names(const User& user, Strings groups) {
    return get(logins->sync_token_groups(soon(), user.id, std::move(groups)));
  }
  /// Groups in the user's row, by name; "?" is one that does not exist.
  std::string groups_of(const User& user) const {
    return value(
        "SELECT COALESCE(string_agg(COALESCE(g.name, '?'), ' ' ORDER BY g.name), '') FROM users u "
        "CROSS JOIN json_array_elements_text(u.auto_groups::json) i LEFT JOIN groups g ON g.id = "
        "i.value WHERE u.id = '" +
        user.id.value() + "'");
  }
  void expect_one_order_of_locks() const {
    EXPECT_EQ(instance.retries(), 0) << "somebody locks in another order";
    EXPECT_EQ(second_instance.retries(), 0);
  }

  std::unique_ptr<IdentityStore> logins = make_sql_identity_store(second_instance.parts, {});
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
    nb::test::together(
        {[&] {
           blocked = editor.edit(owner, UpdateUser{.id = user.id, .role = "user", .blocked = true});
         },
         [&] { fresh = joins(machine(user, "new")); }, [&] { login = logs_in(old); }});
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

TEST_F(PeopleRace, AGroupDeletedWhileATokenGivesItDoesNotDangle) {
  const User user = human("ann");
  ASSERT_TRUE(joins(machine(user, "box")));
  int refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(token_names(user, {"dev"}));
    ASSERT_TRUE(token_names(user, {}));
    const GroupId dev(value("SELECT id FROM groups WHERE name = 'dev'"));
    Result<Edited<Nothing>> deleted;
    Result<GroupSync> given;
    nb::test::together({[&] { deleted = editor.edit(owner, DeleteGroup{dev}); },
                        [&] { given = token_names(user, {"dev"}); }});
    ASSERT_TRUE(given) << given.error().text;
    // Deleted, and made once more by the token; or not deleted.
    ASSERT_EQ(groups_of(user), "dev") << "round " << round;
    ASSERT_EQ(snapshot()->group(dev) != nullptr, !deleted);
    ASSERT_EQ(value("SELECT COUNT(*) FROM group_peers p JOIN groups g ON g.id = p.group_id WHERE "
                    "g.name = 'dev'"),
              "1");
    refused += deleted ? 0 : 1;
  }
  RecordProperty("refused", refused);
  expect_one_order_of_locks();
}

TEST_F(PeopleRace, LoginsAndAdministratorsKeepEachOthersChanges) {
  const User user = human("ann");
  const Group manual = group("manual");
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(token_names(user, {}));
    must(UpdateUser{.id = user.id, .role = round % 2 == 0 ? "admin" : "user"});
    const UpdateUser change{
        .id = user.id, .role = round % 2 == 0 ? "user" : "admin", .auto_groups = {manual.id}};
    const LoginSeen seen{.user = user.id,
                         .name = "Ann " + std::to_string(round),
                         .email = "ann" + std::to_string(round) + "@example.org"};
    nb::test::together({[&] {
                          const auto done = editor.edit(owner, change);
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          const auto done = token_names(user, {"dev"});
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          const auto done = get(logins->login_seen(soon(), seen));
                          EXPECT_TRUE(done) << done.error().text;
                        }});
    const User after = *snapshot()->user(user.id);
    ASSERT_EQ(after.role, change.role) << "round " << round;
    ASSERT_EQ(after.name, seen.name) << "round " << round;
    ASSERT_EQ(after.email, seen.email) << "round " << round;
    // The administrator's list is the whole list; the token adds to what it finds.
    const std::string groups = groups_of(user);
    ASSERT_TRUE(groups == "manual" || groups == "dev manual") << groups << " in round " << round;
  }
  expect_one_order_of_locks();
}

TEST_F(PeopleRace, ADomainOutlivesAChangeOfSettings) {
  const Enrolment person{.user = account.created_by, .private_domain = "corp.example"};
  for (int round = 0; round < kRounds; ++round) {
    instance.sql(
        "UPDATE accounts SET domain = '', domain_category = '', is_domain_primary_account = FALSE");
    SettingsDraft draft;
    draft.values = get(instance.store->account(soon(), account.id))->settings;
    draft.values.regular_users_view_blocked = round % 2 == 0;
    nb::test::together({[&] {
                          const auto done = editor.edit(owner, UpdateSettings{draft});
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          const auto done = get(logins->enrol(soon(), person));
                          EXPECT_TRUE(done) << done.error().text;
                        }});
    const auto after = get(instance.store->account(soon(), account.id));
    ASSERT_EQ(after->domain, "corp.example") << "round " << round;
    ASSERT_EQ(after->domain_category, "private");
    ASSERT_TRUE(after->is_domain_primary);
    ASSERT_EQ(after->settings.regular_users_view_blocked, draft.values.regular_users_view_blocked);
  }
}

TEST_F(PeopleRace, GroupsWithIpv6AndThoseWhoJoinAgree) {
  const User user = human("ann");
  for (int round = 0; round < kRounds; ++round) {
    const bool on = round % 2 == 0;
    SettingsDraft draft;
    draft.values = get(instance.store->account(soon(), account.id))->settings;
    draft.ipv6_enabled_groups.emplace();
    if (on) draft.ipv6_enabled_groups->push_back(all_group().id);
    nb::test::together({[&] {
                          const auto done = editor.edit(owner, UpdateSettings{draft});
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          for (int i = 0; i < 3; ++i) {
                            const auto done = joins(machine(user, "box"));
                            EXPECT_TRUE(done) << done.error().text;
                          }
                        }});
    const auto now = snapshot();
    for (const Peer& each : now->peers)
      ASSERT_EQ(each.ipv6.is_set(), on) << each.dns_label << " in round " << round;
    if (round % 8 == 7) instance.sql("DELETE FROM peers");
  }
}

TEST_F(PeopleRace, NobodyWaitsForAnApprovalThatIsNotAskedForAnyMore) {
  const User user = human("ann");
  SettingsDraft draft;
  draft.values = get(instance.store->account(soon(), account.id))->settings;
  draft.has_extra = true;
  const auto waiting = [&] {
    return value("SELECT COUNT(*) FROM peers WHERE peer_status_requires_approval");
  };
  const auto approval = [&](bool asked) {
    draft.values.extra_peer_approval_enabled = asked;
    return editor.edit(owner, UpdateSettings{draft});
  };
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(approval(true));
    ASSERT_TRUE(joins(machine(user, "box")));
    ASSERT_EQ(waiting(), "1");
    nb::test::together({[&] {
                          const auto done = approval(false);
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          for (int i = 0; i < 3; ++i) {
                            const auto done = joins(machine(user, "box"));
                            EXPECT_TRUE(done) << done.error().text;
                          }
                        }});
    ASSERT_EQ(waiting(), "0") << "round " << round;
    if (round % 8 == 7) instance.sql("DELETE FROM peers");
  }
}

TEST_F(PeopleRace, MachinesFollowGroupsOfTokensWhilePropagationIsSwitchedOn) {
  const User user = human("ann");
  const auto box = joins(machine(user, "box"));
  ASSERT_TRUE(box);
  ASSERT_TRUE(token_names(user, {"dev"}));
  const std::string members =
      "group_peers WHERE group_id = (SELECT id FROM groups WHERE name = 'dev')";
  SettingsDraft draft;
  draft.values = get(instance.store->account(soon(), account.id))->settings;
  const auto propagation = [&](bool on) {
    draft.values.groups_propagation_enabled = on;
    return editor.edit(owner, UpdateSettings{draft});
  };
  for (int round = 0; round < kRounds; ++round) {
    ASSERT_TRUE(propagation(false));
    ASSERT_TRUE(token_names(user, {}));
    instance.sql("DELETE FROM " + members);
    nb::test::together({[&] {
                          const auto done = propagation(true);
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          const auto done = token_names(user, {"dev"});
                          EXPECT_TRUE(done) << done.error().text;
                        }});
    ASSERT_EQ(value("SELECT COUNT(*) FROM " + members), "1") << "round " << round;
  }
}

TEST_F(PeopleRace, GroupsWithIpv6AndGroupsOfTokensAgree) {
  const User user = human("ann");
  const auto box = joins(machine(user, "box"));
  ASSERT_TRUE(box);
  ASSERT_TRUE(token_names(user, {"six"}));
  const GroupId six(value("SELECT id FROM groups WHERE name = 'six'"));
  for (int round = 0; round < kRounds; ++round) {
    const bool on = round % 2 == 0;
    ASSERT_TRUE(token_names(user, {}));
    SettingsDraft draft;
    draft.values = get(instance.store->account(soon(), account.id))->settings;
    draft.ipv6_enabled_groups.emplace();
    if (on) draft.ipv6_enabled_groups->push_back(six);
    nb::test::together({[&] {
                          const auto done = editor.edit(owner, UpdateSettings{draft});
                          EXPECT_TRUE(done) << done.error().text;
                        },
                        [&] {
                          const auto done = token_names(user, {"six"});
                          EXPECT_TRUE(done) << done.error().text;
                        }});
    ASSERT_EQ(snapshot()->peer(box->peer.id)->ipv6.is_set(), on) << "round " << round;
  }
}

}  // namespace
}  // namespace nb::management
