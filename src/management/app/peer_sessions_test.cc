// Logins of users' machines, over a real database.
#include "management/app/peer_sessions.h"

#include "ha/local/adapters.h"
#include "ha/memory_store.h"
#include "management/store/test_store.h"
#include "sql/test_full_queue.h"
#include "support/home_loop.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

namespace nb::management::app {
namespace {

using namespace management::test;
using namespace std::chrono_literals;

/// Knows the tokens that the test made.
class KnownTokens final : public TokenValidator {
 public:
  std::map<std::string, Result<TokenUser>> known;
  Task<TokenUser> identify(Instant /*deadline*/, Secret token) override {
    const auto found = known.find(std::string(token.reveal()));
    if (found == known.end())
      co_return fail(Code::kInvalidArgument, "invalid jwt token, err: signature");
    co_return found->second;
  }
};

/// No maps are made here.
class NoWorkers final : public MapWorkers {
 public:
  void post(std::function<void()> /*work*/) override {}
};

class PeerSessionsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(instance.prepare());
    ASSERT_TRUE(prepare_agent_tables(instance.parts, soon()));
    account = get(instance.store->ensure_account(soon(), fresh_account()))->first;
    tokens.known.emplace("owner", user(account.created_by));
    PeerSessionsOptions options;
    options.instance = InstanceId("one");
    options.incarnation = 1;
    options.hash_setup_key = [](std::string_view plain) { return crypto::hash_setup_key(plain); };
    sessions.emplace(PeerSessionsPorts{.store = *instance.store,
                                       .agents = *agents,
                                       .hub = *hub,
                                       .tokens = &tokens,
                                       .filter = nullptr,
                                       .filter_home = loop.executor(),
                                       .clock = clock},
                     std::move(options), Logger{});
  }
  void TearDown() override {
    loop.await([this] { return hub->stop(); });
  }

  TokenUser user(const UserId& id) {
    return {account.id, id, "olga@example.org", clock.wall() + 1h};
  }
  LoginCommand command(const PeerKey& key, const std::string& jwt) {
    LoginCommand out;
    out.key = key;
    out.meta.emplace();
    out.meta->hostname = "laptop";
    out.meta->wt_version = "0.70.0";
    out.jwt = jwt;
    out.deadline = soon();
    return out;
  }
  Result<LoggedIn> login(LoginCommand command) { return get(sessions->login(std::move(command))); }
  /// What may have begun without an answer is in `in_doubt` then.
  Result<SyncStarted> start(const PeerKey& key) {
    SyncCommand sync;
    sync.key = key;
    sync.deadline = soon();
    sync.on_doubt = [this](SessionInDoubt doubt) { in_doubt.push_back(std::move(doubt)); };
    return get(sessions->start(std::move(sync)));
  }

  sql::test::TestDatabase fixture{sql::Engine::kSqlite};
  Instance instance{fixture};
  std::unique_ptr<AgentStore> agents = make_sql_agent_store(instance.parts);
  nb::test::HomeLoop loop;
  SystemClock clock;
  NoWorkers workers;
  std::shared_ptr<SyncHub> hub = std::make_shared<SyncHub>(
      loop.executor(), *instance.store, nullptr, workers, clock, SyncHubOptions{}, Logger{});
  KnownTokens tokens;
  Account account;
  std::optional<PeerSessions> sessions;
  std::vector<SessionInDoubt> in_doubt;
};

TEST_F(PeerSessionsTest, UserRegistersAMachineAndTheSetupKeyBesideItDoesNotMatter) {
  auto request = command(fresh_peer_key(), "owner");
  request.setup_key = "00000000-0000-0000-0000-000000000000";  // what official agents send
  const auto done = login(std::move(request));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(done->registered);
  EXPECT_EQ(done->peer.user_id, account.created_by);
  EXPECT_TRUE(done->peer.login_expiration_enabled);
}

TEST_F(PeerSessionsTest, TokenIsForOnePeerWhichMayComeAgain) {
  const PeerKey first = fresh_peer_key();
  ASSERT_TRUE(login(command(first, "owner")));
  EXPECT_TRUE(login(command(first, "owner")));
  const auto second = login(command(fresh_peer_key(), "owner"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), (Error{Code::kUnauthenticated, "JWT already used"}));
}

