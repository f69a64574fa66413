#include "management/store/locations.h"
#include "management/store/run_options.h"
#include "sql/database.h"

#include <filesystem>

namespace nb::management {
namespace {

namespace fs = std::filesystem;

class SqlLocations final : public Locations {
 public:
  explicit SqlLocations(std::unique_ptr<sql::Database> database) : database_(std::move(database)) {}

  Task<std::vector<Country>> countries(Instant deadline) override {
    return database_->run<std::vector<Country>>(
        deadline, kRead, [](sql::Session& session) -> Result<std::vector<Country>> {
          NB_LET(const sql::Rows rows,
                 session.query("SELECT DISTINCT country_iso_code, country_name FROM geonames WHERE "
                               "country_iso_code <> '' AND country_name <> '' ORDER BY "
                               "country_name, country_iso_code"));
          std::vector<Country> out;
          for (std::size_t i = 0; i < rows.size(); ++i)
            out.push_back({rows[i].string(0), rows[i].string(1)});
          return out;
        });
  }

  Task<std::vector<City>> cities(Instant deadline, std::string country_code) override {
    return database_->run<std::vector<City>>(
        deadline, kRead,
        [code = std::move(country_code)](sql::Session& session) -> Result<std::vector<City>> {
          NB_LET(const sql::Rows rows,
                 session.query("SELECT MIN(geoname_id), city_name FROM geonames WHERE "
                               "country_iso_code = $1 AND city_name <> '' GROUP BY city_name ORDER "
                               "BY city_name",
                               {code}));
          std::vector<City> out;
          for (std::size_t i = 0; i < rows.size(); ++i)
            out.push_back({rows[i].integer(0), rows[i].string(1)});
          return out;
        });
  }

 private:
  std::unique_ptr<sql::Database> database_;
};

}  // namespace

Result<std::unique_ptr<Locations>> open_locations(const std::string& directory, Logger log) {
  fs::path newest;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("geonames_") || !name.ends_with(".db")) continue;
    if (newest.empty() || name > newest.filename().string()) newest = entry.path();
  }
  if (newest.empty()) return std::unique_ptr<Locations>();
  NB_LET(sql::Dsn dsn, sql::Dsn::sqlite(newest.string()));
  NB_LET(auto database, sql::Database::open(std::move(dsn), {.workers = 1}, std::move(log)));
  return std::unique_ptr<Locations>(std::make_unique<SqlLocations>(std::move(database)));
}

}  // namespace nb::management
