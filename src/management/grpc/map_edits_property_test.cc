// Whose map one field of one object changes, and what time changes, over random accounts.
#include "management/grpc/test_view_maps.h"
#include "management/netmap/test_random_account.h"
#include "management/netmap/test_random_edits.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::management::grpc {
namespace {

using namespace test;
using netmap::test::RandomAccount;
using netmap::test::RandomEdits;
using namespace std::chrono_literals;

/// NB_SIM_SEED repeats one seed.
template <class Run>
void each_seed(std::uint64_t count, Run run) {
  if (const char* const one = std::getenv("NB_SIM_SEED")) return run(std::stoull(one));
  for (std::uint64_t seed = 1; seed <= count && !testing::Test::HasFailure(); ++seed) run(seed);
}

TEST(AffectedPeers, HoldEveryoneWhoseMapOneFieldChanges) {
  each_seed(600, [](std::uint64_t seed) {
    RandomEdits edits(seed);
    auto account = RandomAccount(seed).make();
    auto view = update(nullptr, account).view;
    for (int step = 0; step < 10; ++step) {
      const auto next = applied(*account, edits.next(*account));
      const auto changed = update(view, next);
      const auto anew = update(nullptr, next).view;
      for (const Peer& peer : next->peers) {
        const auto after = made(*changed.view, peer.id).map;
        const std::string wrong = difference(made(*anew, peer.id).map, after);
        ASSERT_EQ(wrong, "") << "NB_SIM_SEED=" << seed << " step " << step << " " << peer.id.value()
                             << " after " << edits.said();
        if (is_told(changed, peer.id) || account->peer(peer.id) == nullptr) continue;
        const std::string missed = difference(made(*view, peer.id).map, after);
        ASSERT_EQ(missed, "") << "NB_SIM_SEED=" << seed << " step " << step << " "
                              << peer.id.value() << " not told of " << edits.said();
      }
      account = next;
      view = changed.view;
    }
  });
}

/// Logins of the account end during the two days after kNow, one every hour.
AccountSnapshotPtr with_ending_logins(const AccountSnapshotPtr& account) {
  auto out = std::make_shared<AccountSnapshot>(*account);
  out->account.settings.peer_login_expiration_enabled = true;
  out->account.settings.peer_login_expiration = 24h;
  std::vector<Peer> peers(out->peers.begin(), out->peers.end());
  for (std::size_t i = 0; i < peers.size(); ++i)
    peers[i].last_login = kNow - 24h + std::chrono::hours(i % 48);
  out->peers = EntityTable<Peer>(std::move(peers));
  return out;
}

// Nobody writes anything when a login ends: the map itself says when it is to be made again.
TEST(MapsInTime, ChangeWhenTheySayAndNotBefore) {
  std::size_t changes = 0;
  each_seed(300, [&](std::uint64_t seed) {
    const auto account = with_ending_logins(RandomAccount(seed).make());
    const auto view = update(nullptr, account).view;
    for (const Peer& peer : account->peers) {
      WallTime from = kNow;
      MadeMap map = made(*view, peer.id, from);
      while (map.changes_at) {
        ASSERT_GT(*map.changes_at, from) << "NB_SIM_SEED=" << seed << " " << peer.id.value();
        const auto shortly_before = made(*view, peer.id, *map.changes_at - 1ns).map;
        ASSERT_EQ(difference(map.map, shortly_before), "")
            << "NB_SIM_SEED=" << seed << " " << peer.id.value();
        from = *map.changes_at;
        map = made(*view, peer.id, from);
        ++changes;
      }
      const auto at_last = made(*view, peer.id, kNow + 24h * 365).map;
      ASSERT_EQ(difference(map.map, at_last), "")
          << "NB_SIM_SEED=" << seed << " " << peer.id.value();
    }
  });
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(changes, 100U);
  }
}

}  // namespace
}  // namespace nb::management::grpc
