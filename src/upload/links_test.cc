#include "upload/links.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nb::upload {
namespace {

using namespace std::chrono_literals;

const WallTime kNow{std::chrono::seconds(1'800'000'000)};
const BundleName kName{"agent", "0b4f5c1e-27b8-4f06-9a7e-0d9a3a1d5a10"};

TEST(BundleNames, AreTwoSafeNames) {
  const auto read = parse_name(kName.key());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, kName);
  const std::string file = kName.file;
  const std::vector<std::string> others = {"",
                                           "agent",
                                           "agent/..",
                                           "/",
                                           "agent/",
                                           fmt::format("agent/{}/", file),
                                           fmt::format("/{}", file),
                                           fmt::format("./{}", file),
                                           fmt::format("../{}", file),
                                           fmt::format("a/../{}", file),
                                           fmt::format("..%2f{}", file),
                                           fmt::format("a%2fb/{}", file),
                                           fmt::format("agent/..{}", file),
                                           fmt::format("agent/.part-{}", file),
                                           fmt::format("agent/{}0", file),
                                           fmt::format("agent/{}", file.substr(1)),
                                           fmt::format("agent/{:.>36}", ""),
                                           fmt::format("agent/0B4F5C1E{}", file.substr(8)),
                                           fmt::format("{:a>65}/{}", "", file),
                                           fmt::format("a{}b/{}", '\0', file),
                                           fmt::format("a b/{}", file),
                                           fmt::format("a\\b/{}", file)};
  for (const std::string& bad : others) EXPECT_FALSE(parse_name(bad)) << bad;
}

TEST(BundleNames, FoldersOfUnsafeIdsAreTheirHashes) {
  const std::string hash(64, 'f');
  EXPECT_EQ(folder_of(hash), hash) << "what official agents send";
  EXPECT_EQ(folder_of("me_1-2"), "me_1-2");
  EXPECT_EQ(folder_of("../x"), folder_of("../x"));
  for (const char* const id : {"..", "../x", "a/b", ".", "a.b"})
    EXPECT_THAT(folder_of(id), ::testing::MatchesRegex("[0-9a-f]{64}")) << id;
  EXPECT_NE(folder_of(".."), folder_of("."));
}

TEST(Links, AreGoodForTheirBundleAndTheirTime) {
  const Links links(Secret("0123456789abcdef0123456789abcdef"));
  const std::string query = links.sign(kName, kNow);
  EXPECT_TRUE(links.check(kName, query, kNow));
  EXPECT_TRUE(links.check(kName, query, kNow + kLinkLife - 1s));
  EXPECT_EQ(links.check(kName, query, kNow + kLinkLife).error().code, Code::kDeadlineExceeded);
  BundleName other = kName;
  other.folder = "other";
  EXPECT_EQ(links.check(other, query, kNow).error().code, Code::kPermissionDenied);
  const Links others(Secret("another key, as long as the first"));
  EXPECT_EQ(others.check(kName, query, kNow).error().code, Code::kPermissionDenied);
}

TEST(Links, AreNotChanged) {
  const Links links(Secret("0123456789abcdef0123456789abcdef"));
  const std::string query = links.sign(kName, kNow);
  for (std::size_t i = 0; i < query.size(); ++i) {
    std::string changed = query;
    changed[i] = changed[i] == '1' ? '2' : '1';
    EXPECT_FALSE(links.check(kName, changed, kNow)) << changed;
  }
  const std::vector<std::string> others = {"",
                                           "exp=",
                                           "exp=1&sig=",
                                           fmt::format("{}0", query),
                                           fmt::format("&{}", query),
                                           query.substr(0, query.size() - 1),
                                           fmt::format("exp=99999999999999999999&sig={:0>64}", "")};
  for (const std::string& bad : others) EXPECT_FALSE(links.check(kName, bad, kNow)) << bad;
}

}  // namespace
}  // namespace nb::upload
