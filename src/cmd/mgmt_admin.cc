#include "cmd/mgmt_admin.h"

#include "base/text.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_database.h"
#include "cmd/mgmt_settings.h"
#include "crypto/setup_key.h"
#include "management/domain/setup_key.h"

#include <fmt/chrono.h>

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <utility>

namespace nb::cmd {
namespace {

using config::Option;
using namespace management;
using namespace std::chrono_literals;

constexpr auto kStep = 30s;
constexpr auto kWait = 10s;  // for a database that is not there yet

struct SetupKeyFlags {
  std::string name = "setup key";
  std::string type = std::string(kSetupKeyReusable);
  std::chrono::seconds expires_in{0};
  std::int64_t usage_limit = 0;
  std::vector<std::string> auto_groups;  // ids or names
  bool ephemeral = false;
  bool allow_extra_dns_labels = false;
  std::string key_file;
};

struct MigrateFlags {
  bool check = false;
};

struct SerialFlags {
  std::int64_t by = 1'000'000;
};

// What one call does comes from its own words, never from a variable that happens to be set.
constexpr Option<SetupKeyFlags> kCreate[] = {
    {.flag = "name", .env = "-", .member = &SetupKeyFlags::name, .help = "what lists call the key"},
    {.flag = "type",
     .env = "-",
     .member = &SetupKeyFlags::type,
     .allowed = "reusable|one-off",
     .help = "how often it may be used"},
    {.flag = "expires-in",
     .env = "-",
     .member = &SetupKeyFlags::expires_in,
     .help = "life time, 24h for a day; 0: for ever"},
    {.flag = "usage-limit",
     .env = "-",
     .member = &SetupKeyFlags::usage_limit,
     .help = "how many machines may join with it; 0: any number"},
    {.flag = "auto-groups",
     .env = "-",
     .member = &SetupKeyFlags::auto_groups,
     .help = "names or ids of groups that its machines join"},
    {.flag = "ephemeral",
     .env = "-",
     .member = &SetupKeyFlags::ephemeral,
     .help = "its machines are removed some minutes after they disconnect"},
    {.flag = "allow-extra-dns-labels",
     .env = "-",
     .member = &SetupKeyFlags::allow_extra_dns_labels,
     .help = "its machines may bring DNS labels of their own"},
    {.flag = "key-file",
     .env = "-",
     .member = &SetupKeyFlags::key_file,
     .help = "file with the key to use; - reads it from standard input"},
};
constexpr Option<MigrateFlags> kMigrate[] = {
    {.flag = "check",
     .env = "-",
     .member = &MigrateFlags::check,
     .help = "only say what is missing; exit status 3 if something is"},
};

constexpr Option<SerialFlags> kSerial[] = {
    {.flag = "by",
     .env = "-",
     .member = &SerialFlags::by,
     .min = 1,
     .max = 1'000'000'000'000,
     .help = "more than all changes since the backup was made"},
};

Result<std::string> read_key(const std::string& path) {
  NB_LET(std::string text, read_secret_file("--key-file", path));
  while (text.ends_with(' ')) text.pop_back();
  if (text.size() < 16 || text.size() > 128)
    return fail(Code::kInvalidArgument, "--key-file {}: a key has 16 to 128 characters", path);
  return text;
}

Result<std::vector<GroupId>> group_ids(Store& store, const Clock& clock, const AccountId& account,
                                       const std::vector<std::string>& wanted) {
  std::vector<GroupId> out;
  if (wanted.empty()) return out;
  NB_LET(const auto groups, MgmtCore::wait(store.groups(clock.now() + kStep, account)));
  for (const std::string& name : wanted) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return group.id.value() == name || group.name == name;
    });
    if (found == groups.end()) return fail(Code::kNotFound, "group '{}' does not exist", name);
    out.push_back(found->id);
  }
  return out;
}

