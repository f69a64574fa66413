#include "sql/company.h"

#include <chrono>
#include <utility>

namespace nb::sql {
namespace {

constexpr std::string_view kBegin = "SAVEPOINT company";
constexpr std::string_view kKeep = "RELEASE company";
constexpr std::string_view kTakeBack = "ROLLBACK TO company";

}  // namespace

Result<> Company::run(Connection& connection, const JobPtr& job) {
  const Instant began = std::chrono::steady_clock::now();
  connection.set_limits(job->deadline, &job->cancelled, Durability::kRelaxed);
  NB_TRY(connection.query(kBegin));
  Result<> result = job->work(connection);
  const bool fell_short = connection.durability_fell_short();
  const bool decided = result || result.error().code != connection.failure();
  connection.set_limits(job->deadline, nullptr,
                        Durability::kRelaxed);  // what follows is no longer its own
  if (!result || fell_short) {
    if (!connection.in_transaction()) return fail(Code::kAborted, "transaction of company is gone");
    NB_TRY(connection.query(kTakeBack));
  }
  NB_TRY(connection.query(kKeep));
  if (fell_short) job->options.durability = Durability::kFull;
  if (fell_short || !decided)
    left_.push_back(job);
  else
    members_.push_back({job, std::move(result), began});
  return {};
}

Result<> Company::join(Connection& connection, const Job& host) {
  Result<> done;
  for (std::size_t i = 0; done && i < kMembersMax; ++i) {
    JobPtr job = next_();
    if (!job) break;
    if (job->cancelled || std::chrono::steady_clock::now() >= job->deadline) {
      left_.push_back(std::move(job));  // ends as it would without company
      continue;
    }
    ++joined_;
    done = run(connection, job);
    if (!done) left_.push_back(std::move(job));
  }
  connection.set_limits(host.deadline, &host.cancelled, Durability::kRelaxed);
  return done;
}

bool Company::settle(bool committed) {
  for (Member& member : std::exchange(members_, {})) {
    if (!committed) {
      left_.push_back(std::move(member.job));
      continue;
    }
    metrics_.ran(member.began - member.job->asked, std::chrono::steady_clock::now() - member.began,
                 static_cast<bool>(member.result));
    ended_.push_back({std::move(member.job), std::move(member.result)});
  }
  return joined_ > 0;
}

}  // namespace nb::sql
