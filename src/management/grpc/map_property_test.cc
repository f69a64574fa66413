// The fast calculation against the plain one, and what a change may touch, over random accounts.
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "management/grpc/map_encoder.h"
#include "management/grpc/test_canonical_map.h"
#include "management/grpc/test_expansion.h"
#include "management/netmap/test_random_account.h"

#include <fmt/format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace nb::management::grpc {
namespace {

using netmap::MapView;
using netmap::MapViewPtr;
using netmap::PeerIndex;
using netmap::test::RandomAccount;

constexpr WallTime kNow{std::chrono::sys_days{std::chrono::year(2030) / 1 / 1}};

/// NB_SIM_SEED repeats one seed.
template <class Run>
void each_seed(std::uint64_t count, Run run) {
  if (const char* const one = std::getenv("NB_SIM_SEED")) return run(std::stoull(one));
  for (std::uint64_t seed = 1; seed <= count && !testing::Test::HasFailure(); ++seed) run(seed);
}

EncoderSettings settings() {
  EncoderSettings out;
  out.dns_domain = "netbird.selfhosted";
  return out;
}

MapViewPtr fresh_view(const AccountSnapshotPtr& account) {
  return MapView::update(nullptr, account, view_options(settings())).view;
}

EncodedMap fast(const MapView& view, const PeerId& peer) {
  return make_map(view, view.find(peer), kNow, settings()).map;
}

::management::SyncResponse parsed(const EncodedMap& map) {
  ::management::SyncResponse out;
  EXPECT_TRUE(out.ParseFromString(map.message(1, {})));
  return test::canonical(std::move(out));
}

std::string difference(const EncodedMap& wanted, const EncodedMap& got) {
  std::string out;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&out);
  return differencer.Compare(parsed(wanted), parsed(got)) ? std::string("order") : out;
}

TEST(FastMaps, AreByteForByteThePlainOnes) {
  each_seed(2'000, [](std::uint64_t seed) {
    const auto account = RandomAccount(seed).make();
    const netmap::AccountView plain(account, settings().dns_domain);
    const auto view = fresh_view(account);
    for (const Peer& peer : account->peers) {
      const auto wanted =
          encode_map(plain, netmap::calculate(plain, plain.find(peer.id), kNow), settings());
      const auto got = fast(*view, peer.id);
      ASSERT_TRUE(wanted.head == got.head && wanted.map == got.map)
          << "NB_SIM_SEED=" << seed << " " << peer.id.value() << ": " << difference(wanted, got);
    }
  });
}

TEST(FastMaps, AreTheSameFromManyThreadsAtOnce) {
  each_seed(20, [](std::uint64_t seed) {
    const auto account = RandomAccount(seed).make();
    const auto calm = fresh_view(account);
    const auto busy = fresh_view(account);  // all of its caches are empty
    std::atomic<int> differing = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (const Peer& peer : account->peers) {
          const auto wanted = fast(*calm, peer.id);
          const auto got = fast(*busy, peer.id);
          if (wanted.head != got.head || wanted.map != got.map) ++differing;
        }
      });
    threads.clear();
    ASSERT_EQ(differing, 0) << "NB_SIM_SEED=" << seed;
  });
}

TEST(FastMaps, ComeOutTheSameFromAViewThatGrewByChanges) {
  each_seed(600, [](std::uint64_t seed) {
    RandomAccount random(seed);
    auto account = random.make();
    auto view = fresh_view(account);
    for (int step = 0; step < 6; ++step) {
      account = applied(*account, random.change(*account));
      view = MapView::update(view, account, view_options(settings())).view;
      const auto anew = fresh_view(account);
      for (const Peer& peer : account->peers) {
        const auto wanted = fast(*anew, peer.id);
        const auto got = fast(*view, peer.id);
        if (wanted.head == got.head && wanted.map == got.map) continue;
        ASSERT_EQ(difference(wanted, got), "order")
            << "NB_SIM_SEED=" << seed << " step " << step << " " << peer.id.value();
      }
    }
  });
}

