#include "idp/key_ring.h"

#include "base/log_keys.h"

#include <algorithm>

namespace nb::idp {
namespace {

using namespace std::chrono_literals;
constexpr auto kFresh = 5s;
constexpr auto kAgeLeast = 120s;

Result<KeyRow> make_key() {
  NB_LET(const crypto::SigningKey key, crypto::SigningKey::generate(crypto::JwsAlg::kRs256));
  KeyRow row;
  row.kid = key.kid();
  row.private_pem = std::string(key.private_pem().reveal());
  row.public_jwk = key.public_key().json();
  return row;
}

}  // namespace

Millis wall_millis(const Clock& clock) {
  return std::chrono::floor<std::chrono::milliseconds>(clock.wall()).time_since_epoch().count();
}

crypto::JwkSet KeySnapshot::published(Millis now) const {
  std::vector<crypto::PublicJwk> keys;
  const std::string active = signing ? signing->kid() : "";
  for (const bool first : {true, false})
    for (std::size_t i = 0; i < rows.size(); ++i) {
      // The signing key is out whatever this machine's clock says.
      const bool out =
          rows[i].kid == active ||
          (rows[i].publish_at <= now && (rows[i].remove_at == 0 || now < rows[i].remove_at));
      if (out && (rows[i].kid == active) == first) keys.push_back(public_keys[i]);
    }
  return crypto::JwkSet(std::move(keys));
}

std::chrono::seconds KeySnapshot::max_age(Millis now, std::chrono::seconds most) const {
  std::chrono::seconds age = most;
  for (const KeyRow& row : rows)
    if (row.publish_at > now)
      age = std::min(age, std::chrono::seconds((row.publish_at - now) / 1000));
  return std::max<std::chrono::seconds>(age, std::min<std::chrono::seconds>(most, kAgeLeast));
}

Task<std::shared_ptr<const KeySnapshot>> KeyRing::load(Instant deadline) {
  NB_CO_LET(std::vector<KeyRow> rows, co_await store_.keys(deadline));
  auto snapshot = std::make_shared<KeySnapshot>();
  const Millis now = wall_millis(clock_);
  for (KeyRow& row : rows) {
    auto jwk = crypto::PublicJwk::parse(row.public_jwk);
    if (!jwk) {
      log_.error("a signing key of the identity provider cannot be read",
                 {log::f(log::kError, jwk.error().text)});
      continue;
    }
    // Newest first. A clock a little behind the database's must not find no key at all.
    const bool usable = !row.private_pem.empty() && row.activate_at <= now + 60'000;
    if (!snapshot->signing && usable) {
      NB_CO_LET(snapshot->signing,
                crypto::SigningKey::from_pem(Secret(row.private_pem),
                                             jwk->alg().value_or(crypto::JwsAlg::kRs256), row.kid));
    }
    row.private_pem.clear();
    snapshot->public_keys.push_back(*std::move(jwk));
    snapshot->rows.push_back(std::move(row));
  }
  if (!snapshot->signing) co_return fail(Code::kUnavailable, "identity provider: no signing key");
  snapshot->loaded = clock_.now();
  const std::lock_guard lock(mutex_);
  current_ = snapshot;
  co_return current_;
}

Task<void> KeyRing::refresh(Instant deadline) {
  NB_CO_LET(const bool added, co_await store_.rotate_keys(deadline, make_key));
  if (added) log_.info("a new signing key of the identity provider is published");
  NB_CO_TRY(co_await load(deadline));
  co_return Result<>();
}

Task<std::shared_ptr<const KeySnapshot>> KeyRing::keys(Instant deadline) {
  std::shared_ptr<const KeySnapshot> have;
  {
    const std::lock_guard lock(mutex_);
    have = current_;
  }
  if (have && clock_.now() - have->loaded < kFresh) co_return have;
  auto fresh = co_await load(deadline);
  // With the database away, keys that were good a moment ago still verify and sign.
  if (!fresh && have) co_return have;
  co_return fresh;
}

}  // namespace nb::idp
