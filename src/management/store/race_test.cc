// Two instances over one PostgreSQL: each row of contract/network-map.md §7, many times.
#include "management/store/agent_store.h"
#include "management/store/agent_work.h"
#include "management/store/migrations.h"
#include "management/store/test_race.h"

#include <mutex>
#include <set>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class StoreRaceTest : public RaceTest {};

TEST_F(StoreRaceTest, TheFirstAccountIsMadeByOneInstanceOnly) {
  for (int round = 0; round < 200; ++round) {
    a_.sql(
        "DELETE FROM policy_rules; DELETE FROM policies; DELETE FROM group_peers; DELETE FROM "
        "groups; "
        "DELETE FROM users; DELETE FROM account_onboardings; DELETE FROM accounts");
    std::atomic<int> made{0};
    std::set<AccountId> ids;
    std::mutex mutex;
    together(4, [&](int i) {
      const auto done =
          get(store(i).ensure_account(soon(), fresh_account("owner-" + std::to_string(i))));
      ASSERT_TRUE(done) << done.error().text;
      if (done->second) ++made;
      const std::lock_guard lock(mutex);
      ids.insert(done->first.id);
    });
    EXPECT_EQ(made, 1);
    EXPECT_EQ(ids.size(), 1U);
  }
}

TEST_F(StoreRaceTest, OneKeyIsRegisteredOnce) {
  const SetupKey key = make_key();
  for (int round = 0; round < 200; ++round) {
    const Registration request = registration(key, "same");
    Tally tally;
    together(2, [&](int i) {
      tally.count(get(store(i).register_peer(soon(), request)),
                  {fail(Code::kFailedPrecondition, "peer has been already registered")});
    });
    EXPECT_EQ(tally.done, 1);
    EXPECT_EQ(tally.refused, 1);
  }
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM peers"), "200");
  EXPECT_EQ(get(a_.store->setup_key(soon(), account_.id, key.id))->used_times, 200);
  EXPECT_EQ(get(a_.store->account(soon(), account_.id))->serial, 200U);
}

TEST_F(StoreRaceTest, AOneOffKeyAdmitsExactlyOne) {
  const std::string invalid = "couldn't add peer: setup key is invalid";
  for (int round = 0; round < 200; ++round) {
    const SetupKey key = make_key({.type = "one-off"});
    const std::string before = a_.value("SELECT COUNT(*) FROM peers");
    Tally tally;
    together(4, [&](int i) {
      tally.count(get(store(i).register_peer(soon(), registration(key, "n" + std::to_string(i)))),
                  {fail(Code::kNotFound, invalid), fail(Code::kFailedPrecondition, invalid)});
    });
    EXPECT_EQ(tally.done, 1);
    EXPECT_EQ(tally.refused, 3);
    EXPECT_EQ(get(a_.store->setup_key(soon(), account_.id, key.id))->used_times, 1);
    EXPECT_EQ(std::stoi(a_.value("SELECT COUNT(*) FROM peers")), std::stoi(before) + 1);
  }
}

TEST_F(StoreRaceTest, WritersOfOnePeersColumnsDoNotOverwriteEachOther) {
  Registration request = registration(make_key(), "laptop");
  const auto peer = get(a_.store->register_peer(soon(), request));
  ASSERT_TRUE(peer);
  const PeerId id = peer->peer.id;
  for (int round = 0; round < 200; ++round) {
    const std::string text = std::to_string(round);
    const std::uint64_t before = get(a_.store->account(soon(), account_.id))->serial;
    Result<SessionStarted> session;
    together(4, [&](int i) {
      if (i < 2) {  // one description through both instances: written once
        MetaUpdate update{.key = request.key, .meta = request.meta, .location = {}};
        update.meta->os_version = text;
        update.meta->flags.rosenpass_enabled = round % 2 == 0;
        update.meta->wt_version = "0.70." + text;
        const auto done = get(store(i).update_meta(soon(), update));
        EXPECT_TRUE(done) << done.error().text;
      } else if (i == 2) {
        const auto done = get(store(i).relogin(soon(), {request.key, {}, "ssh " + text, false}));
        EXPECT_TRUE(done) << done.error().text;
      } else {
        session = get(store(i).connect(soon(), {id, InstanceId("b"), 1}));
        EXPECT_TRUE(session) << session.error().text;
      }
    });
    const auto view = get(a_.store->peer_by_id(soon(), account_.id, id));
    ASSERT_TRUE(view);
    ASSERT_EQ(view->peer.meta.os_version, text);
    ASSERT_EQ(view->peer.meta.wt_version, "0.70." + text);
    ASSERT_EQ(view->peer.ssh_key, "ssh " + text);
    ASSERT_TRUE(view->peer.status.connected);
    ASSERT_EQ(view->peer.status.session_started_at, session->epoch);
    ASSERT_EQ(view->serial, before + 2) << "one for the version, one for the key";
  }
}

