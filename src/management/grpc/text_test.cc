#include "management/grpc/text.h"

#include <gtest/gtest.h>

namespace nb::management::grpc {
namespace {

using namespace std::string_literals;

TEST(Text, WellFormedUtf8IsStorable) {
  for (const std::string& text :
       {""s, "plain"s,
        "Gr\xc3\xb6\xc3\x9f"
        "e"s,
        "\xe2\x82\xac"s, "\xf0\x9f\x98\x80"s, "\xf4\x8f\xbf\xbf"s, "\xed\x9f\xbf"s})
    EXPECT_TRUE(is_storable(text)) << text;
}

TEST(Text, EverythingElseIsNot) {
  for (const std::string& text :
       {"a\0b"s, "\x80"s, "\xc3"s, "\xc0\x80"s, "\xc1\xbf"s, "\xe0\x80\x80"s, "\xe2\x82"s,
        "\xed\xa0\x80"s, "\xf0\x80\x80\x80"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s,
        "ok\xfe"s})
    EXPECT_FALSE(is_storable(text));
}

TEST(Text, PrefixEndsAtACharacter) {
  EXPECT_EQ(storable_prefix("abc", 10), "abc");
  EXPECT_EQ(storable_prefix("ab\xe2\x82\xac", 4), "ab");
  EXPECT_EQ(storable_prefix("ab\xe2\x82\xac", 5), "ab\xe2\x82\xac");
  EXPECT_EQ(storable_prefix("ab\xff"
                            "cd",
                            10),
            "ab");
  EXPECT_EQ(storable_prefix("a\0b"s, 10), "a b");
  EXPECT_EQ(storable_prefix("\xff", 10), "");
}

}  // namespace
}  // namespace nb::management::grpc
