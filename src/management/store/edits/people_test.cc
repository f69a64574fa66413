// Commands on peers, keys, users and the account, on both engines.
#include "crypto/access_token.h"
#include "crypto/setup_key.h"
#include "management/store/edits/edit_fixture.h"
#include "management/store/identity_store.h"

#include <gmock/gmock.h>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;

class PeopleTest : public testing::TestWithParam<sql::Engine>, public EditAccount {
 protected:
  PeopleTest() : EditAccount(GetParam()) { events(); }

  User human(const std::string& id, const std::string& role = "user",
             std::vector<GroupId> groups = {}) {
    return must(AddUser{.id = UserId(id),
                        .name = "Name of " + id,
                        .email = id + "@example.org",
                        .role = role,
                        .auto_groups = std::move(groups)});
  }
  Actor as(const User& user) const {
    return {account.id, user.id, user.role, user.is_service_user};
  }
  Peer peer_of(const User& user, const std::string& name) {
    Registration request;
    request.key = fresh_peer_key();
    request.user = user.id;
    request.name = name;
    request.meta.hostname = name;
    auto done = get(instance.store->register_peer(soon(), request));
    EXPECT_TRUE(done) << done.error().text;
    return std::move(done->peer);
  }
  UpdatePeer unchanged(const Peer& peer) {
    return {.id = peer.id,
            .name = peer.name,
            .ssh_enabled = peer.ssh_enabled,
            .login_expiration_enabled = peer.login_expiration_enabled};
  }
  UpdateUser unchanged(const User& user) {
    return {
        .id = user.id, .role = user.role, .auto_groups = user.auto_groups, .blocked = user.blocked};
  }
  SettingsDraft settings() {
    SettingsDraft draft;
    draft.values = get(instance.store->account(soon(), account.id))->settings;
    draft.has_extra = true;
    return draft;
  }
};
std::string engine_name(const testing::TestParamInfo<sql::Engine>& tested) {
  return tested.param == sql::Engine::kSqlite ? "Sqlite" : "Postgres";
}
INSTANTIATE_TEST_SUITE_P(Engines, PeopleTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         engine_name);

// --- setup keys -------------------------------------------------------------------------------

TEST_P(PeopleTest, ASetupKeyIsShownOnceAndRevokedOnce) {
  const Group a = group("a");
  events();
  const std::uint64_t before = serial();
  const NewSetupKey made = must(CreateSetupKey{.request = {.name = "k"}});
  EXPECT_EQ(crypto::hash_setup_key(made.plain.reveal()), made.key.key.value());
  const UpdateSetupKey change{.id = made.key.id, .auto_groups = {a.id}, .revoked = true};
  EXPECT_TRUE(must(change).revoked);
  must(change);
  EXPECT_EQ(events(), (Strings{"setupkey.add", "setupkey.revoke", "setupkey.group.add"}));
  EXPECT_REFUSED(run(UpdateSetupKey{.id = made.key.id}), Code::kInvalidArgument,
                 "can't un-revoke a revoked setup key");
  // Groups are looked at before the key.
  EXPECT_REFUSED(run(UpdateSetupKey{.id = SetupKeyId("x"), .auto_groups = {GroupId("g")}}),
                 Code::kInvalidArgument, "invalid auto groups: group not found: g");
  EXPECT_REFUSED(run(UpdateSetupKey{.id = SetupKeyId("x")}), Code::kNotFound,
                 "setup key: x not found");
  EXPECT_REFUSED(run(CreateSetupKey{.request = {.name = "k", .auto_groups = {all_group().id}}}),
                 Code::kInvalidArgument, "All");
  must(DeleteSetupKey{made.key.id});
  EXPECT_EQ(events(), Strings{"setupkey.delete"});
  EXPECT_EQ(serial(), before);  // no map depends on a key
}

// --- peers ------------------------------------------------------------------------------------

TEST_P(PeopleTest, APeerIsRenamedToAFreeLabel) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  events();
  UpdatePeer change = unchanged(a);
  change.name = "b";
  const Peer renamed = must(change);
  EXPECT_EQ(renamed.dns_label, suffixed_label("b", a.ip));
  EXPECT_EQ(events(), Strings{"peer.rename"});
  change.name = "Bücher";
  EXPECT_EQ(must(change).dns_label, "xn--bcher-kva");
  change.name.clear();
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "name");
  EXPECT_REFUSED(run(UpdatePeer{.id = PeerId("x"), .name = "n"}), Code::kNotFound,
                 "peer not found: x");
}