TEST_F(StoreRaceTest, ACrowdOfOneNameFillsASmallNetWithoutCollisions) {
  // A /26 has 62 hosts; 62 machines with one host name come at once through both instances.
  a_.sql(R"(UPDATE accounts SET network_net = '{"IP":"100.99.0.0","Mask":"////wA=="}')");
  const SetupKey key = make_key();
  std::atomic<int> failures{0};
  together(31, [&](int i) {
    for (int n = 0; n < 2; ++n) {
      const auto done = get(store(i + n).register_peer(soon(), registration(key, "laptop")));
      if (!done) {
        ++failures;
        ADD_FAILURE() << done.error().text;
      }
    }
  });
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(a_.value("SELECT COUNT(DISTINCT ip) FROM peers"), "62");
  EXPECT_EQ(a_.value("SELECT COUNT(DISTINCT dns_label) FROM peers"), "62");
  EXPECT_EQ(a_.value("SELECT COUNT(DISTINCT ipv6) FROM peers"), "62");
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM group_peers"), "62");
  EXPECT_EQ(get(a_.store->account(soon(), account_.id))->serial, 62U);
}

TEST_F(StoreRaceTest, ASnapshotHoldsEverythingUpToItsSerial) {
  const SetupKey key = make_key();
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    std::uint64_t last = 0;
    while (!stop) {
      const auto snapshot = get(b_.store->snapshot(soon(), account_.id));
      ASSERT_TRUE(snapshot) << snapshot.error().text;
      const AccountSnapshot& s = **snapshot;
      // One peer, one membership and one serial per registration: they can only agree.
      ASSERT_EQ(s.peers.size(), s.account.serial);
      ASSERT_EQ(s.all_group()->peers.size(), s.account.serial);
      ASSERT_GE(s.account.serial, last);
      last = s.account.serial;
    }
  });
  together(4, [&](int i) {
    for (int n = 0; n < 75; ++n)
      EXPECT_TRUE(get(store(i).register_peer(soon(), registration(key, "box"))));
  });
  stop = true;
  reader.join();
  EXPECT_EQ(get(a_.store->account(soon(), account_.id))->serial, 300U);
}

TEST_F(StoreRaceTest, ConnectAndDisconnectAreFencedInEveryOrder) {
  const auto peer = get(a_.store->register_peer(soon(), registration(make_key())));
  ASSERT_TRUE(peer);
  std::int64_t last = 0;
  for (int round = 0; round < 200; ++round) {
    const auto old = get(a_.store->connect(soon(), {peer->peer.id, InstanceId("a"), 1}));
    ASSERT_TRUE(old);
    ASSERT_GT(old->epoch, last);
    Result<SessionStarted> fresh;
    together(2, [&](int i) {
      if (i == 0) {
        EXPECT_TRUE(get(a_.store->disconnect(soon(), peer->peer.id, old->epoch)));
        return;
      }
      fresh = get(b_.store->connect(soon(), {peer->peer.id, InstanceId("b"), 1}));
    });
    ASSERT_TRUE(fresh);
    ASSERT_GT(fresh->epoch, old->epoch);
    last = fresh->epoch;
    const auto view = get(a_.store->peer_by_key(soon(), peer->peer.key));
    ASSERT_TRUE(view->peer.status.connected) << "round " << round;
    ASSERT_EQ(view->peer.status.session_started_at, fresh->epoch);
  }
}

TEST_F(StoreRaceTest, AnAbandonedCallEndsNothingOfTheNextOne) {
  const auto peer = get(a_.store->register_peer(soon(), registration(make_key())));
  ASSERT_TRUE(peer);
  int first = 0;
  for (int round = 0; round < 200; ++round) {
    const SessionCall lost{peer->peer.id, InstanceId("a"), 1, 2 * round + 1};
    const SessionCall next{peer->peer.id, InstanceId("a"), 1, 2 * round + 2};
    ASSERT_TRUE(get(a_.store->connect(soon(), lost)));
    Result<bool> ended;
    Result<SessionStarted> fresh;
    together(2, [&](int i) {
      if (i == 0)
        ended = get(a_.store->abandon(soon(), lost));
      else
        fresh = get(b_.store->connect(soon(), next));
    });
    ASSERT_TRUE(ended) << ended.error().text;
    ASSERT_TRUE(fresh) << fresh.error().text;
    // Ended before the next one began, or not at all.
    ASSERT_EQ(*ended, fresh->previous_epoch == 0) << "round " << round;
    first += *ended ? 1 : 0;
    const auto view = get(a_.store->peer_by_key(soon(), peer->peer.key));
    ASSERT_TRUE(view->peer.status.connected) << "round " << round;
    ASSERT_EQ(view->peer.status.session_started_at, fresh->epoch);
  }
  RecordProperty("ended_first", first);
}

