// Services that peers expose through reverse proxies: made, renewed, ended, and forgotten when
// their peer does not renew them any more. Source   contract/management-grpc.md §5.11, decision
// 0120.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "management/app/account_commands.h"
#include "management/store/proxy_store.h"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace nb::management::app {

struct ExposuresOptions {
  std::chrono::seconds silence{90};  // agents renew every 30 s, and give up at the first refusal
  std::chrono::milliseconds sweep{10'000};
  std::chrono::milliseconds deadline{10'000};
  std::size_t batch = 100;
};

/// Threads  any executor; finishes on the caller's.
/// Errors   the store's; what agents get of them is the service's business.
class Exposures {
 public:
  /// All outlive this.
  Exposures(AccountCommands& commands, ProxyStore& store, Changes& changes, Clock& clock,
            ExposuresOptions options, Logger log);

  /// `nonce`, of the request: the same one does nothing when it comes again, kInvalidArgument.
  /// Renewals may be repeated: one can only prolong what its peer has not ended.
  Task<Service> create(Instant deadline, const Peer& peer, const std::string& nonce,
                       ExposeService command);
  Task<> renew(Instant deadline, const Peer& peer, std::string domain);
  Task<> stop(Instant deadline, const Peer& peer, std::string nonce, std::string domain);

  /// Until cancelled; for a TaskGroup. Every instance sweeps, the database gives each service to
  /// one.
  boost::asio::awaitable<void> run();
  [[nodiscard]] const std::atomic<std::uint64_t>& expired() const { return expired_; }

 private:
  boost::asio::awaitable<void> sweep();

  AccountCommands& commands_;
  ProxyStore& store_;
  Changes& changes_;
  Clock& clock_;
  const ExposuresOptions options_;
  const Logger log_;
  std::atomic<std::uint64_t> expired_{0};
};

}  // namespace nb::management::app
