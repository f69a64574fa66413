// Which objects each serial of an account changed (table nb_changes), so that an instance brings a
// snapshot up to date by reading those objects only.
//
// A serial without rows is one that nobody described: an upstream server, an older version of ours
// or a person at the SQL prompt wrote it. Whoever meets one reads the whole account.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/store/store_work.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace nb::management::work {

/// Stored numbers: never change one.
enum class Kind : std::int32_t {
  kAccount = 0,  // the account's own row; its id is left empty
  kUser = 1,
  kPeer = 2,
  kGroup = 3,   // also: its members
  kPolicy = 4,  // also: its rules
  kPostureCheck = 5,
  kRoute = 6,
  kNetwork = 7,
  kRouter = 8,
  kResource = 9,
  kNameServerGroup = 10,
  kZone = 11,     // also: its records
  kService = 12,  // also: its targets
  kProxyDomain = 13,
};
inline constexpr std::int32_t kKindMax = 13;

/// What one transaction changes in one account: made, edited and deleted objects alike. Name an
/// object when in doubt; naming one too many costs a read, forgetting one leaves maps stale.
class Changes {
 public:
  explicit Changes(AccountId account) : account_(std::move(account)) {}

  /// Settings, network, DNS settings: the account's own row.
  Changes& touched_account() { return add(Kind::kAccount, {}); }
  Changes& touched(const UserId& id) { return add(Kind::kUser, id.value()); }
  Changes& touched(const PeerId& id) { return add(Kind::kPeer, id.value()); }
  Changes& touched(const GroupId& id) { return add(Kind::kGroup, id.value()); }
  Changes& touched(const PolicyId& id) { return add(Kind::kPolicy, id.value()); }
  Changes& touched(const PostureCheckId& id) { return add(Kind::kPostureCheck, id.value()); }
  Changes& touched(const RouteId& id) { return add(Kind::kRoute, id.value()); }
  Changes& touched(const NetworkId& id) { return add(Kind::kNetwork, id.value()); }
  Changes& touched(const RouterId& id) { return add(Kind::kRouter, id.value()); }
  Changes& touched(const ResourceId& id) { return add(Kind::kResource, id.value()); }
  Changes& touched(const NameServerGroupId& id) { return add(Kind::kNameServerGroup, id.value()); }
  Changes& touched(const ZoneId& id) { return add(Kind::kZone, id.value()); }
  Changes& touched(const ServiceId& id) { return add(Kind::kService, id.value()); }
  Changes& touched(const ProxyDomainId& id) { return add(Kind::kProxyDomain, id.value()); }
  template <class Container>
  Changes& touched_all(const Container& ids) {
    for (const auto& id : ids) touched(id);
    return *this;
  }

  [[nodiscard]] const AccountId& account() const { return account_; }
  [[nodiscard]] bool empty() const { return objects_.empty(); }
  [[nodiscard]] std::size_t size() const { return objects_.size(); }
  /// [[kind,"id"],…]
  [[nodiscard]] std::string json() const;

 private:
  Changes& add(Kind kind, const std::string& id) {
    objects_.emplace(static_cast<std::int32_t>(kind), id);
    return *this;
  }
  AccountId account_;
  std::set<std::pair<std::int32_t, std::string>> objects_;
};

/// For who cannot say what it changed: instances that serve read these accounts whole.
Result<> bump_undescribed(Session& session, const std::set<std::string>& accounts);

/// The last statement of a transaction that changed something maps depend on: raises the account's
/// serial, logs what changed under it, announces it. Without any object named (or with more than
/// can be worth it) the serial stays undescribed and everybody reads the account anew.
Result<std::uint64_t> bump_serial(Session& session, const Context& context, const Changes& changes);

/// What changed after serial `since`, as it is now; nothing: read a whole snapshot.
Result<std::optional<SnapshotDelta>> changes_since(Session& session, const Context& context,
                                                   const AccountId& account, std::uint64_t since);

/// Forgets what was logged longer ago than `age`, at most `limit` rows. Returns how many.
Result<std::size_t> prune_changes(Session& session, std::chrono::milliseconds age,
                                  std::size_t limit);

}  // namespace nb::management::work
