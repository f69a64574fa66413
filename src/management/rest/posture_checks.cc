#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr Need kReads{Module::kPolicies, Operation::kRead};

std::vector<Wanted> checks(std::optional<std::vector<std::string>> ids = {}) {
  return {{Part::kPostureChecks, std::move(ids)}};
}

void write_version(JsonWriter& json, std::string_view name, std::string_view member,
                   const std::optional<std::string>& version) {
  if (version) json.object(name, [&] { json.field(member, *version); });
}

void write_checks(JsonWriter& json, const PostureChecks& checks) {
  write_version(json, "nb_version_check", "min_version", checks.nb_version_min);
  if (const auto& os = checks.os_version)
    json.object("os_version_check", [&] {
      write_version(json, "android", "min_version", os->android);
      write_version(json, "darwin", "min_version", os->darwin);
      write_version(json, "ios", "min_version", os->ios);
      write_version(json, "linux", "min_kernel_version", os->linux_kernel);
      write_version(json, "windows", "min_kernel_version", os->windows_kernel);
    });
  if (const auto& geo = checks.geo_location)
    json.object("geo_location_check", [&] {
      json.array("locations", geo->locations, [&](const GeoLocation& location) {
        json.object([&] {
          json.field("country_code", location.country_code);
          json.optional("city_name", location.city_name);
        });
      });
      json.field("action", geo->action);
    });
  if (const auto& range = checks.network_range)
    json.object("peer_network_range_check", [&] {
      json.array("ranges", range->ranges,
                 [&](const Prefix& prefix) { json.text(prefix.to_string()); });
      json.field("action", range->action);
    });
  if (const auto& processes = checks.processes)
    json.object("process_check", [&] {
      json.array("processes", *processes, [&](const CheckedProcess& process) {
        json.object([&] {
          json.field("linux_path", process.linux_path);
          json.field("mac_path", process.mac_path);
          json.field("windows_path", process.windows_path);
        });
      });
    });
}

void write_check(JsonWriter& json, const PostureCheck& check) {
  json.object([&] {
    json.field("id", check.id);
    json.field("name", check.name);
    json.field("description", check.description);
    json.object("checks", [&] { write_checks(json, check.checks); });
  });
}

Task<Reply> list(const Services& services, Call call) {
  return polled(services, std::move(call), checks(),
                [](const Call& /*call*/, const AccountSnapshot& account) -> Result<Reply> {
                  return list_reply(account.posture_checks, write_check);
                });
}

Task<Reply> get(const Services& services, Call call) {
  const PostureCheckId id(call.params[0]);
  auto account = co_await read(services, call, checks(only(id.value())));
  if (!account) co_return std::move(account).error();
  const PostureCheck* check = (*account)->posture_checks.find(id);
  if (check == nullptr) co_return unknown("posture checks", id.value());
  co_return reply_with([&](JsonWriter& json) { write_check(json, *check); });
}

std::optional<std::string> decode_version(const JsonObject& checks, std::string_view name,
                                          std::string_view member) {
  const auto object = checks.object(name);
  if (!object) return {};
  return object->text(member);
}

void decode_checks(const JsonObject& body, PostureDraft& draft) {
  PostureChecks& out = draft.checks;
  out.nb_version_min = decode_version(body, "nb_version_check", "min_version");
  if (const auto os = body.object("os_version_check")) {
    OsVersionCheck check;
    check.android = decode_version(*os, "android", "min_version");
    check.darwin = decode_version(*os, "darwin", "min_version");
    check.ios = decode_version(*os, "ios", "min_version");
    check.linux_kernel = decode_version(*os, "linux", "min_kernel_version");
    check.windows_kernel = decode_version(*os, "windows", "min_kernel_version");
    out.os_version = std::move(check);
  }
  if (const auto geo = body.object("geo_location_check")) {
    GeoLocationCheck check;
    check.action = geo->text("action");
    for (const JsonObject& location : geo->objects("locations"))
      check.locations.push_back({location.text("country_code"), location.text("city_name")});
    out.geo_location = std::move(check);
  }
  if (const auto range = body.object("peer_network_range_check")) {
    out.network_range = NetworkRangeCheck{.ranges = {}, .action = range->text("action")};
    range->read("ranges", draft.range_texts);
  }
  if (const auto process = body.object("process_check")) {
    std::vector<CheckedProcess> list;
    for (const JsonObject& one : process->objects("processes"))
      list.push_back({one.text("linux_path"), one.text("mac_path"), one.text("windows_path")});
    out.processes = std::move(list);
  }
}

Result<SavePostureCheck> decode(const Services& services, const Call& call) {
  NB_LET(const JsonObject body, call.json());
  SavePostureCheck command;
  command.draft.name = body.text("name");
  command.draft.description = body.text("description");
  command.draft.geo_database = services.locations != nullptr;
  if (const auto checks = body.object("checks")) decode_checks(*checks, command.draft);
  NB_TRY(body.done());
  return command;
}

Task<Reply> save(const Services& services, const Call& call, SavePostureCheck command) {
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return reply_with([&](JsonWriter& json) { write_check(json, *saved); });
}

Task<Reply> create(const Services& services, Call call) {
  auto command = decode(services, call);
  if (!command) co_return std::move(command).error();
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> replace(const Services& services, Call call) {
  auto command = decode(services, call);
  if (!command) co_return std::move(command).error();
  command->id = PostureCheckId(call.params[0]);
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> remove(const Services& services, Call call) {
  DeletePostureCheck command{PostureCheckId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_posture_checks(RouteTable& table, const Services& services) {
  constexpr auto kModule = Module::kPolicies;
  const std::string one = "/api/posture-checks/{postureCheckId}";
  table.add("GET", "/api/posture-checks", {kReads}, handled(services, list));
  table.add("POST", "/api/posture-checks", {{kModule, Operation::kCreate}},
            handled(services, create));
  table.add("GET", one, {kReads}, handled(services, get));
  table.add("PUT", one, {kReads, {kModule, Operation::kUpdate}}, handled(services, replace));
  table.add("DELETE", one, {{kModule, Operation::kDelete}}, handled(services, remove));
}

}  // namespace nb::management::rest
