// A store in memory with the semantics Redis has for us: what `local` uses in place and `sim`
// behind simulated links. Each operation is atomic, since one thread runs it.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "ha/deadline_table.h"
#include "ha/directory_table.h"
#include "ha/lease_holder.h"
#include "ha/login_rules.h"
#include "ha/member_view.h"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace nb::ha {

class MemoryStore {
 public:
  /// Its own clock is the store's: expiry, fences and due times.
  explicit MemoryStore(const Clock& clock) : clock_(clock) {}
  [[nodiscard]] Instant now() const { return clock_.now(); }
  [[nodiscard]] WallTime wall() const { return clock_.wall(); }
  [[nodiscard]] DueMs wall_ms() const { return due_ms(clock_.wall()); }

  /// FLUSHALL: data is gone, subscriptions stay.
  void flush();

  // By service, by registry key, and so on: each key of the configuration has its own table.
  std::map<std::string, MemberTable> members;
  std::map<std::string, DirectoryTable> directories;
  std::map<std::string, LoginTable> logins;
  std::map<std::string, DeadlineTable> deadlines;
  LeaseTable leases;

  using Sink = std::function<void(const std::string& channel, const std::string& payload)>;
  std::uint64_t subscribe(const std::string& channel, Sink sink);
  void unsubscribe(std::uint64_t id);
  /// How many sinks were called.
  std::size_t publish(const std::string& channel, const std::string& payload);

 private:
  const Clock& clock_;
  std::uint64_t last_id_ = 0;
  std::map<std::string, std::map<std::uint64_t, std::shared_ptr<Sink>>> sinks_;
  std::map<std::uint64_t, std::string> channels_;
};

/// The way from one instance to the store.
class StoreAccess {
 public:
  using Op = std::function<void(MemoryStore&)>;
  virtual ~StoreAccess() = default;
  /// Runs `op` at the store. On kUnavailable it may have run, or may still.
  virtual boost::asio::awaitable<Result<>> run(Op op) = 0;
};

/// The store is in this process: every operation succeeds at once.
class DirectAccess final : public StoreAccess {
 public:
  explicit DirectAccess(MemoryStore& store) : store_(store) {}
  boost::asio::awaitable<Result<>> run(Op op) override {
    op(store_);
    co_return Result<>{};
  }

 private:
  MemoryStore& store_;
};

/// The same for callers on several threads; nobody else may use the store.
class LockedAccess final : public StoreAccess {
 public:
  explicit LockedAccess(MemoryStore& store) : store_(store) {}
  boost::asio::awaitable<Result<>> run(Op op) override {
    {
      const std::lock_guard lock(mutex_);
      op(store_);
    }
    co_return Result<>{};
  }

 private:
  std::mutex mutex_;
  MemoryStore& store_;
};

/// run() with an answer. From a coroutine, name `op` first (see below); plain functions may return
/// ask(access, [=](MemoryStore& s) { return s.…; }).
template <class F>
auto ask(StoreAccess& access, F op)
    -> boost::asio::awaitable<Result<std::invoke_result_t<F&, MemoryStore&>>> {
  using T = std::invoke_result_t<F&, MemoryStore&>;
  // Shared: the operation may run after the caller gave up.
  const auto answer = std::make_shared<std::optional<T>>();
  // Named: gcc 12 copies closures that are temporaries of a co_await bit by bit.
  StoreAccess::Op wrapped = [answer, op = std::move(op)](MemoryStore& store) mutable {
    answer->emplace(op(store));
  };
  NB_CO_TRY(co_await access.run(std::move(wrapped)));
  co_return std::move(**answer);
}

}  // namespace nb::ha