TEST_F(PeerSessionsTest, RefusedTokenIsNotUsedUp) {
  tokens.known.insert_or_assign(
      "owner", Result<TokenUser>(fail(Code::kPermissionDenied,
                                      "user does not belong to any of the allowed JWT groups")));
  const auto refused = login(command(fresh_peer_key(), "owner"));
  EXPECT_EQ(refused.error().text, "user does not belong to any of the allowed JWT groups");
  tokens.known.insert_or_assign("owner", Result<TokenUser>(user(account.created_by)));
  EXPECT_TRUE(login(command(fresh_peer_key(), "owner")));
}

TEST_F(PeerSessionsTest, BadTokenFailsTheLoginOfAKnownPeerToo) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  EXPECT_EQ(login(command(key, "forged")).error().code, Code::kInvalidArgument);
  EXPECT_TRUE(login(command(key, "")));
}

TEST_F(PeerSessionsTest, AnotherUsersTokenDoesNotTakeAPeerOver) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  tokens.known.emplace("other", user(UserId("somebody")));
  EXPECT_EQ(login(command(key, "other")).error(),
            (Error{Code::kPermissionDenied,
                   "peer is already registered by a different User or a Setup Key"}));
}

TEST_F(PeerSessionsTest, TokenPastItsEndIsExpired) {
  TokenUser late = user(account.created_by);
  late.expires_at = clock.wall() - 5min;
  tokens.known.emplace("late", late);
  EXPECT_EQ(login(command(fresh_peer_key(), "late")).error(),
            (Error{Code::kUnauthenticated, "JWT expired"}));
}

TEST_F(PeerSessionsTest, TokenWithoutAUserIsNobodys) {
  tokens.known.emplace("nobody", user(UserId("")));
  EXPECT_EQ(login(command(fresh_peer_key(), "nobody")).error(),
            (Error{Code::kUnauthenticated, "jwt token did not yield a user id"}));
}

TEST_F(PeerSessionsTest, OutageSaysNothingAboutTheToken) {
  tokens.known.insert_or_assign(
      "owner", Result<TokenUser>(fail(Code::kDeadlineExceeded, "keys: no answer in 5 s")));
  EXPECT_EQ(login(command(fresh_peer_key(), "owner")).error().code, Code::kUnavailable);
}

TEST_F(PeerSessionsTest, TokenThatCannotBeClaimedIsTriedAgain) {
  const PeerKey key = fresh_peer_key();
  instance.sql("ALTER TABLE nb_token_claims RENAME TO away");
  const Error expected{Code::kUnavailable, "failed to claim jwt token"};
  EXPECT_EQ(login(command(key, "owner")).error(), expected);
  instance.sql("ALTER TABLE away RENAME TO nb_token_claims");
  EXPECT_TRUE(login(command(key, "owner")));
  tokens.known.emplace("more", user(account.created_by));
  instance.sql("ALTER TABLE nb_token_claims RENAME TO away");
  EXPECT_EQ(get(sessions->extend({key, "more", soon()})).error(), expected);
  instance.sql("ALTER TABLE away RENAME TO nb_token_claims");
  EXPECT_TRUE(get(sessions->extend({key, "more", soon()})));
}

TEST_F(PeerSessionsTest, PhonesAreNamedAfterTheirUser) {
  auto request = command(fresh_peer_key(), "owner");
  request.meta->hostname = "iPhone";
  const auto done = login(std::move(request));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->peer.dns_label, "iphone-olga");
}

TEST_F(PeerSessionsTest, ExpiredLoginIsRenewedByATokenOnly) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  instance.sql("UPDATE peers SET peer_status_login_expired = TRUE");
  EXPECT_EQ(login(command(key, "")).error(),
            (Error{Code::kPermissionDenied, "peer login has expired, please log in once more"}));
  tokens.known.emplace("again", user(account.created_by));
  EXPECT_TRUE(login(command(key, "again")));
  EXPECT_TRUE(login(command(key, "")));
}

TEST_F(PeerSessionsTest, SessionIsExtended) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  EXPECT_EQ(get(sessions->extend({key, "", soon()})).error(),
            (Error{Code::kInvalidArgument, "jwt token is required"}));
  tokens.known.emplace("more", user(account.created_by));
  const auto before = get(instance.store->peer_by_key(soon(), key));
  const auto done = get(sessions->extend({key, "more", soon()}));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_GT(*done->peer.last_login, *before->peer.last_login);
  EXPECT_GT(done->serial, before->serial);
}

TEST_F(PeerSessionsTest, WithoutUserLoginsEveryTokenIsInvalid) {
  PeerSessions bare({.store = *instance.store,
                     .agents = *agents,
                     .hub = *hub,
                     .filter_home = loop.executor(),
                     .clock = clock},
                    {}, Logger{});
  EXPECT_EQ(get(bare.login(command(fresh_peer_key(), "owner"))).error(),
            (Error{Code::kInvalidArgument,
                   "invalid jwt token, err: this server is not configured for user logins"}));
}

