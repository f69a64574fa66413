// The program netbird-golden as it is called: folders, options, results, exit statuses.
#include "cmd/golden/golden_maps.h"
#include "management/grpc/test_canonical_map.h"
#include "proto/management.pb.h"
#include "sql/test_database.h"
#include "support/paths.h"
#include "support/process.h"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace nb::cmd::golden {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
namespace pb = ::management;
using nb::test::Finished;
using testing::HasSubstr;

const std::string kMesh = "01-full-mesh";
const std::string kPorts = "03-oneway-tcp-ports";

fs::path packed(const std::string& name) {
  return fs::path(nb::test::source_dir()) / "tests/data/golden" / (name + ".json.gz");
}

class GoldenProgram : public testing::Test {
 protected:
  /// One vector as text, one packed and in a subfolder, and a file of JSON that is none.
  void SetUp() override {
    fs::create_directories(fs::path(vectors_) / "more");
    const auto text = read_text(packed(kMesh));
    ASSERT_TRUE(text.has_value());
    write(kMesh + ".json", *text);
    fs::copy_file(packed(kPorts), fs::path(vectors_) / "more" / (kPorts + ".json.gz"));
    write("notes.json", R"({"about":"these vectors"})");
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(fs::path(vectors_) / name) << text;
  }
  static Finished call(std::vector<std::string> words) {
    words.insert(words.begin(), nb::test::program_dir() + "/netbird-golden");
    return nb::test::run({.argv = std::move(words)});
  }
  [[nodiscard]] std::string results(const std::string& name) const { return dir_ / name; }

  using Maps = std::map<std::string, pb::SyncResponse>;
  static Maps read(const std::string& folder, const std::string& name) {
    Maps out;
    const auto file = read_json(fs::path(folder) / (name + ".json"));
    EXPECT_TRUE(file.has_value()) << name;
    if (!file) return out;
    for (const auto& [peer, map] : file->as_object()) {
      const auto status =
          google::protobuf::util::JsonStringToMessage(json::serialize(map), &out[peer]);
      EXPECT_TRUE(status.ok()) << status.ToString();
    }
    return out;
  }
  /// Both folders hold the same maps of that vector, which are the official server's.
  static void expect_expected(const std::string& folder, const std::string& name) {
    const Maps got = read(folder, name);
    const auto vector = read_json(packed(name));
    ASSERT_TRUE(vector.has_value());
    std::size_t compared = 0;
    for (const auto& [peer, map] : vector->at("expected").as_object()) {
      if (map.is_null()) continue;
      pb::SyncResponse wanted;
      ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(json::serialize(map), &wanted).ok());
      ASSERT_TRUE(got.contains(peer)) << name << " " << peer;
      using management::grpc::test::canonical;
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(canonical(wanted),
                                                                     canonical(got.at(peer))))
          << folder << " " << name << " " << peer;
      ++compared;
    }
    EXPECT_GT(compared, 1U);
  }

  nb::test::TempDir dir_;
  const std::string vectors_ = dir_ / "vectors";
};

TEST_F(GoldenProgram, WritesTheMapsOfEveryVector) {
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{}, {"--calculation", "plain"}, {"--calculation=fast"}}) {
    auto words = options;
    const std::string folder = results("results" + std::to_string(words.size()));
    words.insert(words.end(), {vectors_, folder});
    const Finished done = call(words);
    ASSERT_EQ(done.status, 0) << done.output;
    EXPECT_THAT(done.output, HasSubstr("2 results written, 0 vectors failed"));
    EXPECT_FALSE(fs::exists(fs::path(folder) / "notes.json"));
    for (const std::string& name : {kMesh, kPorts}) expect_expected(folder, name);
  }
}

TEST_F(GoldenProgram, WritesComponentsWhenAsked) {
  const Finished done = call({"--calculation", "components", vectors_, results("out")});
  ASSERT_EQ(done.status, 0) << done.output;
  for (const auto& [peer, map] : read(results("out"), kMesh)) {
    EXPECT_TRUE(map.has_networkmapenvelope()) << peer;
    EXPECT_FALSE(map.has_networkmap()) << peer;
  }
}

TEST_F(GoldenProgram, LoadsTheRowsIntoPostgresWhenAsked) {
  sql::test::postgres().create_database("golden_program");
  const std::string dsn = sql::test::postgres().dsn("golden_program");
  for (int run = 0; run < 2; ++run) {  // the second finds the first one's rows
    const Finished done = call({"--postgres", dsn, vectors_, results("out")});
    ASSERT_EQ(done.status, 0) << done.output;
    for (const std::string& name : {kMesh, kPorts}) expect_expected(results("out"), name);
  }
}

TEST_F(GoldenProgram, GoesOnAfterAVectorThatFails) {
  write("broken.json", R"({"name":"broken","tables":{"peers":)");
  const Finished done = call({vectors_, results("out")});
  EXPECT_EQ(done.status, 1) << done.output;
  EXPECT_THAT(done.output, HasSubstr("broken.json"));
  EXPECT_THAT(done.output, HasSubstr("2 results written, 1 vectors failed"));
  expect_expected(results("out"), kMesh);
}

TEST_F(GoldenProgram, SaysWhenNothingCouldBeDone) {
  const Finished nowhere = call({dir_ / "nowhere", results("out")});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_THAT(nowhere.output, HasSubstr("nowhere"));
  fs::create_directory(dir_ / "empty");
  const Finished empty = call({dir_ / "empty", results("out")});
  EXPECT_EQ(empty.status, 2);
  EXPECT_THAT(empty.output, HasSubstr("no vectors"));
  write("file", "");
  const Finished over_file = call({vectors_, vectors_ + "/file"});
  EXPECT_EQ(over_file.status, 2) << over_file.output;
  const Finished away =
      call({"--postgres", "postgres://nobody@127.0.0.1:1/x", vectors_, results("out")});
  EXPECT_EQ(away.status, 2);
  EXPECT_THAT(away.output, HasSubstr("database"));
}

TEST_F(GoldenProgram, RefusesWordsThatMakeNoSense) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{},
                                                {vectors_},
                                                {vectors_, "a", "b"},
                                                {"--calculation", "guess", vectors_, "a"},
                                                {"--unknown", "x", vectors_, "a"},
                                                {vectors_, "a", "--postgres"}}) {
    const Finished done = call(words);
    EXPECT_EQ(done.status, 2) << done.output;
    EXPECT_THAT(done.output, HasSubstr("netbird-golden [--calculation"));
  }
  const Finished help = call({"--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.output, HasSubstr("Exit status"));
}

}  // namespace
}  // namespace nb::cmd::golden
