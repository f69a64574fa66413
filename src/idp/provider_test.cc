// The port that management uses, seeds, the import of Dex, keys.
#include "crypto/jose.h"
#include "crypto/password.h"
#include "idp/dex_import.h"
#include "idp/test_rig.h"
#include "support/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <future>

namespace nb::idp::test {
namespace {
using management::NewIdpUser;
using ::testing::HasSubstr;

std::string unpacked(const std::string& name) {
  const std::string path = nb::test::source_dir() + "/tests/data/upstream/" + name;
  const gzFile file = gzopen(path.c_str(), "rb");
  NB_ASSERT(file != nullptr);
  std::string text;
  std::array<char, 16384> buffer{};
  for (int n = 0; (n = gzread(file, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  gzclose(file);
  return text;
}

// Statements only: the transaction is ours.
std::string statements(const std::string& dump) {
  std::string out;
  std::size_t at = 0;
  while (at < dump.size()) {
    const auto end = std::min(dump.find('\n', at), dump.size());
    const std::string line = dump.substr(at, end - at);
    at = end + 1;
    if (line == "BEGIN;" || line == "COMMIT;" || line.starts_with("PRAGMA")) continue;
    out += line + "\n";
  }
  return out;
}

class IdpProvider : public ::testing::TestWithParam<sql::Engine> {
 protected:
  void load_dex(Rig& rig) {
    const bool postgres = GetParam() == sql::Engine::kPostgres;
    const std::string dump = statements(
        unpacked(postgres ? "example-idp.postgres.sql.gz" : "example-idp.sqlite.sql.gz"));
    const auto database = rig.store().open();
    const auto done = database->run_blocking<void>(
        soon(), {}, [&](sql::Session& session) { return session.script(dump); });
    ASSERT_TRUE(done) << done.error().text;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, IdpProvider,
                         ::testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& engine) {
                           return engine.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
                         });

TEST_P(IdpProvider, TakesOverUsersKeysAndConnectorsOfDex) {
  Rig rig(GetParam(), {}, /*start=*/false);
  load_dex(rig);
  rig.start_nodes();
  Browser browser(rig);
  const Page tokens = tokens_of(browser, "Owner@example.org", "Owner-Passw0rd!");
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const std::string owner = GetParam() == sql::Engine::kSqlite
                                ? "CiQ2NzA5ZTBjMS1mYzFlLTQyOWMtYTc1ZC1iZTczMjMzMDkwYWQSBWxvY2Fs"
                                : "CiRhM2JjODM2Yy1iY2FlLTQ3MDQtOWRhNy01Yjg1MDVhMWI2MjISBWxvY2Fs";
  const auto claims = claims_of(tokens.text("access_token"));
  EXPECT_EQ(claims.at("sub").as_string(), owner);
  EXPECT_EQ(claims.at("name").as_string(), "Olivia Owner");
  // The old signing key goes on: 40 hex digits are Dex's kid.
  EXPECT_EQ(crypto::Jws::parse(tokens.text("access_token"))->kid.size(), 40U);
  // bcrypt was verified once and replaced; the next login uses the new hash.
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_user WHERE hash LIKE '$argon2id$%'"), 1);
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_user WHERE hash LIKE '$2a$10$%'"), 6);
  EXPECT_EQ(log_in(browser, "owner@example.org", "Owner-Passw0rd!", {{"prompt", "login"}}).status,
            303);
  const auto connectors = rig.await([&] { return rig.provider().connectors(soon()); });
  ASSERT_TRUE(connectors);
  ASSERT_EQ(connectors->size(), 1U);
  EXPECT_EQ(connectors->front().name, "Example OIDC");
  EXPECT_EQ(connectors->front().type, "oidc");
  // What was there stays as it was.
  EXPECT_EQ(rig.count("SELECT count(*) FROM password"), 7);
}

// As upstream had it from its first embedded provider (January 2026) to its second factors (May
// 2026). Once, nothing of it was taken over, without a word: nobody could log in any more.
TEST_P(IdpProvider, TakesOverAnOlderDexToo) {
  for (const bool with_identities : {false, true}) {
    Rig rig(GetParam(), {}, /*start=*/false);
    load_dex(rig);
    const auto made =
        rig.store().open()->run_blocking<void>(soon(), {}, [&](sql::Session& session) -> Result<> {
          if (with_identities)
            NB_TRY(session.script("ALTER TABLE user_identity DROP COLUMN mfa_secrets"));
          else
            NB_TRY(session.script("DROP TABLE user_identity"));
          return session.script(
              "ALTER TABLE password DROP COLUMN name;"
              "ALTER TABLE password DROP COLUMN email_verified;"
              "ALTER TABLE password DROP COLUMN preferred_username;"
              "ALTER TABLE password DROP COLUMN groups");
        });
    ASSERT_TRUE(made) << made.error().text;
    rig.start_nodes();
    Browser browser(rig);
    const Page tokens = tokens_of(browser, "owner@example.org", "Owner-Passw0rd!");
    ASSERT_EQ(tokens.status, 200) << tokens.body;
    EXPECT_EQ(claims_of(tokens.text("access_token")).at("name").as_string(), "Olivia Owner");
    EXPECT_EQ(crypto::Jws::parse(tokens.text("access_token"))->kid.size(), 40U);
    EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_user"), 7);
    EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_connector"), 1);
  }
}

TEST_P(IdpProvider, FirstUserIsMadeOnceHoweverManyAskAtOnce) {
  // They outlive the rig's hashing threads, which still let go of a loop when its answer is there.
  std::vector<std::unique_ptr<nb::test::HomeLoop>> loops;
  Rig rig(GetParam());
  EXPECT_FALSE(*rig.await([&] { return rig.provider().has_local_users(soon()); }));
  std::vector<std::future<Result<management::MadeIdpUser>>> all;
  for (int i = 0; i < 6; ++i) {
    loops.push_back(std::make_unique<nb::test::HomeLoop>());
    Provider& provider = rig.provider(static_cast<std::size_t>(i));
    all.push_back(loops.back()->start([&provider, i] {
      return provider.create_first_user(soon(), {.email = "u" + std::to_string(i) + "@example.org",
                                                 .name = "U",
                                                 .password = Secret("12345678"),
                                                 .rule = management::PasswordRule::kLength});
    }));
  }
  int made = 0;
  for (auto& one : all) {
    const auto result = one.get();
    made += result ? 1 : 0;
    if (!result) {
      EXPECT_EQ(result.error().code, Code::kFailedPrecondition) << result.error().text;
    }
  }
  EXPECT_EQ(made, 1);
}

TEST_P(IdpProvider, UsersAreUniqueCheckedAndGetGoodPasswords) {
  Rig rig(GetParam());
  const auto code = [&](NewIdpUser user) {
    const auto made = rig.await([&] { return rig.provider(1).create_user(soon(), user); });
    return made ? Code::kOk : made.error().code;
  };
  EXPECT_EQ(code({.email = "a@example.org", .name = "A", .password = Secret(kPassword)}),
            Code::kOk);
  EXPECT_EQ(code({.email = "A@EXAMPLE.ORG", .name = "A", .password = Secret(kPassword)}),
            Code::kAlreadyExists);
  EXPECT_EQ(code({.email = "A <a@b.c>", .name = "A", .password = Secret(kPassword)}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.email = "b@example.org", .name = "", .password = Secret(kPassword)}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.email = "b@example.org", .name = "B", .password = Secret("simple12")}),
            Code::kInvalidArgument);
  EXPECT_EQ(code({.email = "b@example.org", .name = "B", .password = Secret(std::string(73, 'A'))}),
            Code::kInvalidArgument);
  const auto made = rig.await([&] {
    return rig.provider().create_user(soon(),
                                      {.email = "c@example.org", .name = "C", .password = {}});
  });
  ASSERT_TRUE(made);
  EXPECT_EQ(made->password.reveal().size(), 16U);
  EXPECT_TRUE(management::check_password(made->password, management::PasswordRule::kComplex));
  Browser browser(rig);
  EXPECT_EQ(log_in(browser, "c@example.org", std::string(made->password.reveal())).status, 303);
  const auto found =
      rig.await([&] { return rig.provider().find_user_by_email(soon(), "C@example.org"); });
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->id, made->user.id);
  // Neither address nor name is stored in clear text.
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_user WHERE email LIKE '%example%'"), 0);
}

Code change_password(Rig& rig, const management::MadeIdpUser& user, const std::string& old_password,
                     const std::string& new_password, const std::string& address = "192.0.2.9") {
  const auto done = rig.await([&] {
    management::PasswordChange change{Secret(old_password), Secret(new_password), address};
    return rig.provider(1).change_password(soon(), user.user.id, std::move(change));
  });
  return done ? Code::kOk : done.error().code;
}

TEST_P(IdpProvider, ChangedPasswordEndsAllLogins) {
  Rig rig(GetParam());
  const auto user = rig.add_user("owner@example.org");
  Browser browser(rig);
  const Page tokens = tokens_of(browser, "owner@example.org");
  const auto change = [&](std::string old_password, std::string new_password) {
    return change_password(rig, user, old_password, new_password);
  };
  EXPECT_EQ(change("Wrong-Passw0rd", "New-Passw0rd!"), Code::kUnauthenticated);
  EXPECT_EQ(change(kPassword, "simple12"), Code::kInvalidArgument);
  EXPECT_EQ(change(kPassword, "New-Passw0rd!"), Code::kOk);
  EXPECT_EQ(query_of(browser.get(authorize_url({{"prompt", "none"}})).location)["error"],
            "login_required");
  EXPECT_EQ(browser
                .post("/oauth2/token", {{"grant_type", "refresh_token"},
                                        {"refresh_token", tokens.text("refresh_token")},
                                        {"client_id", "netbird-dashboard"}})
                .status,
            400);
  EXPECT_EQ(log_in(browser, "owner@example.org").status, 401);
  EXPECT_EQ(log_in(browser, "owner@example.org", "New-Passw0rd!").status, 303);
  for (int i = 0; i < 5; ++i) change("Wrong-Passw0rd", "Other-Passw0rd1");
  EXPECT_EQ(change("New-Passw0rd!", "Other-Passw0rd1"), Code::kResourceExhausted);
}

/// Lets `table` lose no row, as a database does that goes away in the middle.
void keep_rows(Rig& rig, const std::string& table) {
  const auto made = rig.database().run_blocking<void>(soon(), {}, [&](sql::Session& session) {
    return session.script(
        session.postgres()
            ? "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
              "'kept'; END $$; CREATE TRIGGER keep BEFORE DELETE ON " +
                  table + " FOR EACH ROW EXECUTE FUNCTION keep()"
            : "CREATE TRIGGER keep BEFORE DELETE ON " + table +
                  " BEGIN SELECT RAISE(ABORT, 'kept'); END");
  });
  ASSERT_TRUE(made) << made.error().text;
}

TEST_P(IdpProvider, PasswordsChangeOnlyTogetherWithTheEndOfAllLogins) {
  Rig rig(GetParam());
  const auto user = rig.add_user("owner@example.org");
  Browser browser(rig);
  ASSERT_EQ(tokens_of(browser, "owner@example.org").status, 200);
  keep_rows(rig, "nb_idp_session");
  EXPECT_NE(change_password(rig, user, kPassword, "New-Passw0rd!"), Code::kOk);
  const auto set = rig.await(
      [&] { return rig.provider().set_password(soon(), user.user.id, Secret("New-Passw0rd!")); });
  EXPECT_FALSE(set);
  Browser another(rig);
  EXPECT_EQ(log_in(another, "owner@example.org", "New-Passw0rd!").status, 401);
  EXPECT_EQ(log_in(another, "owner@example.org").status, 303);
}

TEST_P(IdpProvider, SecondFactorsGoOnlyTogetherWithAllLogins) {
  Rig rig(GetParam());
  const auto user = rig.add_user("owner@example.org");
  Browser browser(rig);
  ASSERT_EQ(tokens_of(browser, "owner@example.org").status, 200);
  rig.mfa(true);
  Browser another(rig);
  another.get(log_in(another, "owner@example.org").location);  // begins to enrol
  ASSERT_EQ(rig.count("SELECT count(*) FROM nb_idp_mfa"), 1);
  keep_rows(rig, "nb_idp_session");
  EXPECT_FALSE(rig.await([&] { return rig.provider().reset_mfa(soon(), user.user.id); }));
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_mfa"), 1);
}

management::IdpNote note_of(management::Activity activity) {
  management::IdpNote note;
  note.activity = activity;
  note.actor = management::UserId("owner-1");
  note.account = management::AccountId("account-1");
  return note;
}

management::IdpConnectorChange microsoft(const std::string& name, const std::string& secret) {
  return {.type = "microsoft",
          .name = name,
          .issuer = "",
          .client_id = "client",
          .client_secret = Secret(secret)};
}

TEST_P(IdpProvider, WhatIsToBeToldOfAChangeIsKeptWithIt) {
  using management::Activity;
  Rig rig(GetParam());
  const auto notes = [&] {
    auto all = rig.await([&] { return rig.provider(1).notes(soon(), 10); });
    NB_ASSERT(all.has_value());
    return *std::move(all);
  };
  auto change = microsoft("Corp", "s");
  change.note = note_of(Activity::kIdentityProviderCreated);
  const auto made = rig.await([&] { return rig.provider().create_connector(soon(), change); });
  ASSERT_TRUE(made) << made.error().text;
  change.name = "Corp 2";
  change.note = note_of(Activity::kIdentityProviderUpdated);
  ASSERT_TRUE(
      rig.await([&] { return rig.provider(1).update_connector(soon(), made->id, change); }));
  ASSERT_TRUE(rig.await([&] {
    return rig.provider().delete_connector(soon(), made->id,
                                           note_of(Activity::kIdentityProviderDeleted));
  }));
  const auto all = notes();
  ASSERT_EQ(all.size(), 3U);
  const std::vector<Activity> wanted = {Activity::kIdentityProviderCreated,
                                        Activity::kIdentityProviderUpdated,
                                        Activity::kIdentityProviderDeleted};
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].activity, wanted[i]);
    EXPECT_EQ(all[i].actor.value(), "owner-1");
    EXPECT_EQ(all[i].account.value(), "account-1");
    EXPECT_EQ(all[i].target, made->id);
    EXPECT_EQ(all[i].name, i == 0 ? "Corp" : "Corp 2");
    EXPECT_LT(std::chrono::abs(all[i].at - std::chrono::system_clock::now()), 1min);
  }
  for (const auto& note : all)
    ASSERT_TRUE(rig.await([&] { return rig.provider().forget_note(soon(), note.key); }));
  EXPECT_TRUE(notes().empty());
  // What is refused leaves nothing to be told.
  EXPECT_FALSE(rig.await([&] { return rig.provider().update_connector(soon(), "x", change); }));
  EXPECT_FALSE(
      rig.await([&] { return rig.provider().delete_connector(soon(), "x", change.note); }));
  EXPECT_TRUE(notes().empty());
}

