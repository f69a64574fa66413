// The relays of one peer: its home relay, and others for as long as tunnels go through them.
// Source   contract/client-agent.md §1.9; contract/signal-relay-ops.md §3.8
#pragma once

#include "base/backoff.h"
#include "base/log.h"
#include "base/task_group.h"
#include "client/relay_connection.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nb::client {

/// What management hands out; empty urls: no relay.
struct RelayServers {
  std::vector<std::string> urls{};
  crypto::RelayToken token{};
};

struct RelayOptions {
  RelayTimes times{};
  std::string ca_file{};
  std::chrono::milliseconds settle{1'500};  // after a loss, before the same relay is tried again
  BackoffLimits retry{.first = std::chrono::seconds(2), .most = std::chrono::seconds(60)};
  std::chrono::milliseconds sweep{60'000};  // of foreign relays without tunnels …
  std::chrono::milliseconds unused{5'000};  // … for this long
  std::uint64_t seed = 0;                   // of the jitter
};

class RelayClient {
 public:
  static constexpr std::size_t kDialsMax = 7;  // at once

  RelayClient(const boost::asio::any_io_executor& home, const PeerId& self, RelayOptions options,
              Logger log);
  ~RelayClient();
  RelayClient(const RelayClient&) = delete;
  RelayClient& operator=(const RelayClient&) = delete;

  /// New addresses and a new token: for the next connection, a standing one outlives them.
  void use(RelayServers servers);
  /// Called when the home relay is there or lost.
  void on_home(std::function<void()> changed) { on_home_ = std::move(changed); }
  /// Instance URL of the home relay; empty: not connected.
  [[nodiscard]] std::string instance_url() const;
  [[nodiscard]] std::string instance_ip() const;
  /// Relays that said our token does not count, in a row: time for a new one.
  [[nodiscard]] std::uint32_t refusals() const { return refusals_; }

  /// A tunnel to `peer` through the relay with this instance URL, which is dialled when it is not
  /// the home relay; `ip`: its address as the peer knows it, for names that do not resolve.
  /// Errors   those of RelayConnection::dial() and open().
  boost::asio::awaitable<Result<std::shared_ptr<RelayTunnel>>> open(PeerId peer,
                                                                    std::string instance_url,
                                                                    std::string ip);
  /// Ends every connection; nothing works afterwards.
  boost::asio::awaitable<void> stop();

 private:
  struct Race;
  struct Foreign;
  using Dialled = Result<std::shared_ptr<RelayConnection>>;

  boost::asio::awaitable<void> stay_home();
  boost::asio::awaitable<void> keep_home(std::shared_ptr<RelayConnection> home);
  boost::asio::awaitable<Dialled> dial(std::string url, std::string ip);
  boost::asio::awaitable<Dialled> dial_any();
  boost::asio::awaitable<void> compete(std::shared_ptr<Race> race, std::string url);
  boost::asio::awaitable<void> dial_foreign(std::shared_ptr<Foreign> foreign, std::string url,
                                            std::string ip);
  boost::asio::awaitable<Dialled> foreign(std::string url, std::string ip);
  boost::asio::awaitable<void> sweep_foreign();
  boost::asio::awaitable<void> pause(std::chrono::nanoseconds time);
  void set_home(std::shared_ptr<RelayConnection> home);

  const PeerId self_;
  const RelayOptions options_;
  const Logger log_;
  TaskGroup tasks_;
  RelayServers servers_;
  boost::asio::steady_timer servers_changed_;
  std::size_t first_url_ = 0;  // of the next dial_any(), when there are more than kDialsMax
  std::shared_ptr<RelayConnection> home_;
  std::string home_dialled_;                                 // URL it was reached by
  std::map<std::string, std::shared_ptr<Foreign>> foreign_;  // by instance URL
  std::function<void()> on_home_;
  Backoff backoff_;
  std::uint32_t refusals_ = 0;
};

}  // namespace nb::client
