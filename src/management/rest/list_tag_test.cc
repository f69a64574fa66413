#include "management/rest/list_tag.h"

#include <gtest/gtest.h>

namespace nb::management::rest {
namespace {

using namespace std::chrono_literals;

constexpr WallTime kNow{1'800'000'000s};
constexpr std::string_view kProgram = "1.0";

Call call_of(std::string_view user, std::string query = {}, std::string if_none_match = {}) {
  Call call;
  call.query = std::move(query);
  call.if_none_match = std::move(if_none_match);
  call.caller.known.user.id = UserId(std::string(user));
  call.caller.known.user.role = "admin";
  return call;
}

std::string known(const Call& call, std::string_view stamp, WallTime now = kNow,
                  std::string_view program = kProgram) {
  return ListTag(call, program).known(stamp, now);
}

TEST(ListTag, StandsForTheRowsOnly) {
  const std::string tag = ListTag(call_of("u"), kProgram).of("rows", {});
  EXPECT_EQ(known(call_of("u", "", tag), "rows"), tag);
  EXPECT_EQ(known(call_of("u", "", "W/" + tag), "rows"), tag);
  EXPECT_EQ(known(call_of("u", "", "\"x\", W/" + tag + " , \"y\""), "rows"), tag);
  EXPECT_EQ(known(call_of("u", "", tag), "other rows"), "");
  EXPECT_EQ(known(call_of("u", "", tag), ""), "");
  EXPECT_EQ(known(call_of("u"), "rows"), "");
}

TEST(ListTag, StandsForWhoAsksForWhatOfWhom) {
  const std::string tag = ListTag(call_of("u", "name=a"), kProgram).of("rows", {});
  EXPECT_EQ(known(call_of("u", "name=a", tag), "rows"), tag);
  EXPECT_EQ(known(call_of("v", "name=a", tag), "rows"), "");
  EXPECT_EQ(known(call_of("u", "name=b", tag), "rows"), "");
  EXPECT_EQ(known(call_of("u", "name=a", tag), "rows", kNow, "1.1"), "");
  Call user = call_of("u", "name=a", tag);
  user.caller.known.user.role = "user";
  EXPECT_EQ(known(user, "rows"), "");
  Call other = call_of("u", "name=a", tag);
  other.params = {"network"};
  EXPECT_EQ(known(other, "rows"), "");
}

TEST(ListTag, EndsWhenTheListChangesByItself) {
  const std::string tag = ListTag(call_of("u"), kProgram).of("rows", kNow + 10s + 500ms);
  EXPECT_EQ(known(call_of("u", "", tag), "rows", kNow + 9s), tag);
  EXPECT_EQ(known(call_of("u", "", tag), "rows", kNow + 10s), "");
  const std::string digest = tag.substr(tag.find('.'));
  // A client can only fool itself.
  EXPECT_EQ(known(call_of("u", "", "\"0" + digest), "rows", kNow + 1h), "\"0" + digest);
}

TEST(ListTag, RubbishIsNoTag) {
  const std::string tag = ListTag(call_of("u"), kProgram).of("rows", {});
  for (const std::string& text :
       {std::string("*"), std::string("\""), std::string("\"\""), std::string("W/"),
        std::string(",,,"), tag.substr(1), tag.substr(0, tag.size() - 1),
        "\"99999999999999999999999" + tag.substr(2), "\"" + tag.substr(2)})
    EXPECT_EQ(known(call_of("u", "", text), "rows"), "") << text;
}

}  // namespace
}  // namespace nb::management::rest
