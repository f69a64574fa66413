// Two instances over one PostgreSQL, continued: allocation, ranges, expiry, serials, uniqueness.
#include "management/store/range_change.h"
#include "management/store/test_race.h"

#include <mutex>
#include <set>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class InvariantsRaceTest : public RaceTest {
 protected:
  Result<std::uint64_t> change_range(int i, const std::string& net) {
    const Instance& instance = i % 2 == 0 ? a_ : b_;
    const auto context = std::make_shared<work::Context>(instance.parts, SqlStoreOptions{});
    return instance.database->run_blocking<std::uint64_t>(
        soon(), {}, [&, context](sql::Session& session) -> Result<std::uint64_t> {
          work::Changes changes(account_.id);
          NB_TRY(work::change_range(session, *context, *Prefix::parse(net), changes));
          return work::bump_serial(session, *context, changes);
        });
  }
  /// How many peers have no address of the account's network, or share one.
  std::string misplaced(const std::string& net) {
    return a_.value("SELECT COUNT(*) FROM peers WHERE NOT trim(both '\"' from ip)::inet << '" +
                    net +
                    "'::inet OR ip IN (SELECT ip FROM peers GROUP BY ip HAVING COUNT(*) > 1)");
  }
};

TEST_F(InvariantsRaceTest, FiveHundredMachinesShareASmallNet) {
  a_.sql(R"(UPDATE accounts SET network_net = '{"IP":"100.99.0.0","Mask":"////AA=="}')");
  const SetupKey key = make_key();
  Tally tally;
  together(20, [&](int i) {
    for (int n = 0; n < 25; ++n)
      tally.count(get(store(i + n).register_peer(soon(), registration(key, "web"))),
                  {fail(Code::kFailedPrecondition, "network 100.99.0.0/24 is out of IPs")});
  });
  EXPECT_EQ(tally.done, 254);
  EXPECT_EQ(tally.refused, 246);
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM peers"), "254");
  EXPECT_EQ(a_.value("SELECT COUNT(DISTINCT ip) FROM peers"), "254");
  EXPECT_EQ(a_.value("SELECT COUNT(DISTINCT dns_label) FROM peers"), "254");
  EXPECT_EQ(a_.value("SELECT MAX(length(dns_label)) <= 63 FROM peers"), "t");
  EXPECT_EQ(get(a_.store->setup_key(soon(), account_.id, key.id))->used_times, 254);
  EXPECT_EQ(get(a_.store->account(soon(), account_.id))->serial, 254U);
}

TEST_F(InvariantsRaceTest, RangesChangeWhileMachinesRegister) {
  // The nets overlap: a new address of one peer is the old one of another.
  const std::vector<std::string> nets = {"100.99.0.0/25", "100.99.0.0/24", "100.99.0.64/26",
                                         "100.99.0.0/25"};
  a_.sql(R"(UPDATE accounts SET network_net = '{"IP":"100.99.0.0","Mask":"////gA=="}')");
  const SetupKey key = make_key();
  for (int i = 0; i < 25; ++i)
    ASSERT_TRUE(get(store(i).register_peer(soon(), registration(key, "first"))));
  for (int round = 0; round < 200; ++round) {
    const std::string& net = nets[static_cast<std::size_t>(round) % nets.size()];
    const auto before = get(a_.store->account(soon(), account_.id))->serial;
    together(3, [&](int i) {
      if (i == 0) {
        const auto changed = change_range(round, net);
        EXPECT_TRUE(changed) << changed.error().text;
        return;
      }
      const auto result = get(store(i).register_peer(soon(), registration(key, "late")));
      EXPECT_TRUE(result) << result.error().text;
    });
    const auto account = get(a_.store->account(soon(), account_.id));
    ASSERT_EQ(account->network.net.to_string(), net);
    EXPECT_EQ(account->serial, before + 3);
    ASSERT_EQ(misplaced(net), "0") << "round " << round;
    // Room for the next round's small net.
    a_.sql("DELETE FROM peers WHERE name = 'late'");
  }
}

TEST_F(InvariantsRaceTest, PeersThatFitKeepTheirAddress) {
  a_.sql(R"(UPDATE accounts SET network_net = '{"IP":"100.99.0.0","Mask":"////AA=="}')");
  const SetupKey key = make_key();
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(get(store(i).register_peer(soon(), registration(key, "m"))));
  // Peers have neither the first nor the last address of a net.
  const std::string fits =
      "trim(both '\"' from ip)::inet << '100.99.0.128/25'::inet AND ip NOT IN "
      "('\"100.99.0.128\"', '\"100.99.0.255\"')";
  const std::string inside =
      "SELECT COALESCE(string_agg(id || ip, ',' ORDER BY id), '') FROM peers "
      "WHERE " +
      fits + " AND id IN (";
  const std::string ids = a_.value(
      "SELECT COALESCE(string_agg('''' || id || '''', ','), '''''') FROM peers WHERE " + fits);
  const std::string before = a_.value(inside + ids + ")");
  ASSERT_TRUE(change_range(0, "100.99.0.128/25"));
  EXPECT_EQ(a_.value(inside + ids + ")"), before);
  EXPECT_EQ(misplaced("100.99.0.128/25"), "0");
  const auto refused = change_range(0, "100.98.0.0/28");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(),
            fail(Code::kFailedPrecondition, "network 100.98.0.0/28 is out of IPs"));
  EXPECT_EQ(misplaced("100.99.0.128/25"), "0");
}

TEST_F(InvariantsRaceTest, ASmallIpv6NetGivesEachAddressOnce) {
  a_.sql(
      R"(UPDATE accounts SET network_net_v6 = '{"IP":"fd00::","Mask":"////////////////////AA=="}')");
  const SetupKey key = make_key();
  together(10, [&](int i) {
    for (int n = 0; n < 25; ++n) {  // all but four of its addresses: chance alone finds them not
      const auto done = get(store(i + n).register_peer(soon(), registration(key, "six")));
      EXPECT_TRUE(done) << done.error().text;
    }
  });
  EXPECT_EQ(a_.value("SELECT COUNT(DISTINCT ipv6) FROM peers"), "250");
}

TEST_F(InvariantsRaceTest, AFreshLoginWinsOverExpiry) {
  Registration request = registration(make_key(), "laptop");
  request.setup_key.reset();
  request.user = account_.created_by;
  const auto peer = get(a_.store->register_peer(soon(), request));
  ASSERT_TRUE(peer) << peer.error().text;
  for (int round = 0; round < 200; ++round) {
    a_.sql(
        "UPDATE peers SET last_login = now() - interval '25 hours', peer_status_connected = TRUE, "
        "peer_status_login_expired = FALSE");
    together(2, [&](int i) {
      if (i == 0) {
        EXPECT_TRUE(get(a_.store->expire_logins(soon(), 10)));
        return;
      }
      const auto login =
          get(b_.store->relogin(soon(), {request.key, request.user, request.ssh_key, false}));
      EXPECT_TRUE(login && login->renewed) << (login ? "not renewed" : login.error().text);
    });
    ASSERT_EQ(a_.value("SELECT peer_status_login_expired FROM peers"), "f") << "round " << round;
  }
}

TEST_F(InvariantsRaceTest, WhoComesBackIsNotInactiveAndWhoIsMustLogIn) {
  Registration request = registration(make_key(), "laptop");
  request.setup_key.reset();
  request.user = account_.created_by;
  ASSERT_TRUE(get(a_.store->register_peer(soon(), request)));
  a_.sql(
      "UPDATE accounts SET settings_peer_inactivity_expiration_enabled = TRUE, "
      "settings_peer_inactivity_expiration = 600000000000");
  const MetaUpdate same{.key = request.key, .meta = {}, .location = {}};
  int back = 0;
  for (int round = 0; round < 200; ++round) {
    a_.sql(
        "UPDATE peers SET last_login = now(), peer_status_connected = FALSE, "
        "peer_status_login_expired = FALSE, peer_status_last_seen = now() - interval '11 minutes'");
    std::atomic<std::size_t> expired{0};
    Result<SyncBegun> begun;
    together(3, [&](int i) {
      if (i == 2) {
        begun = get(b_.store->begin_sync(soon(), same, {{}, InstanceId("b"), 1, round + 1}));
        return;
      }
      const auto swept = get(store(i).expire_inactive(soon(), 10));
      ASSERT_TRUE(swept) << swept.error().text;
      expired += swept->peers.size();
    });
    if (!begun) {
      ASSERT_EQ(begun.error(),
                fail(Code::kPermissionDenied, "peer login has expired, please log in once more"));
    } else {
      ASSERT_TRUE(begun->session) << begun->session.error().text;
    }
    ASSERT_EQ(expired, begun ? 0U : 1U) << "round " << round;
    ASSERT_EQ(a_.value("SELECT peer_status_login_expired FROM peers"), begun ? "f" : "t");
    ASSERT_EQ(a_.value("SELECT peer_status_connected FROM peers"), begun ? "t" : "f");
    back += begun ? 1 : 0;
  }
  RecordProperty("back", back);
}

TEST_F(InvariantsRaceTest, ASerialNeverGoesBackWhoeverWritesIt) {
  std::atomic<bool> stop{false};
  std::thread stale([&] {  // saves whole rows read a while ago, as upstream does
    while (!stop) {
      const std::string seen = b_.value("SELECT network_serial FROM accounts");
      std::this_thread::yield();
      b_.sql("UPDATE accounts SET network_serial = " + seen + ", domain = domain");
    }
  });
  std::uint64_t last = 0;
  for (int round = 0; round < 300; ++round) {
    const auto serial = get(a_.store->bump_serial(soon(), account_.id));
    ASSERT_TRUE(serial);
    ASSERT_GT(*serial, last);
    last = *serial;
  }
  stop = true;
  stale.join();
  a_.sql("UPDATE accounts SET network_serial = NULL");
  EXPECT_EQ(get(a_.store->account(soon(), account_.id))->serial, last);
}

TEST_F(InvariantsRaceTest, TheDatabaseKeepsWhatThereMayBeOneOf) {
  const std::string account = "'" + account_.id.value() + "'";
  struct Case {
    const char* what;
    std::string insert;  // $ stands for an id
    std::string count;
  };
  const Case cases[] = {
      {"group All",
       "INSERT INTO groups (id, account_id, name, issued) VALUES ('$', " + account +
           ", 'All', 'api')",
       "SELECT COUNT(*) FROM groups WHERE name = 'All'"},
      {"group of one name in tokens",
       "INSERT INTO groups (id, account_id, name, issued) VALUES ('$', " + account +
           ", 'Dev', 'jwt')",
       "SELECT COUNT(*) FROM groups WHERE issued = 'jwt'"},
      {"default policy",
       "INSERT INTO policies (id, account_id, name, nb_is_default) VALUES ('$', " + account +
           ", 'Default', TRUE)",
       "SELECT COUNT(*) FROM policies WHERE nb_is_default"},
      {"primary account",
       "INSERT INTO accounts (id, domain, domain_category, is_domain_primary_account) VALUES ('$', "
       "'corp.example', 'private', TRUE)",
       "SELECT COUNT(*) FROM accounts WHERE domain = 'corp.example'"},
      {"access token",
       "INSERT INTO personal_access_tokens (id, user_id, hashed_token) VALUES ('$', '" +
           account_.created_by.value() + "', 'hash')",
       "SELECT COUNT(*) FROM personal_access_tokens"},
  };
  for (const Case& item : cases) {
    for (int round = 0; round < 200; ++round)
      together(2, [&](int i) {
        std::string statement = item.insert;
        statement.replace(statement.find('$'), 1, std::to_string(round * 2 + i));
        const Instance& instance = i == 0 ? a_ : b_;
        const auto done = instance.database->run_blocking<void>(
            soon(), {}, [&](sql::Session& session) { return session.script(statement); });
        if (!done) {
          EXPECT_EQ(done.error().code, Code::kAlreadyExists) << done.error().text;
        }
      });
    EXPECT_EQ(a_.value(item.count), "1") << item.what;
  }
}

TEST_F(InvariantsRaceTest, AMemberThatIsAddedWhileItsPeerGoesLeavesNothing) {
  const SetupKey key = make_key();
  a_.sql("INSERT INTO groups (id, account_id, public_id, name, issued) VALUES ('g', '" +
         account_.id.value() + "', '', 'g', 'api')");
  for (int round = 0; round < 200; ++round) {
    const auto peer = get(a_.store->register_peer(soon(), registration(key)));
    ASSERT_TRUE(peer);
    together(2, [&](int i) {
      if (i == 0) {
        EXPECT_TRUE(get(a_.store->delete_peer(soon(), peer->peer.key, "")));
        return;
      }
      const auto added = b_.database->run_blocking<void>(soon(), {}, [&](sql::Session& session) {
        return session.script("INSERT INTO group_peers (account_id, group_id, peer_id) VALUES ('" +
                              account_.id.value() + "', 'g', '" + peer->peer.id.value() + "')");
      });
      if (!added) {
        EXPECT_EQ(added.error().code, Code::kFailedPrecondition) << added.error().text;
      }
    });
  }
  EXPECT_EQ(a_.value("SELECT COUNT(*) FROM group_peers"), "0");
}

TEST_F(InvariantsRaceTest, EphemeralPeersAreRemovedOnceOrStayConnected) {
  SetupKeyRequest wish;
  wish.ephemeral = true;
  const SetupKey key = make_key(wish);
  for (int round = 0; round < 200; ++round) {
    const auto peer = get(a_.store->register_peer(soon(), registration(key)));
    ASSERT_TRUE(peer);
    a_.sql("UPDATE peers SET peer_status_last_seen = now() - interval '11 minutes'");
    std::atomic<std::size_t> removed{0};
    Result<SessionStarted> session;
    together(3, [&](int i) {
      if (i == 2) {
        session = get(b_.store->connect(soon(), {peer->peer.id, InstanceId("b"), 1}));
        return;
      }
      const auto swept = get(store(i).delete_ephemeral(soon(), 10min, 10));
      EXPECT_TRUE(swept) << swept.error().text;
      removed += swept->peers.size();
    });
    EXPECT_EQ(removed, session ? 0U : 1U) << "round " << round;
    a_.sql("DELETE FROM peers");
  }
}

}  // namespace
}  // namespace nb::management
