// Takes users, connectors, second factors and signing keys over from upstream's tables.
#pragma once

#include "idp/vault.h"
#include "sql/migration.h"
#include "sql/session.h"

namespace nb::idp {

/// Does nothing if upstream's tables are not there. Ids stay byte for byte: they are primary keys
/// in the main database. A row that cannot be read is reported and left out, so that one broken
/// connector does not keep everybody from logging in.
/// Source   contract/auth-idp.md §9.4; contract/schema/README.md "IdP database"
Result<> import_dex(sql::Session& session, const Vault& vault, sql::MigrationReport& report);

/// The base32 secret of an otpauth:// URL as bytes; nothing for other algorithms than ours.
[[nodiscard]] std::optional<std::string> otpauth_secret(std::string_view url);

/// The NetBird type of a connector row of upstream, which has none: from id and Dex type.
[[nodiscard]] std::string connector_type(std::string_view id, std::string_view dex_type);

}  // namespace nb::idp
