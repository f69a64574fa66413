// Reads the objects of one account: all of a kind, or those of a list. Private to store/.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/store/store_work.h"

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::work {

/// One statement per table, whatever the number of objects. What no official server could have
/// written is read as empty or left out, reported and counted; it never fails a read.
/// Order   none, except rules (as they were inserted), members, records and targets (by id).
class ObjectReader {
 public:
  /// Null: all.
  using Ids = const std::vector<std::string>*;

  ObjectReader(Session& session, const Context& context, const AccountId& account)
      : session_(session), context_(context), account_(account) {}

  Result<std::vector<User>> users(Ids ids = nullptr);
  Result<std::vector<Peer>> peers(Ids ids = nullptr);
  /// Peers with what the API shows of them.
  Result<std::vector<Peer>> shown_peers(Ids ids = nullptr);
  Result<std::vector<Group>> groups(Ids ids = nullptr);
  Result<std::vector<Policy>> policies(Ids ids = nullptr);
  Result<std::vector<PostureCheck>> posture_checks(Ids ids = nullptr);
  Result<std::vector<Route>> routes(Ids ids = nullptr);
  Result<std::vector<Network>> networks(Ids ids = nullptr);
  Result<std::vector<NetworkRouter>> routers(Ids ids = nullptr);
  Result<std::vector<NetworkResource>> resources(Ids ids = nullptr);
  Result<std::vector<NameServerGroup>> name_server_groups(Ids ids = nullptr);
  Result<std::vector<DnsZone>> zones(Ids ids = nullptr);
  Result<std::vector<ProxyService>> services(Ids ids = nullptr);
  Result<std::vector<ProxyDomain>> proxy_domains(Ids ids = nullptr);

  [[nodiscard]] std::size_t skipped() const { return skipped_; }
  /// Ids of those that were read with damage, policies also for their rules'.
  [[nodiscard]] const std::set<std::string>& damaged() const { return damaged_; }

 private:
  /// Where the rows of a kind are.
  struct Source {
    std::string_view what;     // for the log
    std::string_view columns;  // of the reader
    std::string_view from;     // "users u"
    std::string_view account;  // column with the account: "u.account_id"
    std::string_view id;       // column that a list of ids selects by: "u.id"
    std::string_view order{};  // ORDER BY
  };
  Result<sql::Rows> query(const Source& source, Ids ids);
  template <class T, class Read>
  Result<std::vector<T>> read(const Source& source, Ids ids, Read read_row);
  template <class T, class Keep>
  void keep(std::string_view what, std::vector<T>& items, Keep wanted);

  Session& session_;
  const Context& context_;
  const AccountId& account_;
  std::size_t skipped_ = 0;
  std::set<std::string> damaged_;
};

/// The account's row number in the order of insertion, for `alias`.
std::string row_order(const Session& session, std::string_view alias);

}  // namespace nb::management::work
