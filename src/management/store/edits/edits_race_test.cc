// Commands on two instances over one PostgreSQL at the same moment: nothing dangles, nothing is
// there twice. Source: contract/network-map.md §7 "Known upstream races", rest-api.md §10.
#include "management/store/agent_store.h"
#include "management/store/edits/test_edit_race.h"
#include "management/store/proxy_store.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace nb::management {
namespace {

using namespace test;

TEST_F(EditRace, AGroupDeletedWhileAPolicyIsSavedDoesNotDangle) {
  const Group all = all_group();
  int refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    const Group doomed = group("g" + std::to_string(round));
    PolicyRuleDraft rule;
    rule.action = "accept";
    rule.protocol = "all";
    rule.sources = {{doomed.id}};
    rule.destinations = {{all.id}};
    const auto done = both(DeleteGroup{doomed.id},
                           SavePolicy{.draft = {.name = "p", .enabled = true, .rules = {rule}}});
    ASSERT_TRUE(done.second) << done.second.error().text;
    const AccountSnapshotPtr after = snapshot();
    const Policy* policy = after->policies.find(done.second->value.id);
    ASSERT_NE(policy, nullptr);
    ASSERT_EQ(policy->rules[0].sources.empty(), !exists(doomed)) << "round " << round;
    if (!done.first) ++refused;
    ASSERT_EQ(done.first.has_value(), policy->rules[0].sources.empty());
  }
  RecordProperty("refused", refused);
}

TEST_F(EditRace, AGroupDeletedWhileOthersTakeItDoesNotDangle) {
  const Peer router = peer("router");
  for (int round = 0; round < kRounds; ++round) {
    const Group doomed = group("g" + std::to_string(round));
    bool taken = false;
    bool deleted = false;
    const auto note = [&](const auto& done) {
      deleted = done.first.has_value();
      taken = done.second.has_value();
    };
    switch (round % 4) {
      case 0:
        note(both(DeleteGroup{doomed.id},
                  CreateSetupKey{.request = {.name = "k", .auto_groups = {doomed.id}}}));
        break;
      case 1:
        note(both(DeleteGroup{doomed.id},
                  SaveRoute{.draft = {.network = "10." + std::to_string(round) + ".0.0/16",
                                      .peer = router.id,
                                      .net_id = "r",
                                      .metric = 1,
                                      .groups = {doomed.id}}}));
        break;
      case 2:
        note(both(DeleteGroup{doomed.id}, SaveDnsSettings{{doomed.id}}));
        break;
      default:
        note(both(DeleteGroup{doomed.id},
                  CreateServiceUser{.name = "u", .role = "user", .auto_groups = {doomed.id}}));
    }
    ASSERT_NE(taken, deleted) << "round " << round;
    ASSERT_EQ(exists(doomed), taken);
  }
}

TEST_F(EditRace, AGroupDeletedWhileTheStoreMakesAKeyDoesNotDangle) {
  // Store::create_setup_key does not take the edit lock: the row lock has to hold.
  for (int round = 0; round < kRounds; ++round) {
    const Group doomed = group("g" + std::to_string(round));
    const SetupKey key = fresh_setup_key(account.id, {.auto_groups = {doomed.id}});
    Result<SetupKey> made;
    std::thread other([&] {
      made = get(second_instance.store->create_setup_key(soon(), key, account.created_by));
    });
    const auto deleted = editor.edit(owner, DeleteGroup{doomed.id});
    other.join();
    ASSERT_NE(made.has_value(), deleted.has_value()) << "round " << round;
  }
}

