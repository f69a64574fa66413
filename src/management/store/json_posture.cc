// Column posture_checks.checks: one object, only configured kinds present.
#include "management/store/json_read.h"

#include <boost/json.hpp>

namespace nb::management::columns {
namespace {

namespace json = boost::json;

struct Os {
  std::string_view name;
  std::string_view key;
  std::optional<std::string> OsVersionCheck::*version;
};
constexpr Os kSystems[] = {
    {"Android", "MinVersion", &OsVersionCheck::android},
    {"Darwin", "MinVersion", &OsVersionCheck::darwin},
    {"Ios", "MinVersion", &OsVersionCheck::ios},
    {"Linux", "MinKernelVersion", &OsVersionCheck::linux_kernel},
    {"Windows", "MinKernelVersion", &OsVersionCheck::windows_kernel},
};

/// An object that is there and not null.
const json::object* configured(const json::object& object, std::string_view key, Damage& damage) {
  const json::value* const value = member(object, key);
  if (value == nullptr || value->is_null()) return nullptr;
  if (value->is_object()) return &value->get_object();
  ++damage.fields;
  return nullptr;
}

const json::array& list_of(const json::object& object, std::string_view key, Damage& damage) {
  static const json::value kNothing;
  const json::value* const value = member(object, key);
  return elements(value == nullptr ? kNothing : *value, damage);
}

json::object os_json(const OsVersionCheck& check) {
  json::object out;
  for (const Os& os : kSystems)
    if (const auto& version = check.*os.version) out[os.name] = json::object{{os.key, *version}};
  return out;
}

OsVersionCheck os_of(const json::object& object, Damage& damage) {
  OsVersionCheck out;
  for (const Os& os : kSystems)
    if (const auto* entry = configured(object, os.name, damage))
      out.*os.version = text_of(*entry, os.key, damage);
  return out;
}

json::object geo_json(const GeoLocationCheck& check) {
  json::array locations;
  for (const GeoLocation& place : check.locations)
    locations.push_back(
        json::object{{"CountryCode", place.country_code}, {"CityName", place.city_name}});
  return {{"Locations", std::move(locations)}, {"Action", check.action}};
}

GeoLocationCheck geo_of(const json::object& object, Damage& damage) {
  GeoLocationCheck out;
  out.action = text_of(object, "Action", damage);
  for (const json::value& item : list_of(object, "Locations", damage)) {
    const json::object& place = members(item, damage);
    out.locations.push_back(
        {text_of(place, "CountryCode", damage), text_of(place, "CityName", damage)});
  }
  return out;
}

json::object range_json(const NetworkRangeCheck& check) {
  json::array ranges;
  for (const Prefix& range : check.ranges) ranges.emplace_back(range.to_string());
  return {{"Action", check.action}, {"Ranges", std::move(ranges)}};
}

NetworkRangeCheck range_of(const json::object& object, Damage& damage) {
  NetworkRangeCheck out;
  out.action = text_of(object, "Action", damage);
  for (const json::value& item : list_of(object, "Ranges", damage)) {
    const auto range =
        item.is_string() ? Prefix::parse(std::string(item.get_string())) : std::optional<Prefix>{};
    if (range)
      out.ranges.push_back(*range);
    else
      ++damage.fields;
  }
  return out;
}

json::object process_json(const std::vector<CheckedProcess>& processes) {
  json::array out;
  for (const CheckedProcess& process : processes) {
    json::object entry;
    // Upstream leaves empty paths out.
    if (!process.linux_path.empty()) entry["LinuxPath"] = process.linux_path;
    if (!process.mac_path.empty()) entry["MacPath"] = process.mac_path;
    if (!process.windows_path.empty()) entry["WindowsPath"] = process.windows_path;
    out.push_back(std::move(entry));
  }
  return {{"Processes", std::move(out)}};
}

std::vector<CheckedProcess> processes_of(const json::object& object, Damage& damage) {
  std::vector<CheckedProcess> out;
  for (const json::value& item : list_of(object, "Processes", damage)) {
    const json::object& entry = members(item, damage);
    out.push_back({text_of(entry, "LinuxPath", damage), text_of(entry, "MacPath", damage),
                   text_of(entry, "WindowsPath", damage)});
  }
  return out;
}

}  // namespace

std::string posture_checks(const PostureChecks& checks) {
  json::object out;
  if (checks.nb_version_min)
    out["NBVersionCheck"] = json::object{{"MinVersion", *checks.nb_version_min}};
  if (checks.os_version) out["OSVersionCheck"] = os_json(*checks.os_version);
  if (checks.geo_location) out["GeoLocationCheck"] = geo_json(*checks.geo_location);
  if (checks.network_range) out["PeerNetworkRangeCheck"] = range_json(*checks.network_range);
  if (checks.processes) out["ProcessCheck"] = process_json(*checks.processes);
  return json::serialize(out);
}

PostureChecks read_posture_checks(std::string_view text, Damage& damage) {
  const DamageSince damaged(damage);
  const json::value value = parsed(text, damage);
  const json::object& object = members(value, damage);
  PostureChecks out;
  if (const auto* check = configured(object, "NBVersionCheck", damage))
    out.nb_version_min = text_of(*check, "MinVersion", damage);
  if (const auto* check = configured(object, "OSVersionCheck", damage))
    out.os_version = os_of(*check, damage);
  if (const auto* check = configured(object, "GeoLocationCheck", damage))
    out.geo_location = geo_of(*check, damage);
  if (const auto* check = configured(object, "PeerNetworkRangeCheck", damage))
    out.network_range = range_of(*check, damage);
  if (const auto* check = configured(object, "ProcessCheck", damage))
    out.processes = processes_of(*check, damage);
  out.unreadable = damaged.any();
  return out;
}

}  // namespace nb::management::columns