TEST_F(StoreRaceTest, TheReaperNeverTakesAPeerThatJustConnected) {
  const auto peer = get(a_.store->register_peer(soon(), registration(make_key())));
  ASSERT_TRUE(peer);
  ASSERT_TRUE(get(b_.store->heartbeat(soon(), InstanceId("alive"), 1, 1h)));
  for (int round = 0; round < 200; ++round) {
    ASSERT_TRUE(get(a_.store->connect(soon(), {peer->peer.id, InstanceId("dead"), 1})));
    together(2, [&](int i) {
      if (i == 0) {
        EXPECT_TRUE(get(a_.store->disconnect_dead(soon(), 10)));
        return;
      }
      EXPECT_TRUE(get(b_.store->connect(soon(), {peer->peer.id, InstanceId("alive"), 1})));
    });
    ASSERT_TRUE(get(a_.store->peer_by_key(soon(), peer->peer.key))->peer.status.connected)
        << "round " << round;
  }
}

/// One instance sleeps past its lease; every order of reaping, waking up, moving and leaving.
TEST_F(StoreRaceTest, ALeaseThatIsHeldAgainLeavesNoPeerWronglyMarked) {
  const SetupKey key = make_key();
  const InstanceId sleeper("sleeper");
  const InstanceId other("other");
  std::vector<PeerId> peers;
  for (int i = 0; i < 6; ++i)
    peers.push_back(get(a_.store->register_peer(soon(), registration(key)))->peer.id);
  ASSERT_TRUE(get(b_.store->heartbeat(soon(), other, 1, 1h)));
  int restored = 0;
  for (int round = 0; round < 200; ++round) {
    auto held = get(a_.store->heartbeat(soon(), sleeper, 1, 1h));
    ASSERT_TRUE(held) << held.error().text;
    std::vector<OpenSession> open;
    for (const PeerId& peer : peers)
      open.push_back({peer, get(a_.store->connect(soon(), {peer, sleeper, 1}))->epoch});
    a_.sql("UPDATE nb_instances SET lease_until = 0, held_since = 1 WHERE id = 'sleeper'");
    if (round % 2 == 0) {
      ASSERT_TRUE(get(b_.store->disconnect_dead(soon(), 100)));
    }
    Result<std::vector<SessionFate>> fates;
    Result<SessionStarted> moved;
    together(4, [&](int i) {
      if (i == 0) {  // wakes up
        const auto again = get(a_.store->heartbeat(soon(), sleeper, 1, 1h));
        ASSERT_TRUE(again) << again.error().text;
        ASSERT_NE(*again, 1);
        fates = get(a_.store->reassert(soon(), open));
        ASSERT_TRUE(fates) << fates.error().text;
      } else if (i == 1) {  // reaps
        const auto done = get(b_.store->disconnect_dead(soon(), 100));
        EXPECT_TRUE(done) << done.error().text;
      } else if (i == 2) {  // one agent has gone elsewhere
        moved = get(b_.store->connect(soon(), {peers[0], other, 1}));
        EXPECT_TRUE(moved) << moved.error().text;
      } else {  // and the sleeper sees another one leave
        const auto left = get(a_.store->disconnect(soon(), peers[1], open[1].epoch));
        EXPECT_TRUE(left) << left.error().text;
      }
    });
    const auto view = [&](std::size_t i) {
      return get(a_.store->peer_by_id(soon(), account_.id, peers[i]))->peer.status;
    };
    ASSERT_TRUE(view(0).connected);
    ASSERT_EQ(view(0).session_started_at, moved->epoch);
    ASSERT_FALSE(view(1).connected) << "round " << round;
    for (std::size_t i = 2; i < peers.size(); ++i) {
      // Whatever the owner was told is so.
      ASSERT_TRUE((*fates)[i] == SessionFate::kHeld || (*fates)[i] == SessionFate::kRestored)
          << "round " << round << ", fate " << static_cast<int>((*fates)[i]);
      ASSERT_TRUE(view(i).connected) << "round " << round;
      ASSERT_EQ(view(i).session_started_at, open[i].epoch);
      restored += (*fates)[i] == SessionFate::kRestored ? 1 : 0;
    }
    ASSERT_EQ(get(b_.store->disconnect_dead(soon(), 100))->size(), 0U);
  }
  EXPECT_GE(restored, 400);
}

