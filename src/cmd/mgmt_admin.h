// Verbs that work on the database: setup-key create|list|revoke, migrate, doctor, serial raise,
// server-key rotate, ha status, admin …, token ….
#pragma once

#include "base/config/cli.h"
#include "base/log_sinks.h"
#include "cmd/mgmt_config.h"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::cmd {

/// The settings of one verb, read from the file of its program.
class VerbSettings {
 public:
  VerbSettings() = default;
  virtual ~VerbSettings() = default;
  VerbSettings(const VerbSettings&) = delete;
  VerbSettings& operator=(const VerbSettings&) = delete;
  virtual void add_rows(config::Table& table) = 0;
  /// With read_file and finish filled in.
  virtual config::Command command(config::Table& table) = 0;
  [[nodiscard]] virtual LogConfig log() const = 0;
  /// What the command fills.
  virtual MgmtConfig& config() = 0;
  /// Once all is read.
  virtual Result<> ready() = 0;
};

struct VerbProgram {
  std::string name;  // in messages
  std::function<std::unique_ptr<VerbSettings>()> make;
};
/// netbird-mgmt: management.json.
[[nodiscard]] VerbProgram mgmt_verbs();

/// One run of a verb.
struct VerbCall {
  MgmtConfig& config;
  const config::Invocation& invocation;
  const Logger& log;
  const std::string& program;
  /// Says on stderr what went wrong; the exit status of failure.
  [[nodiscard]] int complain(const Error& error) const;
};
struct VerbPlan {
  std::string path;
  std::vector<std::string> aliases{};
  std::string help;
  std::string usage{};
  std::size_t arguments_max = 0;
  bool hidden = false;
  std::function<bool()> only_looks{};              // MgmtConfig::only_looks, once flags are read
  std::function<void(config::Table&)> add_rows{};  // flags of its own
  std::function<int(const VerbCall&)> run;
};
/// mgmt_admin.cc, mgmt_ha.cc, mgmt_users.cc, mgmt_tokens.cc.
[[nodiscard]] std::vector<VerbPlan> database_verbs();
[[nodiscard]] std::vector<VerbPlan> ha_verbs();
[[nodiscard]] std::vector<VerbPlan> user_verbs();
[[nodiscard]] std::vector<VerbPlan> token_verbs();

class MgmtCore;
/// A verb on the open database.
[[nodiscard]] std::function<int(const VerbCall&)> with_core(
    std::function<Result<>(MgmtCore& core, const VerbCall& call)> work);
/// Reads a secret from a file, or from standard input for "-"; line ends at its end are dropped.
/// `flag`: for errors.
Result<std::string> read_secret_file(std::string_view flag, const std::string& path);

/// Settings of all verbs; lives as long as the command line.
class MgmtAdmin {
 public:
  explicit MgmtAdmin(VerbProgram program) : program_(std::move(program)) {}
  /// All of them.
  void add_to(config::Cli& cli);
  /// One of a program's own.
  void add(config::Cli& cli, const VerbPlan& plan);

 private:
  struct Verb;
  const VerbProgram program_;
  std::list<std::shared_ptr<Verb>> verbs_;
};

}  // namespace nb::cmd
