// The database of the simulation of logins: what the statements of work_registration.cc,
// work_peers.cc and work_tokens.cc do to their rows, and the ways to it. A registration reads in
// one step and writes in another, as at READ COMMITTED: what it wrote is decided by unique keys and
// by conditions in the writes, and between the two anybody may commit or its connection be cut.
#pragma once

#include "ha/memory_store.h"
#include "ha/sim/world.h"
#include "sim/mgmt_stub_agent_store.h"
#include "sim/sim_store.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

inline constexpr const char* kLoginAccount = "acc";

/// What a planted flaw changes; the alarms of the simulation must hear each of them.
struct LoginFlaws {
  bool trusts_reads = false;     // a setup key that was read as usable is used
  bool many_rows = false;        // no unique key on the WireGuard key
  bool claims_in_redis = false;  // the single use of a token lives where it can be flushed
  bool claims_once = false;      // whoever comes again with its token is refused
  bool keeps_half = false;       // a cut connection leaves the key used and no peer
};

struct LoginDatabase {
  struct Row {
    std::string id;
    std::string key;
    std::string setup_key{};
    std::string user{};
  };
  struct Key {
    std::int64_t limit = 0;  // 0: none
    std::int64_t used = 0;
  };
  std::vector<Row> rows;
  std::map<std::string, Key> keys;            // by secret
  std::map<std::string, std::string> claims;  // token hash to WireGuard key
  std::uint64_t serial = 1;
  std::uint64_t last_id = 0;
  std::uint64_t token_rivals = 0;  // second machines that came with a token, and were refused
  std::uint64_t again = 0;         // repetitions by the same machine, which were let in
  bool down = false;
  std::uint64_t cut_one_in = 50;  // connections, also between a transaction's read and COMMIT
  LoginFlaws flaws;

  [[nodiscard]] const Row* find(const std::string& key) const {
    for (const Row& row : rows)
      if (row.key == key) return &row;
    return nullptr;
  }
  /// One row per WireGuard key; each setup key used as often as it has peers, and no more than it
  /// may be; one serial per registration.
  [[nodiscard]] std::string wrong() const {
    std::set<std::string> machines;
    std::map<std::string, std::int64_t> uses;
    for (const Row& row : rows) {
      if (!machines.insert(row.key).second) return row.key + " is registered twice";
      if (!row.setup_key.empty()) ++uses[row.setup_key];
    }
    for (const auto& [secret, key] : keys) {
      if (key.limit != 0 && key.used > key.limit) return secret + " is used too often";
      if (uses[secret] != key.used)
        return fmt::format("{} is used {} times by {} peers", secret, key.used, uses[secret]);
    }
    if (serial != 1 + rows.size()) return fmt::format("serial {} of {} peers", serial, rows.size());
    return {};
  }
};

class LoginStore final : public SimStore {
 public:
  LoginStore(NodeEnv& env, LoginDatabase& database)
      : SimStore(
            env, kLoginAccount,
            {.delay_max = std::chrono::milliseconds(50), .lost_call = std::chrono::seconds(3)}),
        database_(database) {}

  management::Task<management::ReloggedIn> relogin(Instant, management::Relogin request) override {
    if (!co_await way()) co_return away();
    const LoginDatabase::Row* const row = database_.find(request.key.value());
    management::ReloggedIn out;
    if (row != nullptr) out.view = view_of(*row);
    const bool known = row != nullptr;
    if (!co_await way()) co_return away();
    if (!known) co_return fail(Code::kNotFound, "peer is not registered");
    co_return out;
  }
  management::Task<management::PeerView> peer_by_id(Instant, management::AccountId,
                                                    management::PeerId id) override {
    if (!co_await way()) co_return away();
    std::optional<management::PeerView> out;
    for (const LoginDatabase::Row& row : database_.rows)
      if (row.id == id.value()) out = view_of(row);
    if (!co_await way()) co_return away();
    if (!out) co_return fail(Code::kNotFound, "peer not found");
    co_return std::move(*out);
  }
  management::Task<management::Registered> register_peer(
      Instant, management::Registration request) override {
    if (!co_await way()) co_return away();
    const std::string secret = request.setup_key ? request.setup_key->value() : std::string{};
    if (database_.find(request.key.value()) != nullptr && !database_.flaws.many_rows)
      co_return fail(Code::kFailedPrecondition, "peer has been already registered");
    if (!request.user && !usable(secret)) co_return fail(Code::kNotFound, "setup key is invalid");
    if (!co_await way()) co_return away();  // cut in mid-transaction: nothing is written
    const Result<> written = write(request, secret);
    if (!written) co_return written.error();
    management::Registered out;
    out.peer = view_of(database_.rows.back()).peer;
    out.serial = database_.serial;
    if (!co_await way()) co_return away();  // committed, and nobody heard of it
    co_return out;
  }

