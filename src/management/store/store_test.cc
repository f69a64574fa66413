// What the store promises, on both engines.
#include "management/store/event_log.h"
#include "management/store/test_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class StoreTest : public FreshAccountTest {
 protected:
  void make_user(const std::string& id, const std::string& flags = "FALSE, FALSE") {
    instance_.sql(
        "INSERT INTO users (id, account_id, role, auto_groups, blocked, pending_approval, name, "
        "email, issued, service_user_name) VALUES ('" +
        id + "', '" + account_.id.value() + "', 'user', '[]', " + flags + ", '', '', 'api', '')");
  }
};

#define EXPECT_FAILS(result, wanted_code, wanted_text)                                          \
  do {                                                                                          \
    const auto& failed = (result);                                                              \
    ASSERT_FALSE(failed);                                                                       \
    EXPECT_EQ(failed.error().code, wanted_code) << failed.error().text;                         \
    EXPECT_NE(failed.error().text.find(wanted_text), std::string::npos) << failed.error().text; \
  } while (false)

TEST_P(StoreTest, ANewAccountHasOwnerAllAndDefaultPolicy) {
  const auto snapshot = get(store().snapshot(soon(), account_.id));
  ASSERT_TRUE(snapshot) << snapshot.error().text;
  const AccountSnapshot& s = **snapshot;
  EXPECT_EQ(s.account.serial, 0U);
  ASSERT_EQ(s.users.size(), 1U);
  EXPECT_EQ(s.users[0].role, "owner");
  EXPECT_EQ(s.users[0].name, "Olga Owner");
  EXPECT_EQ(s.users[0].email, "olga@example.org");
  ASSERT_NE(s.all_group(), nullptr);
  ASSERT_EQ(s.policies.size(), 1U);
  ASSERT_EQ(s.policies[0].rules.size(), 1U);
  EXPECT_EQ(s.policies[0].rules[0].id.value(), s.policies[0].id.value());
  EXPECT_EQ(s.policies[0].rules[0].sources, std::vector<GroupId>{s.all_group()->id});
  EXPECT_EQ(s.account.settings.ipv6_enabled_groups, std::vector<GroupId>{s.all_group()->id});
  EXPECT_EQ(s.account.network.net.length, 16);
  EXPECT_TRUE(Prefix::parse("100.64.0.0/10")->contains(s.account.network.net.address));
  EXPECT_EQ(s.account.settings.peer_login_expiration, 24h);
  // Stored sealed, as the key demands.
  EXPECT_EQ(instance_.value("SELECT name FROM users").find("Olga"), std::string::npos);
}

TEST_P(StoreTest, TheFirstAccountIsMadeOnce) {
  const auto again = get(store().ensure_account(soon(), fresh_account("somebody-else")));
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->second);
  EXPECT_EQ(again->first.id, account_.id);
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM accounts"), "1");
}

TEST_P(StoreTest, ASetupKeyLivesFromCreationToRevocation) {
  const SetupKey key = make_key({.name = "servers", .usage_limit = 3});
  const auto found = get(store().setup_key_by_hash(soon(), key.key));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, key.id);
  EXPECT_EQ(found->usage_limit, 3);
  EXPECT_EQ(get(store().setup_keys(soon(), account_.id))->size(), 1U);
  const auto revoked =
      get(store().revoke_setup_key(soon(), account_.id, key.id, account_.created_by));
  ASSERT_TRUE(revoked) << revoked.error().text;
  EXPECT_TRUE(revoked->revoked);
  ASSERT_TRUE(get(store().revoke_setup_key(soon(), account_.id, key.id, account_.created_by)));
  EXPECT_FAILS(get(store().register_peer(soon(), registration(key))), Code::kNotFound,
               "couldn't add peer: setup key is invalid");
  EXPECT_FAILS(get(store().setup_key(soon(), account_.id, SetupKeyId("none"))), Code::kNotFound,
               "");
  // account.create, setupkey.add and one setupkey.revoke
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM nb_event_outbox"), "3");
}

