// What the REST API shows of an account, read from the database as it is now.
//
// A client may write through one instance and read through another at once, so nothing here is
// cached; only the kinds of objects that an answer needs are read, each with one statement, all in
// one transaction. Clients that poll are told by stamps that nothing has changed.
// Source   contract/rest-api.md §10; docs/decisions/0091-rest-reads-the-database.md,
//          0124-stamps-of-lists.md.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/store/store.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

enum class Part : std::uint8_t {
  kUsers,
  kPeers,
  kPeerNames,  // peers with id, name and proxy_embedded only
  kGroups,
  kPolicies,
  kPostureChecks,
  kRoutes,
  kNetworks,
  kRouters,
  kResources,
  kNameServerGroups,
  kZones,
};

struct Wanted {
  Part part;
  std::optional<std::vector<std::string>> only{};  // ids; absent: all
};

struct StampedParts {
  /// Changes whenever a row does that parts() reads; empty: cannot be told now.
  std::string stamp;
  AccountSnapshotPtr account;  // null: the caller knew the stamp
};

class Catalog {
 public:
  /// Whether the caller has already what a stamp stands for. May be asked on another thread.
  using Known = std::function<bool(std::string_view stamp)>;

  virtual ~Catalog() = default;
  /// The account and the tables that were asked for; the others are empty.
  virtual Task<AccountSnapshotPtr> parts(Instant deadline, AccountId account,
                                         std::vector<Wanted> wanted) = 0;
  /// The same, but for a caller who may know it: then only the stamp is made, by the database.
  virtual Task<StampedParts> parts_unless(Instant deadline, AccountId account,
                                          std::vector<Wanted> wanted, Known known) = 0;
  virtual Task<bool> has_accounts(Instant deadline) = 0;
};

struct SqlStoreParts;
std::unique_ptr<Catalog> make_sql_catalog(const SqlStoreParts& parts);

}  // namespace nb::management
