#include "base/log_keys.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/password.h"
#include "idp/core.h"
#include "idp/schema.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <exception>

namespace nb::idp {
namespace {

using namespace std::chrono_literals;
constexpr auto kStart = 60s;
constexpr auto kRotateEvery = 60s;
constexpr int kPurgeEvery = 5;  // rotations

// Runs a task to its end on this thread, for start-up.
template <class T>
Result<T> wait(boost::asio::awaitable<Result<T>> task) {
  boost::asio::io_context loop;
  Result<T> out;
  boost::asio::co_spawn(
      loop,
      [](boost::asio::awaitable<Result<T>> work,
         Result<T>* result) -> boost::asio::awaitable<void> {
        *result = co_await std::move(work);
      }(std::move(task), &out),
      [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
      });
  loop.run();
  return out;
}

Task<void> seed_owner(Core& core, OwnerSeed seed) {
  LocalUser user;
  user.id = crypto::make_uuid(core.random);
  user.email = seed.email;
  user.name = seed.name.empty() ? seed.email : seed.name;
  user.hash = std::string(seed.password.reveal());
  if (!is_mailbox(user.email) || user.hash.empty())
    co_return fail(Code::kInvalidArgument, "EmbeddedIdP.Owner: Email or Hash is not usable");
  if (!crypto::is_password_hash(user.hash)) {
    NB_CO_LET(user.hash, crypto::hash_password(seed.password));
  }
  NB_CO_LET(const std::optional<LocalUser> there,
            co_await core.store.user_by_email(core.deadline(), user.email));
  // Only made, never changed: a password that was changed since is not undone by the file.
  if (there) co_return Result<>();
  const auto made = co_await core.store.insert_user(core.deadline(), std::move(user), false);
  if (!made && made.error().code != Code::kAlreadyExists) co_return made.error();
  co_return Result<>();
}

Task<void> seed_connectors(Core& core) {
  for (const StaticConnector& wanted : core.options.connectors) {
    Connector row;
    row.id = wanted.id;
    row.type = wanted.type;
    row.name = wanted.name;
    row.config = wanted.config_json;
    const auto config = ConnectorConfig::parse(row);
    if (!config)
      co_return fail(Code::kInvalidArgument, "EmbeddedIdP.StaticConnectors '{}': {}", wanted.id,
                     config.error().text);
    row.issuer = config->issuer;
    row.client_id = config->client_id;
    NB_CO_LET(const std::optional<Connector> there,
              co_await core.store.connector(core.deadline(), row.id));
    const bool same =
        there && there->type == row.type && there->name == row.name && there->config == row.config;
    if (same) continue;
    IdpNote nobody;  // to be told of
    NB_CO_TRY(
        co_await core.store.insert_connector_row(core.deadline(), row, true, std::move(nobody)));
  }
  co_return Result<>();
}

Task<void> check_ways_in(Core& core) {
  if (!core.options.local_auth_disabled) co_return Result<>();
  NB_CO_LET(const std::vector<Connector> all, co_await core.store.connectors(core.deadline()));
  if (all.empty())
    co_return fail(Code::kFailedPrecondition,
                   "EmbeddedIdP.LocalAuthDisabled: no other identity provider is set up");
  co_return Result<>();
}

// `print` stands for settings that all instances need alike; the last start leaves its own.
Task<bool> same_as_last(Core& core, std::string name, std::string print) {
  NB_CO_LET(const std::string stored, co_await core.store.meta(core.deadline(), name, print));
  if (stored == print) co_return true;
  NB_CO_TRY(co_await core.store.set_meta(core.deadline(), std::move(name), std::move(print)));
  co_return false;
}

// Instances that disagree would refuse each other's redirects now and then, or give tokens that
// live for as long as whoever was asked happens to think.
Task<void> compare_settings(Core& core) {
  std::string text = core.options.issuer;
  for (const Client& client : core.clients) {
    std::vector<std::string> uris = client.redirect_uris;
    std::sort(uris.begin(), uris.end());
    for (const std::string& uri : uris) text += "\n" + client.id + " " + uri;
  }
  text += core.device_flow ? "\ndevice" : "";
  NB_CO_LET(const bool same, co_await same_as_last(core, "settings", hash_of(text)));
  if (!same)
    core.log.warn(
        "issuer, redirect URIs or grant types differ from those of the last start or of "
        "another instance; all instances need the same");
  const Lifetimes& lives = core.options.lifetimes;
  std::string rules;
  for (const std::chrono::seconds life :
       {lives.session_idle, lives.session_max, lives.token, lives.request, lives.code, lives.device,
        lives.refresh_idle, lives.refresh_max, lives.key})
    rules += std::to_string(life.count()) + "\n";
  rules += core.options.local_auth_disabled ? "no passwords" : "passwords";
  NB_CO_LET(const bool alike, co_await same_as_last(core, "lives", hash_of(rules)));
  if (!alike)
    core.log.warn(
        "lives of tokens, codes, keys or sessions, or whether there are passwords, differ from "
        "those of the last start or of another instance; all instances need the same");
  co_return Result<>();
}

Task<void> prepare(Core& core) {
  NB_CO_TRY(co_await core.keys.refresh(core.clock.now() + kStart));
  if (core.options.owner) NB_CO_TRY(co_await seed_owner(core, *core.options.owner));
  NB_CO_TRY(co_await seed_connectors(core));
  NB_CO_TRY(co_await check_ways_in(core));
  co_return co_await compare_settings(core);
}

}  // namespace

Result<std::string> normalise_issuer(std::string_view text) {
  std::string issuer(text);
  while (issuer.ends_with('/')) issuer.pop_back();
  NB_LET(const Url url, parse_url(issuer));
  if ((url.scheme != "https" && url.scheme != "http") || url.host.empty() || !url.user.empty() ||
      !url.query.empty() || issuer.find_first_of("?#") != std::string::npos || !clean(issuer))
    return fail(Code::kInvalidArgument, "EmbeddedIdP.Issuer: not an http(s) URL with a path only");
  if (!issuer.ends_with("/oauth2")) issuer += "/oauth2";
  return issuer;
}

Provider::Provider(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Provider::~Provider() = default;

Result<std::unique_ptr<Provider>> Provider::make(Parts parts, Options options) {
  NB_LET(options.issuer, normalise_issuer(options.issuer));
  NB_LET(Vault vault, Vault::make(parts.data_keys, parts.random));
  NB_LET(const sql::MigrationReport report,
         sql::migrate(parts.database, migrations(vault), parts.clock.now() + kStart, parts.log));
  for (const std::string& line : report) parts.log.info(line);
  auto core = std::make_unique<Core>(std::move(parts), std::move(options), std::move(vault));
  NB_LET(core->dummy_hash, crypto::hash_password(Secret(core->new_token())));
  NB_TRY(wait<void>(prepare(*core)));
  return std::unique_ptr<Provider>(new Provider(std::move(core)));
}

boost::asio::awaitable<void> Provider::run() {
  for (int round = 0;; ++round) {
    const auto rotated = co_await core_->keys.refresh(core_->clock.now() + 30s);
    if (!rotated)
      core_->log.warn(
          "signing keys of the identity provider cannot be read; known ones stay in use",
          {log::f(log::kError, rotated.error().text)});
    if (round % kPurgeEvery == 0) co_await purge();
    co_await core_->clock.sleep_for(kRotateEvery);
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
  }
}

boost::asio::awaitable<void> Provider::purge() {
  const auto pending = co_await core_->store.purge(core_->clock.now() + 30s);
  if (pending) core_->full.store(*pending > core_->options.logins_max);
}

void Provider::shift_clock(std::chrono::milliseconds by) {
  core_->store.shift_clock(by);
}

const std::string& Provider::issuer() const {
  return core_->options.issuer;
}

bool Provider::local_auth_disabled() const {
  return core_->options.local_auth_disabled;
}

bool Provider::device_flow_enabled() const {
  return core_->device_flow;
}

Task<management::IdpKeySet> Provider::keys(Instant deadline) {
  NB_CO_LET(const auto keys, co_await core_->keys.keys(deadline));
  const Millis now = wall_millis(core_->clock);
  co_return management::IdpKeySet{.jwks = keys->published(now).json(),
                                  .valid_for = keys->max_age(now, core_->options.lifetimes.jwks)};
}

}  // namespace nb::idp
