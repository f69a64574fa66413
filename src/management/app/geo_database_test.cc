#include "management/app/geo_database.h"

#include "support/paths.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace nb::management::app {
namespace {

/// Three networks: 203.0.113.0/24 with a city, 198.51.100.0/25 with a country only, one of IPv6.
const std::string kFolder = nb::test::source_dir() + "/tests/data/geo";

PeerLocation at(const GeoDatabase& database, const char* ip) {
  PeerLocation location;
  location.connection_ip = *IpAddress::parse(ip);
  database.locate(location);
  return location;
}

TEST(GeoDatabase, KnowsCountryAndCity) {
  const auto path = GeoDatabase::newest_in(kFolder);
  ASSERT_TRUE(path);
  const auto database = GeoDatabase::open(*path);
  ASSERT_TRUE(database) << database.error().text;
  const PeerLocation berlin = at(**database, "203.0.113.77");
  EXPECT_EQ(berlin.country_code, "DE");
  EXPECT_EQ(berlin.city_name, "Berlin");
  EXPECT_EQ(berlin.geo_name_id, 2950159U);
  const PeerLocation mapped = at(**database, "::ffff:203.0.113.77");
  EXPECT_EQ(mapped.city_name, "Berlin");
  const PeerLocation france = at(**database, "198.51.100.3");
  EXPECT_EQ(france.country_code, "FR");
  EXPECT_EQ(france.city_name, "");
  EXPECT_EQ(at(**database, "2001:db8:1::5").city_name, "Tokyo");
  EXPECT_EQ(at(**database, "192.0.2.1").country_code, "");
  PeerLocation nowhere;
  (*database)->locate(nowhere);
  EXPECT_EQ(nowhere, PeerLocation{});
}

TEST(GeoDatabase, WhatIsNoDatabaseIsSaidSo) {
  EXPECT_EQ(GeoDatabase::open(kFolder + "/none.mmdb").error().code, Code::kNotFound);
  const auto file =
      std::filesystem::temp_directory_path() / ("nb-geo-" + std::to_string(::getpid()) + ".mmdb");
  std::ofstream(file) << "no database";
  EXPECT_EQ(GeoDatabase::open(file.string()).error().code, Code::kInvalidArgument);
  std::filesystem::remove(file);
  EXPECT_FALSE(GeoDatabase::newest_in("/nonexistent"));
}

}  // namespace
}  // namespace nb::management::app
