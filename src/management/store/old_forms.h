// What official servers put right at each of their starts in databases that older ones wrote.
// Private to store/.
// Source   contract/schema/README.md "Versions and migrations".
#pragma once

#include "base/result.h"
#include "sql/migration.h"
#include "sql/session.h"

#include <cstdint>

namespace nb::management::old_forms {

/// Errors   kFailedPrecondition: columns hold the binary form that official servers wrote before
///          they wrote JSON. Nobody but they reads it: networks would be unset and peers left out.
Result<> refuse_binary(sql::Session& session);

/// Members of groups that are a JSON list in a column `groups.peers` become rows of group_peers;
/// the column goes, as with upstream, whose next start would otherwise add members again that left
/// meanwhile.
Result<> move_group_members(sql::Session& session, sql::MigrationReport& report);

/// Routers and resources of networks from before they could be switched off are on.
Result<> switch_on(sql::Session& session, sql::MigrationReport& report);

/// Setup keys from before they were stored as hashes.
Result<> hash_setup_keys(sql::Session& session, sql::MigrationReport& report);

/// Gives a public id to each row that lacks one: component maps name objects by them
/// (network-map.md §1.1). Returns how many there were.
Result<std::int64_t> fill_public_ids(sql::Session& session);

}  // namespace nb::management::old_forms
