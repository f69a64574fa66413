// Tokens led to users and accounts, on both engines and from two instances.
#include "crypto/access_token.h"
#include "management/auth/auth.h"
#include "management/store/test_store.h"
#include "sql/test_full_queue.h"
#include "support/together.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <atomic>

namespace nb::management::auth {
namespace {

using namespace test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

class CountedChanges final : public app::Changes {
 public:
  void committed(const AccountId&, std::uint64_t) override { ++commits; }
  void end_peer(const AccountId&, const PeerId&, app::EndReason) override {}
  std::atomic<int> commits{0};
};

const crypto::SigningKey& provider_key() {
  static const auto key = crypto::SigningKey::generate(crypto::JwsAlg::kEs256);
  NB_ASSERT(key.has_value());
  return *key;
}

asio::awaitable<Result<FetchedKeys>> provider_keys() {
  co_return FetchedKeys{crypto::JwkSet({provider_key().public_key()}), 3600s};
}

std::string token(const std::string& user, const std::string& more = "") {
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(system_clock().wall().time_since_epoch())
          .count();
  return provider_key().sign(
      fmt::format(
          R"({{"iss":"https://idp.example.org","aud":"nb","sub":"{}","exp":{},"iat":{}{}}})", user,
          now + 600, now - 1, more),
      "JWT");
}

/// An instance with its own connections and its own authority.
struct Side {
  explicit Side(const sql::test::TestDatabase& fixture, AuthorityOptions options)
      : instance(fixture),
        identities(make_sql_identity_store(instance.parts, {})),
        pool(1),
        keys(
            pool.get_executor(), system_clock(), [](Instant) { return provider_keys(); }, {},
            Logger()),
        authority({*identities, &keys, changes, nullptr, system_clock(), Logger()},
                  std::move(options)) {}
  ~Side() { pool.join(); }

  Instance instance;
  std::unique_ptr<IdentityStore> identities;
  CountedChanges changes;
  asio::thread_pool pool;
  KeyCache keys;
  Authority authority;
};

class AuthorityTest : public testing::TestWithParam<sql::Engine> {
 protected:
  static AuthorityOptions options(bool single = true) {
    AuthorityOptions out;
    out.rules.issuer = "https://idp.example.org";
    out.rules.audiences = {"nb"};
    out.single_account = single;
    return out;
  }
  void start(AuthorityOptions with) {
    a_ = std::make_unique<Side>(fixture_, with);
    ASSERT_TRUE(a_->instance.prepare());
    if (GetParam() == sql::Engine::kPostgres) b_ = std::make_unique<Side>(fixture_, with);
  }
  void SetUp() override { start(options()); }
  Side& side(int i) { return b_ && i % 2 == 1 ? *b_ : *a_; }
  Result<Caller> login(const std::string& user, const std::string& more = "", int i = 0) {
    return get(side(i).authority.bearer(soon(), token(user, more)));
  }
  std::string insert_pat(const std::string& user, const std::string& expires) {
    const Secret plain = crypto::generate_token(crypto::TokenKind::kPersonal, random_source());
    a_->instance.sql(fmt::format(
        "INSERT INTO personal_access_tokens (id, user_id, name, hashed_token, expiration_date, "
        "created_by, created_at) VALUES ('{}', '{}', 't', '{}', '{}', '{}', '2026-01-01 00:00:00')",
        new_id(), user, crypto::hash_token(plain.reveal()), expires, user));
    return std::string(plain.reveal());
  }
  std::string value(const std::string& query) { return a_->instance.value(query); }

