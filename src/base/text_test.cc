#include "base/text.h"

#include <gtest/gtest.h>

namespace nb {
namespace {

TEST(Text, HexRoundTripsAndRefusesOtherText) {
  EXPECT_EQ(to_hex(std::string_view("\x00\xff\x10", 3)), "00ff10");
  EXPECT_EQ(*from_hex("00FF10"), std::string("\x00\xff\x10", 3));
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("zz"));
}

TEST(Text, PercentEscapesAreDecodedOnce) {
  EXPECT_EQ(percent_decode("a%20b+c%2525%c3%A9"), "a b+c%25\xc3\xa9");
  EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
  EXPECT_EQ(percent_decode("a+b%2B", {.plus_is_blank = true}), "a b+");
}

TEST(Text, ABrokenPercentEscapeIsRefusedOrKept) {
  for (const char* broken : {"%", "a%", "%4", "%zz", "%4z", "%%41"}) {
    EXPECT_EQ(percent_decode(broken), std::nullopt) << broken;
  }
  EXPECT_EQ(percent_decode("100%", {.keep_broken = true}), "100%");
  EXPECT_EQ(percent_decode("%%41%4", {.keep_broken = true}), "%A%4");
}

TEST(Text, LineEndsAreDroppedAtTheEndOnly) {
  const auto dropped = [](std::string text) {
    drop_line_ends(text);
    return text;
  };
  EXPECT_EQ(dropped("a\nb \r\n\n"), "a\nb ");
  EXPECT_EQ(dropped("\r\n"), "");
  EXPECT_EQ(dropped(""), "");
}

TEST(Text, SplitTrimsAndDropsEmptyPieces) {
  EXPECT_EQ(split(" a, b ,,c,", ','), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(split("", ',').empty());
}

TEST(Text, Utf8CharactersAreMeasuredAndBrokenOnesAreNone) {
  EXPECT_EQ(utf8_length(""), 0U);
  EXPECT_EQ(utf8_length(std::string_view("\0", 1)), 1U);
  EXPECT_EQ(utf8_length("\x7F\x80"), 1U);
  EXPECT_EQ(utf8_length("\xC2\x80!"), 2U);
  EXPECT_EQ(utf8_length("\xE0\xA0\x80"), 3U);
  EXPECT_EQ(utf8_length("\xED\x9F\xBF"), 3U);
  EXPECT_EQ(utf8_length("\xEE\x80\x80"), 3U);
  EXPECT_EQ(utf8_length("\xF0\x90\x80\x80"), 4U);
  EXPECT_EQ(utf8_length("\xF4\x8F\xBF\xBF"), 4U);
  for (const char* broken : {
           "\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xFF",          // no first byte
           "\xC2", "\xE2\x82", "\xF0\x9F\x98",                      // cut off
           "\xC2!", "\xE2!\xAC", "\xE2\x82!", "\xF0\x9F\x98!",      // not continued
           "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF",                      // overlong
           "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",  // surrogate, too large
       }) {
    EXPECT_EQ(utf8_length(broken), 0U) << escape_control(broken);
    EXPECT_FALSE(is_utf8(std::string("a") + broken)) << escape_control(broken);
    // Wherever it stands in a longer text, looked at in pieces of eight bytes.
    for (std::size_t before = 0; before < 17; ++before) {
      EXPECT_FALSE(is_utf8(std::string(before, 'a') + broken)) << before;
      EXPECT_FALSE(is_utf8(std::string(before, 'a') + broken + std::string(17, 'a'))) << before;
    }
  }
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("na\xC3\xAFve \xF0\x9F\x98\x80"));
}

TEST(Text, ControlCharactersAndBrokenUtf8BecomeVisible) {
  EXPECT_EQ(escape_control("a\nb\r\t\x1b[31m\x7f"), "a\\nb\\r\\t\\x1b[31m\\x7f");
  EXPECT_EQ(escape_control("gr\xC3\xBC\xC3\x9F"), "gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(escape_control("\xC2\x9B"
                           "31m"),
            "\\xc2\\x9b31m");  // C1 control sequence introducer
  EXPECT_EQ(escape_control("\xC3"), "\\xc3");
  EXPECT_EQ(escape_control("\xED\xA0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(escape_control(std::string_view("\0", 1)), "\\x00");
}

TEST(Text, HostPortTakesNamesAndBracketedAddresses) {
  EXPECT_EQ(parse_host_port("redis:6379")->host, "redis");
  EXPECT_EQ(parse_host_port("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_host_port(":443")->port, 443);
  for (const auto* bad : {"redis", "::1:80", "[::1]", "a:0", "a:65536", "a:+1", "a:", ""}) {
    EXPECT_FALSE(parse_host_port(bad)) << bad;
  }
}

TEST(Text, UrlKeepsAPasswordWithSpecialCharacters) {
  const auto url = parse_url("rediss://bob:p%40ss@w:rd@[fd00::1]:6380/2?db=3#x");
  ASSERT_TRUE(url) << url.error().text;
  EXPECT_EQ(url->scheme, "rediss");
  EXPECT_EQ(url->user, "bob");
  EXPECT_EQ(url->password, "p@ss@w:rd");
  EXPECT_EQ(url->host, "fd00::1");
  EXPECT_EQ(url->port, 6380);
  EXPECT_EQ(url->path, "/2");
  EXPECT_EQ(url->query, "db=3");
}

TEST(Text, UrlErrorsDoNotShowThePassword) {
  for (const auto* text : {"redis://u:hunter2@h:x/", "u:hunter2@h", "redis://u:hunter2%zz@h"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().text.find("hunter2"), std::string::npos);
  }
}

}  // namespace
}  // namespace nb
