#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

std::vector<Wanted> name_servers(std::optional<std::vector<std::string>> ids = {}) {
  return {{Part::kNameServerGroups, std::move(ids)}};
}
std::vector<Wanted> zones(std::optional<std::vector<std::string>> ids = {}) {
  return {{Part::kZones, std::move(ids)}};
}

// --- name servers -----------------------------------------------------------------------------

void write_name_servers(JsonWriter& json, const NameServerGroup& group) {
  json.object([&] {
    json.field("id", group.id);
    json.field("name", group.name);
    json.field("description", group.description);
    json.array("nameservers", group.name_servers, [&](const NameServer& server) {
      json.object([&] {
        json.field("ip", server.ip.to_string());
        json.field("ns_type", server.type == kNameServerUdp ? "udp" : "invalid");
        json.field("port", server.port);
      });
    });
    json.field("enabled", group.enabled);
    json.list("groups", group.groups);
    json.field("primary", group.primary);
    json.list("domains", group.domains);
    json.field("search_domains_enabled", group.search_domains_enabled);
  });
}

Task<Reply> list_name_servers(const Services& services, Call call) {
  return polled(services, std::move(call), name_servers(),
                [](const Call& /*call*/, const AccountSnapshot& account) -> Result<Reply> {
                  return list_reply(account.name_server_groups, write_name_servers);
                });
}

Task<Reply> get_name_servers(const Services& services, Call call) {
  const NameServerGroupId id(call.params[0]);
  auto account = co_await read(services, call, name_servers(only(id.value())));
  if (!account) co_return std::move(account).error();
  const auto* group = (*account)->name_server_groups.find(id);
  if (group == nullptr) co_return unknown("nameserver group", id.value());
  co_return reply_with([&](JsonWriter& json) { write_name_servers(json, *group); });
}

Task<Reply> save_name_servers(const Services& services, const Call& call, NameServerGroupId id) {
  const auto body = call.json();
  if (!body) co_return body.error();
  SaveNameServerGroup command;
  command.id = std::move(id);
  NameServerGroupDraft& draft = command.draft;
  draft.name = body->text("name");
  draft.description = body->text("description");
  for (const JsonObject& server : body->objects("nameservers"))
    draft.name_servers.push_back(
        {server.text("ip"), server.text("ns_type"), server.integer("port")});
  draft.groups = body->ids<GroupId>("groups");
  draft.primary = body->flag("primary");
  body->read("domains", draft.domains);
  draft.enabled = body->flag("enabled");
  draft.search_domains_enabled = body->flag("search_domains_enabled");
  if (const auto done = body->done(); !done) co_return done.error();
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_name_servers(json, *saved); });
}

Task<Reply> create_name_servers(const Services& services, Call call) {
  co_return co_await save_name_servers(services, call, NameServerGroupId());
}

Task<Reply> replace_name_servers(const Services& services, Call call) {
  NameServerGroupId id(call.params[0]);
  co_return co_await save_name_servers(services, call, std::move(id));
}

Task<Reply> delete_name_servers(const Services& services, Call call) {
  DeleteNameServerGroup command{NameServerGroupId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

// --- settings ---------------------------------------------------------------------------------

Reply settings_reply(const std::vector<GroupId>& groups) {
  return reply_with([&](JsonWriter& json) {
    json.object([&] { json.list("disabled_management_groups", groups); });
  });
}

Task<Reply> get_settings(const Services& /*services*/, Call call) {
  co_return settings_reply(call.account().dns_disabled_management_groups);
}

Task<Reply> replace_settings(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  SaveDnsSettings command{body->ids<GroupId>("disabled_management_groups")};
  if (const auto done = body->done(); !done) co_return done.error();
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return settings_reply(*saved);
}

// --- zones ------------------------------------------------------------------------------------

void write_record(JsonWriter& json, const DnsZoneRecord& record) {
  json.object([&] {
    json.field("id", record.id);
    json.field("name", record.name);
    json.field("type", record.type);
    json.field("content", record.content);
    json.field("ttl", record.ttl);
  });
}

void write_zone(JsonWriter& json, const DnsZone& zone) {
  json.object([&] {
    json.field("id", zone.id);
    json.field("name", zone.name);
    json.field("domain", zone.domain);
    json.field("enabled", zone.enabled);
    json.field("enable_search_domain", zone.enable_search_domain);
    json.list("distribution_groups", zone.distribution_groups);
    json.array("records", zone.records,
               [&](const DnsZoneRecord& record) { write_record(json, record); });
  });
}

Task<Reply> list_zones(const Services& services, Call call) {
  return polled(services, std::move(call), zones(),
                [](const Call& /*call*/, const AccountSnapshot& account) -> Result<Reply> {
                  return list_reply(account.zones, write_zone);
                });
}

Task<Reply> get_zone(const Services& services, Call call) {
  const ZoneId id(call.params[0]);
  auto account = co_await read(services, call, zones(only(id.value())));
  if (!account) co_return std::move(account).error();
  const DnsZone* zone = (*account)->zones.find(id);
  if (zone == nullptr) co_return unknown("zone", id.value());
  co_return reply_with([&](JsonWriter& json) { write_zone(json, *zone); });
}

Task<Reply> save_zone(const Services& services, const Call& call, ZoneId id) {
  const auto body = call.json();
  if (!body) co_return body.error();
  SaveZone command;
  command.id = std::move(id);
  command.draft.name = body->text("name");
  command.draft.domain = body->text("domain");
  command.draft.enabled = body->flag("enabled", true);
  command.draft.enable_search_domain = body->flag("enable_search_domain");
  command.draft.distribution_groups = body->ids<GroupId>("distribution_groups");
  if (const auto done = body->done(); !done) co_return done.error();
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_zone(json, *saved); });
}