TEST_P(PeopleTest, APeerThatStaysAsItIsCostsNothing) {
  const Peer a = peer("a");
  events();
  const std::uint64_t before = serial();
  must(unchanged(a));
  EXPECT_EQ(serial(), before);
  EXPECT_TRUE(events().empty());
}

TEST_P(PeopleTest, AnUpdateOfAPeerIsAllOrNothing) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  UpdatePeer change = unchanged(a);
  change.ip = "192.0.2.1";
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "not within");
  change.ip = b.ip.to_string();
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "already assigned");
  change.ip = account.network.net.address.to_string();
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "not within");
  change.ip = "banana";
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "invalid IP address banana");
  const auto free = lowest_free_address(account.network.net, {a.ip, b.ip});
  change.ip = free->to_string();
  change.login_expiration_enabled = true;  // a setup key's peer never logs in
  EXPECT_REFUSED(run(change), Code::kFailedPrecondition,
                 "this peer hasn't been added with the SSO login, therefore the login expiration "
                 "can't be updated");
  EXPECT_EQ(snapshot()->peer(a.id)->ip, a.ip);
  events();
  change.login_expiration_enabled = false;
  change.ssh_enabled = true;
  EXPECT_EQ(must(change).ip, *free);
  EXPECT_EQ(events(), (Strings{"peer.ip.update", "peer.ssh.enable"}));
}

TEST_P(PeopleTest, AnIpv6AddressNeedsAGroupThatHasThem) {
  const Peer a = peer("a");
  UpdatePeer change = unchanged(a);
  change.ipv6 = "fd00::1";
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "not within");
  change.ipv6 = "10.0.0.1";
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "invalid IPv6 address");
  auto bytes = account.network.net_v6.address.bytes();
  bytes[15] = 77;
  change.ipv6 = IpAddress::v6(bytes).to_string();
  EXPECT_EQ(must(change).ipv6.to_string(), *change.ipv6);
  auto draft = settings();
  draft.ipv6_enabled_groups.emplace();
  must(UpdateSettings{draft});
  EXPECT_FALSE(snapshot()->peer(a.id)->ipv6.is_set());
  EXPECT_REFUSED(run(change), Code::kFailedPrecondition, "IPv6");
}

TEST_P(PeopleTest, ADeletedPeerTakesItsPoliciesAlong) {
  const Peer a = peer("a");
  const Peer b = peer("b");
  const Network network = must(SaveNetwork{.name = "n"});
  const NetworkRouter router =
      must(SaveRouter{.network = network.id, .draft = {.peer = b.id, .metric = 1}});
  EXPECT_REFUSED(run(DeletePeer{b.id}), Code::kFailedPrecondition,
                 "peer is linked to a network router: " + router.id.value());
  PolicyRuleDraft rule;
  rule.action = "accept";
  rule.protocol = "all";
  rule.source_resource = Resource{a.id.value(), "peer"};
  rule.destination_resource = Resource{b.id.value(), "peer"};
  must(SavePolicy{.draft = {.name = "direct", .enabled = true, .rules = {rule}}});
  events();
  must(DeletePeer{a.id});
  EXPECT_EQ(events(), (Strings{"policy.delete", "user.peer.delete"}));
  ASSERT_EQ(last.ended.size(), 1U);
  EXPECT_TRUE(last.ended[0].deleted);
  EXPECT_EQ(snapshot()->peer(a.id), nullptr);
  EXPECT_REFUSED(run(DeletePeer{a.id}), Code::kNotFound, "peer not found: ");
}