TEST_F(PeerSessionsTest, RecordedLogoutRemovesNobodyTwice) {  // contract/management-grpc.md §2
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  ASSERT_TRUE(get(sessions->logout(key, "the nonce of one request", soon())));
  ASSERT_TRUE(login(command(key, "owner")));
  EXPECT_EQ(get(sessions->logout(key, "the nonce of one request", soon())).error(),
            (Error{Code::kInvalidArgument, "invalid request message"}));
  EXPECT_TRUE(get(instance.store->peer_by_key(soon(), key)));
  EXPECT_TRUE(get(sessions->logout(key, "the nonce of another", soon())));
}

TEST_F(PeerSessionsTest, MetaIsRequiredWhereTheContractSaysSo) {
  auto request = command(fresh_peer_key(), "owner");
  request.meta.reset();
  request.location.connection_ip = *IpAddress::parse("203.0.113.7");
  const std::string who = request.key.value() + ", remote addr 203.0.113.7";
  EXPECT_EQ(login(request).error(),
            (Error{Code::kFailedPrecondition,
                   "peer system meta has to be provided to log in. Peer " + who}));
  SyncCommand sync;
  sync.key = request.key;
  sync.location = request.location;
  sync.deadline = soon();
  EXPECT_EQ(get(sessions->update_meta(std::move(sync))).error(),
            (Error{Code::kFailedPrecondition,
                   "peer system meta has to be provided on sync. Peer " + who}));
}

TEST_F(PeerSessionsTest, DatabaseThatIsBusyIsAnOutageToEveryCall) {  // management-grpc.md §4
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  const auto busy = fixture.open(sql::test::FullQueue::options());
  const auto store =
      make_sql_store({*busy, &example_cipher(), random_source(), system_clock(), {}, nullptr}, {});
  PeerSessions refusing(PeerSessionsPorts{.store = *store,
                                          .agents = *agents,
                                          .hub = *hub,
                                          .filter_home = loop.executor(),
                                          .clock = clock},
                        {}, Logger{});
  const sql::test::FullQueue full(*busy, {.read_only = true});
  const Error unavailable = as_agent_error(fail(Code::kUnavailable, ""));
  const auto error = [](const auto& result) { return result ? Error{} : result.error(); };
  EXPECT_EQ(error(get(refusing.login(command(key, "")))), unavailable);
  EXPECT_EQ(error(get(refusing.logout(key, "nonce", soon()))), unavailable);
  EXPECT_EQ(error(get(refusing.registered(key, soon()))), unavailable);
  SyncCommand sync;
  sync.key = key;
  sync.meta.emplace();
  sync.deadline = soon();
  EXPECT_EQ(error(get(refusing.start(sync))), unavailable);
  EXPECT_EQ(error(get(refusing.update_meta(sync))), unavailable);
}

TEST_F(PeerSessionsTest, SessionThatMayHaveBegunIsAbandonedUntilTheDatabaseHasTakenIt) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  const auto sync = [&] { return start(key); };
  instance.sql("ALTER TABLE nb_peer_sessions RENAME TO away");
  EXPECT_EQ(sync().error().code, Code::kInternal);
  EXPECT_EQ(sync().error().code, Code::kInternal);
  ASSERT_EQ(in_doubt.size(), 2U);
  EXPECT_NE(in_doubt[0].call.number, in_doubt[1].call.number);
  EXPECT_EQ(in_doubt[0].call.instance, InstanceId("one"));
  EXPECT_EQ(in_doubt[0].call.incarnation, 1);
  auto abandoned = loop.start([&] { return sessions->abandoned(in_doubt[0]); });
  EXPECT_TRUE(nb::test::eventually([&] { return sessions->counters().disconnect_errors > 0; }));
  instance.sql("ALTER TABLE away RENAME TO nb_peer_sessions");
  EXPECT_EQ(abandoned.wait_for(nb::test::patient(20s)), std::future_status::ready);
  EXPECT_TRUE(sync());
  EXPECT_EQ(in_doubt.size(), 2U);
}