TEST_P(StoreTest, ASetupKeyNeedsItsGroupsToExist) {
  const auto groups = get(store().groups(soon(), account_.id));
  ASSERT_TRUE(groups);
  const auto with_all = fresh_setup_key(account_.id, {.auto_groups = {groups->front().id}});
  EXPECT_FAILS(get(store().create_setup_key(soon(), with_all, account_.created_by)),
               Code::kInvalidArgument, "All");
  const auto with_unknown = fresh_setup_key(account_.id, {.auto_groups = {GroupId("nope")}});
  EXPECT_FAILS(get(store().create_setup_key(soon(), with_unknown, account_.created_by)),
               Code::kInvalidArgument, "nope");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM setup_keys"), "0");
}

TEST_P(StoreTest, RegistrationDoesEverythingInOneStep) {
  instance_.sql("INSERT INTO groups (id, account_id, public_id, name, issued) VALUES ('g1', '" +
                account_.id.value() + "', '', 'servers', 'api')");
  const SetupKey key = make_key({.auto_groups = {GroupId("g1")}, .allow_extra_dns_labels = true});
  Registration request = registration(key, "Web Server.example.org");
  request.extra_dns_labels = {"www", "*.apps"};
  const auto done = get(store().register_peer(soon(), request));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->serial, 1U);
  EXPECT_EQ(done->groups.size(), 2U);
  const auto view = get(store().peer_by_key(soon(), request.key));
  ASSERT_TRUE(view) << view.error().text;
  const Peer& peer = view->peer;
  EXPECT_EQ(peer.id, done->peer.id);
  EXPECT_EQ(peer.ip, done->peer.ip);
  EXPECT_TRUE(account_.network.net.contains(peer.ip));
  EXPECT_TRUE(account_.network.net_v6.contains(peer.ipv6));
  EXPECT_EQ(peer.dns_label, "web-server");
  EXPECT_EQ(peer.name, "Web Server.example.org");
  EXPECT_EQ(peer.extra_dns_labels, request.extra_dns_labels);
  EXPECT_TRUE(peer.allow_extra_dns_labels);
  EXPECT_FALSE(peer.login_expiration_enabled);
  EXPECT_FALSE(peer.status.connected);
  EXPECT_EQ(peer.location, request.location);
  EXPECT_FALSE(compare_meta(peer.meta, request.meta).any);
  EXPECT_EQ(view->serial, 1U);
  EXPECT_EQ(get(store().setup_key(soon(), account_.id, key.id))->used_times, 1);
  EXPECT_EQ(*get(store().account_of_peer(soon(), request.key)), account_.id);
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM group_peers"), "2");
}

TEST_P(StoreTest, RegistrationRefusesWithTheTextsOfTheContract) {
  const SetupKey key = make_key();
  Registration nobody = registration(key);
  nobody.setup_key.reset();
  EXPECT_FAILS(get(store().register_peer(soon(), nobody)), Code::kPermissionDenied,
               "no peer auth method provided, please use a setup key or interactive SSO login");
  Registration unknown = registration(key);
  unknown.setup_key = SetupKeyHash("bogus");
  EXPECT_FAILS(get(store().register_peer(soon(), unknown)), Code::kNotFound,
               "couldn't add peer: setup key is invalid");
  Registration labels = registration(key);
  labels.extra_dns_labels = {"www"};
  EXPECT_FAILS(get(store().register_peer(soon(), labels)), Code::kFailedPrecondition,
               "couldn't add peer: setup key doesn't allow extra DNS labels");
  const Registration twice = registration(key);
  ASSERT_TRUE(get(store().register_peer(soon(), twice)));
  const SetupKey labelled = make_key({.allow_extra_dns_labels = true});
  labels = registration(labelled, "other");
  labels.extra_dns_labels = {"API", "Box"};  // what the first one is called
  EXPECT_FAILS(get(store().register_peer(soon(), labels)), Code::kFailedPrecondition,
               "extra DNS label 'box' is the name of another peer");
  labels.extra_dns_labels = {"not a label"};
  EXPECT_FAILS(get(store().register_peer(soon(), labels)), Code::kInvalidArgument, "not a label");
  EXPECT_FAILS(get(store().register_peer(soon(), twice)), Code::kFailedPrecondition,
               "peer has been already registered");
  make_user("pending", "TRUE, TRUE");
  make_user("blocked", "TRUE, FALSE");
  Registration user = registration(key);
  user.user = UserId("pending");
  EXPECT_FAILS(get(store().register_peer(soon(), user)), Code::kPermissionDenied,
               "user pending approval cannot add peers");
  user.user = UserId("blocked");
  EXPECT_FAILS(get(store().register_peer(soon(), user)), Code::kPermissionDenied,
               "user is blocked");
  user.user = UserId("nobody");
  EXPECT_FAILS(get(store().register_peer(soon(), user)), Code::kNotFound,
               "failed adding new peer: user not found");
  user.user = account_.created_by;
  user.extra_dns_labels = {"www"};  // or every later login would fail
  EXPECT_FAILS(get(store().register_peer(soon(), user)), Code::kFailedPrecondition,
               "couldn't add peer: setup key doesn't allow extra DNS labels");
  Registration nameless = registration(key);
  nameless.name = "";
  EXPECT_FAILS(get(store().register_peer(soon(), nameless)), Code::kInvalidArgument, "host name");
  // Nothing of the refused ones was left, and nobody's key was used.
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM peers"), "1");
  EXPECT_EQ(get(store().setup_key(soon(), account_.id, key.id))->used_times, 1);
  EXPECT_EQ(serial(), 1U);
}