TEST_P(PeopleTest, TemporaryAccessIsOnePeerWithItsPolicies) {
  const Peer target = peer("target");
  CreateTemporaryPeer request{.target = target.id,
                              .name = "browser",
                              .key = fresh_peer_key(),
                              .rules = {"tcp/80", "nonsense"}};
  EXPECT_REFUSED(run(request), Code::kInvalidArgument, "nonsense");
  EXPECT_EQ(value("SELECT COUNT(*) FROM peers"), "1");
  request.rules = {"tcp/80", "netbird-ssh/22"};
  const Peer made = must(request);
  EXPECT_TRUE(made.ephemeral);
  ASSERT_EQ(last.idle.size(), 1U);
  EXPECT_EQ(value("SELECT COUNT(*) FROM policy_rules WHERE source_resource LIKE '%" +
                  made.id.value() + "%'"),
            "2");
  EXPECT_REFUSED(run(request), Code::kFailedPrecondition, "peer has been already registered");
  must(DeletePeer{made.id});
  EXPECT_EQ(value("SELECT COUNT(*) FROM policies"), "1");  // Default
}

// --- users ------------------------------------------------------------------------------------

TEST_P(PeopleTest, ServiceUsersAreNeverOwners) {
  EXPECT_REFUSED(run(CreateServiceUser{.name = "b", .role = "owner"}), Code::kInvalidArgument,
                 "can't create a service user with owner role");
  EXPECT_REFUSED(run(CreateServiceUser{.name = "b", .role = "king"}), Code::kInvalidArgument,
                 "unknown user role king");
  events();
  const User bot = must(CreateServiceUser{.name = "b", .role = "Auditor"});
  EXPECT_EQ(bot.role, "auditor");
  EXPECT_EQ(events(), Strings{"service.user.create"});
  must(DeleteUser{bot.id});
  EXPECT_EQ(events(), Strings{"service.user.delete"});
}

TEST_P(PeopleTest, AMailBelongsToOneUser) {
  human("ann");
  EXPECT_REFUSED(
      run(AddUser{.id = UserId("x"), .name = "X", .email = "ANN@example.org", .role = "user"}),
      Code::kAlreadyExists, "can't invite a user with an existing NetBird account");
  EXPECT_REFUSED(run(CheckNewUser{.name = "", .email = "e", .role = "user"}),
                 Code::kInvalidArgument, "name can't be empty");
  EXPECT_REFUSED(run(CheckNewUser{.name = "n", .email = "", .role = "user"}),
                 Code::kInvalidArgument, "email can't be empty");
  EXPECT_REFUSED(run(CheckNewUser{.name = "n", .email = "e", .role = "owner"}),
                 Code::kInvalidArgument, "can't invite a user with owner role");
  EXPECT_EQ(value("SELECT email FROM users WHERE id = 'ann'").find("ann@"), std::string::npos);
}

TEST_P(PeopleTest, OwnershipIsHandedOver) {
  const User ann = human("ann", "admin");
  events();
  UpdateUser change = unchanged(ann);
  change.role = "owner";
  EXPECT_REFUSED(run_as(as(ann), UpdateUser{.id = account.created_by, .role = "admin"}),
                 Code::kPermissionDenied, "only owners can remove owner role from their user");
  EXPECT_EQ(must(change).role, "owner");
  EXPECT_EQ(events(), Strings{"transferred.owner.role"});
  EXPECT_EQ(snapshot()->user(account.created_by)->role, "admin");
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE role = 'owner'"), "1");
}

TEST_P(PeopleTest, ABlockedUsersPeersExpire) {
  const User ann = human("ann");
  const Peer laptop = peer_of(ann, "laptop");
  events();
  UpdateUser change = unchanged(ann);
  change.blocked = true;
  must(change);
  EXPECT_EQ(events(), (Strings{"user.block", "peer.login.expire"}));
  ASSERT_EQ(last.ended.size(), 1U);
  EXPECT_EQ(last.ended[0].peer, laptop.id);
  EXPECT_FALSE(last.ended[0].deleted);
  EXPECT_TRUE(snapshot()->peer(laptop.id)->status.login_expired);
  const std::uint64_t before = serial();
  must(change);
  EXPECT_EQ(serial(), before);
  change.blocked = false;
  must(change);
  EXPECT_EQ(events(), Strings{"user.unblock"});
}

