// Membership and directory under everything that goes wrong. Peers move between instances; each
// instance knows its own peers for sure and keeps them in the directory. Invariants:
//   an older claim never replaces a newer one that the store holds;
//   after healing, every peer is found at the instance that has it, within 2 s of the store's
//   return; the living see each other as alive, and nobody is called dead while it lives and is
//   connected.
#include "base/task_group.h"
#include "ha/local/adapters.h"
#include "sim/seeds.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {
namespace {
namespace asio = boost::asio;
using namespace std::chrono_literals;

struct Flaws {
  bool steals = false;           // takes back what it lost, as heartbeats of the fork did (S9)
  bool blind_release = false;    // deletes without comparing (S4)
  bool never_reasserts = false;  // trusts the store to remember (S8)
};

constexpr std::chrono::seconds kTtl = 6s;

/// An instance: a set of own peers, kept registered. One task per peer would be a flaw of its own
/// (S7); one loop does them all.
class Instance final : public Process {
 public:
  Instance(NodeEnv& env, Flaws flaws)
      : env_(env),
        flaws_(flaws),
        directory_(env.store, {}),
        membership_(std::make_unique<ha::LocalMemberStore>(env.store, "signal"), env.clock,
                    ha::InstanceId{env.name}, env.incarnation,
                    {.service = "signal", .ttl = kTtl, .interval = kTtl / 3}),
        tasks_(env.home) {
    tasks_.spawn(beat());
    tasks_.spawn(keep());
  }
  asio::awaitable<void> stop() override {
    co_await tasks_.stop();
    std::vector<ha::PeerClaim> all;
    for (const auto& [peer, claim] : own_) all.push_back({ha::PeerKey{peer}, claim});
    const auto released = co_await directory_.release_all(std::move(all));
    if (released) ignore(co_await membership_.leave(), "its key expires");
  }

  /// A peer connected here: its claim is provisional until the store has it.
  void connect(const std::string& peer) {
    const auto us = std::chrono::floor<std::chrono::microseconds>(env_.clock.wall());
    own_[peer] = {ha::InstanceId{env_.name}, env_.incarnation,
                  static_cast<std::uint64_t>(us.time_since_epoch().count())};
    tasks_.spawn(claim(peer));
  }
  /// It is gone from here, for whatever reason.
  void disconnect(const std::string& peer) {
    const auto it = own_.find(peer);
    if (it == own_.end()) return;
    tasks_.spawn(release(peer, it->second));
    own_.erase(it);
  }
  [[nodiscard]] bool has(const std::string& peer) const { return own_.contains(peer); }
  [[nodiscard]] const ha::Membership& membership() const { return membership_; }
  [[nodiscard]] ha::PeerDirectory& directory() { return directory_; }
  [[nodiscard]] const std::map<std::string, ha::Claim>& own() const { return own_; }