TEST_P(StoreTest, AUserWinsOverTheSetupKeyAndUsesNone) {
  make_user("uma");
  const SetupKey key = make_key({.type = "one-off"});
  Registration request = registration(key, "iPhone");
  request.user = UserId("uma");
  const auto done = get(store().register_peer(soon(), request));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(done->peer.login_expiration_enabled);
  EXPECT_EQ(done->peer.user_id, UserId("uma"));
  EXPECT_EQ(get(store().setup_key(soon(), account_.id, key.id))->used_times, 0);
}

TEST_P(StoreTest, SameHostNamesGetDifferentLabels) {
  const SetupKey key = make_key();
  const Registered first = add_peer(key, "twin");
  const Registered second = add_peer(key, "twin");
  EXPECT_EQ(first.peer.dns_label, "twin");
  EXPECT_EQ(second.peer.dns_label, suffixed_label("twin", second.peer.ip));
  const SetupKey ephemeral = make_key({.ephemeral = true});
  const Registered third = add_peer(ephemeral, "lone");
  EXPECT_TRUE(third.peer.ephemeral);
  EXPECT_EQ(third.peer.dns_label, suffixed_label("lone", third.peer.ip));
}

TEST_P(StoreTest, ASmallNetworkIsFilledToTheLastAddress) {
  // A /29: six hosts; chance alone would leave some free.
  instance_.sql(R"(UPDATE accounts SET network_net = '{"IP":"100.99.0.0","Mask":"////+A=="}')");
  const SetupKey key = make_key();
  std::vector<IpAddress> used;
  for (int i = 0; i < 6; ++i) used.push_back(add_peer(key, "n" + std::to_string(i)).peer.ip);
  std::sort(used.begin(), used.end());
  EXPECT_EQ(std::unique(used.begin(), used.end()), used.end());
  EXPECT_EQ(used.front().to_string(), "100.99.0.1");
  EXPECT_EQ(used.back().to_string(), "100.99.0.6");
  EXPECT_FAILS(get(store().register_peer(soon(), registration(key, "one-too-many"))),
               Code::kFailedPrecondition, "network 100.99.0.0/29 is out of IPs");
}

TEST_P(StoreTest, ReloginOfAnUnchangedPeerWritesNothing) {
  const SetupKey key = make_key();
  const Registration request = registration(key);
  ASSERT_TRUE(get(store().register_peer(soon(), request)));
  Relogin again{.key = request.key, .user = {}, .ssh_key = request.ssh_key};
  const auto same = get(store().relogin(soon(), again));
  ASSERT_TRUE(same) << same.error().text;
  EXPECT_FALSE(same->was_changed);
  EXPECT_EQ(serial(), 1U);
  again.ssh_key = "ssh-ed25519 BBBB";
  const auto changed = get(store().relogin(soon(), again));
  ASSERT_TRUE(changed);
  EXPECT_TRUE(changed->ssh_key_changed);
  EXPECT_EQ(changed->view.serial, 2U);
  EXPECT_EQ(get(store().peer_by_key(soon(), request.key))->peer.ssh_key, "ssh-ed25519 BBBB");
  again.has_extra_dns_labels = true;
  EXPECT_FAILS(get(store().relogin(soon(), again)), Code::kFailedPrecondition,
               "couldn't login peer: setup key doesn't allow extra DNS labels");
  again.user = UserId("uma");
  EXPECT_FAILS(get(store().relogin(soon(), again)), Code::kPermissionDenied,
               "peer is already registered by a different User or a Setup Key");
  again.key = fresh_peer_key();
  EXPECT_FAILS(get(store().relogin(soon(), again)), Code::kNotFound, "peer is not registered");
}

TEST_P(StoreTest, AnExpiredLoginIsRenewedByItsUserOnly) {
  make_user("uma");
  Registration request = registration(make_key());
  request.user = UserId("uma");
  ASSERT_TRUE(get(store().register_peer(soon(), request)));
  instance_.sql("UPDATE peers SET last_login = '2020-01-01 00:00:00+00:00'");
  const Relogin bare{.key = request.key, .user = {}, .ssh_key = request.ssh_key};
  EXPECT_FAILS(get(store().relogin(soon(), bare)), Code::kPermissionDenied,
               "peer login has expired, please log in once more");
  EXPECT_FAILS(get(store().update_meta(soon(), {.key = request.key, .meta = {}, .location = {}})),
               Code::kPermissionDenied, "peer login has expired, please log in once more");
  Relogin with_user = bare;
  with_user.user = UserId("uma");
  const auto done = get(store().relogin(soon(), with_user));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(done->renewed);
  EXPECT_TRUE(get(store().relogin(soon(), bare)));
  instance_.sql("UPDATE users SET blocked = TRUE WHERE id = 'uma'");
  EXPECT_FAILS(get(store().relogin(soon(), with_user)), Code::kPermissionDenied, "user is blocked");
  EXPECT_FAILS(get(store().update_meta(soon(), {.key = request.key, .meta = {}, .location = {}})),
               Code::kPermissionDenied, "user is blocked");
}

TEST_P(StoreTest, ALoginThatHasNotExpiredKeepsItsDeadline) {  // management-grpc.md §5.2.2
  make_user("uma");
  Registration request = registration(make_key());
  request.user = UserId("uma");
  ASSERT_TRUE(get(store().register_peer(soon(), request)));
  const auto last_login = [&] { return instance_.value("SELECT last_login FROM peers"); };
  const auto events = [&] { return instance_.value("SELECT COUNT(*) FROM nb_event_outbox"); };
  const std::string before = last_login();
  const std::string told = events();
  const auto done = get(store().relogin(soon(), {request.key, request.user, "", false}));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_FALSE(done->renewed);
  EXPECT_TRUE(done->ssh_key_changed) << "to none";
  EXPECT_EQ(instance_.value("SELECT ssh_key FROM peers"), "");
  EXPECT_EQ(last_login(), before);
  EXPECT_EQ(events(), told);
}

TEST_P(StoreTest, MetaIsWrittenOnlyWhenItDiffers) {
  const Registration request = registration(make_key());
  ASSERT_TRUE(get(store().register_peer(soon(), request)));
  MetaUpdate update{.key = request.key, .meta = request.meta, .location = request.location};
  const auto same = get(store().update_meta(soon(), update));
  ASSERT_TRUE(same) << same.error().text;
  EXPECT_FALSE(same->change.any);
  EXPECT_EQ(serial(), 1U);
  update.meta->wt_version = "0.71.0";
  const auto version = get(store().update_meta(soon(), update));
  ASSERT_TRUE(version);
  EXPECT_TRUE(version->change.version);
  EXPECT_EQ(version->view.serial, 2U);
  update.meta->ui_version = "netbird-desktop-ui/0.71.0";  // no map depends on it
  const auto ui = get(store().update_meta(soon(), update));
  ASSERT_TRUE(ui);
  EXPECT_TRUE(ui->change.any);
  EXPECT_EQ(serial(), 2U);
  const auto stored = get(store().peer_by_key(soon(), request.key));
  EXPECT_EQ(stored->peer.meta.wt_version, "0.71.0");
  EXPECT_EQ(stored->peer.meta.ui_version, "netbird-desktop-ui/0.71.0");
  update.meta = PeerMeta{};  // wholly empty: ignored
  EXPECT_FALSE(get(store().update_meta(soon(), update))->change.any);
}

TEST_P(StoreTest, AnUnexpectedConstraintIsOurMistakeAndNotAnAnswer) {
  const SetupKey key = make_key();
  const Registration first = registration(key, "first");
  const Registration second = registration(key, "second");
  ASSERT_TRUE(get(store().register_peer(soon(), first)));
  ASSERT_TRUE(get(store().register_peer(soon(), second)));
  instance_.sql("CREATE UNIQUE INDEX surprise ON peers (meta_hostname)");
  EXPECT_FAILS(
      get(store().update_meta(soon(), {.key = second.key, .meta = first.meta, .location = {}})),
      Code::kInternal, "unique constraint");
}

TEST_P(StoreTest, TextWithANulByteIsRefused) {
  Registration request = registration(make_key());
  request.ssh_key = std::string("a\0b", 3);
  EXPECT_FAILS(get(store().register_peer(soon(), request)), Code::kInvalidArgument, "NUL");
}

TEST_P(StoreTest, ADeletedPeerTakesItsMembershipsPoliciesAndRoutesAlong) {
  const SetupKey key = make_key();
  const Registered peer = add_peer(key, "gone");
  const Registered other = add_peer(key, "stays");
  const std::string id = peer.peer.id.value();
  const std::string account = account_.id.value();
  instance_.sql(
      "INSERT INTO policies (id, public_id, account_id, name, description, enabled) VALUES "
      "('p1', '', '" +
      account +
      "', 'direct', '', TRUE);"
      "INSERT INTO policy_rules (id, policy_id, name, source_resource) VALUES ('p1', 'p1', 'r', "
      "'{\"ID\":\"" +
      id +
      "\",\"Type\":\"peer\"}');"
      "INSERT INTO routes (id, account_id, peer) VALUES ('r1', '" +
      account + "', '" + id + "')");
  ASSERT_TRUE(get(store().connect(soon(), {peer.peer.id, InstanceId("a"), 1})));
  const auto deleted = get(store().delete_peer(soon(), peer.peer.key, ""));
  ASSERT_TRUE(deleted) << deleted.error().text;
  EXPECT_EQ(deleted->serial, 3U);
  EXPECT_EQ(deleted->groups.size(), 1U);
  EXPECT_FAILS(get(store().delete_peer(soon(), peer.peer.key, "")), Code::kNotFound,
               "peer not found: " + peer.peer.key.value());
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM peers"), "1");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM group_peers"), "1");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM policies WHERE id = 'p1'"), "0");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM policy_rules WHERE policy_id = 'p1'"), "0");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM routes"), "0");
  EXPECT_EQ(instance_.value("SELECT COUNT(*) FROM nb_peer_sessions"), "0");
  EXPECT_TRUE(get(store().peer_by_id(soon(), account_.id, other.peer.id)));
}

