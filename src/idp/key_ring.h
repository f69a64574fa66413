// Signing keys: rotation, the key to sign with, the set to publish.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "crypto/jose.h"
#include "idp/store.h"

#include <memory>
#include <mutex>
#include <optional>

namespace nb::idp {

/// Rows of the database as this process has them, with the rules of contract §9.3.
struct KeySnapshot {
  std::vector<KeyRow> rows;
  std::vector<crypto::PublicJwk> public_keys;  // same order
  std::optional<crypto::SigningKey> signing;   // latest activate_at <= now
  Instant loaded{};

  /// Published keys: active first, then upcoming and retired.
  [[nodiscard]] crypto::JwkSet published(Millis now) const;
  /// Until the next change of the published set, at most `most`, at least two minutes.
  [[nodiscard]] std::chrono::seconds max_age(Millis now, std::chrono::seconds most) const;
};

/// Thread-safe.
class KeyRing {
 public:
  KeyRing(Store& store, const Clock& clock, Logger log)
      : store_(store), clock_(clock), log_(std::move(log)) {}

  /// Adds a successor if it is due, and reads the keys anew. At start and once a minute.
  Task<void> refresh(Instant deadline);
  /// At most some seconds old. An activated key is known long before, since it is published first.
  Task<std::shared_ptr<const KeySnapshot>> keys(Instant deadline);

 private:
  Task<std::shared_ptr<const KeySnapshot>> load(Instant deadline);
  Store& store_;
  const Clock& clock_;
  Logger log_;
  std::mutex mutex_;
  std::shared_ptr<const KeySnapshot> current_;  // guarded by mutex_
};

[[nodiscard]] Millis wall_millis(const Clock& clock);

}  // namespace nb::idp