 private:
  asio::awaitable<void> claim(std::string peer) {
    if (!own_.contains(peer)) co_return;
    const ha::Claim proposed = own_.at(peer);
    const ha::PeerKey key{peer};
    const auto claimed = co_await directory_.claim(key, proposed);
    const auto it = own_.find(peer);
    if (!claimed) co_return;  // keep() goes on
    if (it != own_.end() && it->second.seq == proposed.seq) {
      it->second = claimed->claim;
    } else if (it == own_.end()) {
      ignore(co_await directory_.release(key, claimed->claim), "a stale entry is harmless");
    }
  }
  asio::awaitable<void> release(std::string peer, ha::Claim claim) {
    const ha::PeerKey key{peer};
    if (flaws_.blind_release) {
      const auto held = co_await directory_.find(key);
      if (held && *held) ignore(co_await directory_.forget(key, **held), "the flaw");
      co_return;
    }
    ignore(co_await directory_.release(key, claim), "an entry of ours that nobody serves is found");
  }
  asio::awaitable<void> beat() {
    for (;;) {
      const auto beaten = co_await membership_.beat();
      const auto pause = beaten ? Duration(kTtl / 3) : Duration(500ms);
      co_await env_.clock.sleep_for(pause);
    }
  }
  asio::awaitable<void> keep() {
    for (;;) {
      co_await env_.clock.sleep_for(500ms);
      if (own_.empty() || flaws_.never_reasserts) continue;
      std::vector<ha::PeerClaim> all;
      for (const auto& [peer, claim] : own_) all.push_back({ha::PeerKey{peer}, claim});
      const auto states = co_await directory_.reassert(all);
      if (!states) continue;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if ((*states)[i].kept != ha::Kept::kLost) continue;
        const auto it = own_.find(all[i].peer.value());
        if (it == own_.end() || it->second != all[i].claim) continue;
        const ha::Holder holder = (*states)[i].holder.value_or(ha::Holder{});
        const bool dead = holder.claim ? membership_.fresh() && !membership_.alive(*holder.claim)
                                       : !membership_.alive(holder.instance);
        if (flaws_.steals || dead) {
          // Nobody serves it there: ours is the stream that lives.
          const ha::PeerKey key = all[i].peer;
          ignore(co_await directory_.forget(key, holder), "tried again with the next round");
          if (flaws_.steals) tasks_.spawn(claim(key.value()));
        } else {
          env_.world.note(env_.name + " lost " + it->first);
          own_.erase(it);  // superseded: the real server ends that stream
        }
      }
    }
  }

  NodeEnv& env_;
  Flaws flaws_;
  ha::LocalDirectory directory_;
  ha::StoreMembership membership_;
  std::map<std::string, ha::Claim> own_;
  TaskGroup tasks_;
};

Faults everything() {
  return {.drop = 0.01,
          .delay_max = 200ms,
          .pause = 0.01,
          .pause_max = 5s,
          .crash = 0.004,
          .downtime_max = 10s,
          .cut = 0.01,
          .cut_max = 5s,
          .store_down = 0.004,
          .store_down_max = 6s,
          .store_forgets = true,
          .flush = 0.01};
}

/// Peers as clients: each has one connection, moves now and then, and reconnects within seconds
/// when its server is gone or has ended its stream.
class Peers {
 public:
  Peers(World& world, int count) : world_(world) {
    for (int i = 0; i < count; ++i) where_["p" + std::to_string(i)] = nullptr;
    tick();
  }
  /// Nobody moves any more; who lost its server still reconnects.
  void settle() { moving_ = false; }
  [[nodiscard]] const std::map<std::string, Node*>& where() const { return where_; }

 private:
  void tick() {
    for (auto& [peer, node] : where_) {
      auto* instance = node ? node->as<Instance>() : nullptr;
      const bool served = instance && instance->has(peer);
      if (served && !(moving_ && world_.chance(0.02))) continue;
      Node& next = *world_.nodes()[world_.pick(world_.nodes().size())];
      auto* to = next.as<Instance>();
      if (!to || next.paused()) continue;
      // The old server notices the lost connection later, maybe much later.
      if (served && node != &next) {
        world_.after(world_.between(0ms, 20s), [peer = peer, old = node, was = instance, this] {
          auto* still = old->as<Instance>();
          if (still == was && where_[peer] != old) still->disconnect(peer);
        });
      }
      to->connect(peer);
      node = &next;
    }
    world_.after(500ms, [this] { tick(); });
  }
  World& world_;
  bool moving_ = true;
  std::map<std::string, Node*> where_;
};

/// Watches the store: an entry must not be replaced by one with an older claim.
class NoStaleOwner {
 public:
  explicit NoStaleOwner(World& world) : world_(world) {}
  /// Empty when all is well.
  std::string check() {
    const auto& epochs = world_.store().directories["nb:signal:registry"].epochs;
    if (epochs == last_) return {};
    std::string wrong;
    for (const auto& [peer, text] : epochs) {
      const auto before = last_.find(peer);
      if (before == last_.end() || before->second == text) continue;
      const auto now = ha::parse_token(text), then = ha::parse_token(before->second);
      if (!now || !then || now->seq < then->seq)
        wrong = peer + ": " + before->second + " -> " + text;
    }
    last_ = epochs;
    return wrong;
  }