Result<> create(MgmtCore& core, const MgmtConfig& config, const SetupKeyFlags& flags) {
  auto& store = core.store();
  NB_LET(const Account account, core.ensure_account(config));
  SetupKeyRequest request{.name = flags.name,
                          .type = flags.type,
                          .expires_in_seconds = flags.expires_in.count(),
                          .usage_limit = flags.usage_limit,
                          .auto_groups = {},
                          .ephemeral = flags.ephemeral,
                          .allow_extra_dns_labels = flags.allow_extra_dns_labels};
  NB_LET(request.auto_groups, group_ids(store, core.clock(), account.id, flags.auto_groups));
  NB_LET(SetupKey key, new_setup_key(request, core.clock().wall()));
  std::string plain;
  if (flags.key_file.empty()) {
    plain = crypto::generate_setup_key(core.random()).reveal();
  } else {
    NB_LET(plain, read_key(flags.key_file));
  }
  key.id = SetupKeyId(core.ids().next());
  key.account_id = account.id;
  key.key = SetupKeyHash(crypto::hash_setup_key(plain));
  key.key_secret = crypto::setup_key_hint(plain);
  NB_LET(const SetupKey stored,
         MgmtCore::wait(store.create_setup_key(core.clock().now() + kStep, std::move(key),
                                               account.created_by)));
  fmt::print("Setup key: {}\nID: {}\n", plain, stored.id.value());
  return {};
}

std::string day(const std::optional<WallTime>& time, const char* none) {
  if (!time) return none;
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", std::chrono::floor<std::chrono::seconds>(*time));
}

Result<> list(MgmtCore& core) {
  auto& store = core.store();
  const auto account = MgmtCore::wait(store.first_account(core.clock().now() + kStep));
  if (!account && account.error().code == Code::kNotFound) return {};  // no account, no keys
  if (!account) return account.error();
  NB_LET(const auto keys,
         MgmtCore::wait(store.setup_keys(core.clock().now() + kStep, account->id)));
  fmt::print("ID\tKEY\tTYPE\tSTATE\tUSED\tLIMIT\tEXPIRES\tNAME\n");
  const WallTime now = core.clock().wall();
  for (const SetupKey& key : keys) {
    const char* state = key.revoked           ? "revoked"
                        : key.expired_at(now) ? "expired"
                        : key.overused()      ? "overused"
                                              : "valid";
    fmt::print("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", key.id.value(), key.key_secret, key.type, state,
               key.used_times, key.usage_limit, day(key.expires_at, "never"),
               escape_control(key.name));
  }
  return {};
}

/// `wanted`: an id or the plain key.
Result<> revoke(MgmtCore& core, const std::string& wanted) {
  auto& store = core.store();
  NB_LET(const Account account, MgmtCore::wait(store.first_account(core.clock().now() + kStep)));
  SetupKeyId id(wanted);
  auto by_hash = MgmtCore::wait(store.setup_key_by_hash(
      core.clock().now() + kStep, SetupKeyHash(crypto::hash_setup_key(wanted))));
  if (by_hash) id = by_hash->id;
  NB_LET(const SetupKey revoked,
         MgmtCore::wait(store.revoke_setup_key(core.clock().now() + kStep, account.id,
                                               std::move(id), account.created_by)));
  fmt::print("Revoked: {}\n", revoked.id.value());
  return {};
}

}  // namespace

namespace {

class MgmtVerbSettings final : public VerbSettings {
 public:
  void add_rows(config::Table& table) override { add_mgmt_store_rows(table, config_); }
  config::Command command(config::Table& table) override { return mgmt_command(table, config_); }
  [[nodiscard]] LogConfig log() const override { return config_.service.log; }
  MgmtConfig& config() override { return config_; }
  Result<> ready() override { return {}; }

 private:
  MgmtConfig config_;
};

}  // namespace

VerbProgram mgmt_verbs() {
  return {.name = "netbird-mgmt", .make = [] { return std::make_unique<MgmtVerbSettings>(); }};
}

int VerbCall::complain(const Error& error) const {
  fmt::print(stderr, "{}: {}\n", program, error.text);
  return 1;
}

std::function<int(const VerbCall&)> with_core(
    std::function<Result<>(MgmtCore& core, const VerbCall& call)> work) {
  return [work = std::move(work)](const VerbCall& call) {
    const auto core = MgmtCore::open(call.config, {}, kWait, call.log);
    if (!core) return call.complain(core.error());
    const Result<> done = work(**core, call);
    return done ? 0 : call.complain(done.error());
  };
}