TEST(AffectedPeers, HoldEveryoneWhoseMapDiffers) {
  std::size_t changes = 0;
  std::size_t told = 0;
  std::size_t differed = 0;
  std::size_t peers = 0;
  each_seed(1'000, [&](std::uint64_t seed) {
    RandomAccount random(seed);
    auto account = random.make();
    auto view = fresh_view(account);
    for (int step = 0; step < 6; ++step) {
      const auto next = applied(*account, random.change(*account));
      const auto update = MapView::update(view, next, view_options(settings()));
      ++changes;
      for (const Peer& peer : next->peers) {
        const bool is_told = update.everyone || update.affected.test(update.view->find(peer.id));
        bool differs = account->peer(peer.id) == nullptr;
        if (!differs) {
          const auto before = fast(*view, peer.id);
          const auto after = fast(*update.view, peer.id);
          // A peer that changed its slot's neighbours gets the same map in another order at most.
          differs = (before.head != after.head || before.map != after.map) &&
                    difference(before, after) != "order";
          ASSERT_TRUE(is_told || !differs) << "NB_SIM_SEED=" << seed << " step " << step << " "
                                           << peer.id.value() << ": " << difference(before, after);
        }
        told += is_told ? 1U : 0U;
        differed += differs ? 1U : 0U;
        ++peers;
      }
      account = next;
      view = update.view;
    }
  });
  RecordProperty("told_of_peers", fmt::format("{} of {}", told, peers));
  // Telling everybody would be right as well, and useless.
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_LT(told, peers * 2 / 3) << differed << " differed";
    EXPECT_GT(differed, changes / 4);
  }
}

TEST(AffectedPeers, AreNoneWhenOnlyMetadataChanged) {
  each_seed(300, [](std::uint64_t seed) {
    RandomAccount random(seed);
    const auto account = random.make();
    const auto view = fresh_view(account);
    const auto next = applied(*account, random.noise(*account));
    const auto update = MapView::update(view, next, view_options(settings()));
    ASSERT_TRUE(!update.everyone && update.affected.none()) << "NB_SIM_SEED=" << seed;
  });
}

TEST(AffectedPeers, AreNoneWhenTheSameIsReadAnew) {
  each_seed(200, [](std::uint64_t seed) {
    const auto account = RandomAccount(seed).make();
    const auto again = RandomAccount(seed).make();  // equal, but other objects
    const auto update = MapView::update(fresh_view(account), again, view_options(settings()));
    ASSERT_TRUE(!update.everyone && update.affected.none()) << "NB_SIM_SEED=" << seed;
  });
}

/// The same account with keys that are keys, and public ids; the `missing`th row has none.
AccountSnapshotPtr with_public_ids(const AccountSnapshotPtr& account, std::size_t missing = 0) {
  auto out = std::make_shared<AccountSnapshot>(*account);
  const auto renew = [](auto& table, auto change) {
    std::vector<std::decay_t<decltype(*table.begin())>> rows(table.begin(), table.end());
    for (auto& row : rows) change(row);
    table = std::decay_t<decltype(table)>(std::move(rows));
  };
  std::size_t count = 0;
  const auto publish = [&](auto& row) {
    if (++count != missing) row.public_id = PublicId("pub-" + row.id.value());
  };
  renew(out->peers, [](Peer& peer) {
    const auto digest = crypto::sha256(peer.key.value());
    peer.key = PeerKey(crypto::to_base64(crypto::as_text(digest)));
  });
  renew(out->groups, publish);
  renew(out->policies, publish);
  renew(out->posture_checks, publish);
  renew(out->routes, publish);
  renew(out->networks, publish);
  renew(out->routers, publish);
  renew(out->resources, publish);
  renew(out->name_server_groups, publish);
  return out;
}

TEST(ComponentMaps, AreCalculatedByReceiversIntoTheLegacyOnes) {
  std::size_t maps = 0;
  std::size_t in_components = 0;
  each_seed(2'000, [&](std::uint64_t seed) {
    const auto account = with_public_ids(RandomAccount(seed).make());
    const auto view = fresh_view(account);
    for (const Peer& peer : account->peers) {
      const auto legacy = fast(*view, peer.id);
      const auto made =
          make_map(*view, view->find(peer.id), kNow, settings(), MapForm::kComponents).map;
      ++maps;
      if (!made.network) {
        ASSERT_TRUE(made.head == legacy.head && made.map == legacy.map);
        continue;
      }
      ++in_components;
      ASSERT_EQ(test::expansion_difference(*account, peer, legacy.message(7, {}),
                                           made.message(7, {}), kNow),
                "")
          << "NB_SIM_SEED=" << seed << " " << peer.id.value();
    }
  });
  RecordProperty("in_components", fmt::format("{} of {}", in_components, maps));
  // Legacy maps for everybody would be right as well, and useless.
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(in_components, maps / 3);
  }
}