TEST_P(PeopleTest, AutoGroupsMoveTheUsersPeers) {
  const Group a = group("a");
  const Group b = group("b");
  const User ann = human("ann", "user", {a.id});
  const Peer laptop = peer_of(ann, "laptop");
  events();
  UpdateUser change = unchanged(ann);
  change.auto_groups = {b.id};
  must(change);
  EXPECT_TRUE(snapshot()->group(a.id)->peers.empty());
  EXPECT_EQ(snapshot()->group(b.id)->peers, std::vector<PeerId>{laptop.id});
  change.auto_groups = {GroupId("x")};
  EXPECT_REFUSED(run(change), Code::kInvalidArgument,
                 "failed to process update for user ann: provided group ID x in the user ann "
                 "update doesn't exist");
  change.auto_groups = {all_group().id};
  EXPECT_REFUSED(run(change), Code::kInvalidArgument, "can't add All group to the user");
  auto draft = settings();
  draft.values.groups_propagation_enabled = false;
  must(UpdateSettings{draft});
  change.auto_groups = {a.id};
  must(change);
  EXPECT_TRUE(snapshot()->group(a.id)->peers.empty());
  draft.values.groups_propagation_enabled = true;
  must(UpdateSettings{draft});  // then they follow
  EXPECT_EQ(snapshot()->group(a.id)->peers, std::vector<PeerId>{laptop.id});
}

TEST_P(PeopleTest, ADeletedUserTakesPeersAndTokensAlong) {
  const User ann = human("ann");
  peer_of(ann, "laptop");
  ASSERT_TRUE(run_as(as(ann), CreateToken{.user = ann.id, .name = "t", .days = 1}));
  events();
  EXPECT_REFUSED(run(DeleteUser{account.created_by}), Code::kInvalidArgument,
                 "self deletion is not allowed");
  EXPECT_REFUSED(run(DeleteUser{UserId("x")}), Code::kNotFound, "user: x not found");
  EXPECT_EQ(must(DeleteUser{ann.id}).email, "ann@example.org");
  EXPECT_EQ(events(), (Strings{"user.peer.delete", "user.delete"}));
  EXPECT_EQ(value("SELECT COUNT(*) FROM personal_access_tokens WHERE user_id = 'ann'"), "0");
  EXPECT_TRUE(snapshot()->peers.empty());
}

TEST_P(PeopleTest, AMachineWhoseUserIsGoneIsRefused) {
  const User ann = human("ann");
  const Peer laptop = peer_of(ann, "laptop");
  const Peer server = peer("server");
  const auto refused = [&](const Peer& peer) {
    return get(instance.store->peer_by_key(soon(), peer.key))->owner_blocked;
  };
  EXPECT_FALSE(refused(laptop));
  instance.sql("DELETE FROM users WHERE id = 'ann'");  // as another program may leave it
  EXPECT_TRUE(refused(laptop));
  EXPECT_FALSE(refused(server));
}

TEST_P(PeopleTest, PendingUsersAreApprovedOrRejected) {
  const User ann = human("ann");
  const User bob = human("bob");
  EXPECT_REFUSED(run(ApproveUser{ann.id}), Code::kInvalidArgument,
                 "user ann is not pending approval");
  instance.sql("UPDATE users SET blocked = TRUE, pending_approval = TRUE WHERE id <> '" +
               account.created_by.value() + "'");
  events();
  const std::uint64_t before = serial();
  EXPECT_FALSE(must(ApproveUser{ann.id}).blocked);
  EXPECT_EQ(serial(), before + 1);  // her peers are told, as when she is unblocked
  must(RejectUser{bob.id});
  EXPECT_EQ(events(), (Strings{"user.approve", "user.delete", "user.reject"}));
  EXPECT_EQ(snapshot()->user(bob.id), nullptr);
}

TEST_P(PeopleTest, ATokenClearsAwayAGroupThatIsGone) {
  const Group kept = group("kept");
  const User ann = human("ann", "user", {kept.id});
  instance.sql("UPDATE users SET auto_groups = '[\"gone\",\"" + kept.id.value() +
               "\"]' WHERE id = 'ann'");  // as servers leave it that do not look
  const auto logins = make_sql_identity_store(instance.parts, {});
  const auto done = get(logins->sync_token_groups(soon(), ann.id, {}));
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_TRUE(done->changed);
  EXPECT_EQ(snapshot()->user(ann.id)->auto_groups, std::vector<GroupId>{kept.id});
  EXPECT_FALSE(get(logins->sync_token_groups(soon(), ann.id, {}))->changed);
  must(unchanged(*snapshot()->user(ann.id)));  // with a dead group it would be refused for ever
}

// --- logins of the identity provider ------------------------------------------------------------