  sql::test::TestDatabase fixture_{GetParam()};
  std::unique_ptr<Side> a_;
  std::unique_ptr<Side> b_;
};

TEST_P(AuthorityTest, TheFirstLoginFoundsTheAccountAndLaterOnesJoinIt) {
  const auto first = login("u1", R"(,"email":"one@example.org","name":"One")");
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(first->known.user.role, "owner");
  EXPECT_EQ(first->known.account.domain, "netbird.selfhosted");
  EXPECT_TRUE(first->known.account.is_domain_primary);
  const auto second = login("u2", R"(,"email":"two@example.org")", 1);
  ASSERT_TRUE(second) << second.error().text;
  EXPECT_EQ(second->known.account.id, first->known.account.id);
  EXPECT_EQ(second->known.user.role, "user");
  EXPECT_TRUE(second->known.user.blocked);
  EXPECT_TRUE(second->known.user.pending_approval);
  EXPECT_EQ(second->known.user.email, "two@example.org");
  EXPECT_EQ(value("SELECT COUNT(*) FROM nb_event_outbox"), "2");
}

TEST_P(AuthorityTest, AnAccountWithoutDomainIsJoinedToo) {
  auto made = get(a_->instance.store->ensure_account(soon(), fresh_account("by-setup")));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->first.domain, "");
  const auto caller = login("outsider");
  ASSERT_TRUE(caller) << caller.error().text;
  EXPECT_EQ(caller->known.account.id, made->first.id);
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts"), "1");
}

TEST_P(AuthorityTest, ManyFirstLoginsMakeOneAccount) {
  constexpr int kThreads = 8;
  std::vector<std::string> tokens;
  for (int i = 0; i < kThreads; ++i) tokens.push_back(token("racer-" + std::to_string(i)));
  std::atomic<int> owners{0};
  nb::test::together(kThreads, [&](int i) {
    const auto caller = get(side(i).authority.bearer(soon(), tokens[static_cast<std::size_t>(i)]));
    ASSERT_TRUE(caller) << caller.error().text;
    if (caller->known.user.role == "owner") ++owners;
  });
  EXPECT_EQ(owners, 1);
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM users"), std::to_string(kThreads));
}

// contract/auth-idp.md §3.2: a connected provider may know the whole world.
TEST_P(AuthorityTest, WhoComesFirstThroughAConnectorOwnsNothing) {
  a_.reset();
  b_.reset();
  AuthorityOptions with = options();
  with.local_founders_only = true;
  start(with);
  const std::string outsider = encode_subject({"00u1a2b3", "okta-d5p7eedra0h0lt6f59hg"}).value();
  const std::string local =
      encode_subject({"7aad8c05-3287-473f-b42a-365504bf25e7", "local"}).value();
  for (int i = 0; i < 2; ++i)
    for (const std::string& user : {outsider, std::string("plain")}) {
      const auto refused = login(user, "", i);
      ASSERT_FALSE(refused) << user;
      EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    }
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts"), "0");
  const auto owner = login(local);
  ASSERT_TRUE(owner) << owner.error().text;
  EXPECT_EQ(owner->known.user.role, "owner");
  const auto member = login(outsider, "", 1);
  ASSERT_TRUE(member) << member.error().text;
  EXPECT_EQ(member->known.user.role, "user");
}

TEST_P(AuthorityTest, NameMailAndLastLoginFollowTheToken) {
  const auto seen = [&](const std::string& name, std::int64_t auth_time, int side) {
    EXPECT_TRUE(login(
        "owner",
        fmt::format(R"(,"email":"{0}@example.org","name":"{0}","auth_time":{1})", name, auth_time),
        side));
    const auto known = get(a_->identities->user(soon(), UserId("owner")));
    NB_ASSERT(known.has_value());
    return known->user;
  };
  constexpr std::int64_t kBegin = 1'790'000'000;
  EXPECT_EQ(seen("old", kBegin, 0).last_login, WallTime(std::chrono::seconds(kBegin)));
  const std::string before = value("SELECT COUNT(*) FROM nb_event_outbox");
  const User soon_after = seen("new", kBegin + 59, 1);
  EXPECT_EQ(soon_after.name, "new");
  EXPECT_EQ(soon_after.email, "new@example.org");
  EXPECT_EQ(soon_after.last_login, WallTime(std::chrono::seconds(kBegin)));
  EXPECT_EQ(value("SELECT COUNT(*) FROM nb_event_outbox"), before);
  EXPECT_EQ(seen("new", kBegin + 60, 0).last_login, WallTime(std::chrono::seconds(kBegin + 60)));
  EXPECT_EQ(value("SELECT COUNT(*) FROM nb_event_outbox"), std::to_string(std::stoi(before) + 1));
}

TEST_P(AuthorityTest, OneUserAtTwoInstancesJoinsOnce) {
  ASSERT_TRUE(login("owner"));
  nb::test::together(
      4, [&](int i) { EXPECT_TRUE(get(side(i).authority.bearer(soon(), token("twin")))); });
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE id = 'twin'"), "1");
}

TEST_P(AuthorityTest, WithManyAccountsTheDomainDecides) {
  a_.reset();
  b_.reset();
  start(options(false));
  const std::string claims =
      R"(,"nb/wt_account_domain":"example.org","nb/wt_account_domain_category":"private")";
  const auto founder = login("f", claims);
  ASSERT_TRUE(founder) << founder.error().text;
  EXPECT_EQ(founder->known.user.role, "owner");
  EXPECT_EQ(founder->known.account.domain, "example.org");
  const auto colleague = login("c", claims, 1);
  ASSERT_TRUE(colleague);
  EXPECT_EQ(colleague->known.account.id, founder->known.account.id);
  const auto stranger =
      login("s", R"(,"nb/wt_account_domain":"gmail.com","nb/wt_account_domain_category":"public")");
  ASSERT_TRUE(stranger);
  EXPECT_NE(stranger->known.account.id, founder->known.account.id);
  EXPECT_EQ(stranger->known.user.role, "owner");
  const auto again = login("s");
  ASSERT_TRUE(again);
  EXPECT_EQ(again->known.account.id, stranger->known.account.id);
}

std::string of_domain(const std::string& domain, const std::string& category = "private") {
  return fmt::format(R"(,"nb/wt_account_domain":"{}","nb/wt_account_domain_category":"{}")", domain,
                     category);
}

TEST_P(AuthorityTest, DomainThatTurnsPrivateIsThatOfTheKnownUsersAccount) {
  a_.reset();
  b_.reset();
  start(options(false));
  const auto before = login("first", of_domain("example.org", "public"));
  ASSERT_TRUE(before) << before.error().text;
  EXPECT_EQ(before->known.account.domain_category, "");
  const auto after = login("first", of_domain("Example.org"), 1);
  ASSERT_TRUE(after) << after.error().text;
  EXPECT_EQ(after->known.account.id, before->known.account.id);
  EXPECT_EQ(after->known.account.domain, "example.org");
  EXPECT_EQ(after->known.account.domain_category, "private");
  EXPECT_TRUE(after->known.account.is_domain_primary);
  EXPECT_EQ(value("SELECT domain || ' ' || domain_category FROM accounts"), "example.org private");
  const auto colleague = login("second", of_domain("example.org"));
  ASSERT_TRUE(colleague) << colleague.error().text;
  EXPECT_EQ(colleague->known.account.id, before->known.account.id);
  EXPECT_EQ(colleague->known.user.role, "user");
  // It stands for that domain from now on, whatever its people's tokens say.
  ASSERT_TRUE(login("first", of_domain("example.net")));
  EXPECT_EQ(value("SELECT domain FROM accounts"), "example.org");
}

TEST_P(AuthorityTest, DomainThatAnotherAccountStandsForIsNotTaken) {
  a_.reset();
  b_.reset();
  start(options(false));
  const auto lone = login("lone");
  const auto founder = login("founder", of_domain("example.org"));
  ASSERT_TRUE(lone && founder);
  const auto again = login("lone", of_domain("example.org"), 1);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(again->known.account.id, lone->known.account.id);
  EXPECT_FALSE(again->known.account.is_domain_primary);
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts WHERE domain = 'example.org'"), "1");
}

TEST_P(AuthorityTest, OnlyWhoAdministersAnAccountGivesItAnotherDomain) {
  a_.reset();
  b_.reset();
  start(options(false));
  ASSERT_TRUE(login("owner"));
  a_->instance.sql("UPDATE accounts SET domain = 'old.example', domain_category = 'public'");
  a_->instance.sql("UPDATE users SET role = 'user'");
  ASSERT_TRUE(login("owner", of_domain("example.org")));
  EXPECT_EQ(value("SELECT domain FROM accounts"), "old.example");
  a_->instance.sql("UPDATE users SET role = 'admin'");
  ASSERT_TRUE(login("owner", of_domain("example.org"), 1));
  EXPECT_EQ(value("SELECT domain FROM accounts"), "example.org");
}

TEST_P(AuthorityTest, BlockingCountsWithTheNextCallOnEveryInstance) {
  ASSERT_TRUE(login("owner"));
  a_->instance.sql("UPDATE users SET blocked = TRUE WHERE id = 'owner'");
  for (int i = 0; i < 2; ++i) {
    const auto caller = login("owner", "", i);
    ASSERT_TRUE(caller);
    EXPECT_TRUE(caller->known.user.blocked);
  }
}

TEST_P(AuthorityTest, TokensOfOthersAreRefused) {
  const auto stranger = crypto::SigningKey::generate(crypto::JwsAlg::kEs256);
  ASSERT_TRUE(stranger);
  for (const std::string& bad : {std::string("x"), std::string("a.b.c"), std::string(20'000, 'a'),
                                 stranger->sign("{}", "JWT"), provider_key().sign("{}", "JWT"),
                                 token("u") + "x", token("")}) {
    const auto caller = get(a_->authority.bearer(soon(), bad));
    ASSERT_FALSE(caller);
    EXPECT_EQ(caller.error().code, Code::kUnauthenticated) << caller.error().text;
  }
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts"), "0");
}

TEST_P(AuthorityTest, APersonalTokenWrittenBySqlWorksAtOnce) {
  ASSERT_TRUE(login("owner"));
  const std::string good = insert_pat("owner", "2099-01-01 00:00:00");
  EXPECT_EQ(value("SELECT last_used FROM personal_access_tokens"), "");
  for (int i = 0; i < 2; ++i) {
    const auto caller = get(side(i).authority.personal_token(soon(), good));
    ASSERT_TRUE(caller) << caller.error().text;
    EXPECT_EQ(caller->known.user.id, UserId("owner"));
    EXPECT_EQ(caller->scheme, Scheme::kPersonalToken);
  }
  const std::string used = value("SELECT last_used FROM personal_access_tokens");
  EXPECT_NE(used, "");
  ASSERT_TRUE(get(a_->authority.personal_token(soon(), good)));
  EXPECT_EQ(value("SELECT last_used FROM personal_access_tokens"), used);  // once a minute
  a_->instance.sql("DELETE FROM personal_access_tokens");
  for (int i = 0; i < 2; ++i) {
    const auto gone = get(side(i).authority.personal_token(soon(), good));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error(), fail(Code::kUnauthenticated, "token invalid"));
  }
}

TEST_P(AuthorityTest, BadPersonalTokensAllSoundTheSame) {
  ASSERT_TRUE(login("owner"));
  std::string altered = insert_pat("owner", "2099-01-01 00:00:00");
  altered[10] = altered[10] == 'a' ? 'b' : 'a';
  const Secret unknown = crypto::generate_token(crypto::TokenKind::kPersonal, random_source());
  for (const std::string& bad : {std::string("nbp_x"), altered, std::string(unknown.reveal()),
                                 insert_pat("owner", "2020-01-01 00:00:00")}) {
    const auto caller = get(a_->authority.personal_token(soon(), bad));
    ASSERT_FALSE(caller);
    EXPECT_EQ(caller.error(), fail(Code::kUnauthenticated, "token invalid"));
  }
}

TEST_P(AuthorityTest, GroupsOfTheTokenBecomeAutoGroupsAndMoveThePeers) {
  ASSERT_TRUE(login("owner"));
  a_->instance.sql(
      "UPDATE accounts SET settings_jwt_groups_enabled = TRUE, settings_jwt_groups_claim_name = "
      "'groups'");
  a_->instance.sql(
      "INSERT INTO groups (id, account_id, public_id, name, issued, resources, "
      "integration_ref_id, integration_ref_integration_type) SELECT 'g-api', id, 'p', 'admins', "
      "'api', '[]', 0, '' FROM accounts");
  auto snapshot =
      get(a_->instance.store->snapshot(soon(), get(a_->instance.store->first_account(soon()))->id));
  const auto before = (*snapshot)->account.serial;
  const std::string claim = R"(,"groups":["ops","admins","dev"])";
  ASSERT_TRUE(login("owner", claim));
  EXPECT_EQ(a_->changes.commits, 1);  // the founder joined nobody
  EXPECT_EQ(value("SELECT COUNT(*) FROM groups WHERE issued = 'jwt'"), "2");
  // A group of another origin is not given by a token.
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE auto_groups LIKE '%g-api%'"), "0");
  ASSERT_TRUE(login("owner", claim, 1));
  snapshot = get(a_->instance.store->snapshot(soon(), (*snapshot)->account.id));
  EXPECT_EQ((*snapshot)->account.serial, before + 1);  // the second call wrote nothing
  EXPECT_EQ((*snapshot)->users.begin()->auto_groups.size(), 2U);
  ASSERT_TRUE(login("owner", R"(,"groups":"ops")"));
  snapshot = get(a_->instance.store->snapshot(soon(), (*snapshot)->account.id));
  EXPECT_EQ((*snapshot)->users.begin()->auto_groups.size(), 1U);
}

TEST_P(AuthorityTest, ColleaguesWhoComeFirstTogetherFoundOneAccount) {  // scenario 74
  a_.reset();
  b_.reset();
  start(options(false));
  const std::string claims =
      R"(,"nb/wt_account_domain":"example.org","nb/wt_account_domain_category":"private")";
  nb::test::together(6, [&](int i) {
    const auto caller = login("colleague-" + std::to_string(i), claims, i);
    EXPECT_TRUE(caller) << caller.error().text;
  });
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE role = 'owner'"), "1");
}

TEST_P(AuthorityTest, DomainIsTakenByOneOfManyAccounts) {
  a_.reset();
  b_.reset();
  start(options(false));
  constexpr int kAccounts = 6;
  for (int i = 0; i < kAccounts; ++i) ASSERT_TRUE(login("user-" + std::to_string(i)));
  nb::test::together(kAccounts, [&](int i) {
    const auto caller = login("user-" + std::to_string(i), of_domain("example.org"), i);
    EXPECT_TRUE(caller) << caller.error().text;
  });
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts WHERE domain = 'example.org' AND "
                  "domain_category = 'private' AND is_domain_primary_account"),
            "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM accounts WHERE domain = ''"), "5");
}

