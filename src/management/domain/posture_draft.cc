#include "management/domain/posture_draft.h"

#include <algorithm>

namespace nb::management {
namespace {

constexpr std::size_t kItemsMax = 1'000;

Error invalid(std::string text) {
  return fail(Code::kInvalidArgument, std::move(text));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_suffix_char(char c) {
  return is_digit(c) || is_letter(c) || c == '-' || c == '.' || c == '~';
}

Result<> check_versions(const OsVersionCheck& os) {
  if (!os.android && !os.darwin && !os.ios && !os.linux_kernel && !os.windows_kernel)
    return invalid("OSVersionCheck at least one OS version check is required");
  const auto check = [](const std::optional<std::string>& version, const char* what) -> Result<> {
    if (!version || is_version(*version)) return {};
    return fail(Code::kInvalidArgument, "OSVersionCheck {} version: {} is not valid", what,
                *version);
  };
  NB_TRY(check(os.android, "android"));
  NB_TRY(check(os.ios, "ios"));
  NB_TRY(check(os.darwin, "darwin"));
  NB_TRY(check(os.linux_kernel, "linux kernel"));
  return check(os.windows_kernel, "windows kernel");
}

Result<> check_action(const std::string& action, const char* name) {
  if (action.empty()) return fail(Code::kInvalidArgument, "{} action shouldn't be empty", name);
  if (action != kCheckAllow && action != kCheckDeny)
    return fail(Code::kInvalidArgument, "{} action is not valid", name);
  return {};
}

Result<> check_locations(const GeoLocationCheck& geo) {
  NB_TRY(check_action(geo.action, "GeoLocationCheck"));
  if (geo.locations.empty()) return invalid("GeoLocationCheck locations shouldn't be empty");
  for (const GeoLocation& location : geo.locations) {
    const std::string& code = location.country_code;
    if (code.empty()) return invalid("GeoLocationCheck country code shouldn't be empty");
    if (code.size() != 2 || !is_letter(code[0]) || !is_letter(code[1]))
      return invalid("GeoLocationCheck country code must be 2 letters (ISO 3166-1 alpha-2 format)");
  }
  return {};
}

Result<> read_ranges(const std::vector<std::string>& texts, NetworkRangeCheck& check) {
  check.ranges.clear();
  for (const std::string& text : texts) {
    const auto prefix = Prefix::parse(text);
    if (!prefix) return invalid("invalid network prefix");
    check.ranges.push_back(*prefix);
  }
  if (check.action.empty())
    return invalid("action for peer network range check shouldn't be empty");
  NB_TRY(check_action(check.action, "PeerNetworkRangeCheck"));
  if (check.ranges.empty())
    return invalid("PeerNetworkRangeCheck network ranges shouldn't be empty");
  return {};
}

Result<> check_processes(const std::vector<CheckedProcess>& processes) {
  if (processes.empty()) return invalid("ProcessCheck processes shouldn't be empty");
  for (const CheckedProcess& process : processes)
    if (process.linux_path.empty() && process.mac_path.empty() && process.windows_path.empty())
      return invalid("ProcessCheck path shouldn't be empty");
  return {};
}

Result<> check_sizes(const PostureChecks& checks) {
  const std::size_t most =
      std::max({checks.geo_location ? checks.geo_location->locations.size() : 0,
                checks.network_range ? checks.network_range->ranges.size() : 0,
                checks.processes ? checks.processes->size() : 0});
  if (most > kItemsMax)
    return fail(Code::kInvalidArgument, "a posture check has at most {} entries", kItemsMax);
  return {};
}

Result<> check_all(const PostureDraft& draft, PostureChecks& checks) {
  if (!checks.nb_version_min && !checks.os_version && !checks.geo_location &&
      !checks.network_range && !checks.processes)
    return invalid("posture checks shouldn't be empty");
  if (checks.nb_version_min) {
    if (checks.nb_version_min->empty())
      return invalid("NBVersionCheck minimum version shouldn't be empty");
    if (!is_version(*checks.nb_version_min))
      return fail(Code::kInvalidArgument, "NBVersionCheck version: {} is not valid",
                  *checks.nb_version_min);
  }
  if (checks.os_version) NB_TRY(check_versions(*checks.os_version));
  if (checks.geo_location) {
    if (!draft.geo_database)
      return fail(Code::kFailedPrecondition, "geo location database is not initialized");
    NB_TRY(check_locations(*checks.geo_location));
  }
  if (checks.network_range) NB_TRY(read_ranges(draft.range_texts, *checks.network_range));
  if (checks.processes) NB_TRY(check_processes(*checks.processes));
  return check_sizes(checks);
}

}  // namespace

bool is_version(std::string_view text) {
  if (text.size() > 64) return false;
  if (text.starts_with('v')) text.remove_prefix(1);
  std::size_t at = 0;
  for (;;) {
    const std::size_t start = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    if (at == start) return false;
    if (at + 1 >= text.size() || text[at] != '.' || !is_digit(text[at + 1])) break;
    ++at;
  }
  const std::string_view suffix = text.substr(at);
  if (suffix.empty()) return true;
  const auto plus = suffix.find('+');
  const std::string_view before = suffix.substr(0, plus);
  const std::string_view after = plus == suffix.npos ? "x" : suffix.substr(plus + 1);
  if (!before.empty() && before.front() != '-' && before.front() != '~' &&
      !is_letter(before.front()))
    return false;
  return before != "-" && !after.empty() &&
         std::all_of(before.begin(), before.end(), is_suffix_char) &&
         std::all_of(after.begin(), after.end(), is_suffix_char);
}

Result<PostureCheck> posture_check_of(const PostureDraft& draft) {
  if (draft.name.empty()) return invalid("posture checks name shouldn't be empty");
  PostureCheck out;
  out.name = draft.name;
  out.description = draft.description;
  out.checks = draft.checks;
  NB_TRY(check_all(draft, out.checks));
  return out;
}

}  // namespace nb::management
