#include "management/store/edits/exposures.h"

#include "management/store/agent_work.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/proxies.h"
#include "management/store/edits/service_edit.h"
#include "management/store/edits/service_rows.h"
#include "management/store/work_exposures.h"

#include <algorithm>

namespace nb::management::work {
namespace {

constexpr int kNameTries = 5;

std::string random_label(const Context& context, std::size_t length) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string out;
  for (std::size_t i = 0; i < length; ++i)
    out.push_back(kAlphabet[context.random.below(kAlphabet.size())]);
  return out;
}

std::string exposed_name(const Context& context, const std::string& prefix) {
  return prefix.empty() ? random_label(context, 12) : prefix + '-' + random_label(context, 4);
}

/// Below which a peer exposes that does not ask for a domain.
Result<std::string> any_cluster(AccountEdit& edit) {
  NB_LET(std::vector<ProxyCluster> clusters, proxy_clusters(edit));
  std::erase_if(clusters, [](const ProxyCluster& cluster) { return !cluster.online(); });
  if (clusters.empty()) return fail(Code::kFailedPrecondition, "no proxy cluster is connected");
  return clusters[edit.context().random.below(clusters.size())].address;
}

Result<std::vector<std::string>> group_ids(AccountEdit& edit,
                                           const std::vector<std::string>& names) {
  NB_LET(const std::vector<Group> all, edit.get_all<Group>());
  std::vector<std::string> out;
  for (const std::string& name : names) {
    const auto group = std::ranges::find(all, name, &Group::name);
    if (group == all.end()) return fail(Code::kNotFound, "group: {} not found", name);
    out.push_back(group->id.value());
  }
  return out;
}

Result<> check_count(AccountEdit& edit, const PeerId& peer) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT COUNT(*) FROM services WHERE account_id = $1 AND source = $2 "
                              "AND source_peer = $3",
                              {edit.account_id().value(), kSourceEphemeral, peer.value()}));
  if (rows[0].integer(0) < static_cast<std::int64_t>(kExposuresPerPeer)) return {};
  return fail(Code::kFailedPrecondition,
              "peer has reached the maximum number of active expose sessions ({})",
              kExposuresPerPeer);
}

Result<Service> draft_of(AccountEdit& edit, const ExposeService& command) {
  Service out;
  out.mode = command.mode;
  out.enabled = true;
  out.source = kSourceEphemeral;
  out.source_peer = command.peer;
  if (out.layer4()) out.listen_port = command.listen_port != 0 ? command.listen_port : command.port;
  FullTarget target;
  target.target_type = kResourcePeer;
  target.target_id = command.peer.value();
  target.port = command.port;
  target.protocol = command.target_protocol;
  target.enabled = true;
  out.targets.push_back(std::move(target));
  if (!command.pin.empty()) out.auth.pin = SecretAuth{true, command.pin};
  if (!command.password.empty()) out.auth.password = SecretAuth{true, command.password};
  if (!command.user_groups.empty()) {
    NB_LET(std::vector<std::string> groups, group_ids(edit, command.user_groups));
    out.auth.bearer = BearerAuth{true, std::move(groups)};
  }
  return out;
}

/// First of all, and undone with everything else: of a request that is refused nothing is kept.
Result<> take_request(AccountEdit& edit, const std::optional<TokenUse>& request) {
  if (!request) return {};
  const Result<> taken = claim_token(edit.session(), *request);
  if (taken) return {};
  if (taken.error().code != Code::kUnauthenticated) return taken.error();
  return fail(Code::kInvalidArgument, "invalid request message");
}

}  // namespace

Result<Service> perform(AccountEdit& edit, const ExposeService& command) {
  NB_TRY(take_request(edit, command.request));
  NB_TRY(check_may_expose(edit.session(), edit.context(), edit.account_id(), command.peer));
  NB_TRY(check_count(edit, command.peer));
  NB_LET(const Service draft, draft_of(edit, command));
  std::string below = command.domain;
  if (below.empty()) {
    NB_LET(below, any_cluster(edit));
  }
  for (int attempt = 1;; ++attempt) {
    Service service = draft;
    service.name = exposed_name(edit.context(), command.name_prefix);
    service.domain = service.name + '.' + below;
    const Result<> added = add_service(edit, service);
    // Four letters after a prefix do meet now and then.
    const bool name_taken = !added && added.error().code == Code::kAlreadyExists &&
                            added.error().text == "domain already taken";
    if (name_taken && attempt < kNameTries) continue;
    if (!added) return added.error();
    NB_TRY(touch_exposure(edit.session(), service.id));
    NB_LET(EventMeta meta, exposure_meta(edit.session(), service));
    edit.event(Activity::kServiceExposed, service.id.value(), std::move(meta));
    return service;
  }
}

Result<Nothing> perform(AccountEdit& edit, const StopExposing& command) {
  NB_TRY(take_request(edit, command.request));
  NB_LET(std::vector<Service> found,
         read_services(edit.session(), {"v.domain = $1", {command.domain}}));
  const auto not_found = [&] {
    return fail(Code::kNotFound, "service with domain {} not found", command.domain);
  };
  if (found.empty() || found.front().account_id != edit.account_id()) return not_found();
  const Service& service = found.front();
  if (service.source != kSourceEphemeral)
    return fail(Code::kPermissionDenied, "cannot delete API-created service via peer expose");
  if (service.source_peer != command.peer)
    return fail(Code::kPermissionDenied, "cannot delete service exposed by another peer");
  const Result<> erased = erase_service(edit.session(), edit.account_id(), service.id);
  if (!erased && erased.error().code == Code::kNotFound) return not_found();
  NB_TRY(erased);
  edit.changes().touched(service.id);
  NB_LET(EventMeta meta, exposure_meta(edit.session(), service));
  edit.event(Activity::kServiceUnexposed, service.id.value(), std::move(meta));
  return Nothing{};
}

}  // namespace nb::management::work