Task<Reply> create_zone(const Services& services, Call call) {
  co_return co_await save_zone(services, call, ZoneId());
}

Task<Reply> replace_zone(const Services& services, Call call) {
  ZoneId id(call.params[0]);
  co_return co_await save_zone(services, call, std::move(id));
}

Task<Reply> delete_zone(const Services& services, Call call) {
  DeleteZone command{ZoneId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

// --- records ----------------------------------------------------------------------------------

Task<Reply> list_records(const Services& services, Call call) {
  const ZoneId id(call.params[0]);
  auto account = co_await read(services, call, zones(only(id.value())));
  if (!account) co_return std::move(account).error();
  const DnsZone* zone = (*account)->zones.find(id);
  const std::vector<DnsZoneRecord> none;
  co_return list_reply(zone == nullptr ? none : zone->records, write_record);
}

Task<Reply> get_record(const Services& services, Call call) {
  const ZoneId id(call.params[0]);
  auto account = co_await read(services, call, zones(only(id.value())));
  if (!account) co_return std::move(account).error();
  const DnsZone* zone = (*account)->zones.find(id);
  if (zone == nullptr) co_return unknown("zone", id.value());
  for (const DnsZoneRecord& record : zone->records)
    if (record.id.value() == call.params[1])
      co_return reply_with([&](JsonWriter& json) { write_record(json, record); });
  co_return unknown("dns record", call.params[1]);
}

Task<Reply> save_record(const Services& services, const Call& call, RecordId id) {
  const auto body = call.json();
  if (!body) co_return body.error();
  SaveRecord command;
  command.zone = ZoneId(call.params[0]);
  command.id = std::move(id);
  command.draft.name = body->text("name");
  command.draft.type = body->text("type");
  command.draft.content = body->text("content");
  command.draft.ttl = body->integer("ttl");
  if (const auto done = body->done(); !done) co_return done.error();
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_record(json, *saved); });
}

Task<Reply> create_record(const Services& services, Call call) {
  co_return co_await save_record(services, call, RecordId());
}

Task<Reply> replace_record(const Services& services, Call call) {
  RecordId id(call.params[1]);
  co_return co_await save_record(services, call, std::move(id));
}

Task<Reply> delete_record(const Services& services, Call call) {
  DeleteRecord command{ZoneId(call.params[0]), RecordId(call.params[1])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_dns(RouteTable& table, const Services& services) {
  const auto need = [](Module module, Operation operation) { return Need{module, operation}; };
  const std::string servers = "/api/dns/nameservers/{nsgroupId}";
  constexpr auto kServers = Module::kNameservers;
  table.add("GET", "/api/dns/nameservers", {need(kServers, Operation::kRead)},
            handled(services, list_name_servers));
  table.add("POST", "/api/dns/nameservers", {need(kServers, Operation::kCreate)},
            handled(services, create_name_servers));
  table.add("GET", servers, {need(kServers, Operation::kRead)},
            handled(services, get_name_servers));
  table.add("PUT", servers, {need(kServers, Operation::kUpdate)},
            handled(services, replace_name_servers));
  table.add("DELETE", servers, {need(kServers, Operation::kDelete)},
            handled(services, delete_name_servers));

  const Need reads = need(Module::kDns, Operation::kRead);
  const Need creates = need(Module::kDns, Operation::kCreate);
  const Need updates = need(Module::kDns, Operation::kUpdate);
  const Need deletes = need(Module::kDns, Operation::kDelete);
  table.add("GET", "/api/dns/settings", {reads}, handled(services, get_settings));
  table.add("PUT", "/api/dns/settings", {updates}, handled(services, replace_settings));
  const std::string zone = "/api/dns/zones/{zoneId}";
  table.add("GET", "/api/dns/zones", {reads}, handled(services, list_zones));
  table.add("POST", "/api/dns/zones", {creates}, handled(services, create_zone));
  table.add("GET", zone, {reads}, handled(services, get_zone));
  table.add("PUT", zone, {updates}, handled(services, replace_zone));
  table.add("DELETE", zone, {deletes}, handled(services, delete_zone));
  const std::string record = zone + "/records/{recordId}";
  table.add("GET", zone + "/records", {reads}, handled(services, list_records));
  table.add("POST", zone + "/records", {creates}, handled(services, create_record));
  table.add("GET", record, {reads}, handled(services, get_record));
  table.add("PUT", record, {updates}, handled(services, replace_record));
  table.add("DELETE", record, {deletes}, handled(services, delete_record));
}

}  // namespace nb::management::rest