 private:
  World& world_;
  std::map<std::string, std::string> last_;
};

Boot an_instance(Flaws flaws = {}) {
  return [flaws](NodeEnv& env) { return std::make_unique<Instance>(env, flaws); };
}

void add_cluster(World& world, Flaws flaws = {}) {
  for (const char* name : {"a", "b", "c"}) {
    world.add_node(name, an_instance(flaws)).set_skew(world.between(-3s, 3s));
  }
}

/// Peers whose entry in the store does not name the instance that has them.
std::set<std::string> astray(World& world, const Peers& peers) {
  std::set<std::string> wrong;
  const auto& registry = world.store().directories["nb:signal:registry"].registry;
  for (const auto& [peer, node] : peers.where()) {
    const auto it = registry.find(peer);
    const bool right = node && it != registry.end() && it->second == node->name();
    if (!right) wrong.insert(peer);
  }
  return wrong;
}

TEST(DirectorySim, NoStaleOwnerStealsAndEverythingHeals) {
  for_seeds(150, [](World& world) {
    add_cluster(world);
    Peers peers(world, 12);
    NoStaleOwner watch(world);
    world.faults = everything();
    world.run_for(3min, [&] {
      const std::string wrong = watch.check();
      ASSERT_EQ(wrong, "") << world.replay();
    });
    if (testing::Test::HasFailure()) return;
    world.heal();
    peers.settle();
    EXPECT_TRUE(world.run_until([&] { return astray(world, peers).empty(); }, 2 * kTtl))
        << world.replay();
    world.run_for(30s);
    EXPECT_TRUE(astray(world, peers).empty()) << *astray(world, peers).begin();
    for (const auto& node : world.nodes()) {
      const auto& members = node->as<Instance>()->membership();
      EXPECT_TRUE(members.fresh());
      EXPECT_FALSE(members.duplicate());
      for (const auto& other : world.nodes()) {
        EXPECT_TRUE(members.alive(ha::InstanceId{other->name()})) << world.replay();
      }
    }
  });
}

TEST(DirectorySim, FlushIsHealedWithinTwoSeconds) {
  for_seeds(200, [](World& world) {
    add_cluster(world);
    Peers peers(world, 12);
    peers.settle();
    ASSERT_TRUE(world.run_until([&] { return astray(world, peers).empty(); }, 30s));
    world.run_for(10s);
    for (int round = 0; round < 5; ++round) {
      world.flush_store();
      ASSERT_EQ(astray(world, peers).size(), 12U);
      EXPECT_TRUE(world.run_until([&] { return astray(world, peers).empty(); }, 2s));
      // Nobody was called dead for it.
      for (const auto& node : world.nodes()) {
        for (const auto& other : world.nodes()) {
          EXPECT_TRUE(node->as<Instance>()->membership().alive(ha::InstanceId{other->name()}));
        }
      }
      world.run_for(world.between(0s, 8s));
    }
  });
}

TEST(DirectorySim, StoreOutageIsHealedWithinTwoSecondsOfItsReturn) {
  for_seeds(200, [](World& world) {
    add_cluster(world);
    Peers peers(world, 12);
    world.run_for(10s);
    world.faults.store_forgets = true;
    const Duration away = world.between(1s, 60s);
    world.store_down(away);
    world.run_for(away);
    peers.settle();
    EXPECT_TRUE(world.run_until([&] { return astray(world, peers).empty(); }, 2500ms))
        << astray(world, peers).size() << " after " << away.count();
  });
}

