// Verbs of netbird-server: those of netbird-mgmt, with config.yaml.
#include "cmd/mgmt_admin.h"
#include "cmd/server_config.h"
#include "crypto/field_cipher.h"
#include "crypto/random.h"

namespace nb::cmd {
namespace {

class ServerVerbSettings final : public VerbSettings {
 public:
  void add_rows(config::Table& table) override { add_server_rows(table, config_); }
  config::Command command(config::Table& table) override { return server_command(table, config_); }
  /// Upstream's admin commands log errors only, to where they are called from (contract §5.6).
  [[nodiscard]] LogConfig log() const override { return {.level = "error", .file = "console"}; }
  MgmtConfig& config() override { return config_.mgmt; }
  Result<> ready() override {
    if (config_.mgmt.only_looks) return {};
    std::vector<std::string> warnings;
    crypto::SystemRandom random;
    NB_TRY(ensure_server_key(
        config_, [&random] { return crypto::FieldCipher::generate_key(random); }, warnings));
    for (const std::string& warning : warnings) fmt::print(stderr, "{}\n", warning);
    return {};
  }

 private:
  ServerConfig config_;
};

}  // namespace

VerbProgram server_verbs() {
  return {.name = "netbird-server", .make = [] { return std::make_unique<ServerVerbSettings>(); }};
}

}  // namespace nb::cmd
