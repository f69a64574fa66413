// The database side of netbird-mgmt, shared by the server and the admin verbs.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/result.h"
#include "cmd/mgmt_config.h"
#include "crypto/box.h"
#include "crypto/field_cipher.h"
#include "crypto/random.h"
#include "crypto/xid.h"
#include "management/store/agent_store.h"
#include "management/store/sql_store.h"
#include "sql/database.h"

#include <memory>
#include <optional>

namespace nb::cmd {

/// Members in the order of their dependence; everything outlives the store.
class MgmtCore {
 public:
  /// Makes the data-store key if there is none (HA off), opens the database, brings the schema up
  /// to date. Waits for a database that is not there yet, at most `wait`.
  /// `announce`: see SqlStoreOptions.
  static Result<std::unique_ptr<MgmtCore>> open(MgmtConfig& config, std::function<bool()> announce,
                                                std::chrono::milliseconds wait, Logger log,
                                                prometheus::Registry* registry = nullptr);
  ~MgmtCore();
  MgmtCore(const MgmtCore&) = delete;
  MgmtCore& operator=(const MgmtCore&) = delete;

  management::Store& store() { return *store_; }
  management::AgentStore& agents() { return *agents_; }
  sql::Database& database() { return *database_; }
  SystemClock& clock() { return clock_; }
  crypto::SystemRandom& random() { return random_; }
  [[nodiscard]] const crypto::FieldCipher* cipher() const { return cipher_ ? &*cipher_ : nullptr; }
  crypto::XidGenerator& ids() { return ids_; }
  [[nodiscard]] management::RandomFn random_words();
  [[nodiscard]] bool postgres() const { return database_->engine() == sql::Engine::kPostgres; }

  /// The account that setup keys belong to; made, with an owner, if there is none.
  Result<management::Account> ensure_account(const MgmtConfig& config);
  /// The deployment's server keys, made if there are none; first the one that agents are told: the
  /// previous one while the current one is younger than `overlap`, since running instances may not
  /// have read that yet (MgmtWatch).
  Result<std::vector<crypto::PrivateKey>> server_keys(std::chrono::milliseconds overlap);
  /// Makes a new server key and returns its public half; the current one becomes the previous one.
  /// Errors   kFailedPrecondition: the current one is younger than `overlap`, and the key before it
  ///          still in use; kAborted: rotated meanwhile.
  Result<std::string> rotate_server_key(std::chrono::milliseconds overlap);

  /// Runs `work` on a thread of its own and waits; for start-up and verbs.
  template <class T>
  static Result<T> wait(management::Task<T> work);

 private:
  MgmtCore();
  /// An account that exists decides over domains (MgmtConfig::domain_from_account).
  Result<> take_domain(const management::SqlStoreParts& parts, MgmtConfig& config);
  SystemClock clock_;
  crypto::SystemRandom random_;
  crypto::XidGenerator ids_;
  std::optional<crypto::FieldCipher> cipher_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<management::Store> store_;
  std::unique_ptr<management::AgentStore> agents_;
};

}  // namespace nb::cmd

#include "cmd/mgmt_wait.h"  // IWYU pragma: export