TEST_F(PeerSessionsTest, SessionThatTheDatabaseNeverGotToIsInNoDoubt) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  const auto busy = fixture.open({.queue_max = 1});
  SqlStoreParts parts{*busy, &example_cipher(), random_source(), system_clock(), {}, nullptr};
  const auto store = make_sql_store(parts, {});
  PeerSessions waiting(PeerSessionsPorts{.store = *store,
                                         .agents = *agents,
                                         .hub = *hub,
                                         .filter_home = loop.executor(),
                                         .clock = clock},
                       {}, Logger{});
  int doubts = 0;
  const auto sync = [&](Instant deadline) {
    SyncCommand out;
    out.key = key;
    out.deadline = deadline;
    out.on_doubt = [&doubts](const SessionInDoubt&) { ++doubts; };
    return get(waiting.start(std::move(out)));
  };
  std::promise<void> taken;
  std::promise<void> release;
  std::thread writer([&] {
    EXPECT_TRUE(busy->run_blocking<void>(soon(), {}, [&](sql::Session&) -> Result<> {
      taken.set_value();
      release.get_future().wait();
      return {};
    }));
  });
  taken.get_future().wait();
  const Error unavailable = as_agent_error(fail(Code::kUnavailable, ""));
  const auto error = [](const auto& result) { return result ? Error{} : result.error(); };
  EXPECT_EQ(error(sync(soon(nb::test::patient(1s)))), unavailable);  // in the queue
  std::thread queued([&] {
    const auto nothing = [](sql::Session&) -> Result<> { return {}; };
    Result<> done;
    do {
      done = busy->run_blocking<void>(soon(), {}, nothing);
    } while (error(done).code == Code::kResourceExhausted);  // the probe below was there
    EXPECT_TRUE(done);
  });
  EXPECT_TRUE(nb::test::eventually([&] {
    const auto probe =
        busy->run_blocking<void>(soon(1ms), {}, [](sql::Session&) -> Result<> { return {}; });
    return error(probe).code == Code::kResourceExhausted;
  }));
  EXPECT_EQ(error(sync(soon())), unavailable);  // before the queue
  release.set_value();
  writer.join();
  queued.join();
  EXPECT_EQ(doubts, 0);
  EXPECT_EQ(waiting.counters().connect_errors, 2U);
  EXPECT_TRUE(sync(soon()));
}

TEST_F(PeerSessionsTest, WhoWasHereBeforeIsTreatedTheSame) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  const auto sync = [&] { return start(key); };
  const auto first = sync();
  ASSERT_TRUE(first) << first.error().text;
  const auto second = sync();
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_GT(second->epoch, first->epoch);
  EXPECT_TRUE(second->replaces.empty());
  EXPECT_EQ(second->view.peer.key, key);
  EXPECT_EQ(sessions->counters().connects, 2U);

  instance.sql("ALTER TABLE nb_peer_sessions RENAME TO away");
  EXPECT_EQ(sync().error().code, Code::kInternal);
  ASSERT_EQ(in_doubt.size(), 1U);
  EXPECT_EQ(in_doubt[0].peer.id, second->view.peer.id);
  EXPECT_EQ(in_doubt[0].call.peer, second->view.peer.id);
  EXPECT_EQ(sessions->counters().connect_errors, 1U);
  instance.sql("ALTER TABLE away RENAME TO nb_peer_sessions");

  instance.sql("UPDATE peers SET peer_status_login_expired = TRUE");
  EXPECT_EQ(sync().error(),
            (Error{Code::kPermissionDenied, "peer login has expired, please log in once more"}));
  EXPECT_EQ(sync().error().code, Code::kPermissionDenied);
  instance.sql("DELETE FROM nb_peer_sessions; DELETE FROM peers");
  EXPECT_EQ(sync().error(), (Error{Code::kPermissionDenied, "peer is not registered"}));
  EXPECT_EQ(in_doubt.size(), 1U);
}

TEST_F(PeerSessionsTest, RefusedByTheDatabasesQueueIsInNoDoubtTheSecondTimeEither) {
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  int doubts = 0;
  const auto sync = [&](Instant deadline) {
    SyncCommand out;
    out.key = key;
    out.deadline = deadline;
    out.on_doubt = [&doubts](const SessionInDoubt&) { ++doubts; };
    return get(sessions->start(std::move(out)));
  };
  ASSERT_TRUE(sync(soon()));
  std::promise<void> taken;
  std::promise<void> release;
  std::thread writer([&] {
    EXPECT_TRUE(instance.database->run_blocking<void>(soon(), {}, [&](sql::Session&) -> Result<> {
      taken.set_value();
      release.get_future().wait();
      return {};
    }));
  });
  taken.get_future().wait();
  const auto late = sync(soon(nb::test::patient(1s)));
  release.set_value();
  writer.join();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error(), as_agent_error(fail(Code::kUnavailable, "")));
  EXPECT_EQ(doubts, 0);
  EXPECT_TRUE(sync(soon()));
}

