#include "management/store/locations.h"

#include "management/rest/handlers.h"

#include <algorithm>

namespace nb::management::rest {
namespace {

Error no_database() {
  return fail(Code::kFailedPrecondition, "geo location database is not initialized");
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

Task<Reply> countries(const Services& services, Call call) {
  if (services.locations == nullptr) co_return no_database();
  auto found = co_await services.locations->countries(call.deadline);
  if (!found) co_return std::move(found).error();
  co_return list_reply(*found, [](JsonWriter& json, const Country& country) {
    json.object([&] {
      json.field("country_name", country.name);
      json.field("country_code", country.code);
    });
  });
}

Task<Reply> cities(const Services& services, Call call) {
  std::string code = call.params[0];
  if (code.size() != 2 || !std::all_of(code.begin(), code.end(), is_letter))
    co_return fail(Code::kInvalidArgument, "invalid country code");
  if (services.locations == nullptr) co_return no_database();
  for (char& c : code)
    if (c >= 'a') c = static_cast<char>(c - 'a' + 'A');
  auto found = co_await services.locations->cities(call.deadline, std::move(code));
  if (!found) co_return std::move(found).error();
  co_return list_reply(*found, [](JsonWriter& json, const City& city) {
    json.object([&] {
      json.field("geoname_id", city.geoname_id);
      json.field("city_name", city.name);
    });
  });
}

}  // namespace

void add_locations(RouteTable& table, const Services& services) {
  const std::string all = "/api/locations/countries";
  table.add("GET", all, Access::kSigned, handled(services, countries));
  table.add("GET", all + "/{country}/cities", Access::kSigned, handled(services, cities));
}

}  // namespace nb::management::rest
