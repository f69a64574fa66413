// Rows of upstream's tables as entities, and back.
#pragma once

#include "management/domain/account.h"
#include "management/domain/dns.h"
#include "management/domain/group.h"
#include "management/domain/network.h"
#include "management/domain/peer.h"
#include "management/domain/policy.h"
#include "management/domain/posture_check.h"
#include "management/domain/proxy_service.h"
#include "management/domain/route.h"
#include "management/domain/setup_key.h"
#include "management/domain/user.h"
#include "management/store/field_codec.h"
#include "management/store/json_columns.h"
#include "sql/types.h"

#include <string>
#include <vector>

namespace nb::management::rows {

/// Column lists for SELECT, in the order the readers take them; the aliases are part of them.
const std::string& account_columns();            // a.
const std::string& peer_columns();               // p.
const std::string& user_columns();               // u.
const std::string& group_columns();              // g.
const std::string& policy_columns();             // o.
const std::string& rule_columns();               // r.
const std::string& setup_key_columns();          // k.
const std::string& posture_check_columns();      // c.
const std::string& route_columns();              // t.
const std::string& network_columns();            // n.
const std::string& router_columns();             // w.
const std::string& resource_columns();           // e.
const std::string& name_server_group_columns();  // s.
const std::string& zone_columns();               // z.
const std::string& record_columns();             // d.
const std::string& service_columns();            // v.
const std::string& target_columns();             // x.
const std::string& proxy_domain_columns();       // y.

// Readers never fail: NULL and damaged values read as empty. Children (rules, records, targets,
// members) are the caller's to fill in.
Account read_account(sql::RowReader& row, columns::Damage& damage);
Peer read_peer(sql::RowReader& row, columns::Damage& damage);
User read_user(sql::RowReader& row, const FieldCodec& codec, columns::Damage& damage);
Group read_group(sql::RowReader& row, columns::Damage& damage);
Policy read_policy(sql::RowReader& row, columns::Damage& damage);
PolicyRule read_rule(sql::RowReader& row, columns::Damage& damage);
SetupKey read_setup_key(sql::RowReader& row, columns::Damage& damage);
PostureCheck read_posture_check(sql::RowReader& row, columns::Damage& damage);
Route read_route(sql::RowReader& row, columns::Damage& damage);
Network read_network(sql::RowReader& row, columns::Damage& damage);
NetworkRouter read_router(sql::RowReader& row, columns::Damage& damage);
NetworkResource read_resource(sql::RowReader& row, columns::Damage& damage);
NameServerGroup read_name_server_group(sql::RowReader& row, columns::Damage& damage);
DnsZone read_zone(sql::RowReader& row, columns::Damage& damage);
DnsZoneRecord read_record(sql::RowReader& row, columns::Damage& damage);
ProxyService read_service(sql::RowReader& row, columns::Damage& damage);
/// A target with the service it belongs to.
std::pair<ServiceId, ServiceTarget> read_target(sql::RowReader& row, columns::Damage& damage);
ProxyDomain read_proxy_domain(sql::RowReader& row, columns::Damage& damage);

/// A statement with its values; run it with work::insert() or work::write().
struct Write {
  std::string statement;
  std::vector<sql::Param> values;
};

/// INSERT of a whole row; a suffix such as "ON CONFLICT DO NOTHING RETURNING id" may follow.
Write insert_account(const Account& account);
Write insert_peer(const Peer& peer);
Write insert_user(const User& user, const FieldCodec& codec);
Write insert_group(const Group& group);  // without members
Write insert_policy(const Policy& policy, bool is_default);
Write insert_rule(const PolicyRule& rule);
Write insert_setup_key(const SetupKey& key);
Write insert_posture_check(const PostureCheck& check);
Write insert_route(const Route& route);
Write insert_network(const Network& network);
Write insert_router(const NetworkRouter& router);
Write insert_resource(const NetworkResource& resource);
Write insert_name_server_group(const NameServerGroup& group);
Write insert_zone(const DnsZone& zone);  // without records
Write insert_record(const DnsZoneRecord& record);

/// UPDATE of all columns of the row with this id; a suffix such as "AND account_id = …" may follow.
/// An account's serial, creator, creation time, networks, domain and groups without DNS stay as
/// they are: logins write the domain, under another lock than edits, and the groups are no
/// settings.
Write update_account(const Account& account);
Write update_group(const Group& group);
Write update_policy(const Policy& policy);
Write update_rule(const PolicyRule& rule);
Write update_posture_check(const PostureCheck& check);
Write update_route(const Route& route);
Write update_network(const Network& network);
Write update_router(const NetworkRouter& router);
Write update_resource(const NetworkResource& resource);
Write update_name_server_group(const NameServerGroup& group);
Write update_zone(const DnsZone& zone);
Write update_record(const DnsZoneRecord& record);
/// Only the meta and location columns.
Write update_peer_meta(const Peer& peer);

}  // namespace nb::management::rows
