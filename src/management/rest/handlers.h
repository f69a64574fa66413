// The groups of endpoints, and what they stand on.
#pragma once

#include "ha/rate_limiter.h"
#include "management/app/account_commands.h"
#include "management/app/identity_provider.h"
#include "management/app/people.h"
#include "management/auth/proxy_sign_in.h"
#include "management/domain/account_snapshot.h"
#include "management/rest/json_writer.h"
#include "management/rest/routes.h"
#include "management/store/catalog.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management {
class EventLog;
class EventReader;
class Locations;
namespace app {
class HaOverview;
class Jobs;
}  // namespace app
}  // namespace nb::management

namespace nb::management::rest {

class Releases;

struct Services {
  Catalog& catalog;
  Store& store;
  app::AccountCommands& commands;
  app::People& people;
  ha::RateLimiter& limiter;
  const Clock& clock;
  IdentityProvider* provider = nullptr;  // null: logins are another server's business
  app::Jobs* jobs = nullptr;             // never null in a server
  EventReader* events = nullptr;         // never null in a server
  EventLog* event_log = nullptr;         // never null in a server
  app::HaOverview* overview = nullptr;   // never null in a server
  auth::ProxySignIn* sign_in = nullptr;  // null: visitors cannot sign in
  Locations* locations = nullptr;        // null: there is no geolocation database
  std::string dns_domain{};              // of accounts without one of their own
  std::string version{};
  const Releases* releases = nullptr;  // null: nobody is asked for newer ones
  bool setup_token_enabled = false;    // NB_SETUP_PAT_ENABLED
};

// A Services outlives the table.
void add_accounts(RouteTable& table, const Services& services);
void add_dns(RouteTable& table, const Services& services);
void add_events(RouteTable& table, const Services& services);
void add_groups(RouteTable& table, const Services& services);
void add_ha_status(RouteTable& table, const Services& services);
void add_identity_providers(RouteTable& table, const Services& services);
void add_instance(RouteTable& table, const Services& services);
void add_invites(RouteTable& table, const Services& services);
void add_jobs(RouteTable& table, const Services& services);
void add_locations(RouteTable& table, const Services& services);
void add_networks(RouteTable& table, const Services& services);
void add_peers(RouteTable& table, const Services& services);
void add_policies(RouteTable& table, const Services& services);
void add_posture_checks(RouteTable& table, const Services& services);
void add_proxies(RouteTable& table, const Services& services);
void add_proxy_services(RouteTable& table, const Services& services);
void add_routes(RouteTable& table, const Services& services);
void add_setup_keys(RouteTable& table, const Services& services);
void add_tokens(RouteTable& table, const Services& services);
void add_users(RouteTable& table, const Services& services);
/// Description of what the table holds so far; last.
void add_reference(RouteTable& table);
/// All of them.
[[nodiscard]] RouteTable all_routes(const Services& services);

// What handlers share.

/// `write(json)` writes one value.
template <class Write>
[[nodiscard]] Reply reply_with(Write write) {
  JsonWriter json;
  write(json);
  return {.body = std::move(json).take()};
}
/// The same for a list that clients poll.
template <class Range, class Each>
[[nodiscard]] Reply list_reply(const Range& range, Each each) {
  JsonWriter json;
  json.array(range, [&](const auto& item) { each(json, item); });
  return {.body = std::move(json).take(), .cacheable = true};
}
/// A handler: a coroutine function over services and call.
template <class Function>
[[nodiscard]] Handler handled(const Services& services, Function function) {
  return [&services, function](Call call) { return function(services, std::move(call)); };
}
/// Carries out a command in the name of the caller.
template <class Command>
[[nodiscard]] auto execute(const Services& services, const Call& call, Command command) {
  return services.commands.execute(call.deadline, call.actor(), std::move(command));
}
/// Reads tables of the caller's account.
[[nodiscard]] inline Task<AccountSnapshotPtr> read(const Services& services, const Call& call,
                                                   std::vector<Wanted> wanted) {
  return services.catalog.parts(call.deadline, call.account_id(), std::move(wanted));
}
/// Makes a list out of the tables that were read for a call.
using MakeList = std::function<Result<Reply>(const Call& call, const AccountSnapshot& account)>;
/// A list that clients poll, made of tables of the caller's account: whoever has it as it is now
/// gets 304, and the tables are not read. Nothing but these, the call and the time of its
/// Reply::changes_at may show in it.
[[nodiscard]] Task<Reply> polled(const Services& services, Call call, std::vector<Wanted> wanted,
                                 MakeList make);
/// Wanted::only of one id.
[[nodiscard]] std::optional<std::vector<std::string>> only(std::string id);
/// Everything of a kind, or what only the caller may see? An error where nothing is to be seen.
[[nodiscard]] Result<bool> sees_all(const Call& call, Module module);

template <class Id>
[[nodiscard]] Error unknown(std::string_view kind, const Id& id) {
  return fail(Code::kNotFound, "{}: {} not found", kind, id);
}

}  // namespace nb::management::rest
