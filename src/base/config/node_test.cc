#include "base/config/node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace nb::config {
namespace {
using testing::HasSubstr;
using testing::Not;

Environment fixed(std::string name, std::string value) {
  return [name = std::move(name),
          value = std::move(value)](std::string_view asked) -> std::optional<std::string> {
    if (asked != name) return std::nullopt;
    return value;
  };
}

TEST(Json, KeysMatchWithoutRegardToCaseAndTheLastOneWins) {
  const auto node = *parse_json(R"({"a":{"Key":1,"KEY":2},"B":[true,null,1.5,"x"]})");
  EXPECT_EQ(node.find_path("A.key")->text(), "2");
  EXPECT_EQ(node.find_path("a.Key")->text(), "1") << "the exact name first";
  EXPECT_EQ(node.find("b")->at(0).text(), "true");
  EXPECT_TRUE(node.find("b")->at(1).null());
  EXPECT_EQ(node.find("b")->at(2).text(), "1.5");
  EXPECT_EQ(node.find_path("a.none"), nullptr);
  EXPECT_EQ(node.find_path("B.x"), nullptr);
}

TEST(Json, ErrorsGiveThePlaceAndNotTheText) {
  const auto node = parse_json("{\n  \"Secret\": \"hunter2\" \"x\"\n}");
  ASSERT_FALSE(node);
  EXPECT_THAT(node.error().text, HasSubstr("line 2, column "));
  EXPECT_THAT(node.error().text, Not(HasSubstr("hunter2")));
  EXPECT_FALSE(parse_json(""));
  EXPECT_FALSE(parse_json("{"));
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_FALSE(parse_json(std::string(1000, '[') + std::string(1000, ']')));
  EXPECT_FALSE(parse_json(std::string(kFileBytesMax + 1, ' ')));
  EXPECT_TRUE(parse_json("\xEF\xBB\xBF{}"));
}

TEST(Yaml, ReadsWhatJsonReads) {
  const auto node = parse_yaml(
      "server:\n  listenAddress: ':443'\n  stunPorts: [3478, 3479]\n  tls: {enabled: true}\n  "
      "none: ~\n  quoted: \"1\"\n  ttl: 1h\n");
  ASSERT_TRUE(node) << node.error().text;
  EXPECT_EQ(node->find_path("server.listenaddress")->text(), ":443");
  EXPECT_EQ(node->find_path("server.stunPorts")->at(1).kind(), Node::Kind::kNumber);
  EXPECT_EQ(node->find_path("server.tls.enabled")->kind(), Node::Kind::kBool);
  EXPECT_TRUE(node->find_path("server.none")->null());
  EXPECT_EQ(node->find_path("server.quoted")->kind(), Node::Kind::kString);
  EXPECT_EQ(node->find_path("server.ttl")->text(), "1h");
}

TEST(Yaml, BadAndHostileTextIsRefused) {
  EXPECT_FALSE(parse_yaml("a: [1"));
  EXPECT_FALSE(parse_yaml("? {a: 1}\n: 2"));
  EXPECT_FALSE(parse_yaml(std::string(200, '[') + std::string(200, ']')));
  std::string bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += fmt::format("a{0}: &a{0} [", i);
    for (int k = 0; k < 10; ++k) bomb += fmt::format("{}*a{}", k == 0 ? "" : ",", i - 1);
    bomb += "]\n";
  }
  const auto result = parse_yaml(bomb);
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().text, HasSubstr("too many values"));
}

TEST(Template, VariablesAreReplacedAndMissingOnesAreErrors) {
  const auto env = fixed("NAME", "v");
  EXPECT_EQ(*expand_template("a{{ .NAME }}b{{.NAME}}", env), "avbv");
  EXPECT_EQ(expand_template("{{ .OTHER }}", env).error().text,
            "template: variable OTHER is not set");
  for (const auto* bad : {"{{ if .NAME }}", "{{ NAME }}", "{{ .NAME", "{{}}", "{{ .A.B }}"}) {
    EXPECT_FALSE(expand_template(bad, env)) << bad;
  }
}

TEST(PatchJson, ReplacesOnlyTheEmptyValue) {
  EXPECT_EQ(*patch_json_key(
                "{\n  \"A\": {{ .X }},\n  \"DataStoreEncryptionKey\": \"\" ,\n \"Z\": [\"}\"]\n}\n",
                "DataStoreEncryptionKey", "k="),
            "{\n  \"A\": {{ .X }},\n  \"DataStoreEncryptionKey\": \"k=\" ,\n \"Z\": [\"}\"]\n}\n");
  EXPECT_EQ(*patch_json_key(R"({"datastoreencryptionkey":null})", "DataStoreEncryptionKey", "k"),
            R"({"datastoreencryptionkey":"k"})");
}

TEST(PatchJson, AddsAMissingKey) {
  const auto some = *patch_json_key("{ \"A\": {\"Key\": \"\"} }", "Key", "k");
  EXPECT_EQ(some, "{\n    \"Key\": \"k\", \"A\": {\"Key\": \"\"} }");
  EXPECT_TRUE(parse_json(some));
  EXPECT_TRUE(parse_json(*patch_json_key("{}", "Key", "k")));
}

TEST(PatchJson, RefusesAValueOrBrokenText) {
  EXPECT_EQ(patch_json_key(R"({"Key":"old"})", "Key", "k").error().code, Code::kFailedPrecondition);
  for (const auto* bad : {"", "[]", "{", "{\"Key\":", "{\"Key\"", "{\"a\":1"}) {
    EXPECT_FALSE(patch_json_key(bad, "Key", "k")) << bad;
  }
}

class Files : public testing::Test {
 protected:
  Files() : dir_(testing::TempDir() + "nb_files_" + std::to_string(::getpid())) {
    std::filesystem::create_directories(dir_);
  }
  ~Files() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(Files, AtomicWriteKeepsTheModeAndLeavesNothingBehind) {
  const auto path = dir_ + "/management.json";
  ASSERT_TRUE(write_file_atomically(path, "one"));
  struct stat info {};
  ::stat(path.c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777U, 0640U);
  ::chmod(path.c_str(), 0600);
  std::filesystem::create_symlink(path, dir_ + "/link");
  ASSERT_TRUE(write_file_atomically(dir_ + "/link", "two"));
  ::stat(path.c_str(), &info);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  EXPECT_EQ(*read_file(path), "two");
  EXPECT_TRUE(std::filesystem::is_symlink(dir_ + "/link"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 2);
}

TEST_F(Files, ReadRefusesDirectoriesLargeAndMissingFiles) {
  EXPECT_EQ(read_file(dir_ + "/none").error().code, Code::kNotFound);
  EXPECT_EQ(read_file(dir_).error().code, Code::kInvalidArgument);
  std::ofstream(dir_ + "/big") << std::string(11, 'x');
  EXPECT_EQ(read_file(dir_ + "/big", 10).error().code, Code::kInvalidArgument);
  EXPECT_EQ(read_file(dir_ + "/big", 11)->size(), 11U);
}

}  // namespace
}  // namespace nb::config
