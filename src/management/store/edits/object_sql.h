// Where the objects of each kind are stored: what the generic parts of an edit need to know of a
// kind. Private to store/.
#pragma once

#include "management/store/object_reader.h"

#include <concepts>
#include <string_view>

namespace nb::management::work {

/// `kKind` begins the text of kNotFound: "<kind>: <id> not found".
template <class T>
struct ObjectSql;

template <>
struct ObjectSql<Group> {
  static constexpr std::string_view kKind = "group";
  static constexpr std::string_view kTable = "groups";
  static constexpr auto kRead = &ObjectReader::groups;
  static constexpr auto kInsert = rows::insert_group;
  static constexpr auto kUpdate = rows::update_group;
};
template <>
struct ObjectSql<Policy> {
  static constexpr std::string_view kKind = "policy";
  static constexpr std::string_view kTable = "policies";
  static constexpr auto kRead = &ObjectReader::policies;
  static constexpr auto kInsert = [](const Policy& policy) {
    return rows::insert_policy(policy, false);
  };
  static constexpr auto kUpdate = rows::update_policy;
};
template <>
struct ObjectSql<PostureCheck> {
  static constexpr std::string_view kKind = "posture checks";
  static constexpr std::string_view kTable = "posture_checks";
  static constexpr auto kRead = &ObjectReader::posture_checks;
  static constexpr auto kInsert = rows::insert_posture_check;
  static constexpr auto kUpdate = rows::update_posture_check;
};
template <>
struct ObjectSql<Route> {
  static constexpr std::string_view kKind = "route";
  static constexpr std::string_view kTable = "routes";
  static constexpr auto kRead = &ObjectReader::routes;
  static constexpr auto kInsert = rows::insert_route;
  static constexpr auto kUpdate = rows::update_route;
};
template <>
struct ObjectSql<Network> {
  static constexpr std::string_view kKind = "network";
  static constexpr std::string_view kTable = "networks";
  static constexpr auto kRead = &ObjectReader::networks;
  static constexpr auto kInsert = rows::insert_network;
  static constexpr auto kUpdate = rows::update_network;
};
template <>
struct ObjectSql<NetworkRouter> {
  static constexpr std::string_view kKind = "network router";
  static constexpr std::string_view kTable = "network_routers";
  static constexpr auto kRead = &ObjectReader::routers;
  static constexpr auto kInsert = rows::insert_router;
  static constexpr auto kUpdate = rows::update_router;
};
template <>
struct ObjectSql<NetworkResource> {
  static constexpr std::string_view kKind = "network resource";
  static constexpr std::string_view kTable = "network_resources";
  static constexpr auto kRead = &ObjectReader::resources;
  static constexpr auto kInsert = rows::insert_resource;
  static constexpr auto kUpdate = rows::update_resource;
};
template <>
struct ObjectSql<NameServerGroup> {
  static constexpr std::string_view kKind = "nameserver group";
  static constexpr std::string_view kTable = "name_server_groups";
  static constexpr auto kRead = &ObjectReader::name_server_groups;
  static constexpr auto kInsert = rows::insert_name_server_group;
  static constexpr auto kUpdate = rows::update_name_server_group;
};
template <>
struct ObjectSql<DnsZone> {
  static constexpr std::string_view kKind = "zone";
  static constexpr std::string_view kTable = "zones";
  static constexpr auto kRead = &ObjectReader::zones;
  static constexpr auto kInsert = rows::insert_zone;
  static constexpr auto kUpdate = rows::update_zone;
};
template <>
struct ObjectSql<Peer> {
  static constexpr std::string_view kKind = "peer";
  static constexpr std::string_view kTable = "peers";
  static constexpr auto kRead = &ObjectReader::peers;
};
template <>
struct ObjectSql<User> {
  static constexpr std::string_view kKind = "user";
  static constexpr std::string_view kTable = "users";
  static constexpr auto kRead = &ObjectReader::users;
};

template <class T>
concept HasPublicId = requires(T item) {
  item.public_id;
};

}  // namespace nb::management::work
