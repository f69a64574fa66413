#include "cmd/mgmt_admin.h"

#include "base/text.h"
#include "cmd/mgmt_core.h"
#include "cmd/mgmt_database.h"
#include "cmd/mgmt_settings.h"
#include "crypto/setup_key.h"
#include "management/domain/setup_key.h"

#include <fmt/chrono.h>

#include <fstream>
#include <functional>
#include <memory>
#include <utility>

namespace nb::cmd {
namespace {

using config::Option;
using namespace management;
using namespace std::chrono_literals;

constexpr auto kStep = 30s;
constexpr auto kWait = 10s;                                  // for a database that is not there yet
constexpr std::string_view kCli = "netbird-mgmt setup-key";  // initiator in events

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

int complain(const Error& error) {
  fmt::print(stderr, "netbird-mgmt: {}\n", error.text);
  return 1;
}

Result<std::string> read_key(const std::string& path) {
  std::string text;
  if (path == "-") {
    char buffer[256];
    const std::size_t read = std::fread(buffer, 1, sizeof buffer, stdin);
    text.assign(buffer, read);
  } else {
    std::ifstream file(path);
    if (!std::getline(file, text))
      return fail(Code::kNotFound, "--key-file {}: cannot be read", path);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
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

struct MgmtAdmin::Verb {
  MgmtConfig config;
  config::Table table;
  SetupKeyFlags setup_key;
  MigrateFlags migrate;
  SerialFlags serial;
};

void MgmtAdmin::add_to(config::Cli& cli) {
  struct Plan {
    const char* path;
    const char* help;
    const char* usage;
    std::size_t arguments;
    std::function<int(Verb&, const config::Invocation&, const Logger&)> run;
  };
  const auto with_core = [](auto work) {
    return [work](Verb& verb, const config::Invocation& invocation, const Logger& log) {
      const auto core = MgmtCore::open(verb.config, {}, kWait, log);
      if (!core) return complain(core.error());
      const Result<> done = work(**core, verb, invocation);
      return done ? 0 : complain(done.error());
    };
  };
  const Plan plans[] = {
      {"setup-key create", "make a setup key and print it; running servers accept it at once", "",
       0, with_core([](MgmtCore& core, Verb& verb, const config::Invocation&) {
         return create(core, verb.config, verb.setup_key);
       })},
      {"setup-key list", "list all setup keys", "", 0,
       with_core([](MgmtCore& core, Verb&, const config::Invocation&) { return list(core); })},
      {"setup-key revoke", "no machine may join with this key any more", "<id or key>", 1,
       with_core([](MgmtCore& core, Verb&, const config::Invocation& invocation) -> Result<> {
         if (invocation.arguments.empty())
           return fail(Code::kInvalidArgument,
                       "setup-key revoke: which one? Give an id or the key");
         return revoke(core, invocation.arguments.front());
       })},
      {"migrate", "bring the database up to date", "", 0,
       [](Verb& verb, const config::Invocation&, const Logger& log) {
         return migrate_database(verb.config, verb.migrate.check, log);
       }},
      {"doctor", "list damaged rows of the database; exit status 3 if there are any", "", 0,
       [](Verb& verb, const config::Invocation&, const Logger& log) {
         return examine_database(verb.config, log);
       }},
      {"serial raise", "after a restore: make agents accept network maps again", "", 0,
       [](Verb& verb, const config::Invocation&, const Logger& log) {
         return raise_serials(verb.config, static_cast<std::uint64_t>(verb.serial.by), log);
       }},
  };
  for (const Plan& plan : plans) {
    const auto verb = verbs_.emplace_back(std::make_shared<Verb>());
    add_mgmt_store_rows(verb->table, verb->config);
    const std::string path = plan.path;
    if (path == "setup-key create") verb->table.section("The key").add(kCreate, verb->setup_key);
    if (path == "serial raise") verb->table.section("Serials").add(kSerial, verb->serial);
    if (path == "migrate") verb->table.section("Migration").add(kMigrate, verb->migrate);
    config::Command command = mgmt_command(verb->table, verb->config);
    command.path = path;
    command.help = plan.help;
    command.usage = plan.usage;
    command.arguments_max = plan.arguments;
    command.run = [verb, run = plan.run](const config::Invocation& invocation) {
      auto sink = make_log_sink(verb->config.service.log, "netbird-mgmt");
      if (!sink) return complain(sink.error());
      return run(*verb, invocation, Logger(*sink));
    };
    cli.command(std::move(command));
  }
}

}  // namespace nb::cmd
