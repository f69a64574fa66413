#include "management/rest/ha_status.h"

#include "management/rest/handlers.h"
#include "management/rest/json_writer.h"

#include <algorithm>
#include <chrono>

namespace nb::management::rest {
namespace {

std::int64_t ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string time_text(std::int64_t at_ms) {
  return rfc3339(WallTime(std::chrono::milliseconds(at_ms)));
}

void write_part(JsonWriter& json, const app::HaPart& part) {
  json.field("status", part.up ? "ok" : "down");
  if (!part.up) json.field("error", part.error);
}

void write_instance(JsonWriter& json, const app::HaReport& report, const app::HaInstance& one) {
  const ha::InstanceFacts& facts = one.facts;
  json.object([&] {
    json.field("service", one.service);
    json.field("id", one.id);
    json.field("alive", one.alive);
    json.field("alive_ms", one.alive_ms);
    json.field("state", one.state());
    json.field("ready", one.alive && facts.state == ha::kServing);
    json.field("drain_ordered", one.drain_ordered);
    if (one.peers) json.field("peers", *one.peers);
    json.optional("program", facts.program);
    json.optional("version", facts.version);
    if (facts.started_ms > 0) {
      json.field("started_at", time_text(facts.started_ms));
      // Clocks may be apart.
      if (one.alive)
        json.field("uptime_s", std::max<std::int64_t>(ms(report.at) - facts.started_ms, 0) / 1'000);
    }
    json.optional("trouble", facts.trouble);
    json.optional("redis", facts.redis);
    if (facts.bus_lag_us) json.field("bus_lag_us", *facts.bus_lag_us);
    json.field("repairs", facts.repairs);
    json.field("reclaimed", facts.reclaimed);
    if (facts.repaired_ms > 0) json.field("last_repair_at", time_text(facts.repaired_ms));
    json.key("leases");
    json.array(facts.leases, [&](const std::string& lease) { json.text(lease); });
    json.optional("address", facts.address);
  });
}

Task<Reply> status(const Services& services, Call call) {
  if (services.overview == nullptr) co_return fail(Code::kInternal, "there is no overview");
  NB_CO_LET(const app::HaReport report, co_await services.overview->report(call.deadline));
  co_return Reply{.body = ha_status_json(report)};
}

}  // namespace

std::string ha_status_json(const app::HaReport& report) {
  JsonWriter json;
  json.object([&] {
    json.field("ha", report.ha);
    json.object("database", [&] {
      json.field("engine", report.engine);
      write_part(json, report.database);
    });
    json.object("redis", [&] {
      if (report.ha)
        write_part(json, report.redis);
      else
        json.field("status", "off");
    });
    if (report.waiting_events) json.field("waiting_events", *report.waiting_events);
    json.array("instances", report.instances,
               [&](const app::HaInstance& one) { write_instance(json, report, one); });
  });
  return std::move(json).take();
}

void add_ha_status(RouteTable& table, const Services& services) {
  table.add("GET", "/api/ha/status", {{Module::kInstances, Operation::kRead}},
            handled(services, status));
}

}  // namespace nb::management::rest
