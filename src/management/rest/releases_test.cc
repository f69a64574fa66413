#include "management/rest/releases.h"

#include <gtest/gtest.h>

namespace nb::management::rest {
namespace {

TEST(Releases, AreReadFromTextAndFromGithub) {
  EXPECT_EQ(release_in("0.77.1\n"), "0.77.1");
  EXPECT_EQ(release_in(" v2.10.0 "), "2.10.0");
  EXPECT_EQ(release_in(R"({"tag_name":"v2.9.1","body":"text"})"), "2.9.1");
}

TEST(Releases, WhateverElseIsAnsweredIsNoVersion) {
  for (const char* const body : {"", "<html>not found</html>", "{}", R"({"tag_name":7})",
                                 R"({"tag_name":"main"})", "{\"tag", "1.2.3 <script>", "vv1.2.3"})
    EXPECT_EQ(release_in(body), "") << body;
  EXPECT_EQ(release_in("1." + std::string(100, '1')), "");
}

TEST(Releases, OnlyLaterVersionsAreUpdates) {
  EXPECT_TRUE(is_update("0.77.1", "0.77.0"));
  EXPECT_TRUE(is_update("0.77.0", "0.9.12"));
  EXPECT_FALSE(is_update("0.77.0", "0.77.0"));
  EXPECT_FALSE(is_update("0.76.9", "0.77.0"));
  EXPECT_FALSE(is_update("0.77.0", "development"));
  EXPECT_FALSE(is_update("", "0.77.0"));
}

}  // namespace
}  // namespace nb::management::rest
