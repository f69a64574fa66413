// A store on a database of its own, for tests: SQLite or a real PostgreSQL.
#pragma once

#include "crypto/box.h"
#include "crypto/setup_key.h"
#include "crypto/xid.h"
#include "management/store/sql_store.h"
#include "sql/test_database.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <prometheus/registry.h>

#include <memory>
#include <string>
#include <vector>

namespace nb::management::test {

using sql::test::soon;

inline crypto::SystemRandom& random_source() {
  static crypto::SystemRandom random;
  return random;
}
inline const SystemClock& system_clock() {
  static const SystemClock clock;
  return clock;
}
/// The key of the example databases (contract/schema/README.md).
inline const crypto::FieldCipher& example_cipher() {
  static const auto cipher =
      crypto::FieldCipher::create({Secret("bmV0YmlyZC1nb2xkZW4tZXhhbXBsZS1rZXktMDAwMDE=")});
  NB_ASSERT(cipher.has_value());
  return *cipher;
}

/// Runs a task to its end on this thread.
template <class T>
Result<T> get(Task<T> task) {
  boost::asio::io_context loop;
  Result<T> out;
  boost::asio::co_spawn(
      loop,
      [](Task<T> work, Result<T>* result) -> boost::asio::awaitable<void> {
        *result = co_await std::move(work);
      }(std::move(task), &out),
      [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
      });
  loop.run();
  return out;
}

/// One instance: its own connections to a shared database.
struct Instance {
  explicit Instance(const sql::test::TestDatabase& fixture,
                    const crypto::FieldCipher* cipher = &example_cipher(),
                    SqlStoreOptions options = {})
      : database(fixture.open({}, &registry)),
        parts{*database, cipher, random_source(), system_clock(), {}, nullptr},
        store(make_sql_store(parts, std::move(options))) {}

  prometheus::Registry registry;
  std::unique_ptr<sql::Database> database;
  SqlStoreParts parts;
  std::unique_ptr<Store> store;

  [[nodiscard]] Result<sql::MigrationReport> prepare() const {
    return prepare_main_database(parts, soon());
  }
  void sql(const std::string& statements) const {
    const auto done = database->run_blocking<void>(
        soon(), {}, [&](sql::Session& session) { return session.script(statements); });
    NB_ASSERT(done.has_value());
  }
  /// How often work ran again, after a deadlock above all.
  [[nodiscard]] double retries() const {
    for (const auto& family : registry.Collect())
      if (family.name == "netbird_sql_retries_total") return family.metric.at(0).counter.value;
    return -1;
  }
  /// First column of the first row; "" for NULL, "(none)" without a row.
  [[nodiscard]] std::string value(const std::string& query) const {
    const auto rows = database->run_blocking<sql::Rows>(
        soon(), {.read_only = true}, [&](sql::Session& session) { return session.query(query); });
    NB_ASSERT(rows.has_value());
    return rows->empty() ? "(none)" : (*rows)[0].string(0);
  }
};

inline std::string new_id() {
  static crypto::XidGenerator ids(system_clock(), random_source());
  return ids.next();
}

inline RandomFn random_fn() {
  return [] { return random_source().below(UINT64_MAX); };
}

inline NewAccount fresh_account(const std::string& owner = "owner-1") {
  NewAccountOptions options;
  options.owner = UserId(owner);
  options.owner_name = "Olga Owner";
  options.owner_email = "olga@example.org";
  return new_account(std::move(options), new_id, random_fn(), system_clock().wall());
}

inline PeerKey fresh_peer_key() {
  return PeerKey(crypto::PrivateKey::generate(random_source()).public_key().base64());
}

inline SetupKey fresh_setup_key(const AccountId& account, SetupKeyRequest request = {}) {
  if (request.name.empty()) request.name = "test";
  auto key = new_setup_key(request, system_clock().wall());
  NB_ASSERT(key.has_value());
  key->id = SetupKeyId(new_id());
  key->account_id = account;
  const Secret plain = crypto::generate_setup_key(random_source());
  key->key = SetupKeyHash(crypto::hash_setup_key(plain.reveal()));
  key->key_secret = crypto::setup_key_hint(plain.reveal());
  return *std::move(key);
}

inline Registration registration(const SetupKey& key, const std::string& name = "box") {
  Registration out;
  out.key = fresh_peer_key();
  out.setup_key = key.key;
  out.name = name;
  out.meta.hostname = name;
  out.meta.go_os = "linux";
  out.meta.os = "Debian GNU/Linux";
  out.meta.wt_version = "0.70.0";
  out.meta.capabilities = {1, 2};
  out.meta.network_addresses = {{*Prefix::parse("192.168.1.5/24"), "02:00:00:00:00:01"}};
  out.location.connection_ip = *IpAddress::parse("203.0.113.7");
  out.ssh_key = "ssh-ed25519 AAAA " + name;
  return out;
}

}  // namespace nb::management::test
