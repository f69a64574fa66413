// Rows of upstream's tables as entities, and back.
#pragma once

#include "management/domain/account.h"
#include "management/domain/group.h"
#include "management/domain/peer.h"
#include "management/domain/policy.h"
#include "management/domain/setup_key.h"
#include "management/domain/user.h"
#include "management/store/field_codec.h"
#include "management/store/json_columns.h"
#include "sql/types.h"

#include <string>
#include <vector>

namespace nb::management::rows {

/// Column lists for SELECT, in the order the readers take them; the aliases are part of them.
const std::string& account_columns();    // a.
const std::string& peer_columns();       // p.
const std::string& user_columns();       // u.
const std::string& group_columns();      // g.
const std::string& policy_columns();     // o.
const std::string& rule_columns();       // r.
const std::string& setup_key_columns();  // k.

Account read_account(sql::RowReader& row, columns::Damage& damage);
Peer read_peer(sql::RowReader& row, columns::Damage& damage);
User read_user(sql::RowReader& row, const FieldCodec& codec, columns::Damage& damage);
Group read_group(sql::RowReader& row, columns::Damage& damage);
Policy read_policy(sql::RowReader& row, columns::Damage& damage);
PolicyRule read_rule(sql::RowReader& row, columns::Damage& damage);
SetupKey read_setup_key(sql::RowReader& row, columns::Damage& damage);

/// An INSERT of a whole row; `suffix` such as "ON CONFLICT DO NOTHING RETURNING id" follows it.
struct Insert {
  std::string statement;
  std::vector<sql::Param> values;
};
Insert insert_account(const Account& account);
Insert insert_peer(const Peer& peer);
Insert insert_user(const User& user, const FieldCodec& codec);
Insert insert_group(const Group& group);
Insert insert_policy(const Policy& policy, bool is_default);
Insert insert_rule(const PolicyRule& rule);
Insert insert_setup_key(const SetupKey& key);
/// "UPDATE peers SET meta_… WHERE id = $n": all meta and location columns.
Insert update_peer_meta(const Peer& peer);

}  // namespace nb::management::rows