TEST_F(StoreRaceTest, DeletingAPeerWhileItConnectsLeavesNothing) {
  const SetupKey key = make_key();
  for (int round = 0; round < 200; ++round) {
    const auto peer = get(a_.store->register_peer(soon(), registration(key)));
    ASSERT_TRUE(peer);
    together(2, [&](int i) {
      if (i == 0) {
        EXPECT_TRUE(get(a_.store->delete_peer(soon(), peer->peer.key, "")));
      } else {
        const auto session = get(b_.store->connect(soon(), {peer->peer.id, InstanceId("b"), 1}));
        EXPECT_TRUE(session || session.error().code == Code::kNotFound) << session.error().text;
      }
    });
  }
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM peers"), "0");
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM nb_peer_sessions"), "0");
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM group_peers"), "0");
}

TEST_F(StoreRaceTest, AGroupDeletedDuringRegistrationLeavesNoMembership) {
  for (int round = 0; round < 200; ++round) {
    const std::string group = "g" + std::to_string(round);
    a_.sql("INSERT INTO groups (id, account_id, public_id, name, issued) VALUES ('" + group +
           "', '" + account_.id.value() + "', '', '" + group + "', 'api')");
    const SetupKey key = make_key({.auto_groups = {GroupId(group)}});
    together(2, [&](int i) {
      if (i == 0) {
        a_.sql("DELETE FROM groups WHERE id = '" + group + "'");
        return;
      }
      EXPECT_TRUE(get(b_.store->register_peer(soon(), registration(key))));
    });
  }
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM group_peers WHERE group_id LIKE 'g%'"), "0");
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM peers"), "200");
}

// Its result takes away the row that says that it was given.
TEST_F(StoreRaceTest, AJobWhoseResultComesMeanwhileIsNotGivenAgain) {
  ASSERT_TRUE(prepare_agent_tables(a_.parts, soon()));
  const auto agents = make_sql_agent_store(a_.parts);
  const Peer peer = get(a_.store->register_peer(soon(), registration(make_key())))->peer;
  ASSERT_TRUE(get(a_.store->heartbeat(soon(), InstanceId("one"), 1, 60s)));
  ASSERT_TRUE(get(a_.store->connect(soon(), {peer.id, InstanceId("one"), 1})));
  const auto stream = get(agents->open_job_stream(soon(), peer.key, InstanceId("one"), 1));
  ASSERT_TRUE(stream);
  Job wanted;
  wanted.account_id = account_.id;
  wanted.peer_id = peer.id;
  wanted.triggered_by = account_.created_by;
  wanted.type = kJobTypeBundle;
  const auto made = get(agents->create_job(soon(), wanted));
  ASSERT_TRUE(made) << made.error().text;
  ASSERT_TRUE(*get(agents->claim_job(soon(), peer.id, stream->epoch)));
  Result<std::optional<Job>> again;
  run_during(
      [&](sql::Session& session, const work::Context& context) -> Result<> {
        NB_TRY(work::complete_job(session, context, {made->job.id, peer.id, true, "", "key"}));
        return {};
      },
      [&] { again = get(agents->claim_job(soon(), peer.id, stream->epoch)); });
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_FALSE(*again);
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM nb_job_dispatch"), "0");
}

TEST_F(StoreRaceTest, AllInstancesGetOneServerKey) {
  for (int round = 0; round < 200; ++round) {
    a_.sql("DELETE FROM nb_server_keys");
    std::set<std::string> keys;
    std::mutex mutex;
    together(4, [&](int i) {
      const auto mine = crypto::PrivateKey::generate(random_source());
      const auto got =
          get(store(i).server_keys(soon(), {mine.public_key().base64(), mine.base64()}));
      ASSERT_TRUE(got) << got.error().text;
      const std::lock_guard lock(mutex);
      keys.insert(got->current.public_key);
    });
    EXPECT_EQ(keys.size(), 1U);
  }
}

TEST_F(StoreRaceTest, InstancesThatStartTogetherMigrateOnce) {
  for (int round = 0; round < 3; ++round) {
    const sql::test::TestDatabase empty(sql::Engine::kPostgres);
    together(4, [&](int) {
      const Instance instance(empty);
      const auto report = instance.prepare();
      EXPECT_TRUE(report) << report.error().text;
    });
    const Instance instance(empty);
    EXPECT_EQ(instance.value("SELECT COUNT(*) FROM nb_schema_migrations WHERE component = 'main'"),
              std::to_string(main_migrations().migrations.size()));
  }
}

}  // namespace
}  // namespace nb::management
