#include "idp/dex_import.h"

#include "base/strict_json.h"
#include "base/text.h"
#include "crypto/jose.h"
#include "crypto/totp.h"
#include "idp/connector_config.h"
#include "idp/forms.h"
#include "idp/store.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <array>

namespace nb::idp {
namespace {
namespace json = boost::json;

Millis millis(const std::optional<WallTime>& time) {
  if (!time) return 0;
  return std::chrono::floor<std::chrono::milliseconds>(*time).time_since_epoch().count();
}

Result<bool> has_table(sql::Session& session, std::string_view name) {
  NB_LET(const sql::Rows rows,
         session.query(session.postgres()
                           ? "SELECT 1 FROM information_schema.tables WHERE table_name = $1 AND "
                             "table_schema = current_schema()"
                           : "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1",
                       {name}));
  return !rows.empty();
}

/// The column, or the empty text where this Dex is too old to have it: the one of upstream's first
/// releases with an embedded provider knows neither names nor second factors.
Result<std::string> column_of(sql::Session& session, std::string_view table,
                              std::string_view column) {
  NB_LET(const sql::Rows rows,
         session.query(session.postgres()
                           ? "SELECT 1 FROM information_schema.columns WHERE table_name = $1 AND "
                             "column_name = $2 AND table_schema = current_schema()"
                           : "SELECT 1 FROM pragma_table_info($1) WHERE name = $2",
                       {table, column}));
  return rows.empty() ? std::string("''") : std::string(column);
}

Result<> import_users(sql::Session& session, const Vault& vault, Millis now,
                      sql::MigrationReport& report) {
  NB_LET(const std::string name_column, column_of(session, "password", "name"));
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("SELECT email, hash, username, {}, user_id FROM password", name_column)));
  std::int64_t taken = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string email = rows[i].string(0);
    const std::string name = rows[i].text(2).empty() ? rows[i].string(3) : rows[i].string(2);
    const std::string id = rows[i].string(4);
    if (id.empty() || email.empty()) {
      report.push_back("a local user without id or address was left out");
      continue;
    }
    NB_LET(const std::int64_t added,
           session.exec("INSERT INTO nb_idp_user (id, email_key, email, name, hash, created_at, "
                        "updated_at) VALUES ($1,$2,$3,$4,$5,$6,$6) ON CONFLICT DO NOTHING",
                        {id, vault.email_key(email),
                         vault.seal(Purpose::kPersonal, email, {"nb_idp_user", "email", id}),
                         vault.seal(Purpose::kPersonal, name, {"nb_idp_user", "name", id}),
                         rows[i].text(1), now}));
    taken += added;
  }
  report.push_back(fmt::format("took over {} local users of Dex", taken));
  return {};
}

Result<> import_connectors(sql::Session& session, const Vault& vault, Millis now,
                           sql::MigrationReport& report) {
  NB_LET(const sql::Rows rows, session.query("SELECT id, type, name, config FROM connector"));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Connector connector;
    connector.id = rows[i].string(0);
    if (connector.id == kLocalConnector) continue;
    connector.type = connector_type(connector.id, rows[i].text(1));
    connector.name = rows[i].string(2);
    connector.config = rows[i].string(3);
    const auto config = ConnectorConfig::parse(connector);
    if (!config) {
      report.push_back(
          fmt::format("connector {} of Dex was left out: {}", connector.id, config.error().text));
      continue;
    }
    connector.issuer = config->issuer;
    connector.client_id = config->client_id;
    NB_TRY(insert_connector(session, vault, connector, false, now));
    report.push_back(fmt::format("took over connector {} of Dex", connector.id));
  }
  return {};
}

// mfa_secrets: {"<authenticator>":{"type":"TOTP","secret":"otpauth://…","confirmed":true,…}}
Result<> import_second_factor(sql::Session& session, const Vault& vault, const std::string& user,
                              std::string_view text, Millis now, sql::MigrationReport& report) {
  const auto value = parse_strict_json(text);
  const auto* object = value ? value->if_object() : nullptr;
  if (object == nullptr) return {};  // null: none
  for (const auto& entry : *object) {
    const auto* factor = entry.value().if_object();
    if (factor == nullptr || !factor->contains("secret")) continue;
    const auto* url = factor->at("secret").if_string();
    const auto* confirmed = factor->if_contains("confirmed");
    const auto* counter = factor->if_contains("lastUsedCounter");
    const auto secret = url == nullptr ? std::nullopt : otpauth_secret({url->data(), url->size()});
    if (!secret) {
      report.push_back(
          fmt::format("second factor of user {} was left out: not TOTP as we do it", user));
      continue;
    }
    const bool done = confirmed != nullptr && confirmed->is_bool() && confirmed->get_bool();
    const std::int64_t last = counter != nullptr && counter->is_int64() ? counter->get_int64() : 0;
    NB_TRY(
        session.exec("INSERT INTO nb_idp_mfa (user_id, secret, confirmed_at, last_counter) "
                     "VALUES ($1,$2,$3,$4) ON CONFLICT DO NOTHING",
                     {user, vault.seal(Purpose::kMfa, *secret, {"nb_idp_mfa", "secret", user}),
                      done ? now : Millis{0}, last}));
  }
  return {};
}

