// Every #include of src/ against one table: who may use whom, and which library stays where.
// Order and reasons: design of the project, docs/architecture.md.
#include "support/paths.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {
namespace fs = std::filesystem;

struct Include {
  std::string file;  // "management/app/login.cc", below src/
  std::size_t line = 0;
  std::string target;
  bool quoted = false;
};

// A module may include itself and what is listed. Longest prefix wins.
struct Layer {
  std::string_view module;
  std::vector<std::string_view> may_use;
};
const std::vector<Layer> kLayers = {
    {"base", {}},
    {"net", {"base", "proto"}},  // proto: grpc.health.v1
    {"crypto", {"base", "net"}},
    {"redis", {"base", "net", "crypto"}},
    {"sql", {"base", "net", "crypto", "redis"}},
    {"ha", {"base", "net", "crypto"}},  // ports and rules: no adapter's library
    {"ha/local", {"base", "ha"}},
    {"ha/sim", {"base", "ha", "ha/local"}},  // simulated links in front of the local tables
    {"ha/redis", {"base", "crypto", "redis", "ha", "ha/local"}},
    {"signal", {"base", "net", "crypto", "ha", "proto"}},
    {"management/domain", {"base"}},
    {"management/netmap", {"base", "management/domain"}},
    {"management/store", {"base", "crypto", "sql", "management/domain"}},
    {"management/app",
     {"base", "net", "crypto", "ha", "management/domain", "management/netmap", "management/store"}},
    {"management/auth",
     {"base", "net", "crypto", "ha", "management/domain", "management/store", "management/app"}},
    {"management/grpc",
     {"base", "net", "crypto", "ha", "proto", "management/domain", "management/netmap",
      "management/store", "management/app"}},
    {"management/rest",
     {"base", "net", "crypto", "ha", "management/domain", "management/netmap", "management/store",
      "management/app", "management/auth"}},
    // Implements the port of management/app.
    {"idp", {"base", "net", "crypto", "sql", "management/app", "management/domain"}},
    {"relay", {"base", "net", "crypto", "ha"}},
    {"stun", {"base", "net", "crypto"}},
    {"upload", {"base", "net", "crypto"}},
    {"client", {"base", "net", "crypto", "relay", "proto"}},  // relay: its codec, see kBans
    {"agent", {"base", "net", "crypto", "stun", "client", "proto"}},
    // Only the binaries know which adapter is in use.
    {"cmd",
     {"base", "net", "crypto", "redis", "sql", "ha", "ha/local", "ha/redis", "signal", "management",
      "idp", "relay", "stun", "upload", "client", "agent", "proto"}},
};

// A module-internal ban that the layers above cannot say.
struct Ban {
  std::string_view where;   // prefix of the file
  std::string_view target;  // prefix of what is included
  std::string_view reason;
};
const std::vector<Ban> kBans = {
    {"management/app/", "management/store/sql_", "use cases know the store's port, not its SQL"},
    {"management/grpc/", "management/store/sql_", "an edge goes through app/"},
    {"management/rest/", "management/store/sql_", "an edge goes through app/"},
    {"management/", "ha/local/", "which adapter is in use is known to cmd/ only"},
    {"management/", "ha/redis/", "which adapter is in use is known to cmd/ only"},
    {"client/", "relay/peer_connection.h", "a client shares the relay's codec and nothing else"},
    {"client/", "relay/service.h", "a client shares the relay's codec and nothing else"},
    {"client/", "relay/shard.h", "a client shares the relay's codec and nothing else"},
    {"signal/", "ha/local/", "which adapter is in use is known to cmd/ only"},
    {"signal/", "ha/redis/", "which adapter is in use is known to cmd/ only"},
};