TEST(IdpConnectorChange, SecretThatIsToBeKeptIsTheNewestOne) {
  std::vector<std::unique_ptr<nb::test::HomeLoop>> loops;
  Rig rig(sql::Engine::kPostgres);
  const auto made = rig.await(
      [&] { return rig.provider().create_connector(soon(), microsoft("Corp", "first")); });
  ASSERT_TRUE(made) << made.error().text;
  // Both have read the connector when the first of them may write.
  auto other = rig.store().open();
  std::vector<std::future<Result<management::IdpConnector>>> both;
  const auto held = other->run_blocking<void>(soon(), {}, [&](sql::Session& session) -> Result<> {
    NB_TRY(session.query("SELECT id FROM nb_idp_connector FOR UPDATE"));
    for (const std::string& secret : {std::string("second"), std::string()}) {
      loops.push_back(std::make_unique<nb::test::HomeLoop>());
      both.push_back(loops.back()->start([&rig, &made, secret] {
        return rig.provider().update_connector(soon(), made->id, microsoft("Corp", secret));
      }));
      const std::size_t waiting = both.size();
      EXPECT_TRUE(nb::test::eventually(
          [&] {
            return rig.count("SELECT count(*) FROM pg_locks WHERE NOT granted") >=
                   static_cast<std::int64_t>(waiting);
          },
          nb::test::patient(20s)));
    }
    return {};
  });
  ASSERT_TRUE(held) << held.error().text;
  for (auto& one : both) EXPECT_TRUE(one.get());
  crypto::SystemRandom random;
  const auto vault = Vault::make({kDataKey}, random);
  const auto row = rig.database().run_blocking<sql::Rows>(soon(), {}, [](sql::Session& session) {
    return session.query("SELECT config FROM nb_idp_connector");
  });
  ASSERT_TRUE(row && vault);
  const auto config = vault->open(Purpose::kConnectors, (*row)[0].text(0),
                                  {"nb_idp_connector", "config", made->id});
  ASSERT_TRUE(config);
  EXPECT_THAT(*config, HasSubstr(R"("clientSecret":"second")"));
}

