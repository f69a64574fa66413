#include "base/strict_json.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace nb {
namespace {

std::string round(std::string_view text, const JsonLimits& limits = {}) {
  const auto value = parse_strict_json(text, limits);
  return value ? boost::json::serialize(*value) : "error: " + value.error().text;
}

TEST(StrictJson, ReadsWhatJsonIs) {
  EXPECT_EQ(round(R"({"a":[1,-2,3.5,true,null,"x\u00e9"],"b":{"a":{}}} )"),
            R"({"a":[1,-2,3.5E0,true,null,"xé"],"b":{"a":{}}})");
  EXPECT_EQ(round("17"), "17");
}

TEST(StrictJson, RefusesAMemberNamedTwiceInOneObject) {
  EXPECT_EQ(round(R"({"alg":"none","alg":"RS256"})"),
            "error: JSON: an object names a member twice");
  EXPECT_EQ(round(R"({"x":{"a":1,"\u0061":2}})"), "error: JSON: an object names a member twice");
  EXPECT_EQ(round(R"([{"a":1},{"a":2}])"), R"([{"a":1},{"a":2}])");
}

TEST(StrictJson, RefusesWhatIsNotOneWholeValue) {
  for (const auto* text :
       {"", " ", "{", "[1", "{} {}", "{}x", "{'a':1}", "[1,]", "// c\n1", "NaN", "\"\xff\"", "01"})
    EXPECT_TRUE(round(text).starts_with("error: JSON")) << text;
}

TEST(StrictJson, RefusesANumberThatDoubleCannotHold) {
  EXPECT_EQ(round("1.7e308"), "1.7E308");
  EXPECT_EQ(round("1e-999"), "0E0");
  for (const auto* text : {"1e999", "-1e999", "[1e309]", R"({"a":17e400})"})
    EXPECT_TRUE(round(text).starts_with("error: JSON: malformed")) << text;
}

TEST(StrictJson, HoldsItsLimits) {
  EXPECT_EQ(round("[[[1]]]", {.depth_max = 3}), "[[[1]]]");
  EXPECT_EQ(round("[[[[1]]]]", {.depth_max = 3}), "error: JSON: nested deeper than 3");
  EXPECT_EQ(round("[1,2,3]", {.bytes_max = 6}), "error: JSON: longer than 6 bytes");
}

}  // namespace
}  // namespace nb
