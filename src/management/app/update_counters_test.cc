#include "management/app/update_counters.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nb::management::app {
namespace {

std::uint64_t count(const UpdateCounters& counters, std::string_view resource,
                    std::size_t operation) {
  const auto* const at =
      std::find(UpdateCounters::kResources.begin(), UpdateCounters::kResources.end(), resource);
  return counters.at(static_cast<std::size_t>(at - UpdateCounters::kResources.begin()), operation);
}
std::shared_ptr<const Group> group(const char* id) {
  auto out = std::make_shared<Group>();
  out->id = GroupId(id);
  return out;
}

TEST(UpdateCounters, TellWhatWasMadeChangedAndDeleted) {
  UpdateCounters counters;
  AccountSnapshot before;
  EntityChanges<Group> first;
  first.upserts = {group("old")};
  before.groups = before.groups.with(first);
  SnapshotDelta delta;
  delta.groups.upserts = {group("old"), group("new"), group("new-too")};
  delta.groups.removed = {GroupId("gone")};
  counters.count(before, delta);
  EXPECT_EQ(count(counters, "group", 0), 1U);
  EXPECT_EQ(count(counters, "group", 1), 1U);
  EXPECT_EQ(count(counters, "group", 2), 1U);
  EXPECT_EQ(count(counters, "account_settings", 1), 0U);
  counters.count(before, SnapshotDelta{});
  EXPECT_EQ(count(counters, "account_settings", 1), 1U);
}

}  // namespace
}  // namespace nb::management::app
