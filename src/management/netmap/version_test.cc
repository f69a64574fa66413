#include "management/netmap/version.h"

#include <gtest/gtest.h>

namespace nb::netmap {
namespace {

bool at_least(std::string_view version, std::string_view minimum) {
  const auto have = Version::parse(version);
  const auto wanted = Version::parse(minimum);
  return have && wanted && have->at_least(*wanted);
}

TEST(Version, HasAnyNumberOfParts) {
  EXPECT_TRUE(at_least("10.0.19045.3803", "10.0.19045"));
  EXPECT_FALSE(at_least("10.0.19045.3803", "10.0.19045.3804"));
  EXPECT_TRUE(at_least("6", "5.99.99.99"));
  EXPECT_TRUE(at_least("1.2.0.0", "1.2"));
}

TEST(Version, PreReleaseDoesNotSatisfyAPlainMinimum) {
  EXPECT_FALSE(at_least("0.61.0-rc1", "0.60.0"));
  EXPECT_FALSE(at_least("0.61.0rc1", "0.60.0"));
  EXPECT_TRUE(at_least("0.60.0-rc2", "0.60.0-rc1"));
  EXPECT_FALSE(at_least("0.61.0-rc2", "0.60.0-rc1"));
  EXPECT_TRUE(at_least("0.60.0", "0.60.0-rc1"));
  EXPECT_TRUE(at_least("0.60.0-rc.11", "0.60.0-rc.2"));
}

TEST(Version, BuildTextDoesNotCount) {
  EXPECT_TRUE(at_least("v0.60.0+abc", "0.60.0"));
}

TEST(Version, NonsenseIsNone) {
  for (const char* text : {"", "v", "a.b", "1..2", "1.", "1.2.x.", "99999999999999999999", "1+"})
    EXPECT_FALSE(Version::parse(text)) << text;
}

TEST(SemanticVersion, SortsPreReleasesBeforeTheRelease) {
  const SemanticVersion minimum{{0, 59, 0}, {}};
  const auto is_new = [&](const char* text) {
    const auto version = SemanticVersion::parse(text);
    return version && version->at_least(minimum);
  };
  EXPECT_TRUE(is_new("0.59.0"));
  EXPECT_TRUE(is_new("0.59"));
  EXPECT_TRUE(is_new("0.60.0-rc1"));
  EXPECT_TRUE(is_new("0.59.0+build"));
  EXPECT_FALSE(is_new("0.59.0-rc1"));
  EXPECT_FALSE(is_new("v0.60.0"));
  EXPECT_FALSE(is_new("0.060.0"));
  EXPECT_FALSE(is_new("0.60.0.1"));
  EXPECT_FALSE(is_new(""));
}

}  // namespace
}  // namespace nb::netmap
