// netbird-golden: the network maps of accounts given as database rows, for comparison with what the
// official server sends (contract/golden/README.md).
#include "cmd/golden/golden_maps.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::cmd::golden {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string vectors;
  std::string results;
  std::string postgres;
  Calculation calculation = Calculation::kFast;
};

Result<> write_file(const fs::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return fail(Code::kUnavailable, "{}: cannot be written", file.string());
  return {};
}

/// False when the file is no vector.
Result<bool> run_one(GoldenStore& store, const fs::path& file, const Options& options) {
  NB_LET(const auto json, read_json(file));
  NB_LET(const auto vector, vector_of(json));
  if (!vector) return false;
  const WallTime now =
      std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
  NB_LET(const auto maps, store.maps_of(*vector, options.calculation, now));
  NB_LET(const std::string text, as_json(maps));
  NB_TRY(write_file(fs::path(options.results) / (vector->name + ".json"), text));
  return true;
}

int run(const Options& options) {
  const auto files = vectors_in(options.vectors);
  if (!files) {
    fmt::print(stderr, "netbird-golden: {}\n", files.error().text);
    return 2;
  }
  std::error_code error;
  fs::create_directories(options.results, error);
  if (error) {
    fmt::print(stderr, "netbird-golden: {}: {}\n", options.results, error.message());
    return 2;
  }
  const auto store = GoldenStore::open(options.postgres);
  if (!store) {
    fmt::print(stderr, "netbird-golden: database: {}\n", store.error().text);
    return 2;
  }
  std::size_t written = 0;
  std::size_t failed = 0;
  for (const fs::path& file : *files) {
    const auto done = run_one(**store, file, options);
    if (!done) {
      fmt::print(stderr, "netbird-golden: {}: {}\n", file.string(), done.error().text);
      ++failed;
    } else if (*done) {
      ++written;
    }
  }
  fmt::print("{} results written, {} vectors failed\n", written, failed);
  if (written + failed == 0) {
    fmt::print(stderr, "netbird-golden: {}: no vectors\n", options.vectors);
    return 2;
  }
  return failed == 0 ? 0 : 1;
}

constexpr std::string_view kUsage =
    "netbird-golden [--calculation plain|fast|components] [--postgres DSN] VECTORS RESULTS\n"
    "\n"
    "Computes the network map of every peer of every vector (*.json and *.json.gz in the folder\n"
    "VECTORS and its direct subfolders) and writes RESULTS/NAME.json: peer id to SyncResponse as\n"
    "protobuf JSON.\n"
    "\n"
    "  --calculation  plain, fast, or components: the form for agents that calculate themselves\n"
    "                 (default: fast)\n"
    "  --postgres     load the rows into this PostgreSQL database, whose rows are deleted\n"
    "                 (default: a temporary SQLite file)\n"
    "\n"
    "Exit status: 0 all vectors done, 1 some failed, 2 nothing could be done.\n";

/// Nothing when the words make no sense.
std::optional<Options> parse(const std::vector<std::string_view>& words) {
  Options out;
  std::vector<std::string_view> folders;
  for (std::size_t at = 0; at < words.size(); ++at) {
    std::string_view word = words[at];
    if (!word.starts_with("--")) {
      folders.push_back(word);
      continue;
    }
    std::optional<std::string_view> value;
    if (const auto equals = word.find('='); equals != word.npos) {
      value = word.substr(equals + 1);
      word = word.substr(0, equals);
    } else if (at + 1 < words.size()) {
      value = words[++at];
    }
    if (!value) return std::nullopt;
    if (word == "--postgres")
      out.postgres = *value;
    else if (word == "--calculation" && *value == "plain")
      out.calculation = Calculation::kPlain;
    else if (word == "--calculation" && *value == "components")
      out.calculation = Calculation::kComponents;
    else if (word != "--calculation" || *value != "fast")
      return std::nullopt;
  }
  if (folders.size() != 2) return std::nullopt;
  out.vectors = folders[0];
  out.results = folders[1];
  return out;
}

}  // namespace
}  // namespace nb::cmd::golden

int main(int argc, char** argv) {
  using namespace nb::cmd::golden;
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h")) {
    fmt::print("{}", kUsage);
    return 0;
  }
  const auto options = parse(words);
  if (!options) {
    fmt::print(stderr, "{}", kUsage);
    return 2;
  }
  return run(*options);
}
