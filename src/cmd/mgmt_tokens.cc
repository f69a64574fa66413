// Verbs about reverse proxies: admin token …, admin proxy … (contract/signal-relay-ops.md §5.6).
#include "base/duration.h"
#include "base/text.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_core.h"
#include "crypto/access_token.h"
#include "management/store/proxy_store.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

namespace nb::cmd {
namespace {

using config::Option;
using namespace std::chrono_literals;

constexpr auto kStep = 30s;
constexpr const char* kCreator = "CLI";
constexpr std::size_t kNameMax = 255;
constexpr std::string_view kPhrase = "disconnect all proxies";

struct TokenFlags {
  std::string name;
  std::string expires_in;
};
struct ProxyFlags {
  bool dry_run = false;
  bool force = false;
};

constexpr Option<TokenFlags> kToken[] = {
    {.flag = "name", .env = "-", .member = &TokenFlags::name, .help = "what lists call the token"},
    {.flag = "expires-in",
     .env = "-",
     .member = &TokenFlags::expires_in,
     .default_text = "never",
     .help = "life time, 365d or 24h"},
};
constexpr Option<ProxyFlags> kProxy[] = {
    {.flag = "dry-run",
     .env = "-",
     .member = &ProxyFlags::dry_run,
     .help = "only say which are connected"},
    {.flag = "force", .env = "-", .member = &ProxyFlags::force, .help = "do not ask"},
};

/// A duration, or whole days: "365d".
Result<std::optional<std::chrono::seconds>> life_time(const std::string& text) {
  if (text.empty()) return std::optional<std::chrono::seconds>();
  std::optional<std::chrono::seconds> out;
  if (text.ends_with('d')) {
    std::uint32_t days = 0;
    const char* const end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data(), end, days);
    if (error == std::errc() && stop == end && days <= 36'500) out = std::chrono::hours(24) * days;
  } else if (const auto time = parse_duration(text)) {
    out = std::chrono::floor<std::chrono::seconds>(*time);
  }
  if (!out || *out < 1s)
    return fail(Code::kInvalidArgument, "--expires-in: write 365d or 24h, at least 1s");
  return out;
}

std::string when(std::optional<WallTime> time, const char* otherwise) {
  if (!time) return otherwise;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*time);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(seconds.time_since_epoch().count()));
}

Result<> create_token(MgmtCore& core, const TokenFlags& flags) {
  if (flags.name.empty() || flags.name.size() > kNameMax)
    return fail(Code::kInvalidArgument, "--name: 1 to {} bytes", kNameMax);
  NB_LET(const auto life, life_time(flags.expires_in));
  const Secret token = crypto::generate_token(crypto::TokenKind::kProxy, core.random());
  management::ProxyToken made;
  made.id = management::ProxyTokenId(core.ids().next());
  made.name = flags.name;
  made.created_at = core.clock().wall();
  if (life) made.expires_at = *made.created_at + *life;
  NB_TRY(management::add_proxy_token(core.database(), made, crypto::hash_token(token.reveal()),
                                     kCreator, core.clock().now() + kStep));
  fmt::print("Token: {}\nToken ID: {}\n", token.reveal(), made.id.value());
  return {};
}

Result<> list_tokens(MgmtCore& core) {
  NB_LET(const auto tokens,
         management::all_proxy_tokens(core.database(), core.clock().now() + kStep));
  fmt::print("ID\tNAME\tCREATED\tEXPIRES\tLAST USED\tREVOKED\n");
  for (const management::ProxyToken& token : tokens)
    fmt::print("{}\t{}\t{}\t{}\t{}\t{}\n", escape_control(token.id.value()),
               escape_control(token.name), when(token.created_at, "-"),
               when(token.expires_at, "never"), when(token.last_used, "never"),
               token.revoked ? "yes" : "no");
  return {};
}

Result<> revoke_token(MgmtCore& core, const VerbCall& call) {
  if (call.invocation.arguments.empty())
    return fail(Code::kInvalidArgument, "token revoke: which one? Give its id");
  const std::string id = call.invocation.arguments.front();
  const auto done = management::revoke_proxy_token(core.database(), management::ProxyTokenId(id),
                                                   core.clock().now() + kStep);
  if (!done && done.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "token {} does not exist", escape_control(id));
  NB_TRY(done);
  fmt::print("Token {} revoked\n", escape_control(id));
  return {};
}

bool confirmed() {
  fmt::print("Type \"{}\" to go on: ", kPhrase);
  std::fflush(stdout);
  std::string line;
  return std::getline(std::cin, line) && line == kPhrase;
}

Result<> disconnect_proxies(MgmtCore& core, const ProxyFlags& flags) {
  NB_LET(const auto proxies,
         management::connected_proxies(core.database(), core.clock().now() + kStep));
  for (const management::ConnectedProxy& proxy : proxies)
    fmt::print("{}\t{}\t{}\n", escape_control(proxy.id), escape_control(proxy.address),
               escape_control(proxy.ip));
  if (flags.dry_run) {
    fmt::print("{} proxies are connected; nothing was changed\n", proxies.size());
    return {};
  }
  if (!flags.force && !confirmed()) return fail(Code::kCancelled, "nothing was changed");
  NB_LET(const std::int64_t count,
         management::disconnect_proxies(core.database(), core.clock().wall(),
                                        core.clock().now() + kStep));
  fmt::print("{} proxies marked as disconnected\n", count);
  return {};
}

void add_token_verbs(std::vector<VerbPlan>& out, const std::string& under, bool deprecated) {
  const auto flags = std::make_shared<TokenFlags>();
  const std::string also = deprecated ? "; deprecated, use admin token" : "";
  out.push_back(
      {.path = under + " create",
       .help = "make a token for a reverse proxy and print it" + also,
       .hidden = deprecated,
       .add_rows =
           [flags](config::Table& table) { table.section("The token").add(kToken, *flags); },
       .run = with_core(
           [flags](MgmtCore& core, const VerbCall&) { return create_token(core, *flags); })});
  out.push_back(
      {.path = under + " list",
       .aliases = {"ls"},
       .help = "list the tokens of reverse proxies" + also,
       .hidden = deprecated,
       .run = with_core([](MgmtCore& core, const VerbCall&) { return list_tokens(core); })});
  out.push_back({.path = under + " revoke",
                 .help = "no proxy may connect with this token any more" + also,
                 .usage = "<id>",
                 .arguments_max = 1,
                 .hidden = deprecated,
                 .run = with_core(revoke_token)});
}

}  // namespace

std::vector<VerbPlan> token_verbs() {
  std::vector<VerbPlan> out;
  add_token_verbs(out, "admin token", false);
  add_token_verbs(out, "token", true);
  const auto flags = std::make_shared<ProxyFlags>();
  out.push_back(
      {.path = "admin proxy disconnect-all",
       .help = "mark every reverse proxy as disconnected",
       .add_rows = [flags](config::Table& table) { table.section("Proxies").add(kProxy, *flags); },
       .run = with_core(
           [flags](MgmtCore& core, const VerbCall&) { return disconnect_proxies(core, *flags); })});
  return out;
}

}  // namespace nb::cmd