TEST_F(EditRace, APeerDeletedWhileItBecomesARouterDoesNotDangle) {
  const Network network = must(SaveNetwork{.name = "n"});
  for (int round = 0; round < kRounds; ++round) {
    const Peer doomed = peer("p" + std::to_string(round));
    Result<DeletedPeer> deleted;
    // The way that clean-up takes, without the edit lock.
    std::thread other(
        [&] { deleted = get(second_instance.store->delete_peer(soon(), doomed.key, "")); });
    const auto saved = editor.edit(
        owner, SaveRouter{.network = network.id, .draft = {.peer = doomed.id, .metric = 1}});
    other.join();
    ASSERT_NE(saved.has_value(), deleted.has_value()) << "round " << round;
    ASSERT_EQ(snapshot()->peer(doomed.id) != nullptr, saved.has_value());
  }
}

TEST_F(EditRace, AnEphemeralPeerThatBecomesARouterMeanwhileStays) {
  const Network network = must(SaveNetwork{.name = "n"});
  int stayed = 0;
  for (int round = 0; round < kRounds / 8; ++round) {
    // Many: between looking for them and holding the last one the sweep is busy with the others.
    const PeerId router = peer("router").id;
    instance.sql(
        "INSERT INTO peers SELECT (jsonb_populate_record(p, jsonb_build_object('id', '0' || i, "
        "'key', 'key-' || i, 'dns_label', 'p-' || i, 'ipv6', '', 'ip', '\"100.64.' || i / 200 || "
        "'.' || i % 200 || '\"'))).* FROM peers p, generate_series(1, 100) i; UPDATE peers SET "
        "ephemeral = TRUE, peer_status_last_seen = now() - interval '11 minutes'");
    const SaveRouter command{.network = network.id, .draft = {.peer = router, .metric = 1}};
    Result<Swept> swept;
    Result<Edited<NetworkRouter>> saved;
    nb::test::together({[&] {
                          swept = get(second_instance.store->delete_ephemeral(
                              soon(), std::chrono::minutes(10), 1'000));
                        },
                        [&] { saved = editor.edit(owner, command); }});
    ASSERT_TRUE(swept) << swept.error().text;
    ASSERT_EQ(snapshot()->peer(router) != nullptr, saved.has_value()) << "round " << round;
    ASSERT_EQ(swept->peers.size(), saved ? 100U : 101U);
    stayed += saved ? 1 : 0;
    instance.sql("DELETE FROM network_routers; DELETE FROM peers");
  }
  RecordProperty("stayed", stayed);
}

TEST_F(EditRace, NamesAreTakenOnce) {
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "n" + std::to_string(round);
    ASSERT_EQ(successes(both(SaveGroup{.name = name}, SaveGroup{.name = name})), 1);
    const ZoneDraft zone{
        .name = "z", .domain = name + ".example", .distribution_groups = {all_group().id}};
    ASSERT_EQ(successes(both(SaveZone{.draft = zone}, SaveZone{.draft = zone})), 1);
    const PostureDraft check{.name = name, .checks = {.nb_version_min = "1"}};
    ASSERT_EQ(successes(both(SavePostureCheck{.draft = check}, SavePostureCheck{.draft = check})),
              1);
  }
}

TEST_F(EditRace, ARouteIsServedByAPeerOnce) {
  const Peer router = peer("router");
  for (int round = 0; round < kRounds; ++round) {
    const RouteDraft draft{.network = "10." + std::to_string(round) + ".0.0/16",
                           .peer = router.id,
                           .net_id = "lan",
                           .metric = 1,
                           .groups = {all_group().id}};
    ASSERT_EQ(successes(both(SaveRoute{.draft = draft}, SaveRoute{.draft = draft})), 1);
  }
}

TEST_F(EditRace, AnInvitationMakesOneUser) {
  for (int round = 0; round < kRounds; ++round) {
    const NewInvite invite = must(CreateInvite{
        .name = "A", .email = "a" + std::to_string(round) + "@x.example", .role = "user"});
    const std::string token(invite.plain.reveal());
    std::atomic<int> done{0};
    const auto accept = [&](const Editor& by, const std::string& id) {
      const auto result = by.edit({account.id, UserId(id), {}, false}, AcceptInvite{token});
      if (result)
        ++done;
      else
        EXPECT_EQ(result.error().text, "user invite not found");
    };
    std::thread other([&] { accept(second_editor, "b" + std::to_string(round)); });
    accept(editor, "a" + std::to_string(round));
    other.join();
    ASSERT_EQ(done, 1);
  }
}

TEST_F(EditRace, ThereIsAlwaysOneOwner) {
  std::vector<UserId> users = {account.created_by};
  for (const char* name : {"ann", "bob"})
    users.push_back(must(AddUser{.id = UserId(name),
                                 .name = name,
                                 .email = std::string(name) + "@x.example",
                                 .role = "admin"})
                        .id);
  for (int round = 0; round < kRounds; ++round) {
    UserId boss;
    std::vector<UserId> others;
    for (const UserId& id : users)
      (snapshot()->user(id)->role == "owner" ? boss = id : others.emplace_back(id));
    owner.user = boss;
    // Both hand over at once: the second is no owner any more when its turn comes.
    const auto done = both(UpdateUser{.id = others[0], .role = "owner"},
                           UpdateUser{.id = others[1], .role = "owner"});
    ASSERT_EQ(successes(done), 1) << "round " << round;
    ASSERT_EQ(value("SELECT COUNT(*) FROM users WHERE role = 'owner'"), "1");
  }
}

/// Two instances sweep while its peer ends one service and renews another.
TEST_F(EditRace, AnExposedServiceEndsOnceAndARenewedOneStays) {
  ASSERT_TRUE(prepare_agent_tables(instance.parts, soon()));
  const Peer machine = peer("machine");
  const Group allowed = group("exposers", {machine.id});
  instance.sql(
      "UPDATE accounts SET settings_peer_expose_enabled = TRUE, settings_peer_expose_groups = "
      "'[\"" +
      allowed.id.value() + "\"]'");
  const auto proxies = make_sql_proxy_store(instance.parts);
  const auto second_proxies = make_sql_proxy_store(second_instance.parts);
  ProxyHello hello;
  hello.id = hello.session = hello.address = "edge.example.net";
  ASSERT_TRUE(get(proxies->connect(soon(), hello)));
  const Actor actor{account.id, UserId(machine.id.value()), "", false};
  int renewed = 0;
  for (int round = 0; round < kRounds; ++round) {
    instance.sql("UPDATE proxies SET last_seen = now()");  // a cluster that is silent is offline
    std::vector<std::string> domains;
    for (int i = 0; i < 3; ++i) {
      ExposeService wish;
      wish.peer = machine.id;
      wish.mode = wish.target_protocol = "http";
      wish.port = 80;
      const auto made = run_as(actor, wish);
      ASSERT_TRUE(made) << made.error().text;
      domains.push_back(made->domain);
    }
    instance.sql("UPDATE services SET meta_last_renewed_at = now() - interval '100 seconds'");
    events();
    const std::uint64_t before = serial();
    std::atomic<std::size_t> swept{0};
    Result<> renewal;
    Result<Edited<Nothing>> stopped;
    const auto sweep = [&swept](ProxyStore& at) {
      const auto done = get(at.end_exposures(soon(), std::chrono::seconds(90), 100));
      ASSERT_TRUE(done) << done.error().text;
      swept += done->count;
    };
    nb::test::together({[&] { sweep(*proxies); }, [&] { sweep(*second_proxies); },
                        [&] {
                          renewal = get(
                              proxies->renew_exposure(soon(), account.id, machine.id, domains[1]));
                        },
                        [&] {
                          stopped = second_editor.edit(actor, StopExposing{machine.id, domains[2]});
                        }});
    ASSERT_EQ(value("SELECT COUNT(*) FROM services WHERE domain = '" + domains[1] + "'"),
              renewal ? "1" : "0")
        << "round " << round;
    renewed += renewal ? 1 : 0;
    swept += get(proxies->end_exposures(soon(), std::chrono::seconds(90), 100))->count;
    ASSERT_EQ(swept + (renewal ? 1 : 0) + (stopped ? 1 : 0), 3U) << "round " << round;
    ASSERT_EQ(events().size(), 3U - (renewal ? 1 : 0)) << "round " << round;
    ASSERT_GT(serial(), before);
    instance.sql("DELETE FROM targets; DELETE FROM services");
  }
  EXPECT_GT(renewed, 0);
  EXPECT_EQ(instance.retries(), 0) << "somebody locks in another order";
  EXPECT_EQ(second_instance.retries(), 0);
}

TEST_F(EditRace, TwoPeersNeverShareANameOrAnAddress) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "same" + std::to_string(round);
    const auto renamed =
        both(UpdatePeer{.id = a.id, .name = name}, UpdatePeer{.id = b.id, .name = name});
    ASSERT_EQ(successes(renamed), 2);
    ASSERT_NE(renamed.first->value.dns_label, renamed.second->value.dns_label);
    const auto now = snapshot();
    const auto free =
        lowest_free_address(account.network.net, {now->peers[0].ip, now->peers[1].ip});
    const auto moved = both(UpdatePeer{.id = a.id, .name = name, .ip = free->to_string()},
                            UpdatePeer{.id = b.id, .name = name, .ip = free->to_string()});
    ASSERT_EQ(successes(moved), 1);
  }
}