Result<> import_identities(sql::Session& session, const Vault& vault, Millis now,
                           sql::MigrationReport& report) {
  NB_LET(const std::string secrets, column_of(session, "user_identity", "mfa_secrets"));
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("SELECT user_id, connector_id, claims_email, claims_email_verified, "
                         "claims_username, claims_preferred_username, claims_groups, last_login, "
                         "{} FROM user_identity",
                         secrets)));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    Identity identity;
    identity.subject = {row.string(0), row.string(1)};
    if (identity.subject.connector_id == kLocalConnector) {
      NB_TRY(
          import_second_factor(session, vault, identity.subject.user_id, row.text(8), now, report));
      continue;
    }
    identity.email = row.string(2);
    identity.email_verified = row.boolean(3);
    identity.name = row.string(4);
    identity.preferred_username = row.string(5);
    if (const auto groups = parse_strict_json(row.text(6)); groups && groups->is_array())
      for (const auto& group : groups->get_array())
        if (group.is_string()) identity.groups.emplace_back(group.get_string());
    NB_TRY(upsert_identity(session, vault, identity, millis(row.time(7))));
  }
  return {};
}

Result<> import_key(sql::Session& session, const Vault& vault, const crypto::PublicJwk& jwk,
                    std::string_view pem, Millis active, Millis removed) {
  return insert_key(session, vault,
                    {.kid = jwk.kid(),
                     .private_pem = std::string(pem),
                     .public_jwk = jwk.json(),
                     .publish_at = active,
                     .activate_at = active,
                     .remove_at = removed});
}

// Keys of tokens that are still out: the signing key goes on signing, older ones verify until they
// expire.
Result<> import_keys(sql::Session& session, const Vault& vault, Millis now,
                     sql::MigrationReport& report) {
  NB_LET(const sql::Rows rows, session.query("SELECT signing_key, verification_keys FROM keys"));
  if (rows.empty()) return {};
  const auto key = crypto::SigningKey::from_jwk(Secret(rows[0].string(0)));
  if (key) {
    NB_TRY(import_key(session, vault, key->public_key(), key->private_pem().reveal(), now, 0));
    report.push_back("took over the signing key of Dex");
  } else {
    report.push_back(fmt::format("signing key of Dex was left out: {}", key.error().text));
  }
  const auto older = parse_strict_json(rows[0].text(1));
  const auto* list = older ? older->if_array() : nullptr;
  if (list == nullptr) return {};
  for (const auto& item : *list) {
    const auto* object = item.if_object();
    const auto* jwk = object == nullptr ? nullptr : object->if_contains("publicKey");
    const auto* expiry = object == nullptr ? nullptr : object->if_contains("expiry");
    if (jwk == nullptr || expiry == nullptr || !expiry->is_string()) continue;
    const auto parsed = crypto::PublicJwk::parse(json::serialize(*jwk));
    const auto& when = expiry->get_string();
    const Millis until = millis(sql::parse_time({when.data(), when.size()}));
    if (parsed && !parsed->kid().empty() && until > now)
      NB_TRY(import_key(session, vault, *parsed, "", 0, until));
  }
  return {};
}

}  // namespace

std::optional<std::string> otpauth_secret(std::string_view url) {
  constexpr std::string_view kScheme = "otpauth://totp/";
  const auto query = url.find('?');
  if (!url.starts_with(kScheme) || query == std::string_view::npos) return std::nullopt;
  const auto fields = Fields::parse(url.substr(query + 1));
  if (!fields) return std::nullopt;
  const auto other = [&](std::string_view name, std::string_view ours) {
    const auto value = fields->find(name);
    return value && !equals_ignore_case(*value, ours);
  };
  if (other("period", "30") || other("digits", "6") || other("algorithm", "SHA1"))
    return std::nullopt;
  auto secret = crypto::from_base32(fields->get("secret"));
  if (!secret || secret->empty()) return std::nullopt;
  return *std::move(secret);
}

std::string connector_type(std::string_view id, std::string_view dex_type) {
  constexpr std::array<std::string_view, 9> kNames = {"zitadel",   "entra",    "google",
                                                      "okta",      "pocketid", "microsoft",
                                                      "authentik", "keycloak", "adfs"};
  for (const std::string_view name : kNames)
    if (id.find(name) != std::string_view::npos) return std::string(name);
  return dex_type.empty() ? "oidc" : std::string(dex_type);
}

Result<> import_dex(sql::Session& session, const Vault& vault, sql::MigrationReport& report) {
  for (const auto* table : {"password", "connector", "keys", "client"}) {
    NB_LET(const bool there, has_table(session, table));
    if (!there) return {};
  }
  NB_LET(const Millis now, database_now(session));
  NB_TRY(import_users(session, vault, now, report));
  NB_TRY(import_connectors(session, vault, now, report));
  // Older ones keep nothing of users of connectors, who are known again at their next login.
  NB_LET(const bool identities, has_table(session, "user_identity"));
  if (identities) NB_TRY(import_identities(session, vault, now, report));
  return import_keys(session, vault, now, report);
}

}  // namespace nb::idp