// Once, all failed changes of all users counted for one address.
TEST_P(IdpProvider, WrongOldPasswordsOfOthersStopNobody) {
  Rig rig(GetParam());
  const auto victim = rig.add_user("victim@example.org");
  const std::string wrong = "Wrong-Passw0rd";
  const std::string fresh = "New-Passw0rd!";
  // Many guessers, each from an address of his own: none of them meets a lock of the others.
  std::vector<management::MadeIdpUser> guessers;
  for (int i = 0; i < 26; ++i)
    guessers.push_back(rig.add_user("guesser" + std::to_string(i) + "@example.org"));
  for (std::size_t i = 0; i < guessers.size(); ++i)
    for (int attempt = 0; attempt < 4; ++attempt)
      ASSERT_EQ(change_password(rig, guessers[i], wrong, fresh, "198.51.100." + std::to_string(i)),
                Code::kUnauthenticated);
  EXPECT_EQ(change_password(rig, victim, kPassword, fresh), Code::kOk);
  // Who guesses at one user is locked where he is, and the user is not where she is.
  const auto owner = rig.add_user("owner@example.org");
  for (int attempt = 0; attempt < 5; ++attempt)
    change_password(rig, owner, wrong, fresh, "198.51.100.77");
  EXPECT_EQ(change_password(rig, owner, kPassword, fresh, "198.51.100.77"),
            Code::kResourceExhausted);
  EXPECT_EQ(change_password(rig, owner, kPassword, fresh), Code::kOk);
}