TEST_F(EditRace, ARenamedPeerAndARegisteredOneGetDifferentLabels) {
  const Peer a = peer("a");
  for (int round = 0; round < kRounds; ++round) {
    const std::string name = "host" + std::to_string(round);
    Result<Registered> made;
    const auto key = get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    ASSERT_TRUE(key);
    std::thread other([&] {
      made = get(second_instance.store->register_peer(soon(), registration(*key, name)));
    });
    const auto renamed = editor.edit(owner, UpdatePeer{.id = a.id, .name = name});
    other.join();
    ASSERT_TRUE(made) << made.error().text;
    ASSERT_TRUE(renamed) << renamed.error().text;
    ASSERT_NE(made->peer.dns_label, renamed->value.dns_label);
  }
}

TEST_F(EditRace, ANewListAndASingleMemberDoNotLoseEachOther) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  const Group servers = group("servers");
  for (int round = 0; round < kRounds; ++round) {
    must(SaveGroup{.id = servers.id, .name = "servers"});
    const auto done = both(SaveGroup{.id = servers.id, .name = "servers", .peers = {a.id}},
                           ChangeGroupMember{servers.id, b.id});
    ASSERT_EQ(successes(done), 2);
    const auto members = snapshot()->group(servers.id)->peers;
    // One after the other, in either order.
    ASSERT_TRUE(members == std::vector<PeerId>{a.id} || members.size() == 2U);
  }
}

TEST_F(EditRace, ARangeChangeAndRegistrationsLeaveEverybodyInside) {
  for (int round = 0; round < kRounds; ++round) {
    const auto key = get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    ASSERT_TRUE(key);
    std::thread other([&] {
      for (int i = 0; i < 4; ++i)
        EXPECT_TRUE(get(second_instance.store->register_peer(soon(), registration(*key, "box"))));
    });
    SettingsDraft draft;
    draft.values = get(instance.store->account(soon(), account.id))->settings;
    draft.network_range = "10." + std::to_string(round) + ".0.0/16";
    const auto changed = editor.edit(owner, UpdateSettings{draft});
    other.join();
    ASSERT_TRUE(changed) << changed.error().text;
    const auto now = snapshot();
    for (const Peer& each : now->peers)
      ASSERT_TRUE(now->account.network.net.contains(each.ip)) << each.ip.to_string();
    if (round % 8 == 7) instance.sql("DELETE FROM peers");  // or the last rounds move hundreds
  }
}

}  // namespace
}  // namespace nb::management
