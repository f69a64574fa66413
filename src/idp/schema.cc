#include "idp/schema.h"

#include "idp/dex_import.h"

namespace nb::idp {
namespace {

// Texts, 64-bit integers and nothing else: the same statements run on both engines. Columns marked
// "sealed" hold Vault::seal().
constexpr std::string_view kTables = R"sql(
CREATE TABLE nb_idp_user (
  id text PRIMARY KEY,
  email_key text NOT NULL UNIQUE,
  email text NOT NULL,               -- sealed
  name text NOT NULL,                -- sealed
  hash text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  disabled bigint NOT NULL DEFAULT 0
);
CREATE TABLE nb_idp_connector (
  id text PRIMARY KEY,
  type text NOT NULL,
  name text NOT NULL,
  issuer text NOT NULL,
  client_id text NOT NULL,
  config text NOT NULL,              -- sealed JSON
  version bigint NOT NULL,
  static bigint NOT NULL DEFAULT 0,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);
CREATE TABLE nb_idp_identity (
  connector_id text NOT NULL,
  user_id text NOT NULL,
  profile text NOT NULL,             -- sealed JSON: email, email_verified, name, groups
  last_login bigint NOT NULL,
  PRIMARY KEY (connector_id, user_id)
);
CREATE TABLE nb_idp_mfa (
  user_id text PRIMARY KEY,
  secret text NOT NULL,              -- sealed
  confirmed_at bigint NOT NULL DEFAULT 0,
  last_counter bigint NOT NULL DEFAULT 0,
  failures bigint NOT NULL DEFAULT 0,
  locked_until bigint NOT NULL DEFAULT 0,
  recovery text NOT NULL DEFAULT ''  -- hashes of unused codes, blank-separated
);
CREATE TABLE nb_idp_session (
  hash text PRIMARY KEY,
  connector_id text NOT NULL,
  user_id text NOT NULL,
  auth_time bigint NOT NULL,
  mfa_time bigint NOT NULL DEFAULT 0,
  last_seen bigint NOT NULL,
  expires_at bigint NOT NULL,
  ip text NOT NULL DEFAULT '',
  user_agent text NOT NULL DEFAULT '',
  upstream_id_token text NOT NULL DEFAULT ''  -- sealed
);
CREATE INDEX nb_idp_session_user ON nb_idp_session (connector_id, user_id);
CREATE INDEX nb_idp_session_expiry ON nb_idp_session (expires_at);
CREATE TABLE nb_idp_request (
  id text PRIMARY KEY,
  flow_hash text NOT NULL,
  client_id text NOT NULL,
  redirect_uri text NOT NULL,
  scopes text NOT NULL,
  state text NOT NULL,
  has_state bigint NOT NULL,
  nonce text NOT NULL,
  challenge text NOT NULL,
  login_hint text NOT NULL,
  prompt text NOT NULL,
  device_hash text NOT NULL DEFAULT '',
  stage bigint NOT NULL DEFAULT 0,
  remember bigint NOT NULL DEFAULT 0,
  connector_id text NOT NULL DEFAULT '',
  upstream_state text,
  upstream_nonce text NOT NULL DEFAULT '',
  upstream_verifier text NOT NULL DEFAULT '',  -- sealed
  subject_connector text NOT NULL DEFAULT '',
  subject_user text NOT NULL DEFAULT '',
  auth_time bigint NOT NULL DEFAULT 0,
  expires_at bigint NOT NULL
);
CREATE UNIQUE INDEX nb_idp_request_upstream ON nb_idp_request (upstream_state);
CREATE INDEX nb_idp_request_expiry ON nb_idp_request (expires_at);
CREATE TABLE nb_idp_code (
  hash text PRIMARY KEY,
  client_id text NOT NULL,
  redirect_uri text NOT NULL,
  challenge text NOT NULL,
  scopes text NOT NULL,
  nonce text NOT NULL,
  connector_id text NOT NULL,
  user_id text NOT NULL,
  auth_time bigint NOT NULL,
  session_hash text NOT NULL,
  family_id text NOT NULL,
  expires_at bigint NOT NULL,
  used_at bigint
);
CREATE INDEX nb_idp_code_expiry ON nb_idp_code (expires_at);
CREATE TABLE nb_idp_device (
  hash text PRIMARY KEY,
  user_code text NOT NULL UNIQUE,
  client_id text NOT NULL,
  scopes text NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  connector_id text NOT NULL DEFAULT '',
  user_id text NOT NULL DEFAULT '',
  auth_time bigint NOT NULL DEFAULT 0,
  session_hash text NOT NULL DEFAULT '',
  last_poll bigint NOT NULL DEFAULT 0,
  previous_poll bigint NOT NULL DEFAULT 0,
  ip text NOT NULL,
  user_agent text NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX nb_idp_device_expiry ON nb_idp_device (expires_at);
CREATE TABLE nb_idp_refresh (
  id text PRIMARY KEY,
  family_id text NOT NULL,
  hash text NOT NULL,
  previous_hash text NOT NULL DEFAULT '',
  previous_until bigint NOT NULL DEFAULT 0,
  client_id text NOT NULL,
  scopes text NOT NULL,
  nonce text NOT NULL,
  connector_id text NOT NULL,
  user_id text NOT NULL,
  auth_time bigint NOT NULL,
  session_hash text NOT NULL,
  last_used bigint NOT NULL,
  expires_at bigint NOT NULL,
  revoked_at bigint
);
CREATE INDEX nb_idp_refresh_family ON nb_idp_refresh (family_id);
CREATE INDEX nb_idp_refresh_user ON nb_idp_refresh (connector_id, user_id);
CREATE TABLE nb_idp_key (
  kid text PRIMARY KEY,
  private text NOT NULL,             -- sealed PEM; empty: verification only
  public text NOT NULL,              -- JWK
  publish_at bigint NOT NULL,
  activate_at bigint NOT NULL,
  remove_at bigint NOT NULL DEFAULT 0
);
CREATE TABLE nb_idp_tombstone (
  sub text PRIMARY KEY,
  deleted_at bigint NOT NULL,
  until bigint NOT NULL
);
CREATE TABLE nb_idp_throttle (
  name text PRIMARY KEY,
  failures bigint NOT NULL,
  since bigint NOT NULL,
  until bigint NOT NULL
);
CREATE TABLE nb_idp_logout (
  state text PRIMARY KEY,
  target text NOT NULL,
  expires_at bigint NOT NULL
);
CREATE TABLE nb_idp_meta (
  name text PRIMARY KEY,
  value text NOT NULL
);
)sql";

/// What the activity log has not been told yet (management::IdpNote).
constexpr std::string_view kNotes = R"sql(
CREATE TABLE nb_idp_note (
  key text PRIMARY KEY,
  at bigint NOT NULL,
  activity bigint NOT NULL,
  actor text NOT NULL,
  account text NOT NULL,
  target text NOT NULL,
  name text NOT NULL
);
)sql";

/// Without a vault: a list to compare with, not to apply.
sql::MigrationSet migration_set(const Vault* vault) {
  return {.component = "idp",
          .migrations = {
              {.version = 1,
               .name = "tables",
               .apply = [](sql::Session& session, sql::MigrationReport&) -> Result<> {
                 return session.script(kTables);
               }},
              {.version = 2,
               .name = "import of Dex",
               .apply =
                   [vault](sql::Session& session, sql::MigrationReport& report) {
                     return import_dex(session, *vault, report);
                   }},
              {.version = 3,
               .name = "notes",
               .apply = [](sql::Session& session, sql::MigrationReport&) -> Result<> {
                 return session.script(kNotes);
               }},
          }};
}

}  // namespace

sql::MigrationSet migrations(const Vault& vault) {
  return migration_set(&vault);
}

Result<sql::MigrationState> check_schema(sql::Database& database, Instant deadline) {
  return sql::check_migrations(database, migration_set(nullptr), deadline);
}

}  // namespace nb::idp
