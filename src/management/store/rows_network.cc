// Routes; networks with their routers and resources.
#include "management/store/rows.h"
#include "management/store/rows_text.h"

namespace nb::management::rows {
namespace {

using columns::Damage;
using sql::Param;
using sql::RowReader;

constexpr std::string_view kRoute =
    "id account_id public_id network domains keep_route net_id description peer peer_groups "
    "network_type masquerade metric enabled groups access_control_groups skip_auto_apply ";
constexpr std::string_view kNetwork = "id account_id public_id name description ";
constexpr std::string_view kRouter =
    "id network_id account_id public_id peer peer_groups masquerade metric enabled ";
constexpr std::string_view kResource =
    "id network_id account_id public_id name description type domain prefix enabled ";

std::vector<Param> values(const Route& t) {
  return {Param(t.id.value()),
          Param(t.account_id.value()),
          Param(t.public_id.value()),
          Param(columns::prefix(t.network)),
          list_or_null(columns::strings(t.domains)),
          Param(t.keep_route),
          Param(t.net_id),
          Param(t.description),
          Param(t.peer.value()),
          list_or_null(columns::ids(t.peer_groups)),
          Param(t.network_type),
          Param(t.masquerade),
          Param(t.metric),
          Param(t.enabled),
          Param(columns::ids(t.groups)),
          list_or_null(columns::ids(t.access_control_groups)),
          Param(t.skip_auto_apply)};
}

std::vector<Param> values(const Network& n) {
  return {Param(n.id.value()), Param(n.account_id.value()), Param(n.public_id.value()),
          Param(n.name), Param(n.description)};
}

std::vector<Param> values(const NetworkRouter& w) {
  return {Param(w.id.value()),
          Param(w.network_id.value()),
          Param(w.account_id.value()),
          Param(w.public_id.value()),
          Param(w.peer.value()),
          list_or_null(columns::ids(w.peer_groups)),
          Param(w.masquerade),
          Param(w.metric),
          Param(w.enabled)};
}

std::vector<Param> values(const NetworkResource& e) {
  return {Param(e.id.value()),
          Param(e.network_id.value()),
          Param(e.account_id.value()),
          Param(e.public_id.value()),
          Param(e.name),
          Param(e.description),
          Param(e.type),
          Param(e.domain),
          Param(columns::prefix(e.prefix)),
          Param(e.enabled)};
}

}  // namespace

const std::string& route_columns() {
  static const std::string kList = select_list("t", {kRoute});
  return kList;
}
const std::string& network_columns() {
  static const std::string kList = select_list("n", {kNetwork});
  return kList;
}
const std::string& router_columns() {
  static const std::string kList = select_list("w", {kRouter});
  return kList;
}
const std::string& resource_columns() {
  static const std::string kList = select_list("e", {kResource});
  return kList;
}

Route read_route(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  Route t;
  t.id = RouteId(row.string());
  t.account_id = AccountId(row.string());
  t.public_id = PublicId(row.string());
  t.network = columns::read_prefix(row.text(), damage);
  t.domains = columns::read_strings(row.text(), damage);
  t.keep_route = row.boolean();
  t.net_id = row.string();
  t.description = row.string();
  t.peer = PeerId(row.string());
  t.peer_groups = columns::read_ids<GroupId>(row.text(), damage);
  t.network_type = row.integer();
  t.masquerade = row.boolean();
  t.metric = row.integer();
  t.enabled = row.boolean();
  t.groups = columns::read_ids<GroupId>(row.text(), damage);
  t.access_control_groups = columns::read_ids<GroupId>(row.text(), damage);
  t.skip_auto_apply = row.boolean();
  if (damaged.any()) t.enabled = false;
  return t;
}

Write insert_route(const Route& route) {
  static const std::string kText = insert_text("routes", {kRoute});
  return {kText, own(values(route))};
}

Write update_route(const Route& route) {
  static const std::string kText = update_text("routes", {kRoute});
  return {kText, own(values(route))};
}

Network read_network(RowReader& row, Damage& /*damage*/) {
  Network n;
  n.id = NetworkId(row.string());
  n.account_id = AccountId(row.string());
  n.public_id = PublicId(row.string());
  n.name = row.string();
  n.description = row.string();
  return n;
}

Write insert_network(const Network& network) {
  static const std::string kText = insert_text("networks", {kNetwork});
  return {kText, own(values(network))};
}

Write update_network(const Network& network) {
  static const std::string kText = update_text("networks", {kNetwork});
  return {kText, own(values(network))};
}

NetworkRouter read_router(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  NetworkRouter w;
  w.id = RouterId(row.string());
  w.network_id = NetworkId(row.string());
  w.account_id = AccountId(row.string());
  w.public_id = PublicId(row.string());
  w.peer = PeerId(row.string());
  w.peer_groups = columns::read_ids<GroupId>(row.text(), damage);
  w.masquerade = row.boolean();
  w.metric = row.integer();
  w.enabled = row.boolean();
  if (damaged.any()) w.enabled = false;
  return w;
}

Write insert_router(const NetworkRouter& router) {
  static const std::string kText = insert_text("network_routers", {kRouter});
  return {kText, own(values(router))};
}

Write update_router(const NetworkRouter& router) {
  static const std::string kText = update_text("network_routers", {kRouter});
  return {kText, own(values(router))};
}

NetworkResource read_resource(RowReader& row, Damage& damage) {
  const columns::DamageSince damaged(damage);
  NetworkResource e;
  e.id = ResourceId(row.string());
  e.network_id = NetworkId(row.string());
  e.account_id = AccountId(row.string());
  e.public_id = PublicId(row.string());
  e.name = row.string();
  e.description = row.string();
  e.type = row.string();
  e.domain = row.string();
  e.prefix = columns::read_prefix(row.text(), damage);
  e.enabled = row.boolean();
  if (damaged.any()) e.enabled = false;
  return e;
}

Write insert_resource(const NetworkResource& resource) {
  static const std::string kText = insert_text("network_resources", {kResource});
  return {kText, own(values(resource))};
}

Write update_resource(const NetworkResource& resource) {
  static const std::string kText = update_text("network_resources", {kResource});
  return {kText, own(values(resource))};
}

}  // namespace nb::management::rows