/// contract/management-grpc.md §7: never the primary id.
TEST(ComponentMaps, SayNothingOfARowWithoutPublicId) {
  constexpr auto npos = std::string::npos;  // injected policies are no rows
  std::size_t in_components = 0;
  each_seed(300, [&](std::uint64_t seed) {
    const auto account = RandomAccount(seed).make();
    const std::size_t groups = account->groups.size();
    const std::size_t policies = account->policies.size();
    // A group, and a policy: the one takes part in everything, the other in its rules only.
    std::vector<std::size_t> rows{seed % groups + 1};
    if (policies > 0) rows.push_back(groups + seed % policies + 1);
    for (const std::size_t missing : rows) {
      const auto lacking = with_public_ids(account, missing);
      const auto view = fresh_view(lacking);
      for (const Peer& peer : lacking->peers) {
        const auto made =
            make_map(*view, view->find(peer.id), kNow, settings(), MapForm::kComponents).map;
        if (!made.network) continue;
        ++in_components;
        ASSERT_GT(missing, groups);
        ::management::SyncResponse message;
        ASSERT_TRUE(message.ParseFromString(made.message(1, {})));
        for (const auto& policy : message.networkmapenvelope().full().policies())
          ASSERT_TRUE(policy.id().starts_with("pub-") || policy.id().find("-access-") != npos)
              << "NB_SIM_SEED=" << seed << " " << policy.id();
      }
    }
  });
  EXPECT_GT(in_components, 0U);
}

/// 50 groups of 100 peers, each group among itself.
AccountSnapshotPtr disjoint_groups() {
  auto out = std::make_shared<AccountSnapshot>();
  out->account.id = AccountId("acc");
  out->account.network.net = *Prefix::parse("100.64.0.0/16");
  std::vector<Peer> peers;
  std::vector<Group> groups;
  std::vector<Policy> policies;
  for (std::uint32_t g = 0; g < 50; ++g) {
    Group group;
    group.id = GroupId(fmt::format("g{:02}", g));
    group.name = group.id.value();
    for (std::uint32_t p = 0; p < 100; ++p) {
      Peer peer;
      peer.id = PeerId(fmt::format("p{:02}-{:02}", g, p));
      peer.key = PeerKey("key" + peer.id.value());
      peer.ip = IpAddress::v4(0x64400001U + g * 256 + p);
      peer.dns_label = peer.id.value();
      peer.meta.wt_version = "0.60.0";
      group.peers.push_back(peer.id);
      peers.push_back(std::move(peer));
    }
    Policy policy;
    policy.id = PolicyId(fmt::format("pol{:02}", g));
    policy.enabled = true;
    PolicyRule rule;
    rule.id = RuleId(policy.id.value());
    rule.policy_id = policy.id;
    rule.enabled = true;
    rule.action = "accept";
    rule.protocol = "all";
    rule.bidirectional = true;
    rule.sources = rule.destinations = {group.id};
    policy.rules.push_back(std::move(rule));
    groups.push_back(std::move(group));
    policies.push_back(std::move(policy));
  }
  out->peers = EntityTable<Peer>(std::move(peers));
  out->groups = EntityTable<Group>(std::move(groups));
  out->policies = EntityTable<Policy>(std::move(policies));
  return out;
}

TEST(AffectedPeers, AreThoseOfTheOneGroupThatChanged) {
  const auto account = disjoint_groups();
  const auto view = fresh_view(account);
  SnapshotDelta delta;
  delta.account = account->account;
  Peer renamed = *account->peer(PeerId("p07-42"));
  renamed.dns_label = "new-name";
  delta.peers.upserts.push_back(std::make_shared<const Peer>(std::move(renamed)));
  auto update = MapView::update(view, applied(*account, delta), view_options(settings()));
  EXPECT_FALSE(update.everyone);
  EXPECT_EQ(update.affected.count(), 100U);
  delta.peers = {};
  Group smaller = *account->group(GroupId("g30"));
  smaller.peers.pop_back();
  delta.groups.upserts.push_back(std::make_shared<const Group>(std::move(smaller)));
  update = MapView::update(view, applied(*account, delta), view_options(settings()));
  EXPECT_FALSE(update.everyone);
  EXPECT_EQ(update.affected.count(), 100U);
}

}  // namespace
}  // namespace nb::management::grpc
