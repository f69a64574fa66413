// A snapshot brought up to date by what the log names is the snapshot that a fresh read gives.
#include "management/store/change_log.h"

#include "management/store/test_account.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

namespace nb::management {
namespace {

using namespace test;
using namespace std::chrono_literals;
using work::Changes;

std::string text_of(const std::vector<sql::Param>& values) {
  std::string out;
  for (const sql::Param& value : values)
    out += value.kind() == sql::Param::Kind::kText ? std::string(value.text()) + "|"
                                                   : std::to_string(value.integer()) + "|";
  return out;
}

/// Every object of a snapshot as text, by kind and id. Without what changes with no serial: who is
/// connected since when.
std::map<std::string, std::string> described(const AccountSnapshot& s) {
  const FieldCodec plain(nullptr, random_source());
  std::map<std::string, std::string> out;
  out["account"] = text_of(rows::insert_account(s.account).values);
  for (const User& user : s.users)
    out["user " + user.id.value()] = text_of(rows::insert_user(user, plain).values);
  for (Peer peer : s.peers) {
    peer.status.last_seen.reset();
    if (!peer.proxy_embedded) peer.status.connected = false;
    peer.status.session_started_at = 0;
    out["peer " + peer.id.value()] = text_of(rows::insert_peer(peer).values);
  }
  for (const Group& group : s.groups)
    out["group " + group.id.value()] =
        text_of(rows::insert_group(group).values) + columns::ids(group.peers);
  for (const Policy& policy : s.policies) {
    std::string& text = out["policy " + policy.id.value()];
    text = text_of(rows::insert_policy(policy, false).values) + std::to_string(policy.order);
    for (const PolicyRule& rule : policy.rules) text += text_of(rows::insert_rule(rule).values);
  }
  for (const PostureCheck& check : s.posture_checks)
    out["check " + check.id.value()] = text_of(rows::insert_posture_check(check).values);
  for (const Route& route : s.routes)
    out["route " + route.id.value()] = text_of(rows::insert_route(route).values);
  for (const Network& network : s.networks)
    out["network " + network.id.value()] = text_of(rows::insert_network(network).values);
  for (const NetworkRouter& router : s.routers)
    out["router " + router.id.value()] =
        text_of(rows::insert_router(router).values) + std::to_string(router.order);
  for (const NetworkResource& resource : s.resources)
    out["resource " + resource.id.value()] = text_of(rows::insert_resource(resource).values);
  for (const NameServerGroup& group : s.name_server_groups)
    out["nameservers " + group.id.value()] = text_of(rows::insert_name_server_group(group).values);
  for (const DnsZone& zone : s.zones) {
    std::string& text = out["zone " + zone.id.value()];
    text = text_of(rows::insert_zone(zone).values);
    for (const DnsZoneRecord& record : zone.records)
      text += text_of(rows::insert_record(record).values);
  }
  for (const ProxyService& service : s.services) {
    std::string& text = out["service " + service.id.value()];
    text = service.name + service.domain + columns::ids(service.access_groups);
    for (const ServiceTarget& target : service.targets)
      text += target.target_id + std::to_string(target.port);
  }
  for (const ProxyDomain& domain : s.proxy_domains)
    out["domain " + domain.id.value()] = domain.domain + domain.target_cluster;
  return out;
}

/// Random writes to one account, each as a transaction with its changes.
class Writer {
 public:
  Writer(Instance& instance, Account account, std::uint32_t seed)
      : instance_(instance),
        context_(instance.parts, {}),
        account_(std::move(account)),
        random_(seed) {
    key_ = *get(instance_.store->create_setup_key(soon(), fresh_setup_key(account_.id),
                                                  account_.created_by));
  }

