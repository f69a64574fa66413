// Leases: one holder at a time for a named piece of work.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/strong_id.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace nb::ha {

/// What is leased. Shape [a-zA-Z0-9:_.-]{1,128}.
struct Resource : StrongId<Resource, std::string> {
  using StrongId::StrongId;
};

struct AcquireOptions {
  std::chrono::milliseconds ttl{15'000};  // until a dead holder's lease is free; 100 ms..10 min
  std::chrono::milliseconds wait{0};      // how long to try while somebody else has it
};

/// A lease in the holder's hand: renewed at ttl/3 in the background until released, lost or
/// destroyed (destruction releases it in the background). Move only; lives on the home of its
/// Leases.
class Lease {
 public:
  class Impl {
   public:
    virtual ~Impl() = default;
    [[nodiscard]] virtual bool held() const = 0;
    [[nodiscard]] virtual Instant until() const = 0;
    [[nodiscard]] virtual std::uint64_t fence() const = 0;
    virtual void on_lost(std::function<void()> call) = 0;
    virtual boost::asio::awaitable<void> release() = 0;
  };
  Lease() = default;
  explicit Lease(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

  /// Ask before each step that must not be done by two. False from the moment another could have
  /// it, by our own clock counted from the asking, whatever the store says.
  [[nodiscard]] bool held() const { return impl_ && impl_->held(); }
  [[nodiscard]] Instant until() const { return impl_ ? impl_->until() : Instant{}; }
  /// Greater than that of every earlier holder of this resource: store it with what you write, and
  /// refuse smaller ones.
  [[nodiscard]] std::uint64_t fence() const { return impl_ ? impl_->fence() : 0; }
  /// Called once on home when the lease is lost before its release: expired unrenewed, deleted or
  /// taken. Not called after release() or destruction. At once if it already is lost.
  void on_lost(std::function<void()> call) {
    if (impl_) impl_->on_lost(std::move(call));
  }
  /// Gives it back and returns when the store knows or could not be told (it then expires).
  boost::asio::awaitable<void> release() {
    if (const auto impl = std::move(impl_)) co_await impl->release();
  }
  explicit operator bool() const { return impl_ != nullptr; }

 private:
  std::unique_ptr<Impl> impl_;
};

class Leases {
 public:
  virtual ~Leases() = default;
  /// Takes the lease on `resource`, waiting up to options.wait with jittered back-off.
  /// Shape    one lease per resource and process: a second acquire() here waits like anybody's.
  /// Units    ttl counts from the moment of asking, not of the answer.
  /// Errors   kInvalidArgument: shape of resource, ttl out of range; kFailedPrecondition: held
  ///          elsewhere and wait is 0; kDeadlineExceeded: not free within options.wait;
  ///          kUnavailable: the store is away. Never go on without the lease on an error.
  /// Threads  home; safe to cancel: a grant that arrives later is given back.
  /// Source   design.md §4; contract/signal-relay-ops.md §6.4, §7.5
  virtual boost::asio::awaitable<Result<Lease>> acquire(Resource resource,
                                                        AcquireOptions options) = 0;
};

}  // namespace nb::ha