TEST(DirectorySim, CrashedInstanceIsKnownDeadWithinTheTtlAndReplacedAtOnce) {
  for_seeds(200, [](World& world) {
    add_cluster(world);
    world.run_for(10s);
    Node& victim = *world.nodes()[world.pick(3)];
    Node& witness = *world.nodes()[victim.name() == "a" ? 1 : 0];
    const ha::InstanceId id{victim.name()};
    const auto sees = [&] { return witness.as<Instance>()->membership().alive(id); };
    victim.crash();
    EXPECT_TRUE(sees());
    EXPECT_TRUE(world.run_until([&] { return !sees(); }, kTtl + 1s)) << world.replay();
    victim.start();
    EXPECT_TRUE(world.run_until(sees, kTtl / 3 + 1s)) << world.replay();
    EXPECT_FALSE(victim.as<Instance>()->membership().duplicate());
  });
}

/// How often one of the two alarms went off.
std::uint64_t alarms(Flaws flaws) {
  return count_alarms(10, [flaws](World& world) {
    add_cluster(world, flaws);
    Peers peers(world, 12);
    world.faults = everything();
    world.run_for(3min);
    world.heal();
    peers.settle();
    world.run_for(30s);
    return !world.run_until([&] { return astray(world, peers).empty(); }, 1s);
  });
}

TEST(DirectorySim, InstanceThatStealsIsCaught) {
  const auto caught = count_alarms(10, [](World& world) {
    add_cluster(world, {.steals = true});
    Peers peers(world, 12);
    world.faults = everything();
    world.run_for(3min);
    world.heal();
    peers.settle();
    // Two streams for one peer take it from each other: the entry does not rest.
    std::uint64_t changes = 0;
    std::map<std::string, std::string> last;
    world.run_for(10s, [&] {
      const auto& now = world.store().directories["nb:signal:registry"].registry;
      if (now != last) ++changes, last = now;
    });
    return changes > 15;
  });
  EXPECT_GE(caught, 8U);
}

TEST(DirectorySim, BlindReleaseIsCaught) {
  // It heals by reassertion, so look while it hurts: a served peer is unreachable.
  const auto caught = count_alarms(10, [](World& world) {
    add_cluster(world, {.blind_release = true});
    Peers peers(world, 12);
    bool hurt = false;
    world.run_for(30s);
    std::size_t before = world.store().directories["nb:signal:registry"].count();
    world.run_for(3min, [&] {
      const std::size_t now = world.store().directories["nb:signal:registry"].count();
      hurt = hurt || (before == 12 && now < 12);
      before = now;
    });
    return hurt;
  });
  EXPECT_GE(caught, 5U);
}

TEST(DirectorySim, WithoutTheFlawNoServedPeerVanishes) {
  for_seeds(20, [](World& world) {
    add_cluster(world);
    Peers peers(world, 12);
    world.run_for(30s);
    world.run_for(3min, [&] {
      ASSERT_EQ(world.store().directories["nb:signal:registry"].count(), 12U) << world.replay();
    });
  });
}

TEST(DirectorySim, OlderClaimWrittenOverANewerOneIsCaught) {
  World world(1);
  NoStaleOwner watch(world);
  auto& table = world.store().directories["nb:signal:registry"];
  table.claim(ha::PeerKey{"p"}, {ha::InstanceId{"a"}, ha::Incarnation{"1"}, 5});
  EXPECT_EQ(watch.check(), "");
  table.claim(ha::PeerKey{"p"}, {ha::InstanceId{"b"}, ha::Incarnation{"2"}, 3});
  EXPECT_EQ(watch.check(), "");
  table.epochs["p"] = "a/1/5";
  EXPECT_NE(watch.check(), "");
}

TEST(DirectorySim, InstanceThatNeverReassertsIsCaught) {
  EXPECT_GE(alarms({.never_reasserts = true}), 8U);
}

std::uint64_t fingerprint_of(std::uint64_t seed) {
  World world(seed);
  add_cluster(world);
  Peers peers(world, 12);
  world.faults = everything();
  world.run_for(1min);
  return world.fingerprint();
}

TEST(DirectorySim, SameSeedIsTheSameRun) {
  EXPECT_EQ(fingerprint_of(3), fingerprint_of(3));
  EXPECT_NE(fingerprint_of(3), fingerprint_of(4));
}

}  // namespace
}  // namespace nb::sim