TEST_P(IdpProvider, DeletedUserIsGoneAndHisTokensAreRemembered) {
  Rig rig(GetParam());
  const auto user = rig.add_user("owner@example.org");
  Browser browser(rig);
  const Page tokens = tokens_of(browser, "owner@example.org");
  const WallTime issued{
      std::chrono::seconds(claims_of(tokens.text("access_token")).at("iat").as_int64())};
  const auto deleted = [&](WallTime at) {
    return *rig.await([&] { return rig.provider(1).deleted(soon(), user.user.id, at); });
  };
  EXPECT_FALSE(deleted(issued));
  ASSERT_TRUE(rig.await([&] { return rig.provider().delete_user(soon(), user.user.id); }));
  EXPECT_TRUE(deleted(issued));
  EXPECT_FALSE(deleted(issued + 1h));
  EXPECT_EQ(browser.get("/oauth2/userinfo", tokens.text("access_token")).status, 401);
  EXPECT_EQ(log_in(browser, "owner@example.org", kPassword, {{"prompt", "login"}}).status, 401);
  const auto again = rig.await([&] { return rig.provider().delete_user(soon(), user.user.id); });
  EXPECT_EQ(again.error().code, Code::kNotFound);
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_session"), 0);
}

TEST_P(IdpProvider, OwnerOfTheConfigurationIsMadeOnceAndNeverChanged) {
  Options options;
  options.owner =
      OwnerSeed{.email = "owner@example.org", .name = "", .password = Secret(kPassword)};
  Rig rig(GetParam(), options);
  Browser browser(rig);
  EXPECT_EQ(log_in(browser, "owner@example.org").status, 303);
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_user"), 1);
  const auto owner =
      rig.await([&] { return rig.provider().find_user_by_email(soon(), "owner@example.org"); });
  ASSERT_TRUE(owner && *owner);
  ASSERT_TRUE(rig.await([&] {
    management::PasswordChange change{Secret(kPassword), Secret("New-Passw0rd!"), "192.0.2.9"};
    return rig.provider().change_password(soon(), (*owner)->id, std::move(change));
  }));
  rig.options().owner->password = Secret("Third-Passw0rd!");
  rig.restart();
  Browser later(rig);
  EXPECT_EQ(log_in(later, "owner@example.org", "New-Passw0rd!").status, 303);
  for (const std::string& other : {std::string("Third-Passw0rd!"), kPassword}) {
    Browser fresh(rig);
    EXPECT_EQ(log_in(fresh, "owner@example.org", other).status, 401);
  }
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_user"), 1);
}