  /// False: a write that nobody described.
  bool write() {
    switch (below(20)) {
      case 0:
      case 1:
      case 2:
        add_peer();
        return true;
      case 3:
        if (const auto peer = any_peer()) change_meta(*peer);
        return true;
      case 4:
        if (const auto peer = any_peer()) change_ssh_key(*peer);
        return true;
      case 5:
        if (const auto peer = any_peer()) remove(*peer);
        return true;
      case 6:
        if (const auto peer = any_peer()) come_and_go(*peer);
        return true;
      case 7:
        EXPECT_TRUE(get(instance_.store->bump_serial(soon(), account_.id)));
        return false;
      case 8:
        if (below(4) != 0) return true;
        instance_.sql(
            "UPDATE accounts SET network_serial = network_serial + 1; UPDATE groups SET "
            "name = 'by hand " +
            next() + "' WHERE name <> 'All'");
        return false;
      default:
        change_object();
        return true;
    }
  }

 private:
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  std::string next() { return std::to_string(++counter_); }

  std::optional<Peer> any_peer() {
    const auto snapshot = get(instance_.store->snapshot(soon(), account_.id));
    EXPECT_TRUE(snapshot);
    const auto& peers = (*snapshot)->peers;
    if (peers.empty()) return std::nullopt;
    return peers[below(static_cast<std::uint32_t>(peers.size()))];
  }
  void add_peer() {
    const auto done = get(instance_.store->register_peer(soon(), registration(key_, "m" + next())));
    ASSERT_TRUE(done) << done.error().text;
    if (below(4) == 0)  // no server of ours makes these yet
      instance_.sql("UPDATE peers SET proxy_meta_embedded = TRUE WHERE id = '" +
                    done->peer.id.value() + "'; DELETE FROM nb_changes");
  }
  void change_meta(const Peer& peer) {
    MetaUpdate update{peer.key, peer.meta, std::nullopt};
    update.meta->wt_version = "0.7" + next();
    EXPECT_TRUE(get(instance_.store->update_meta(soon(), update)));
  }
  void change_ssh_key(const Peer& peer) {
    EXPECT_TRUE(get(instance_.store->relogin(soon(), {peer.key, {}, "key " + next(), false})));
  }
  void remove(const Peer& peer) {
    EXPECT_TRUE(get(instance_.store->delete_peer(soon(), peer.key, "")));
  }
  void come_and_go(const Peer& peer) {
    const auto session = get(instance_.store->connect(soon(), {peer.id, InstanceId("i"), 1}));
    ASSERT_TRUE(session);
    if (below(2) == 0) {
      EXPECT_TRUE(get(instance_.store->disconnect(soon(), peer.id, session->epoch)));
    }
    if (below(2) == 0) {
      EXPECT_TRUE(get(instance_.store->disconnect_dead(soon(), 100)));
    }
  }

  using Statements = std::vector<rows::Write>;
  void run(const Statements& statements, const Changes& changes) {
    const auto done =
        instance_.database->run_blocking<void>(soon(), {}, [&](sql::Session& session) -> Result<> {
          for (const rows::Write& statement : statements) NB_TRY(work::insert(session, statement));
          NB_TRY(work::bump_serial(session, context_, changes));
          return {};
        });
    ASSERT_TRUE(done) << done.error().text;
  }
  /// An id of this kind made earlier, or a new one.
  template <class Id>
  std::pair<Id, bool> pick(std::vector<Id>& known) {
    if (known.empty() || below(2) == 0) {
      known.emplace_back(new_id());
      return {known.back(), true};
    }
    return {known[below(static_cast<std::uint32_t>(known.size()))], false};
  }
  template <class T, class Id>
  void save(std::vector<Id>& known, T object, rows::Write (*insert)(const T&),
            rows::Write (*update)(const T&), const char* table) {
    bool fresh = false;
    std::tie(object.id, fresh) = pick(known);
    object.account_id = account_.id;
    const Changes changes = Changes(account_.id).touched(object.id);
    if (!fresh && below(3) == 0) {
      std::erase(known, object.id);
      run({{std::string("DELETE FROM ") + table + " WHERE id = $1",
            {sql::Param(object.id.value())}}},
          changes);
      return;
    }
    run({fresh ? insert(object) : update(object)}, changes);
  }

  void change_object();
  void change_policy();
  void change_zone();
  void change_service();