class OpenLoginsTest : public PeopleTest {
 protected:
  Result<User> add(const char* id) {
    return run(AddUser{.id = UserId(id),
                       .name = id,
                       .email = std::string(id) + "@example.org",
                       .role = "user",
                       .closes_login = true});
  }
  std::vector<OpenLogin> open_now(std::chrono::milliseconds age = 0ms) {
    auto out = get(identities->take_open_logins(soon(), age, 10));
    EXPECT_TRUE(out) << out.error().text;
    return *std::move(out);
  }
  std::vector<UserId> taken(std::chrono::milliseconds age = 0ms) {
    std::vector<UserId> out;
    for (OpenLogin& login : open_now(age)) {
      EXPECT_FALSE(login.sessions_only);
      out.push_back(std::move(login.user));
    }
    return out;
  }
  void forget(const UserId& id, bool sessions_only = false) {
    ASSERT_TRUE(get(identities->forget_login(soon(), {id, sessions_only})));
  }
  void open(const char* id) {
    const auto done = get(identities->open_login(soon(), UserId(id)));
    EXPECT_TRUE(done) << done.error().text;
  }
  Result<Enrolled> enrol(const UserId& id, bool closes = false) {
    Enrolment person;
    person.user = id;
    person.single_account = true;
    person.closes_login = closes;
    return get(identities->enrol(soon(), std::move(person)));
  }
  std::unique_ptr<IdentityStore> identities = make_sql_identity_store(instance.parts, {});
};

TEST_P(OpenLoginsTest, AreClosedWithTheUserThatTheyBecome) {
  EXPECT_REFUSED(add("ann"), Code::kFailedPrecondition, "undone");
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE id = 'ann'"), "0");
  open("ann");
  EXPECT_TRUE(taken(1h).empty()) << "somebody is at work";
  ASSERT_TRUE(add("ann"));
  open("owner-2");
  ASSERT_TRUE(enrol(UserId("owner-2"), true));
  EXPECT_EQ(value("SELECT COUNT(*) FROM nb_open_logins"), "0");
}

TEST_P(OpenLoginsTest, BecomeNobodyOnceTheyAreTakenBack) {
  open("ann");
  EXPECT_EQ(taken(), std::vector<UserId>{UserId("ann")});
  EXPECT_REFUSED(add("ann"), Code::kFailedPrecondition, "undone");
  EXPECT_REFUSED(enrol(UserId("ann")), Code::kUnauthenticated, "being made or ended");
  EXPECT_REFUSED(enrol(UserId("ann"), true), Code::kFailedPrecondition, "undone");
  EXPECT_TRUE(taken(1h).empty()) << "whoever took it is at work";
  EXPECT_EQ(taken(), std::vector<UserId>{UserId("ann")}) << "he died: the next one gets it";
  forget(UserId("ann"));
  EXPECT_TRUE(taken().empty());
}

TEST_P(OpenLoginsTest, AreLeftByDeletedUsersWhoDoNotComeBackMeanwhile) {
  const User ann = human("ann");
  const User bob = human("bob");
  must(DeleteUser{ann.id, true});
  EXPECT_REFUSED(enrol(ann.id), Code::kUnauthenticated, "being made or ended");
  EXPECT_EQ(taken(), std::vector<UserId>{ann.id});
  forget(ann.id);
  EXPECT_TRUE(enrol(ann.id)) << "with a new login of another provider";
  instance.sql("UPDATE users SET pending_approval = TRUE WHERE id = 'bob'");
  must(RejectUser{bob.id, true});
  EXPECT_EQ(taken(), std::vector<UserId>{bob.id});
  forget(bob.id);
  must(DeleteAccount{account.id, true});
  EXPECT_THAT(taken(), testing::UnorderedElementsAre(ann.id, account.created_by));
}