/// Machines that sync in a loop, before a filter that has seen enough after three times.
class LoginFilterTest : public PeerSessionsTest {
 protected:
  void use_filter(bool block) {
    PeerSessionsOptions options;
    options.instance = InstanceId("one");
    options.incarnation = 1;
    options.block_same_peers = block;
    options.hash_setup_key = [](std::string_view plain) { return crypto::hash_setup_key(plain); };
    sessions.emplace(PeerSessionsPorts{.store = *instance.store,
                                       .agents = *agents,
                                       .hub = *hub,
                                       .tokens = &tokens,
                                       .filter = &filter,
                                       .filter_home = loop.executor(),
                                       .clock = clock},
                     std::move(options), Logger{});
  }
  PeerKey machine() {
    const auto key = get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    const auto joined = get(instance.store->register_peer(soon(), registration(*key)));
    EXPECT_TRUE(joined);
    return joined->peer.key;
  }
  Result<SyncStarted> sync(const PeerKey& key, const std::string& hostname = "box") {
    SyncCommand out;
    out.key = key;
    out.deadline = soon();
    out.meta.emplace();
    out.meta->hostname = hostname;
    return get(sessions->start(std::move(out)));
  }
  Code sync_until_refused(const PeerKey& key) {
    for (int i = 0; i < 3; ++i)
      if (const auto started = sync(key); !started) return started.error().code;
    const auto started = sync(key);
    return started ? Code::kOk : started.error().code;
  }
  ha::MemoryStore memory{clock};
  ha::DirectAccess access{memory};
  ha::LocalLoginFilter filter{access, "filter", {.reconnects_max = 2}};
};

TEST_F(LoginFilterTest, CountsAndRefusesNobodyUnlessItIsToldTo) {  // contract §8.3
  use_filter(false);
  EXPECT_EQ(sync_until_refused(machine()), Code::kOk);
  EXPECT_GT(sessions->counters().sync_blocked, 0U);
}

TEST_F(LoginFilterTest, RefusesMachinesThatComeTooOftenAndSendsNobodyToALoginPage) {
  use_filter(true);
  const PeerKey key = machine();
  EXPECT_EQ(sync_until_refused(key), Code::kResourceExhausted);
  auto request = command(key, "");
  request.meta->hostname = "box";
  request.meta->wt_version.clear();
  EXPECT_EQ(login(std::move(request)).error().code, Code::kResourceExhausted);
  EXPECT_GT(sessions->counters().login_blocked, 0U);
  EXPECT_TRUE(sync(machine())) << "others do not notice";
}

TEST_F(LoginFilterTest, WhoIsRefusedWritesNothing) {
  const PeerKey key = machine();
  const auto refused_as = [&](const std::string& hostname) {
    const auto before = get(instance.store->peer_by_key(soon(), key));
    const auto updates = sessions->counters().meta_updates.load();
    EXPECT_EQ(sync(key, hostname).error().code, Code::kResourceExhausted);
    const auto after = get(instance.store->peer_by_key(soon(), key));
    EXPECT_EQ(after->peer.meta.hostname, before->peer.meta.hostname);
    EXPECT_EQ(after->serial, before->serial);
    EXPECT_EQ(sessions->counters().meta_updates, updates);
  };
  use_filter(true);
  ASSERT_EQ(sync_until_refused(key), Code::kResourceExhausted);
  refused_as("another name");
  use_filter(true);  // another instance, where the peer was not yet
  refused_as("a third name");
}

TEST_F(LoginFilterTest, RemembersNobodyWhoIsNotRegistered) {
  use_filter(true);
  EXPECT_EQ(sync(fresh_peer_key()).error(),
            (Error{Code::kPermissionDenied, "peer is not registered"}));
  EXPECT_TRUE(memory.logins["filter"].states.empty());
  const PeerKey known = machine();
  ASSERT_TRUE(sync(known));
  ASSERT_TRUE(sync(known));
  const auto& states = memory.logins["filter"].states;
  ASSERT_EQ(states.size(), 1U);
  EXPECT_EQ(ha::parse_login_state(states.at(known.value()))->attempts.size(), 2U);
}

TEST_F(LoginFilterTest, NeverRefusesTheSyncOfAUsersMachine) {
  use_filter(true);
  const PeerKey key = fresh_peer_key();
  ASSERT_TRUE(login(command(key, "owner")));
  EXPECT_EQ(sync_until_refused(key), Code::kOk);
}

}  // namespace
}  // namespace nb::management::app