  Instance& instance_;
  work::Context context_;
  Account account_;
  SetupKey key_;
  std::mt19937 random_;
  int counter_ = 0;
  std::vector<GroupId> groups_;
  std::vector<PolicyId> policies_;
  std::vector<PostureCheckId> checks_;
  std::vector<RouteId> routes_;
  std::vector<NetworkId> networks_;
  std::vector<RouterId> routers_;
  std::vector<ResourceId> resources_;
  std::vector<NameServerGroupId> nameservers_;
  std::vector<ZoneId> zones_;
  std::vector<ServiceId> services_;
};

template <class T, class Fill>
T made(Fill fill) {
  T out;
  fill(out);
  return out;
}

void Writer::change_object() {
  using namespace rows;
  const std::string name = "n" + next();
  const auto named = [&](auto& object) { object.name = name; };
  switch (below(11)) {
    case 0:
      return save(groups_, made<Group>(named), insert_group, update_group, "groups");
    case 1:
      return change_policy();
    case 2:
      return save(checks_, made<PostureCheck>([&](PostureCheck& check) {
                    check.name = name;
                    check.checks.nb_version_min = "0." + next();
                  }),
                  insert_posture_check, update_posture_check, "posture_checks");
    case 3:
      return save(routes_, made<Route>([&](Route& route) { route.net_id = name; }), insert_route,
                  update_route, "routes");
    case 4:
      return save(networks_, made<Network>(named), insert_network, update_network, "networks");
    case 5:
      return save(routers_, made<NetworkRouter>([&](NetworkRouter& r) { r.metric = ++counter_; }),
                  insert_router, update_router, "network_routers");
    case 6:
      return save(resources_, made<NetworkResource>(named), insert_resource, update_resource,
                  "network_resources");
    case 7:
      return save(nameservers_, made<NameServerGroup>(named), insert_name_server_group,
                  update_name_server_group, "name_server_groups");
    case 8:
      return change_zone();
    case 9:
      return change_service();
    default: {
      Account account = *get(instance_.store->account(soon(), account_.id));
      account.settings.dns_domain = name + ".example";
      run({update_account(account)}, Changes(account_.id).touched_account());
    }
  }
}

void Writer::change_policy() {
  const auto [id, fresh] = pick(policies_);
  Policy policy;
  policy.id = id;
  policy.account_id = account_.id;
  policy.name = "p" + next();
  Statements statements{fresh ? rows::insert_policy(policy, false) : rows::update_policy(policy)};
  if (!fresh)
    statements.push_back(
        {"DELETE FROM policy_rules WHERE policy_id = $1", {sql::Param(id.value())}});
  for (std::uint32_t i = below(3); i > 0; --i) {
    PolicyRule rule;
    rule.id = RuleId(new_id());
    rule.policy_id = id;
    rule.ports = {next()};
    statements.push_back(rows::insert_rule(rule));
  }
  run(statements, Changes(account_.id).touched(id));
}

void Writer::change_zone() {
  const auto [id, fresh] = pick(zones_);
  DnsZone zone;
  zone.id = id;
  zone.account_id = account_.id;
  zone.name = "z" + next();
  DnsZoneRecord record;
  record.id = RecordId(new_id());
  record.account_id = account_.id;
  record.zone_id = id;
  record.name = "r" + next();
  run({fresh ? rows::insert_zone(zone) : rows::update_zone(zone), rows::insert_record(record)},
      Changes(account_.id).touched(id));
}

void Writer::change_service() {
  const auto [id, fresh] = pick(services_);
  Statements statements;
  if (fresh)
    statements.push_back(
        {"INSERT INTO services (id, account_id, name, domain) VALUES ($1, $2, $3, $4)",
         {sql::Param(id.value()), sql::Param(account_.id.value()), sql::Param("s"),
          sql::Param(id.value())}});
  statements.push_back(
      {"INSERT INTO targets (account_id, service_id, target_id, port) VALUES ($1, $2, $3, $4)",
       {sql::Param(account_.id.value()), sql::Param(id.value()), sql::Param("t"),
        sql::Param(++counter_)}});
  run(statements, Changes(account_.id).touched(id));
}

class ChangeLogTest : public FreshAccountTest {
 protected:
  AccountSnapshotPtr fresh() { return *get(store().snapshot(soon(), account_.id)); }
  std::optional<SnapshotDelta> since(std::uint64_t serial) {
    auto delta = get(store().changes(soon(), account_.id, serial));
    EXPECT_TRUE(delta) << delta.error().text;
    return delta ? *std::move(delta) : std::nullopt;
  }
};

TEST_P(ChangeLogTest, SnapshotAndDeltasAreAFreshSnapshot) {
  std::random_device entropy;
  const std::uint32_t seed = entropy();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Writer writer(instance_, account_, seed);
  std::mt19937 random(seed + 1);
  AccountSnapshotPtr kept = fresh();
  int deltas = 0;
  int whole = 0;
  for (int round = 0; round < 120; ++round) {
    bool described_all = true;
    for (std::uint32_t n = random() % 4; n > 0; --n)
      described_all = writer.write() && described_all;
    const auto delta = since(kept->account.serial);
    const AccountSnapshotPtr now = fresh();
    if (!described_all) {
      EXPECT_FALSE(delta);
    }
    if (delta) {
      ++deltas;
      kept = applied(*kept, *delta);
    } else {
      ++whole;
      kept = now;
    }
    ASSERT_EQ(described(*kept), described(*now)) << "round " << round;
  }
  EXPECT_GT(deltas, 20);
  EXPECT_GT(whole, 0);
}

TEST_P(ChangeLogTest, NothingNewIsAnEmptyDelta) {
  const AccountSnapshotPtr kept = fresh();
  const auto delta = since(kept->account.serial);
  ASSERT_TRUE(delta);
  EXPECT_TRUE(delta->peers.empty());
  EXPECT_EQ(delta->account.serial, kept->account.serial);
}

TEST_P(ChangeLogTest, OnlyWhatChangedIsRead) {
  const SetupKey key =
      *get(store().create_setup_key(soon(), fresh_setup_key(account_.id), account_.created_by));
  const auto first = get(store().register_peer(soon(), registration(key, "first")));
  const auto second = get(store().register_peer(soon(), registration(key, "second")));
  ASSERT_TRUE(first && second);
  const auto delta = since(first->serial);
  ASSERT_TRUE(delta);
  ASSERT_EQ(delta->peers.upserts.size(), 1U);
  EXPECT_EQ(delta->peers.upserts.front()->id, second->peer.id);
  ASSERT_EQ(delta->groups.upserts.size(), 1U);
  EXPECT_EQ(delta->groups.upserts.front()->peers.size(), 2U);
  EXPECT_TRUE(delta->policies.empty());
  ASSERT_TRUE(get(store().delete_peer(soon(), second->peer.key, "")));
  const auto gone = since(second->serial);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->peers.removed, std::vector<PeerId>{second->peer.id});
}

TEST_P(ChangeLogTest, ASerialFromTheFutureOrForgottenNeedsAWholeSnapshot) {
  const SetupKey key =
      *get(store().create_setup_key(soon(), fresh_setup_key(account_.id), account_.created_by));
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(get(store().register_peer(soon(), registration(key, "m" + std::to_string(i)))));
  EXPECT_FALSE(since(4));
  EXPECT_TRUE(since(0));
  EXPECT_EQ(*get(store().prune_changes(soon(), 1h, 1000)), 0U);
  instance_.sql("UPDATE nb_changes SET at = at - 7200000 WHERE serial = 1");
  EXPECT_GT(*get(store().prune_changes(soon(), 1h, 1000)), 0U);
  EXPECT_FALSE(since(0));
  EXPECT_TRUE(since(1));
}

TEST_P(ChangeLogTest, UnknownKindsOfALaterVersionNeedAWholeSnapshot) {
  instance_.sql(
      "UPDATE accounts SET network_serial = 1; INSERT INTO nb_changes (account_id, serial, "
      "kind, object_id, at) SELECT id, 1, 99, 'x', 0 FROM accounts");
  EXPECT_FALSE(since(0));
}

INSTANTIATE_TEST_SUITE_P(Engines, ChangeLogTest,
                         testing::Values(sql::Engine::kSqlite, sql::Engine::kPostgres),
                         [](const auto& p) {
                           return p.param == sql::Engine::kPostgres ? "Postgres" : "Sqlite";
                         });

}  // namespace
}  // namespace nb::management