TEST_P(AuthorityTest, ANewGroupOfManyTokensIsMadeOnce) {  // scenario 75
  ASSERT_TRUE(login("owner"));
  a_->instance.sql(
      "UPDATE accounts SET settings_jwt_groups_enabled = TRUE, settings_jwt_groups_claim_name = "
      "'groups'");
  nb::test::together(6, [&](int i) {
    const auto caller = login("user-" + std::to_string(i), R"(,"groups":["staff"])", i);
    EXPECT_TRUE(caller) << caller.error().text;
  });
  EXPECT_EQ(value("SELECT COUNT(*) FROM groups WHERE name = 'staff' AND issued = 'jwt'"), "1");
  const std::string id = value("SELECT id FROM groups WHERE name = 'staff'");
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE auto_groups = '[\"" + id + "\"]'"), "6");
}

TEST_P(AuthorityTest, GroupsOfTheTokenGiveAndTakeIpv6Addresses) {  // contract/network-map.md §6.4
  ASSERT_TRUE(login("owner"));
  a_->instance.sql(
      "UPDATE accounts SET settings_jwt_groups_enabled = TRUE, settings_jwt_groups_claim_name = "
      "'groups', settings_ipv6_enabled_groups = '[\"g-six\"]'");
  a_->instance.sql(
      "INSERT INTO groups (id, account_id, public_id, name, issued, resources, "
      "integration_ref_id, integration_ref_integration_type) SELECT 'g-six', id, 'p', 'six', "
      "'jwt', '[]', 0, '' FROM accounts");
  Registration machine;
  machine.key = fresh_peer_key();
  machine.user = UserId("owner");
  machine.name = machine.meta.hostname = "laptop";
  const auto joined = get(a_->instance.store->register_peer(soon(), machine));
  ASSERT_TRUE(joined) << joined.error().text;
  const auto stored = [&] {
    return get(b_ ? b_->instance.store->snapshot(soon(), joined->peer.account_id)
                  : a_->instance.store->snapshot(soon(), joined->peer.account_id));
  };
  EXPECT_FALSE((*stored())->peer(joined->peer.id)->ipv6.is_set());
  ASSERT_TRUE(login("owner", R"(,"groups":["six"])"));
  const auto with = *stored();
  EXPECT_TRUE(with->account.network.net_v6.contains(with->peer(joined->peer.id)->ipv6));
  ASSERT_TRUE(login("owner", R"(,"groups":["other"])"));
  EXPECT_FALSE((*stored())->peer(joined->peer.id)->ipv6.is_set());
  // Those who follow the change log see it, too.
  const auto delta =
      get(a_->instance.store->changes(soon(), joined->peer.account_id, with->account.serial));
  ASSERT_TRUE(delta && *delta);
  EXPECT_FALSE(applied(*with, **delta)->peer(joined->peer.id)->ipv6.is_set());
}