TEST_P(StoreTest, APeerThatIsARouterIsNotDeleted) {
  const Registered peer = add_peer(make_key());
  instance_.sql(
      "INSERT INTO network_routers (id, network_id, account_id, public_id, peer) VALUES ('nr', "
      "'n', '" +
      account_.id.value() + "', '', '" + peer.peer.id.value() + "')");
  EXPECT_FAILS(get(store().delete_peer(soon(), peer.peer.key, "")), Code::kFailedPrecondition,
               "peer is linked to a network router: nr");
}

TEST_P(StoreTest, APeerThatAServiceLeadsToIsNotDeleted) {  // contract/management-grpc.md §5.8
  const Registered peer = add_peer(make_key());
  const std::string account = account_.id.value();
  const std::string id = peer.peer.id.value();
  instance_.sql("INSERT INTO services (id, account_id, name) VALUES ('svc', '" + account +
                "', 'web')");
  instance_.sql("INSERT INTO targets (account_id, service_id, target_id, target_type) VALUES ('" +
                account + "', 'svc', '" + id + "', 'peer')");
  EXPECT_FAILS(get(store().delete_peer(soon(), peer.peer.key, "")), Code::kFailedPrecondition,
               "peer " + id + " is in use by proxy svc");
}

TEST_P(StoreTest, SerialsOfManyAccountsComeInOneAnswer) {
  (void)add_peer(make_key());
  const auto serials =
      get(store().serials(soon(), {account_.id, AccountId("none"), AccountId("it's \"quoted\"")}));
  ASSERT_TRUE(serials) << serials.error().text;
  ASSERT_EQ(serials->size(), 1U);
  EXPECT_EQ(serials->front().serial, 1U);
  EXPECT_EQ(*get(store().bump_serial(soon(), account_.id)), 2U);
  EXPECT_FAILS(get(store().bump_serial(soon(), AccountId("none"))), Code::kNotFound,
               "account not found");
}

