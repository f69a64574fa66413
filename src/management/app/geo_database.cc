#include "management/app/geo_database.h"

#include <maxminddb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

namespace nb::management::app {
namespace {

constexpr std::size_t kTextBytesMax = 256;  // of a city's name; the file comes from outside

/// The text at `path` of an entry, or nothing.
std::string text_at(MMDB_entry_s& entry, const char* const* path) {
  MMDB_entry_data_s data;
  if (MMDB_aget_value(&entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
      data.type != MMDB_DATA_TYPE_UTF8_STRING)
    return {};
  return {data.utf8_string, std::min<std::size_t>(data.data_size, kTextBytesMax)};
}

std::uint64_t number_at(MMDB_entry_s& entry, const char* const* path) {
  MMDB_entry_data_s data;
  if (MMDB_aget_value(&entry, &data, path) != MMDB_SUCCESS || !data.has_data) return 0;
  switch (data.type) {
    case MMDB_DATA_TYPE_UINT16:
      return data.uint16;
    case MMDB_DATA_TYPE_UINT32:
      return data.uint32;
    case MMDB_DATA_TYPE_UINT64:
      return data.uint64;
    default:
      return 0;
  }
}

constexpr const char* kCountry[] = {"country", "iso_code", nullptr};
constexpr const char* kCity[] = {"city", "names", "en", nullptr};
constexpr const char* kCityId[] = {"city", "geoname_id", nullptr};

}  // namespace

struct GeoDatabase::Impl {
  MMDB_s file{};
  ~Impl() { MMDB_close(&file); }
};

GeoDatabase::GeoDatabase(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GeoDatabase::~GeoDatabase() = default;

Result<std::unique_ptr<GeoDatabase>> GeoDatabase::open(const std::string& path) {
  if (std::error_code error; !std::filesystem::is_regular_file(path, error))
    return fail(Code::kNotFound, "{}: no such file", path);
  auto impl = std::make_unique<Impl>();
  const int status = MMDB_open(path.c_str(), MMDB_MODE_MMAP, &impl->file);
  if (status != MMDB_SUCCESS) {
    impl->file = {};  // nothing to close
    return fail(Code::kInvalidArgument, "{}: {}", path, MMDB_strerror(status));
  }
  return std::unique_ptr<GeoDatabase>(new GeoDatabase(std::move(impl)));
}

std::optional<std::string> GeoDatabase::newest_in(const std::string& directory) {
  std::optional<std::string> newest;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (!name.starts_with("GeoLite2-City_") || !name.ends_with(".mmdb")) continue;
    if (std::string path = at->path().string(); !newest || path > *newest) newest = std::move(path);
  }
  return newest;
}

void GeoDatabase::locate(PeerLocation& location) const {
  if (!location.connection_ip.is_set()) return;
  const IpAddress address = location.connection_ip.unmapped();
  sockaddr_storage storage{};
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, address.bytes().data(), 4);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    std::memcpy(&v6.sin6_addr, address.bytes().data(), 16);
  }
  int status = MMDB_SUCCESS;
  MMDB_lookup_result_s found =
      MMDB_lookup_sockaddr(&impl_->file, reinterpret_cast<const sockaddr*>(&storage), &status);
  if (status != MMDB_SUCCESS || !found.found_entry) return;
  location.country_code = text_at(found.entry, kCountry);
  location.city_name = text_at(found.entry, kCity);
  location.geo_name_id = number_at(found.entry, kCityId);
}

}  // namespace nb::management::app