TEST_P(OpenLoginsTest, OfBlockedUsersLoseTheirSessionsOnly) {
  const User ann = human("ann");
  const auto block = [&](bool blocked, bool ends_sessions) {
    UpdateUser command;
    command.id = ann.id;
    command.role = "user";
    command.blocked = blocked;
    command.ends_sessions = ends_sessions;
    must(std::move(command));
  };
  block(false, true);
  block(true, false);  // a login of somebody else's provider
  EXPECT_TRUE(open_now().empty());
  block(false, true);
  block(true, true);
  EXPECT_TRUE(open_now(1h).empty()) << "whoever blocked is at work";
  const std::vector<OpenLogin> left = {{ann.id, true}};
  EXPECT_EQ(open_now(), left);
  EXPECT_EQ(open_now(), left) << "he died: the next one gets it";
  EXPECT_TRUE(enrol(ann.id)) << "the user is there as before";
  forget(ann.id);
  EXPECT_EQ(open_now(), left) << "that was of a login";
  forget(ann.id, true);
  EXPECT_TRUE(open_now().empty());
  EXPECT_EQ(value("SELECT COUNT(*) FROM users WHERE id = 'ann'"), "1");
}

TEST_P(OpenLoginsTest, WhatIsToldTwiceIsKeptOnce) {
  events();
  Event event;
  event.account_id = account.id;
  event.activity = Activity::kIdentityProviderCreated;
  event.target_id = "corp";
  for (const char* key : {"key-1", "key-1", "key-2"})
    ASSERT_TRUE(get(identities->tell(soon(), key, event)));
  EXPECT_EQ(events(), (Strings{"identityprovider.create", "identityprovider.create"}));
}

TEST_P(OpenLoginsTest, OfUsersThatAreThereAreForgotten) {
  open("ann");
  human("ann");  // by another program
  EXPECT_TRUE(taken().empty());
  EXPECT_EQ(value("SELECT COUNT(*) FROM nb_open_logins"), "0");
}

INSTANTIATE_TEST_SUITE_P(Engines, OpenLoginsTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         engine_name);

TEST_P(PeopleTest, TokensAreForOneselfAndForServiceUsers) {
  const User ann = human("ann");
  const User bot = must(CreateServiceUser{.name = "bot", .role = "user"});
  events();
  EXPECT_REFUSED(run(CreateToken{.user = ann.id, .name = "t", .days = 1}), Code::kPermissionDenied,
                 "admin role required to perform this action");
  EXPECT_REFUSED(run(CreateToken{.user = ann.id, .name = "", .days = 1}), Code::kInvalidArgument,
                 "token name can't be empty");
  EXPECT_REFUSED(run(CreateToken{.user = ann.id, .name = "t", .days = 366}), Code::kInvalidArgument,
                 "expiration has to be between 1 and 365");
  EXPECT_REFUSED(run(CreateToken{.user = UserId("x"), .name = "t", .days = 1}), Code::kNotFound,
                 "user: x not found");
  const NewToken made = must(CreateToken{.user = bot.id, .name = "ci", .days = 30});
  EXPECT_EQ(*made.token.expiration_date - *made.token.created_at, 30 * 24h);
  EXPECT_EQ(value("SELECT hashed_token FROM personal_access_tokens"),
            crypto::hash_token(made.plain.reveal()));
  EXPECT_EQ(must(ListTokens{bot.id}).size(), 1U);
  EXPECT_EQ(must(GetToken{bot.id, made.token.id}).name, "ci");
  EXPECT_TRUE(must(ListTokens{account.created_by}).empty());
  must(DeleteToken{bot.id, made.token.id});
  EXPECT_REFUSED(run(DeleteToken{bot.id, made.token.id}), Code::kNotFound, "PAT: ");
  EXPECT_EQ(events(), (Strings{"personal.access.token.create", "personal.access.token.delete"}));
}