ServerKeyPair fresh_server_key() {
  const auto key = crypto::PrivateKey::generate(random_source());
  return {key.public_key().base64(), key.base64()};
}

TEST_P(StoreTest, TheFirstServerKeyStaysAndRotationKeepsThePreviousOne) {
  const ServerKeyPair mine = fresh_server_key();
  const auto first = get(store().server_keys(soon(), mine));
  ASSERT_TRUE(first) << first.error().text;
  EXPECT_EQ(first->current.public_key, mine.public_key);
  const auto second = get(store().server_keys(soon(), fresh_server_key()));
  EXPECT_EQ(second->current.public_key, mine.public_key);
  EXPECT_EQ(second->current.private_key.reveal(), mine.private_key.reveal());
  EXPECT_FALSE(second->previous);
  EXPECT_EQ(
      instance_.value("SELECT private_key FROM nb_server_keys").find(mine.private_key.reveal()),
      std::string::npos);
  const ServerKeyPair next = fresh_server_key();
  const auto rotated = get(store().rotate_server_key(soon(), mine.public_key, next));
  ASSERT_TRUE(rotated) << rotated.error().text;
  EXPECT_EQ(rotated->current.public_key, next.public_key);
  ASSERT_TRUE(rotated->previous);
  EXPECT_EQ(rotated->previous->private_key.reveal(), mine.private_key.reveal());
  EXPECT_FAILS(get(store().rotate_server_key(soon(), mine.public_key, fresh_server_key())),
               Code::kAborted, "rotated");
}