// A library and the modules that may include it at all.
struct Library {
  std::string_view prefix;
  std::vector<std::string_view> modules;
  bool in_headers;  // heavy ones stay in .cc files: each header costs every file that sees it
  std::string_view reason;
};
const std::vector<Library> kLibraries = {
    {"nghttp2/", {"net"}, false, "tests' other side; servers frame HTTP/2 themselves"},
    {"hiredis/", {"redis"}, false, "RESP is redis'"},
    {"libpq-fe.h", {"sql"}, false, "PostgreSQL is sql's"},
    {"sqlite3.h", {"sql"}, false, "SQLite is sql's"},
    {"soci/", {"sql"}, false, "SQL is sql's"},
    {"boost/beast/", {"net", "relay", "client", "agent"}, false, "heavy; HTTP is net's"},
    {"boost/asio/ssl", {"net", "redis", "client", "agent"}, false, "heavy"},
    {"boost/json",
     {"base", "crypto", "management/store", "management/auth", "management/grpc", "management/rest",
      "idp"},
     false,
     "heavy; JSON is an edge's matter"},
    {"yaml-cpp/", {"base"}, false, "files become config::Node in base"},
    {"spdlog/", {"base"}, false, "logging is base's"},
    {"google/protobuf",
     {"signal", "management/grpc", "client", "agent"},
     false,
     "wire types stay at the edge"},
    {"proto/",
     {"net", "signal", "management/grpc", "client", "agent"},
     false,
     "wire types stay at the edge"},
    {"grpcpp/", {"client", "agent"}, false, "servers speak gRPC through net"},
    {"openssl/", {"net", "crypto", "redis", "ha", "relay", "client", "agent"}, false, "heavy"},
    {"sodium.h", {"crypto"}, false, "cryptography is crypto's"},
    {"crypt.h", {"crypto"}, false, "cryptography is crypto's"},
    {"qrencode.h", {"idp"}, false, "pages are idp's"},
    {"prometheus/",
     {"base", "net", "redis", "sql", "ha", "signal", "management", "idp", "relay", "stun", "upload",
      "cmd"},
     true,
     "the rules have no metrics"},
    {"boost/asio",
     {"base", "net", "redis", "sql", "ha", "signal", "management/store", "management/app",
      "management/auth", "management/grpc", "management/rest", "idp", "relay", "stun", "upload",
      "client", "agent", "cmd"},
     true,
     "rules do no I/O"},
};

// What breaks a rule with a reason; nothing else may.
struct Exception {
  std::string_view file;
  std::string_view target;
  std::string_view reason;
};
const std::vector<Exception> kExceptions = {
    {"crypto/jose_key.h", "openssl/", "one C header, seen by jose.cc and jwk.cc only"},
    {"base/strict_json.h", "boost/json", "forward declarations"},
    {"management/store/json_read.h", "boost/json", "forward declarations"},
    {"net/nghttp2_hpack.h", "nghttp2/", "one C header, seen by tests and fuzzers only"},
    {"net/tls.h", "openssl/", "one C header, seen by net's own files only"},
    {"management/domain/address.cc", "arpa/inet.h", "parses text; no I/O"},
};

// Pure modules: the standard library, base and themselves; no clock, chance, environment.
const std::vector<std::string_view> kPure = {"management/domain", "management/netmap"};
const std::vector<std::string_view> kImpure = {
    "getenv", "random_device", "system_clock::now", "steady_clock::now", "std::rand(", "co_await"};

bool starts(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix);
}

bool below(std::string_view path, std::string_view module) {
  return path.starts_with(module) && (path.size() == module.size() || path[module.size()] == '/');
}

bool header(std::string_view path) {
  return path.ends_with(".h");
}

/// Tests, fakes and contract suites may use whatever they need.
bool test_code(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.find("_test.") != std::string_view::npos || starts(name, "test_") ||
         starts(name, "fake_") || starts(name, "golden_") || name.ends_with("_contract.h") ||
         name.ends_with("_rig.h") || name.find("_bench.") != std::string_view::npos ||
         path.find("/testing/") != std::string_view::npos;
}