TEST_P(PeopleTest, AnInvitationIsTakenOnce) {
  const Group a = group("a");
  EXPECT_REFUSED(
      run(CreateInvite{
          .name = "Ann", .email = "ann@example.org", .role = "user", .expires_in_seconds = 1800}),
      Code::kInvalidArgument, "invite expiration must be at least 1 hour");
  events();
  const CreateInvite request{
      .name = "Ann", .email = "ann@example.org", .role = "admin", .auto_groups = {a.id}};
  const NewInvite made = must(request);
  EXPECT_EQ(*made.invite.expires_at - *made.invite.created_at, 72h);
  EXPECT_REFUSED(run(CreateInvite{.name = "A", .email = "ANN@example.org", .role = "user"}),
                 Code::kAlreadyExists, "invite already exists for this email");
  const FoundInvite found = *run_as({}, FindInvite{std::string(made.plain.reveal())});
  EXPECT_TRUE(found.valid);
  EXPECT_EQ(found.invited_by, "Olga Owner");
  EXPECT_EQ(found.invite.email, "ann@example.org");
  EXPECT_REFUSED(run(FindInvite{"nbi_nonsense"}), Code::kInvalidArgument, "invalid invite token");
  const NewInvite again = must(RegenerateInvite{.id = made.invite.id});
  EXPECT_REFUSED(run(FindInvite{std::string(made.plain.reveal())}), Code::kNotFound,
                 "user invite not found");
  const Actor ann{account.id, UserId("ann"), {}, false};
  const User user = *run_as(ann, AcceptInvite{std::string(again.plain.reveal())});
  EXPECT_EQ(user.role, "admin");
  EXPECT_EQ(user.auto_groups, std::vector<GroupId>{a.id});
  EXPECT_EQ(user.name, "Ann");
  EXPECT_REFUSED(run_as(ann, AcceptInvite{std::string(again.plain.reveal())}), Code::kNotFound,
                 "user invite not found");
  EXPECT_REFUSED(run(request), Code::kAlreadyExists, "user with this email already exists");
  EXPECT_EQ(events(), (Strings{"user.invite.link.create", "user.invite.link.regenerate",
                               "user.invite.link.accept"}));
  EXPECT_TRUE(must(ListInvites{}).empty());
}

TEST_P(PeopleTest, AnExpiredInvitationStays) {
  const NewInvite made = must(CreateInvite{.name = "A", .email = "a@example.org", .role = "user"});
  instance.sql("UPDATE user_invites SET expires_at = '2020-01-01 00:00:00+00:00'");
  EXPECT_FALSE(run(FindInvite{std::string(made.plain.reveal())})->valid);
  EXPECT_REFUSED(
      run_as({account.id, UserId("a"), {}, false}, AcceptInvite{std::string(made.plain.reveal())}),
      Code::kInvalidArgument, "invite has expired");
  EXPECT_EQ(must(ListInvites{}).size(), 1U);
  must(DeleteInvite{made.invite.id});
  EXPECT_REFUSED(run(DeleteInvite{made.invite.id}), Code::kNotFound, "user invite not found");
}

// --- the account ------------------------------------------------------------------------------

TEST_P(PeopleTest, SettingsOnlyConcernPeersWhenTheyDo) {
  events();
  const std::uint64_t before = serial();
  auto draft = settings();
  must(UpdateSettings{draft});
  EXPECT_EQ(serial(), before);
  draft.values.regular_users_view_blocked = false;
  must(UpdateSettings{draft});
  EXPECT_EQ(serial(), before);
  EXPECT_FALSE(must(GetAccount{}).account.settings.regular_users_view_blocked);
  draft.values.lazy_connection_enabled = !draft.values.lazy_connection_enabled;
  must(UpdateSettings{draft});
  EXPECT_EQ(serial(), before + 1);
  EXPECT_EQ(events().size(), 1U);
  draft.ipv6_enabled_groups = {{GroupId("x")}};
  EXPECT_REFUSED(run(UpdateSettings{draft}), Code::kInvalidArgument,
                 "IPv6 enabled group x does not exist");
  must(SaveZone{
      .draft = {.name = "Z", .domain = "corp.example", .distribution_groups = {all_group().id}}});
  draft = settings();
  draft.values.dns_domain = "Corp.example";
  EXPECT_REFUSED(run(UpdateSettings{draft}), Code::kInvalidArgument,
                 "conflicts with existing custom DNS zone");
}

TEST_P(PeopleTest, AZoneNeverHasTheNameOfThePeersDomain) {
  auto draft = settings();
  draft.values.dns_domain = "corp.example";
  must(UpdateSettings{draft});
  ZoneDraft zone{
      .name = "Z", .domain = "netbird.selfhosted", .distribution_groups = {all_group().id}};
  EXPECT_REFUSED(run(SaveZone{.draft = zone}), Code::kInvalidArgument,
                 "zone domain netbird.selfhosted conflicts with peer DNS domain");
  // One that is there already, as another server lets it: the account's own domain has to stay.
  zone.domain = "other.example";
  const DnsZone made = must(SaveZone{.draft = zone});
  instance.sql("UPDATE zones SET domain = 'NetBird.selfhosted' WHERE id = '" + made.id.value() +
               "'");
  draft = settings();
  draft.values.dns_domain.clear();
  EXPECT_REFUSED(run(UpdateSettings{draft}), Code::kInvalidArgument,
                 "peer DNS domain netbird.selfhosted conflicts with existing custom DNS zone");
}

