#include "management/grpc/recent_maps.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

namespace nb::management::grpc {
namespace {

using namespace std::chrono_literals;

netmap::MapViewPtr view() {
  auto account = std::make_shared<AccountSnapshot>();
  account->account.id = AccountId("acc");
  return netmap::MapView::update(nullptr, std::move(account), {}).view;
}

std::shared_ptr<PreparedMap> map(const std::string& bytes,
                                 std::optional<WallTime> changes_at = std::nullopt) {
  MadeMap made;
  made.map.map = bytes;
  made.changes_at = changes_at;
  return std::make_shared<PreparedMap>(std::move(made));
}

class RecentMapsTest : public testing::Test {
 protected:
  bool made(RecentMaps& maps, const std::string& peer, const std::string& bytes) {
    const PeerId id(peer);
    return maps.made({.peer = id, .view = account, .login = login}, now, map(bytes));
  }
  std::string found(RecentMaps& maps, const std::string& peer) {
    const PeerId id(peer);
    const auto map = maps.find({.peer = id, .view = account, .login = login}, now);
    return map ? map->map.map : "";
  }
  WallTime now{1'000s};
  netmap::MapViewPtr account = view();
  std::shared_ptr<const LoginSettings> login = std::make_shared<const LoginSettings>();
};

TEST_F(RecentMapsTest, APeerThatComesBackGetsWhatWasMadeForItTheSecondTime) {
  RecentMaps maps;
  EXPECT_EQ(found(maps, "a"), "");
  EXPECT_FALSE(made(maps, "a", "first"));
  EXPECT_EQ(found(maps, "a"), "") << "who comes once leaves nothing but a mark";
  EXPECT_EQ(maps.bytes(), 0U);
  EXPECT_TRUE(made(maps, "a", "second"));
  EXPECT_EQ(found(maps, "a"), "second");
  EXPECT_EQ(found(maps, "b"), "");
}

TEST_F(RecentMapsTest, AnotherViewSettingOrFormAsksForAnotherMap) {
  RecentMaps maps;
  const PeerId id("a");
  made(maps, "a", "map");
  made(maps, "a", "map");
  ASSERT_EQ(found(maps, "a"), "map");
  const auto before = std::exchange(account, view());
  EXPECT_EQ(found(maps, "a"), "");
  account = before;
  const auto known = std::exchange(login, std::make_shared<const LoginSettings>());
  EXPECT_EQ(found(maps, "a"), "");
  login = known;
  EXPECT_FALSE(
      maps.find({.peer = id, .view = account, .login = login, .form = MapForm::kComponents}, now));
  EXPECT_EQ(found(maps, "a"), "map");
  // After a while the new view's map has to be asked for twice again.
  account = view();
  now += 60s;
  EXPECT_FALSE(made(maps, "a", "new"));
  EXPECT_EQ(maps.bytes(), 0U);
  EXPECT_TRUE(made(maps, "a", "new"));
  EXPECT_EQ(found(maps, "a"), "new");
}

TEST_F(RecentMapsTest, WhoComesBackOftenNeedsNoSecondMapOfANewView) {
  RecentMaps maps;
  EXPECT_FALSE(made(maps, "a", "first"));
  account = view();
  now += 59s;
  EXPECT_TRUE(made(maps, "a", "of the next view"));
  EXPECT_EQ(found(maps, "a"), "of the next view");
  account = view();
  now -= 1h;
  EXPECT_FALSE(made(maps, "a", "later")) << "a clock that was put back says nothing";
}

TEST_F(RecentMapsTest, AMapIsNotKeptBeyondTheTimeAtWhichItChanges) {
  RecentMaps maps;
  const PeerId id("a");
  const RecentMaps::Source source{.peer = id, .view = account, .login = login};
  made(maps, "a", "map");
  EXPECT_TRUE(maps.made(source, now, map("map", now + 10s)));
  EXPECT_TRUE(maps.find(source, now + 9s));
  EXPECT_FALSE(maps.find(source, now + 10s));
  EXPECT_FALSE(maps.find(source, now - 1s)) << "a clock that was put back";
}

TEST_F(RecentMapsTest, ItsBytesAndPeersAreBounded) {
  RecentMaps maps({.bytes_max = 100, .map_bytes_max = 50, .peers_max = 3});
  const auto keep = [&](const std::string& peer, std::size_t bytes) {
    made(maps, peer, std::string(bytes, 'x'));
    return made(maps, peer, std::string(bytes, 'x'));
  };
  EXPECT_FALSE(keep("large", 51));
  EXPECT_TRUE(keep("a", 40));
  EXPECT_TRUE(keep("b", 40));
  EXPECT_EQ(maps.bytes(), 80U);
  EXPECT_NE(found(maps, "a"), "");  // asked for later than b
  EXPECT_TRUE(keep("c", 40));
  EXPECT_EQ(maps.bytes(), 80U);
  EXPECT_EQ(found(maps, "b"), "");
  EXPECT_NE(found(maps, "a"), "");
  for (const char* const peer : {"d", "e", "f"}) made(maps, peer, "x");
  EXPECT_EQ(maps.bytes(), 0U) << "three others came since";
}

}  // namespace
}  // namespace nb::management::grpc
