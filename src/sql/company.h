// Work of relaxed durability that shares one transaction of SQLite's writer. Private to sql/.
//
// Beginning and committing cost as much as marking a peer does, and marks come together: a peer
// that comes back opens two streams, and when a balancer restarts, thousands do. So before work of
// relaxed durability commits, such work that waits is done in the same transaction, each behind a
// savepoint of its own: what fails is taken back alone, and runs again by itself unless it decided
// so.
#pragma once

#include "sql/connection.h"
#include "sql/metrics.h"
#include "sql/worker_pool.h"

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace nb::sql {

/// Of one transaction.
class Company {
 public:
  using Next = std::function<JobPtr()>;
  /// `next`: relaxed work that waits for this connection, or null.
  Company(Next next, SqlMetrics& metrics) : next_(std::move(next)), metrics_(metrics) {}

  /// Does what waits, in the transaction that `host` is about to commit. Failure: the transaction
  /// is broken, or gone, and nobody's work in it is done.
  Result<> join(Connection& connection, const Job& host);
  /// The host's transaction has been committed, or rolled back: all have ended that need not run
  /// again. False: there was no company.
  bool settle(bool committed);
  /// Those that have ended since then, to be told.
  [[nodiscard]] std::vector<Ended> ended() { return std::exchange(ended_, {}); }
  /// Those that have to run by themselves.
  [[nodiscard]] std::vector<JobPtr> left() { return std::exchange(left_, {}); }

 private:
  struct Member {
    JobPtr job;
    Result<> result;
    Instant began;
  };
  static constexpr std::size_t kMembersMax = 32;
  Result<> run(Connection& connection, const JobPtr& job);

  const Next next_;
  SqlMetrics& metrics_;
  std::size_t joined_ = 0;
  std::vector<Member> members_;
  std::vector<Ended> ended_;
  std::vector<JobPtr> left_;
};

}  // namespace nb::sql
