// What the stores over SQL have in common: each function of theirs is a unit of work on the
// database. Private to store/.
#pragma once

#include "management/store/run_options.h"
#include "management/store/store_work.h"

#include <functional>
#include <memory>
#include <utility>

namespace nb::management {

class SqlUnits {
 protected:
  SqlUnits(const SqlStoreParts& parts, SqlStoreOptions options)
      : database_(parts.database),
        context_(std::make_shared<work::Context>(parts, std::move(options))) {}
  ~SqlUnits() = default;

  /// A function of *_work.h as a unit of work that owns its arguments.
  template <class T, class... Params, class... Args>
  Task<T> call(Instant deadline, sql::RunOptions options,
               Result<T> (*fn)(sql::Session&, const work::Context&, Params...), Args... args) {
    return run<T>(
        deadline, options,
        [fn, ... args = std::move(args)](sql::Session& session, const work::Context& context) {
          return fn(session, context, args...);
        });
  }
  /// The same for one that needs nothing of the store.
  template <class T, class... Params, class... Args>
  Task<T> call(Instant deadline, sql::RunOptions options, Result<T> (*fn)(sql::Session&, Params...),
               Args... args) {
    return run<T>(deadline, options,
                  [fn, ... args = std::move(args)](sql::Session& session, const work::Context&) {
                    return fn(session, args...);
                  });
  }

  template <class T, class Fn>
  Task<T> run(Instant deadline, sql::RunOptions options, Fn fn) {
    return database_.run<T>(deadline, options, guarded<T>(std::move(fn)));
  }

  sql::Database& database_;
  std::shared_ptr<const work::Context> context_;

 private:
  /// A constraint that a statement did not expect to break is our mistake; its text, which names
  /// tables, must not pass for an answer to an agent.
  template <class T, class Fn>
  std::function<Result<T>(sql::Session&)> guarded(Fn fn) {
    return [context = context_, fn = std::move(fn)](sql::Session& session) -> Result<T> {
      Result<T> result = fn(session, *context);
      if (result || !session.reported(result.error())) return result;
      const Code code = result.error().code;
      if (code == Code::kAlreadyExists || code == Code::kFailedPrecondition)
        return Result<T>(fail(Code::kInternal, "{}", result.error().text));
      return result;
    };
  }
};

}  // namespace nb::management