TEST_P(AuthorityTest, AnAllowListKeepsOthersOut) {
  ASSERT_TRUE(login("owner"));
  a_->instance.sql(
      "UPDATE accounts SET settings_jwt_groups_enabled = TRUE, settings_jwt_groups_claim_name = "
      "'groups', settings_jwt_allow_groups = '[\"staff\"]'");
  EXPECT_TRUE(login("owner", R"(,"groups":["staff"])"));
  const auto out = login("owner", R"(,"groups":["guests"])");
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error(),
            fail(Code::kPermissionDenied, "user does not belong to any of the allowed JWT groups"));
  // Damaged it lets in nobody, where an empty one would let in everybody.
  a_->instance.sql("UPDATE accounts SET settings_jwt_allow_groups = '[\"staff\"'");
  const auto damaged = login("owner", R"(,"groups":["staff"])");
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::kPermissionDenied);
}

TEST_P(AuthorityTest, AgentsGetTheTextsOfTheirContract) {
  const auto good = get(a_->authority.identify(soon(), Secret(token("agent-user"))));
  ASSERT_TRUE(good) << good.error().text;
  EXPECT_EQ(good->user, UserId("agent-user"));
  EXPECT_GT(good->expires_at, system_clock().wall());
  const auto bad = get(a_->authority.identify(soon(), Secret("nonsense")));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Code::kInvalidArgument);
  EXPECT_TRUE(bad.error().text.starts_with("invalid jwt token, err: ")) << bad.error().text;
  const auto endless = get(a_->authority.identify(
      soon(), Secret(provider_key().sign(
                  R"({"iss":"https://idp.example.org","aud":"nb","sub":"u"})", "JWT"))));
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error(), fail(Code::kUnauthenticated, "jwt token has no expiration"));
}

TEST_P(AuthorityTest, ADatabaseThatIsBusySaysNothingOfATokensUser) {  // management-grpc.md §4
  const auto database = fixture_.open(sql::test::FullQueue::options());
  const SqlStoreParts parts{*database, &example_cipher(), random_source(), system_clock(), {},
                            nullptr};
  const auto identities = make_sql_identity_store(parts, {});
  Authority busy({*identities, &a_->keys, a_->changes, nullptr, system_clock(), Logger()},
                 options());
  {
    const sql::test::FullQueue full(*database, {.read_only = true});
    const auto refused = get(busy.identify(soon(), Secret(token("owner"))));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnavailable) << refused.error().text;
  }
  EXPECT_TRUE(get(busy.identify(soon(), Secret(token("owner")))));
}

TEST_P(AuthorityTest, TransactionsThatNeverGetThroughSayNothingOfATokensUser) {
  if (GetParam() == sql::Engine::kSqlite) GTEST_SKIP() << "one writer conflicts with nobody";
  a_->instance.sql(
      "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
      "'conflict' USING ERRCODE = '40001'; END $$; CREATE TRIGGER conflict BEFORE INSERT ON users "
      "FOR EACH ROW EXECUTE FUNCTION conflict()");
  const double before = a_->instance.retries();
  const auto refused = get(a_->authority.identify(soon(), Secret(token("owner"))));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable) << refused.error().text;
  EXPECT_EQ(a_->instance.retries() - before, 5) << "contract/network-map.md §7 \"retries\"";
  a_->instance.sql("DROP TRIGGER conflict ON users");
  EXPECT_TRUE(get(a_->authority.identify(soon(), Secret(token("owner")))));
}

INSTANTIATE_TEST_SUITE_P(Engines, AuthorityTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management::auth