TEST_P(PeopleTest, OnboardingIsKeptUnlessSaid) {
  EXPECT_TRUE(must(GetAccount{}).onboarding.flow_pending);
  auto draft = settings();
  draft.onboarding = OnboardingFlags{false, true};
  must(UpdateSettings{draft});
  draft.onboarding.reset();
  const AccountState now = must(UpdateSettings{draft});
  EXPECT_FALSE(now.onboarding.flow_pending);
  EXPECT_TRUE(now.onboarding.signup_form_pending);
}

TEST_P(PeopleTest, ANewRangeMovesThePeersThatDoNotFit) {
  std::vector<Peer> peers;
  for (int i = 0; i < 12; ++i) peers.push_back(peer("p" + std::to_string(i)));
  events();
  auto draft = settings();
  draft.network_range = "10.20.0.7/24";
  const AccountState now = must(UpdateSettings{draft});
  EXPECT_EQ(now.account.network.net.to_string(), "10.20.0.0/24");
  EXPECT_EQ(events(), Strings{"account.network.range.update"});
  std::set<IpAddress> seen;
  const auto moved = snapshot();
  for (const Peer& each : moved->peers) {
    EXPECT_TRUE(now.account.network.net.contains(each.ip));
    EXPECT_TRUE(seen.insert(each.ip).second);
  }
  const std::uint64_t before = serial();
  must(UpdateSettings{draft});  // the same once more
  EXPECT_EQ(serial(), before);
  // A wider net around it: everybody stays.
  draft.network_range = "10.20.0.0/16";
  must(UpdateSettings{draft});
  const auto wide = snapshot();
  for (const Peer& each : wide->peers) EXPECT_EQ(each.ip, moved->peer(each.id)->ip);
}

TEST_P(PeopleTest, WithoutApprovalNobodyWaitsForIt) {
  const Peer a = peer("a");
  auto draft = settings();
  draft.values.extra_peer_approval_enabled = true;
  must(UpdateSettings{draft});
  EXPECT_FALSE(snapshot()->peer(a.id)->status.requires_approval);  // was there before
  const Peer late = peer("late");
  EXPECT_TRUE(late.status.requires_approval);
  EXPECT_TRUE(snapshot()->peer(late.id)->status.requires_approval);
  UpdatePeer change = unchanged(a);
  change.approval_required = true;
  must(change);
  EXPECT_TRUE(snapshot()->peer(a.id)->status.requires_approval);
  draft.values.extra_peer_approval_enabled = false;
  must(UpdateSettings{draft});
  EXPECT_FALSE(snapshot()->peer(a.id)->status.requires_approval);
  EXPECT_FALSE(snapshot()->peer(late.id)->status.requires_approval);
}

TEST_P(PeopleTest, OnlyTheOwnerDeletesTheAccountAndAllOfIt) {
  const User ann = human("ann", "admin");
  peer_of(ann, "laptop");
  policy("p", group("a"), group("b"));
  const Network network = must(SaveNetwork{.name = "n"});
  must(SaveResource{.network = network.id, .draft = {.name = "r", .address = "10.0.0.1"}});
  must(CreateSetupKey{.request = {.name = "k"}});
  EXPECT_REFUSED(run_as(as(ann), DeleteAccount{account.id}), Code::kPermissionDenied,
                 "user is not allowed to delete account. Only account owner can delete account");
  EXPECT_REFUSED(run(DeleteAccount{AccountId("x")}), Code::kNotFound, "account not found: x");
  events();
  EXPECT_EQ(must(DeleteAccount{account.id}).size(), 2U);
  EXPECT_EQ(last.ended.size(), 1U);
  EXPECT_EQ(events(), Strings{"account.delete"});
  for (const char* table : {"accounts", "users", "peers", "groups", "group_peers", "policies",
                            "policy_rules", "networks", "network_resources", "setup_keys"})
    EXPECT_EQ(value(std::string("SELECT COUNT(*) FROM ") + table), "0") << table;
}

}  // namespace
}  // namespace nb::management