Result<std::string> read_secret_file(std::string_view flag, const std::string& path) {
  std::string text;
  if (path == "-") {
    std::array<char, 4'096> buffer{};
    text.assign(buffer.data(), std::fread(buffer.data(), 1, buffer.size(), stdin));
  } else {
    auto read = config::read_file(path, 4'096);
    if (!read) return fail(read.error().code, "{}: {}", flag, read.error().text);
    text = *std::move(read);
  }
  drop_line_ends(text);
  return text;
}

std::vector<VerbPlan> database_verbs() {
  const auto key = std::make_shared<SetupKeyFlags>();
  const auto migrate = std::make_shared<MigrateFlags>();
  const auto serial = std::make_shared<SerialFlags>();
  std::vector<VerbPlan> out;
  out.push_back(
      {.path = "setup-key create",
       .help = "make a setup key and print it; running servers accept it at once",
       .add_rows = [key](config::Table& table) { table.section("The key").add(kCreate, *key); },
       .run = with_core([key](MgmtCore& core, const VerbCall& call) {
         return create(core, call.config, *key);
       })});
  out.push_back({.path = "setup-key list",
                 .help = "list all setup keys",
                 .run = with_core([](MgmtCore& core, const VerbCall&) { return list(core); })});
  out.push_back({.path = "setup-key revoke",
                 .help = "no machine may join with this key any more",
                 .usage = "<id or key>",
                 .arguments_max = 1,
                 .run = with_core([](MgmtCore& core, const VerbCall& call) -> Result<> {
                   if (call.invocation.arguments.empty())
                     return fail(Code::kInvalidArgument,
                                 "setup-key revoke: which one? Give an id or the key");
                   return revoke(core, call.invocation.arguments.front());
                 })});
  out.push_back(
      {.path = "migrate",
       .help = "bring the database up to date",
       .only_looks = [migrate] { return migrate->check; },
       .add_rows =
           [migrate](config::Table& table) { table.section("Migration").add(kMigrate, *migrate); },
       .run = [migrate](const VerbCall& call) { return migrate_database(call, migrate->check); }});
  out.push_back({.path = "doctor",
                 .help = "list damaged rows of the database; exit status 3 if there are any",
                 .run = examine_database});
  out.push_back({.path = "server-key rotate",
                 .help = "give the servers a new key for agents; the one before it stays good",
                 .run = with_core([](MgmtCore& core, const VerbCall& call) -> Result<> {
                   const auto& ha = call.config.ha;
                   NB_LET(const std::string fresh, core.rotate_server_key(ha.server_key_overlap()));
                   fmt::print(
                       "Server key: {}\nRunning servers tell agents within {} s.\n", fresh,
                       std::chrono::ceil<std::chrono::seconds>(ha.server_key_overlap()).count());
                   return {};
                 })});
  out.push_back(
      {.path = "serial raise",
       .help = "after a restore: make agents accept network maps again",
       .add_rows =
           [serial](config::Table& table) { table.section("Serials").add(kSerial, *serial); },
       .run =
           [serial](const VerbCall& call) {
             return raise_serials(call, static_cast<std::uint64_t>(serial->by));
           }});
  return out;
}

struct MgmtAdmin::Verb {
  std::unique_ptr<VerbSettings> settings;
  config::Table table;
};

void MgmtAdmin::add(config::Cli& cli, const VerbPlan& plan) {
  const auto verb = verbs_.emplace_back(std::make_shared<Verb>());
  verb->settings = program_.make();
  verb->settings->add_rows(verb->table);
  if (plan.add_rows) plan.add_rows(verb->table);
  config::Command command = verb->settings->command(verb->table);
  command.path = plan.path;
  command.aliases = plan.aliases;
  command.help = plan.help;
  command.usage = plan.usage;
  command.arguments_max = plan.arguments_max;
  command.hidden = plan.hidden;
  command.finish = [verb, looks = plan.only_looks, finish = std::move(command.finish)](
                       const config::Node& file, std::vector<std::string>& warnings) {
    verb->settings->config().only_looks = looks && looks();
    return finish(file, warnings);
  };
  command.run = [this, verb, run = plan.run](const config::Invocation& invocation) {
    const auto complain = [this](const Error& error) {
      fmt::print(stderr, "{}: {}\n", program_.name, error.text);
      return 1;
    };
    auto sink = make_log_sink(verb->settings->log(), program_.name);
    if (!sink) return complain(sink.error());
    if (const auto ready = verb->settings->ready(); !ready) return complain(ready.error());
    const Logger log(*sink);
    return run({verb->settings->config(), invocation, log, program_.name});
  };
  cli.command(std::move(command));
}

void MgmtAdmin::add_to(config::Cli& cli) {
  for (const auto& plans : {database_verbs(), ha_verbs(), user_verbs(), token_verbs()})
    for (const VerbPlan& plan : plans) add(cli, plan);
}

}  // namespace nb::cmd
