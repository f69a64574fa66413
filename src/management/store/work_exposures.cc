#include "management/store/work_exposures.h"

#include "management/store/change_log.h"
#include "management/store/edits/service_rows.h"

#include <map>

namespace nb::management::work {
namespace {

/// The key alone opens no door to the outside for a machine that may not even have maps.
Result<> check_welcome(Session& session, const PeerId& peer) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT {}, COALESCE(p.user_id, '') <> '' AND "
                                   "COALESCE(p.peer_status_login_expired, FALSE) FROM peers p LEFT "
                                   "JOIN users u ON u.id = p.user_id WHERE p.id = $1",
                                   kOwnerBlocked),
                       {peer.value()}));
  if (rows.empty()) return fail(Code::kPermissionDenied, "peer is not registered");
  if (rows[0].boolean(0)) return fail(Code::kPermissionDenied, "user is blocked");
  if (rows[0].boolean(1))
    return fail(Code::kPermissionDenied, "peer login has expired, please log in once more");
  return {};
}

}  // namespace

Result<> check_may_expose(Session& session, const Context& context, const AccountId& account_id,
                          const PeerId& peer) {
  NB_TRY(check_welcome(session, peer));
  NB_LET(const Account owner, account(session, context, account_id));
  const AccountSettings& settings = owner.settings;
  if (!settings.peer_expose_enabled)
    return fail(Code::kPermissionDenied, "peer expose is not enabled for this account");
  if (settings.peer_expose_groups.empty())
    return fail(Code::kPermissionDenied, "no group is set for peer expose");
  NB_LET(
      const sql::Rows rows,
      session.query(fmt::format("SELECT 1 FROM group_peers WHERE account_id = $1 AND peer_id = "
                                "$2 AND group_id IN {} LIMIT 1",
                                json_list(session, 3)),
                    {account_id.value(), peer.value(), columns::ids(settings.peer_expose_groups)}));
  if (rows.empty()) return fail(Code::kPermissionDenied, "peer is not in an allowed expose group");
  return {};
}

Result<> touch_exposure(Session& session, const ServiceId& id) {
  NB_TRY(session.exec(
      fmt::format("UPDATE services SET meta_last_renewed_at = {} WHERE id = $1", now_time(session)),
      {id.value()}));
  return {};
}

Result<EventMeta> exposure_meta(Session& session, const Service& service) {
  EventMeta meta = service_meta(service);
  NB_LET(const sql::Rows rows,
         session.query("SELECT name, ip FROM peers WHERE account_id = $1 AND id = $2",
                       {service.account_id.value(), service.source_peer.value()}));
  if (rows.empty()) return meta;
  columns::Damage damage;
  meta.emplace_back("peer_name", rows[0].string(0));
  meta.emplace_back("peer_ip", columns::read_address(rows[0].text(1), damage).to_string());
  return meta;
}

Result<> renew_exposure(Session& session, const Context& context, const AccountId& account_id,
                        const PeerId& peer, const std::string& domain) {
  // Who lost the permission is told so, and what it exposes ends with its time.
  NB_TRY(check_may_expose(session, context, account_id, peer));
  NB_LET(const std::int64_t renewed,
         session.exec(
             fmt::format("UPDATE services SET meta_last_renewed_at = {} WHERE account_id = $1 AND "
                         "domain = $2 AND source = $3 AND source_peer = $4",
                         now_time(session)),
             {account_id.value(), domain, kSourceEphemeral, peer.value()}));
  if (renewed > 0) return {};
  NB_LET(const sql::Rows rows,
         session.query("SELECT id FROM services WHERE account_id = $1 AND domain = $2",
                       {account_id.value(), domain}));
  if (rows.empty()) return fail(Code::kNotFound, "service with domain {} not found", domain);
  return fail(Code::kNotFound, "no active expose session for service {}", rows[0].text(0));
}

Result<EndedExposures> end_exposures(Session& session, const Context& context,
                                     std::chrono::seconds silence, std::size_t limit) {
  EndedExposures out;
  // Rows of others' transactions are left to them: who renews or ends one now has done so when
  // the next round looks.
  const std::int64_t nanoseconds = std::chrono::nanoseconds(silence).count();
  NB_LET(const sql::Rows due,
         session.query(fmt::format("SELECT v.id FROM services v WHERE v.source = $1 AND "
                                   "COALESCE(v.source_peer, '') <> '' AND {} ORDER BY v.id LIMIT "
                                   "$3{}",
                                   passed(session, "v.meta_last_renewed_at", "CAST($2 AS bigint)"),
                                   locking(session, "FOR UPDATE OF v SKIP LOCKED")),
                       {kSourceEphemeral, nanoseconds, static_cast<std::int64_t>(limit)}));
  if (due.empty()) return out;
  std::vector<ServiceId> ids;
  for (std::size_t i = 0; i < due.size(); ++i) ids.emplace_back(due[i].string(0));
  NB_LET(const std::vector<Service> services,
         read_services(session,
                       {fmt::format("v.id IN {}", json_list(session, 1)), {columns::ids(ids)}}));
  std::map<AccountId, Changes> changed;  // in the order in which everybody locks accounts
  for (const Service& service : services) {
    NB_TRY(erase_service(session, service.account_id, service.id));
    Event event;
    event.at = context.clock.wall();
    event.activity = Activity::kServiceExposeExpired;
    event.initiator_id = service.source_peer.value();
    event.target_id = service.id.value();
    event.account_id = service.account_id;
    NB_LET(event.meta, exposure_meta(session, service));
    NB_TRY(add_event(session, context, event));
    changed.try_emplace(service.account_id, service.account_id).first->second.touched(service.id);
  }
  for (const auto& [id, changes] : changed) {
    NB_LET(const std::uint64_t serial, bump_serial(session, context, changes));
    out.accounts.push_back({id, serial});
  }
  out.count = services.size();
  return out;
}

}  // namespace nb::management::work
