#include "management/netmap/punycode.h"

#include <gtest/gtest.h>

namespace nb::netmap {
namespace {

TEST(AsciiDomain, EncodesOnlyWhatIsNotAscii) {
  EXPECT_EQ(ascii_domain("*.Svc.Example.com"), "*.svc.example.com");
  EXPECT_EQ(ascii_domain("m\u00fcnchen.example"), "xn--mnchen-3ya.example");
  EXPECT_EQ(ascii_domain("\u4f8b\u3048.\u30c6\u30b9\u30c8"), "xn--r8jz45g.xn--zckzah");
  EXPECT_EQ(ascii_domain("b\u00fccher.b\u00fccher."), "xn--bcher-kva.xn--bcher-kva.");
  EXPECT_EQ(ascii_domain(""), "");
}

TEST(AsciiDomain, LeavesBrokenTextAlone) {
  for (const char* text : {"a\xff.x", "\xf7\xbf\xbf\xbf", "\xc0\xae", "\xe2\x82"})
    EXPECT_EQ(ascii_domain(text), text);
}

}  // namespace
}  // namespace nb::netmap
