#include "cmd/mgmt_core.h"

#include "base/backoff.h"
#include "base/log_keys.h"
#include "cmd/mgmt_settings.h"
#include "sql/transfer.h"

#include <thread>
#include <utility>

namespace nb::cmd {
namespace {

using namespace std::chrono_literals;
using namespace management;

constexpr auto kStep = 30s;  // one statement or migration at start

/// Every component's tables, and what was done to them.
Result<sql::MigrationReport> prepare(const SqlStoreParts& parts, Instant deadline) {
  NB_LET(sql::MigrationReport report, prepare_main_database(parts, deadline));
  NB_LET(const sql::MigrationReport agents, prepare_agent_tables(parts, deadline));
  report.insert(report.end(), agents.begin(), agents.end());
  return report;
}

ServerKeyPair fresh_key(crypto::RandomSource& random) {
  const auto key = crypto::PrivateKey::generate(random);
  return {key.public_key().base64(), key.base64()};
}

}  // namespace

MgmtCore::MgmtCore() : ids_(clock_, random_) {}
MgmtCore::~MgmtCore() = default;

Result<std::unique_ptr<MgmtCore>> MgmtCore::open(MgmtConfig& config, std::function<bool()> announce,
                                                 std::chrono::milliseconds wait, Logger log,
                                                 prometheus::Registry* registry) {
  std::unique_ptr<MgmtCore> core(new MgmtCore);
  std::vector<std::string> warnings;
  NB_TRY(ensure_encryption_key(
      config, [&] { return crypto::FieldCipher::generate_key(core->random_); }, warnings));
  for (const std::string& warning : warnings) log.warn(warning);
  NB_LET(core->cipher_, crypto::FieldCipher::create({config.data_store_encryption_key}));
  NB_LET(sql::Dsn dsn, main_dsn(config));
  const std::string where = dsn.describe();
  NB_LET(core->database_,
         sql::Database::open(std::move(dsn), database_options(config), log, registry));

  const SqlStoreParts parts{.database = *core->database_,
                            .cipher = &*core->cipher_,
                            .random = core->random_,
                            .clock = core->clock_,
                            .log = log,
                            .registry = registry};
  const Instant give_up = core->clock_.now() + wait;
  Backoff backoff({.first = 100ms, .most = 2s}, 1);
  for (;;) {
    auto prepared = prepare(parts, core->clock_.now() + kStep);
    if (prepared) {
      for (const std::string& line : *prepared) log.info(line);
      break;
    }
    const bool away = prepared.error().code == Code::kUnavailable ||
                      prepared.error().code == Code::kDeadlineExceeded;
    if (!away || core->clock_.now() >= give_up)
      return fail(prepared.error().code, "{}: {}", where, prepared.error().text);
    log.warn("waiting for the database", {log::f(log::kError, prepared.error().text)});
    std::this_thread::sleep_for(backoff.next());
  }
  NB_LET(const auto unfinished,
         sql::unfinished_transfers(*core->database_, core->clock_.now() + kStep));
  if (!unfinished.empty())
    return fail(Code::kFailedPrecondition,
                "{}: migrate-store has not finished with it; run it again to the end", where);
  if (config.domain_from_account) NB_TRY(core->take_domain(parts, config));
  const SqlStoreOptions options = sql_store_options(config, std::move(announce));
  core->store_ = make_sql_store(parts, options);
  core->agents_ = make_sql_agent_store(parts, options);
  return core;
}

Result<> MgmtCore::take_domain(const SqlStoreParts& parts, MgmtConfig& config) {
  SqlStoreParts quiet = parts;  // what it counts is counted by the store proper
  quiet.registry = nullptr;
  const auto store = make_sql_store(quiet, {});
  const auto account = wait(store->first_account(clock_.now() + kStep));
  if (!account && account.error().code == Code::kNotFound) return {};
  if (!account) return account.error();
  if (account->domain.empty()) return {};
  config.single_account_mode_domain = account->domain;
  config.dns_domain = account->domain;
  return {};
}

RandomFn MgmtCore::random_words() {
  return [this] {
    std::uint64_t word = 0;
    for (const std::uint8_t byte : random_.bytes<8>()) word = word << 8 | byte;
    return word;
  };
}

Result<Account> MgmtCore::ensure_account(const MgmtConfig& config) {
  NewAccount fresh = new_account(
      {.owner = UserId(ids_.next()),
       .owner_name = "owner",
       .domain = config.single_account_mode_domain,
       .domain_category = "private",
       .is_domain_primary = true,
       .default_policy = !config.disable_default_policy},
      [this] { return ids_.next(); }, random_words(), clock_.wall());
  NB_LET(auto made, wait(store_->ensure_account(clock_.now() + kStep, std::move(fresh))));
  return std::move(made.first);
}

Result<std::vector<crypto::PrivateKey>> MgmtCore::server_keys(std::chrono::milliseconds overlap) {
  NB_LET(const ServerKeys stored,
         wait(store_->server_keys(clock_.now() + kStep, fresh_key(random_))));
  std::vector<crypto::PrivateKey> keys;
  NB_LET(auto current, crypto::PrivateKey::parse(stored.current.private_key.reveal()));
  keys.push_back(std::move(current));
  if (stored.previous) {
    NB_LET(auto previous, crypto::PrivateKey::parse(stored.previous->private_key.reveal()));
    keys.push_back(std::move(previous));
    if (clock_.wall() - stored.current_since < overlap) std::swap(keys.front(), keys.back());
  }
  return keys;
}

Result<std::string> MgmtCore::rotate_server_key(std::chrono::milliseconds overlap) {
  NB_LET(const ServerKeys stored,
         wait(store_->server_keys(clock_.now() + kStep, fresh_key(random_))));
  if (clock_.wall() - stored.current_since < overlap)
    return fail(Code::kFailedPrecondition,
                "the server key is of {}, and instances may still tell the one before it; it can "
                "be rotated {} s later",
                sql::format_time(stored.current_since),
                std::chrono::ceil<std::chrono::seconds>(overlap).count());
  NB_LET(const ServerKeys rotated,
         wait(store_->rotate_server_key(clock_.now() + kStep, stored.current.public_key,
                                        fresh_key(random_))));
  return rotated.current.public_key;
}

}  // namespace nb::cmd