TEST_P(StoreTest, AnotherDataStoreKeyIsRefusedAtStart) {
  const auto other =
      crypto::FieldCipher::create({crypto::FieldCipher::generate_key(random_source())});
  ASSERT_TRUE(other);
  const Instance wrong(fixture_, &*other);
  EXPECT_FAILS(wrong.prepare(), Code::kFailedPrecondition, "DataStoreEncryptionKey");
  const Instance none(fixture_, nullptr);
  EXPECT_FAILS(none.prepare(), Code::kFailedPrecondition, "DataStoreEncryptionKey");
  EXPECT_TRUE(instance_.prepare());
}

TEST_P(StoreTest, TheInstallationHasOneUpperCaseUuid) {
  const auto id = get(store().installation_id(soon()));
  ASSERT_TRUE(id) << id.error().text;
  EXPECT_EQ(id->size(), 36U);
  EXPECT_EQ(*id, *get(store().installation_id(soon())));
  EXPECT_EQ(std::count_if(id->begin(), id->end(), [](char c) { return c >= 'a' && c <= 'z'; }), 0);
}

TEST_P(StoreTest, EventsReachTheirDatabaseOnceHoweverOftenTheyAreMoved) {
  (void)add_peer(make_key());
  const sql::test::TestDatabase events_fixture(GetParam());
  const auto events = events_fixture.open();
  EventLog log(*instance_.database, *events, {});
  ASSERT_TRUE(log.prepare(soon()));
  instance_.sql("CREATE TABLE saved AS SELECT * FROM nb_event_outbox");
  EXPECT_EQ(*get(log.move(soon(), 100)), 3U);
  // As after a crash between the two databases.
  instance_.sql("INSERT INTO nb_event_outbox SELECT * FROM saved");
  EXPECT_EQ(*get(log.move(soon(), 100)), 3U);
  EXPECT_EQ(*get(log.move(soon(), 100)), 0U);
  const auto rows =
      events->run_blocking<sql::Rows>(soon(), {.read_only = true}, [](sql::Session& s) {
        return s.query("SELECT activity, meta FROM events ORDER BY activity");
      });
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 3U);
  EXPECT_EQ((*rows)[0].integer(0), 1);
  EXPECT_NE((*rows)[0].text(1).find(R"("fqdn":"box.netbird.selfhosted")"), std::string_view::npos);
  EXPECT_NE((*rows)[0].text(1).find(R"("location_geo_name_id":0)"), std::string_view::npos);
  EXPECT_EQ((*rows)[1].text(1), "{}");
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
