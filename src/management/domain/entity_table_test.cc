#include "management/domain/entity_table.h"

#include "base/strong_id.h"

#include <gmock/gmock.h>

#include <string>

namespace nb::management {
namespace {

struct ThingId : StrongId<ThingId, std::string> {
  using StrongId::StrongId;
};
struct Thing {
  ThingId id;
  int value = 0;
};

std::string text(const EntityTable<Thing>& table) {
  std::string out;
  for (const Thing& thing : table) out += thing.id.value() + std::to_string(thing.value) + ' ';
  return out;
}

EntityTable<Thing>::Ptr thing(const char* id, int value) {
  return std::make_shared<const Thing>(Thing{ThingId(id), value});
}

TEST(EntityTable, IsSortedAndKeepsTheLastOfEqualIds) {
  const EntityTable<Thing> table({{ThingId("b"), 1}, {ThingId("a"), 2}, {ThingId("b"), 3}});
  EXPECT_EQ(text(table), "a2 b3 ");
  EXPECT_EQ(table.find(ThingId("b"))->value, 3);
  EXPECT_EQ(table.find(ThingId("c")), nullptr);
  EXPECT_EQ(table.position(ThingId("b")), 1U);
  EXPECT_EQ(table.position(ThingId("0")), EntityTable<Thing>::kNowhere);
}

TEST(EntityTable, AChangeReplacesAddsAndRemovesAndSharesTheRest) {
  const EntityTable<Thing> before({{ThingId("b"), 1}, {ThingId("d"), 1}, {ThingId("f"), 1}});
  const auto after = before.with({.upserts = {thing("g", 2), thing("a", 2), thing("d", 2)},
                                  .removed = {ThingId("f"), ThingId("nobody")}});
  EXPECT_EQ(text(after), "a2 b1 d2 g2 ");
  EXPECT_EQ(text(before), "b1 d1 f1 ");
  EXPECT_EQ(after.ptr(1), before.ptr(0));
}

TEST(EntityTable, WhatIsRemovedAndPutInOneChangeStays) {
  const EntityTable<Thing> before({{ThingId("a"), 1}});
  EXPECT_EQ(text(before.with({.upserts = {thing("a", 2)}, .removed = {ThingId("a")}})), "a2 ");
}

}  // namespace
}  // namespace nb::management