 private:
  [[nodiscard]] bool usable(const std::string& secret) const {
    const auto key = database_.keys.find(secret);
    return key != database_.keys.end() &&
           (key->second.limit == 0 || key->second.used < key->second.limit);
  }
  /// INSERT … ON CONFLICT, UPDATE setup_keys … WHERE used_times < usage_limit, COMMIT.
  Result<> write(const management::Registration& request, const std::string& secret) {
    const LoginFlaws& flaws = database_.flaws;
    if (database_.find(request.key.value()) != nullptr && !flaws.many_rows)
      return fail(Code::kFailedPrecondition, "peer has been already registered");
    if (!request.user) {
      if (!usable(secret) && !flaws.trusts_reads)
        return fail(Code::kFailedPrecondition, "setup key is invalid");
      ++database_.keys.at(secret).used;
      if (flaws.keeps_half && env().random() % 20 == 0) return away();
    }
    LoginDatabase::Row row;
    row.id = "p" + std::to_string(database_.last_id++);
    row.key = request.key.value();
    row.setup_key = request.user ? std::string{} : secret;
    row.user = request.user ? request.user->value() : std::string{};
    database_.rows.push_back(std::move(row));
    ++database_.serial;
    return {};
  }
  management::PeerView view_of(const LoginDatabase::Row& row) const {
    management::PeerView out;
    out.peer = peer(row.id, row.id);
    out.peer.key = management::PeerKey(row.key);
    out.peer.account_id = management::AccountId(kLoginAccount);
    out.peer.user_id = management::UserId(row.user);
    out.serial = database_.serial;
    return out;
  }
  [[nodiscard]] bool down() const override { return database_.down; }
  [[nodiscard]] std::uint64_t cut_one_in() const override { return database_.cut_one_in; }
  [[nodiscard]] std::uint64_t serial() const override { return database_.serial; }
  [[nodiscard]] std::vector<management::Peer> peers() const override {
    std::vector<management::Peer> out;
    for (const LoginDatabase::Row& row : database_.rows) out.push_back(view_of(row).peer);
    return out;
  }
  LoginDatabase& database_;
};

/// Single use of tokens: INSERT … ON CONFLICT DO NOTHING, then whoever lost reads who was first.
/// No seed takes as long as the same machine may come again.
class LoginClaims final : public management::StubAgentStore {
 public:
  LoginClaims(LoginStore& store, LoginDatabase& database) : store_(store), database_(database) {}

  management::Task<> claim_token(Instant, management::TokenUse use) override {
    if (database_.flaws.claims_in_redis) co_return co_await claim_in_redis(std::move(use));
    if (!co_await store_.way()) co_return SimStore::away();
    const auto [claim, first] = database_.claims.emplace(use.token_hash, use.peer.value());
    const bool same = claim->second == use.peer.value() && !database_.flaws.claims_once;
    if (!first) ++(same ? database_.again : database_.token_rivals);
    if (!co_await store_.way()) co_return SimStore::away();
    if (!first && !same) co_return fail(Code::kUnauthenticated, "JWT already used");
    co_return Result<>{};
  }

 private:
  management::Task<> claim_in_redis(management::TokenUse use) {
    const std::string resource = "jwt:" + use.token_hash;
    auto op = [resource, peer = use.peer.value()](ha::MemoryStore& store) {
      const ha::LeaseTable::Entry mine{peer, Instant::max()};
      return store.leases.locks.emplace(resource, mine).first->second.token == peer;
    };
    auto asking = ha::ask(store_.env().store, std::move(op));
    const auto mine = co_await std::move(asking);
    if (!mine) co_return SimStore::away();
    if (!*mine) co_return fail(Code::kUnauthenticated, "JWT already used");
    co_return Result<>{};
  }
  LoginStore& store_;
  LoginDatabase& database_;
};

}  // namespace nb::sim