const fs::path kSource = fs::path(nb::test::source_dir()) / "src";

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(kSource)) {
    const auto extension = entry.path().extension();
    if (extension != ".h" && extension != ".cc") continue;
    out.push_back(fs::relative(entry.path(), kSource).generic_string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<Include> includes() {
  std::vector<Include> out;
  for (const std::string& file : files()) {
    if (test_code(file)) continue;
    std::ifstream stream(kSource / file);
    std::size_t number = 0;
    for (std::string line; std::getline(stream, line);) {
      ++number;
      if (!starts(line, "#include ")) continue;
      const auto open = line.find_first_of("<\"");
      const auto close = line.find_first_of(">\"", open + 1);
      if (open == std::string::npos || close == std::string::npos) continue;
      out.push_back({file, number, line.substr(open + 1, close - open - 1), line[open] == '"'});
    }
  }
  return out;
}

/// The layer with the longest matching name; null: none.
const Layer* layer_of(std::string_view path) {
  const Layer* best = nullptr;
  for (const Layer& layer : kLayers) {
    if (below(path, layer.module) &&
        (best == nullptr || layer.module.size() > best->module.size())) {
      best = &layer;
    }
  }
  return best;
}

bool excused(const Include& include) {
  return std::any_of(kExceptions.begin(), kExceptions.end(), [&](const Exception& e) {
    return include.file == e.file && starts(include.target, e.target);
  });
}

std::string place(const Include& include) {
  return "src/" + include.file + ":" + std::to_string(include.line) + " includes " + include.target;
}

/// Null: fine. Otherwise why not.
std::string violation(const Include& include) {
  if (excused(include)) return {};
  const Layer* const own = layer_of(include.file);
  if (own == nullptr) return "its folder is not in the table of layers";
  if (include.quoted) {
    const Layer* const other = layer_of(include.target);
    const bool allowed =
        other == own ||
        std::any_of(own->may_use.begin(), own->may_use.end(), [&](std::string_view module) {
          // "ha" means its ports; an adapter's folder must be named itself.
          return below(include.target, module) && (other == nullptr || other->module == module ||
                                                   below(other->module, "management"));
        });
    if (!allowed) return "a module uses only those before it";
  }
  for (const Ban& ban : kBans) {
    if (starts(include.file, ban.where) && starts(include.target, ban.target)) {
      return std::string(ban.reason);
    }
  }
  for (const Library& library : kLibraries) {
    if (!starts(include.target, library.prefix)) continue;
    const bool home = std::any_of(library.modules.begin(), library.modules.end(),
                                  [&](std::string_view m) { return below(include.file, m); });
    if (!home) return std::string(library.reason);
    if (header(include.file) && !library.in_headers) {
      return "heavy or foreign headers stay out of project headers";
    }
    break;  // the first, most special prefix decides
  }
  const bool pure = std::any_of(kPure.begin(), kPure.end(),
                                [&](std::string_view m) { return below(include.file, m); });
  if (pure && !include.quoted && include.target.find_first_of("./") != std::string::npos) {
    return "domain and netmap include the standard library and base only";
  }
  return {};
}

TEST(Layering, EveryIncludeObeysTheTable) {
  const auto all = includes();
  ASSERT_GT(all.size(), 300U) << "the scan found too little: wrong directory?";
  for (const Include& include : all) {
    const std::string why = violation(include);
    EXPECT_TRUE(why.empty()) << place(include) << ": " << why;
  }
}

TEST(Layering, RulesHaveNoClockChanceOrEnvironment) {
  for (const std::string& file : files()) {
    if (test_code(file)) continue;
    if (std::none_of(kPure.begin(), kPure.end(), [&](auto m) { return below(file, m); })) continue;
    std::ifstream stream(kSource / file);
    std::size_t number = 0;
    for (std::string line; std::getline(stream, line);) {
      ++number;
      for (const std::string_view word : kImpure) {
        const auto comment = line.find("//");
        EXPECT_GE(line.find(word), comment == std::string::npos ? line.size() : comment)
            << "src/" << file << ":" << number << " uses " << word;
      }
    }
  }
}

TEST(Layering, EveryExceptionIsStillNeeded) {
  const auto all = includes();
  for (const Exception& exception : kExceptions) {
    EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                            [&](const Include& include) {
                              return include.file == exception.file &&
                                     starts(include.target, exception.target);
                            }))
        << exception.file << " no longer includes " << exception.target << ": drop the exception";
  }
}

// The table itself: what it must refuse, and what it must let through.
TEST(Layering, TheTableRefusesKnownViolations) {
  const std::vector<Include> bad = {
      {"management/domain/peer.cc", 1, "sql/database.h", true},
      {"management/domain/peer.cc", 1, "boost/asio/awaitable.hpp", false},
      {"management/netmap/x.cc", 1, "fmt/format.h", false},
      {"management/app/login.cc", 1, "ha/redis/leases.h", true},
      {"management/app/login.cc", 1, "proto/management.pb.h", true},
      {"net/server.cc", 1, "signal/service.h", true},
      {"signal/service.cc", 1, "redis/client.h", true},
      {"base/text.cc", 1, "net/server.h", true},
      {"redis/client.h", 1, "hiredis/hiredis.h", false},
      {"net/http.h", 1, "boost/beast/core.hpp", false},
      {"ha/leases.h", 1, "ha/redis/leases.h", true},
      {"newmodule/a.cc", 1, "string", false},
  };
  for (const Include& include : bad) EXPECT_FALSE(violation(include).empty()) << place(include);
  const std::vector<Include> good = {
      {"management/app/login.cc", 1, "ha/leases.h", true},
      {"management/domain/peer.cc", 1, "base/result.h", true},
      {"management/netmap/x.cc", 1, "management/domain/peer.h", true},
      {"redis/reply.cc", 1, "hiredis/hiredis.h", false},
      {"cmd/netbird_signal.cc", 1, "ha/redis/leases.h", true},
      {"cmd/netbird_mgmt.cc", 1, "management/store/sql_store.h", true},
  };
  for (const Include& include : good) EXPECT_EQ(violation(include), "") << place(include);
}

}  // namespace