TEST_P(IdpProvider, OwnersPasswordMayBeGivenAsItsHash) {
  Options options;
  options.owner = OwnerSeed{
      .email = "owner@example.org",
      .name = "",
      .password =
          Secret("$2b$04$z3PKVe28Z6n0dSfWsWc2C.RUqccvg3fDr8wSfIUV2IlXW42WWTDRC")};  // of kPassword
  Rig rig(GetParam(), options);
  Browser browser(rig);
  EXPECT_EQ(log_in(browser, "owner@example.org").status, 303);
  EXPECT_EQ(log_in(browser, "owner@example.org", std::string(options.owner->password.reveal()),
                   {{"prompt", "login"}})
                .status,
            401);
}

TEST_P(IdpProvider, LocalLoginOffNeedsAnotherWayIn) {
  Options options;
  options.local_auth_disabled = true;
  EXPECT_THROW(Rig(GetParam(), options), std::runtime_error);
  options.connectors = {
      {.id = "corp",
       .type = "oidc",
       .name = "Corp",
       .config_json = R"({"issuer":"https://sso.corp.test","clientID":"c","clientSecret":"s"})"}};
  Rig rig(GetParam(), options);
  Browser browser(rig);
  // One way in: straight to it.
  EXPECT_TRUE(browser.get(authorize_url()).location.starts_with("/oauth2/auth/corp?req="));
  const auto made = rig.await([&] {
    return rig.provider().create_user(
        soon(), {.email = "a@example.org", .name = "A", .password = Secret(kPassword)});
  });
  EXPECT_EQ(made.error().code, Code::kFailedPrecondition);
}

TEST_P(IdpProvider, AllInstancesPublishOneKeyAndTheNextOneBeforeItSigns) {
  Rig rig(GetParam());
  const auto first = rig.await([&] { return rig.provider(0).keys(soon()); });
  const auto other = rig.await([&] { return rig.provider(1).keys(soon()); });
  ASSERT_TRUE(first && other);
  EXPECT_EQ(first->jwks, other->jwks);
  EXPECT_EQ(crypto::JwkSet::parse(first->jwks)->keys().size(), 1U);
  EXPECT_GE(first->valid_for, 120s);
  EXPECT_LE(first->valid_for, 3600s);
  EXPECT_EQ(rig.count("SELECT count(*) FROM nb_idp_key WHERE private LIKE '%PRIVATE%'"), 0);
}

TEST(IdpDexImport, ReadsOtpauthUrlsOfOurKindOnly) {
  const auto secret = otpauth_secret(
      "otpauth://totp/"
      "NetBird:o@x.y?algorithm=SHA1&digits=6&issuer=NetBird&period=30&secret=GEZDGNBV");
  ASSERT_TRUE(secret);
  EXPECT_EQ(*secret, "12345");
  for (const auto* bad : {"", "GEZDGNBV", "otpauth://hotp/x?secret=GEZDGNBV",
                          "otpauth://totp/x?secret=1", "otpauth://totp/x?secret=GEZDGNBV&digits=8",
                          "otpauth://totp/x?secret=GEZDGNBV&algorithm=SHA256"})
    EXPECT_FALSE(otpauth_secret(bad)) << bad;
  EXPECT_EQ(connector_type("okta-d5p7eedra0h0lt6f59hg", "oidc"), "okta");
  EXPECT_EQ(connector_type("d5p7eedra0h0lt6f59hg", "oidc"), "oidc");
}

}  // namespace
}  // namespace nb::idp::test
