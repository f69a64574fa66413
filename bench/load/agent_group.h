// Agents of one thread of the generator: what they say to a management server, and what it tells
// them.
// Source   contract/management-grpc.md §2, §3, §5.2, §5.3, §9.3
#pragma once

#include "base/result.h"
#include "crypto/box.h"
#include "load/client_loop.h"
#include "load/h2_client.h"
#include "load/histogram.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace nb::bench {

class AgentGroup final : public H2Client::Owner {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Call : std::uint8_t;

  struct Agent {
    std::uint32_t number = 0;
    std::optional<crypto::PrivateKey> key;
    std::string key_text;
    std::string server_key;
    std::optional<crypto::BoxSession> box;
    H2Client* client = nullptr;
    Clock::time_point step_began;
    std::uint64_t serial = 0;
    std::uint32_t peers = 0;  // of the newest map
    std::uint64_t maps = 0;
    std::uint64_t map_bytes = 0;  // all of them
    std::uint64_t first_map_bytes = 0;
    bool in_step = false;
    bool informed = false;  // of every join that is waited for
    // While all arrive at once:
    Clock::time_point try_at;
    std::uint32_t tries = 0;
  };

  struct Plan {
    Endpoint target;
    std::vector<Endpoint> others;  // instances beside it; agents go to each in turn
    std::string setup_key;
    std::uint32_t first = 0;  // number of the first agent
    std::uint32_t concurrency = 8;
    std::chrono::milliseconds step_max{120'000};
    std::chrono::milliseconds tick{5};  // a turn's longest
    std::function<void()> each_turn{};  // while it works
  };

  explicit AgentGroup(Plan plan);

  /// Agents with keys of their own, unknown to the server.
  void make(std::uint32_t count);
  Result<> load(const std::string& file, std::uint32_t count);
  /// Readable by the owner only.
  Result<> save(const std::string& file) const;

  // Each for agents [from, to), `concurrency` at once.
  /// Connection, GetServerKey, Login with the setup key.
  Result<> log_in(std::uint32_t from, std::uint32_t to, Histogram& latency);
  Result<> connect(std::uint32_t from, std::uint32_t to);
  /// GetServerKey, Sync until its first map, GetServerKey, Job.
  Result<> open_streams(std::uint32_t from, std::uint32_t to, std::uint32_t concurrency);

  struct Arrival {
    double seconds = 0;          // until the last one had a map
    std::uint64_t retries = 0;   // calls that were refused, connections that broke
    std::uint32_t left_out = 0;  // had no map at the limit
    std::string first_refusal;
    Histogram latency;  // from the beginning to each one's map
  };
  /// Everybody at the same moment, from connecting over Login to the first map; who is refused
  /// comes back after a pause, as agents do.
  Arrival arrive(std::chrono::milliseconds limit);

  /// Cuts the connections of agents [from, to).
  void cut(std::uint32_t from, std::uint32_t to, std::string_view reason);
  void turn();

  /// From now on count who has a map with so many peers.
  void expect_peers(std::uint32_t count);
  [[nodiscard]] std::uint32_t informed() const { return informed_; }
  [[nodiscard]] std::uint64_t first_informed_ns() const { return first_informed_ns_; }
  [[nodiscard]] std::uint64_t last_informed_ns() const { return last_informed_ns_; }

  [[nodiscard]] const std::vector<std::unique_ptr<Agent>>& agents() const { return agents_; }
  [[nodiscard]] std::uint64_t maps() const { return maps_; }
  [[nodiscard]] std::uint64_t map_bytes() const { return map_bytes_; }
  [[nodiscard]] const Histogram& first_map() const { return first_map_; }
  [[nodiscard]] Clock::time_point last_received() const { return last_received_; }
  [[nodiscard]] std::uint64_t serial_fell() const { return serial_fell_; }
  [[nodiscard]] std::uint64_t failures() const { return failures_; }
  [[nodiscard]] const std::string& first_failure() const { return first_failure_; }
  /// What ends from now on ends because we wanted it.
  void close() { closing_ = true; }

  void on_headers(H2Client& /*client*/, std::uint64_t /*tag*/, bool /*registered*/) override {}
  void on_message(H2Client& client, std::uint64_t tag, std::string_view message) override;
  void on_end(H2Client& client, std::uint64_t tag, const CallEnd& end) override;
  void on_closed(H2Client& client, std::string_view reason) override;

 private:
  [[nodiscard]] std::uint64_t tag_of(const Agent& agent, Call call) const;
  void start(Agent& agent, Call call, std::size_t method, const std::string& body, bool half_close);
  std::string seal(const Agent& agent, const std::string& plain);
  void take_server_key(Agent& agent, std::string_view message);
  void send_login(Agent& agent);
  void send_sync(Agent& agent);
  void send_job(Agent& agent);
  void on_map(Agent& agent, std::string_view message);
  void step_done(Agent& agent);
  void failed(Agent& agent, std::string text);
  [[nodiscard]] const Endpoint& target_of(const Agent& agent) const;
  Result<> connect(Agent& agent);
  void attempt(Agent& agent);
  void come_back_later(Agent& agent, std::string_view why);
  template <class Step>
  Result<> for_agents(std::uint32_t from, std::uint32_t to, std::uint32_t concurrency,
                      const Step& step);

  const Plan plan_;
  crypto::SystemRandom random_;
  std::minstd_rand jitter_{std::random_device{}()};
  std::vector<EncodedCall> calls_;
  std::vector<std::unique_ptr<Agent>> agents_;
  Histogram* login_latency_ = nullptr;
  Histogram first_map_;
  std::optional<Arrival> arrival_;  // while all arrive
  Clock::time_point arrival_began_;
  std::uint32_t active_ = 0;
  std::uint32_t done_ = 0;
  std::uint32_t expected_peers_ = 0;
  std::uint32_t informed_ = 0;
  Clock::time_point expected_since_;
  std::uint64_t first_informed_ns_ = 0;
  std::uint64_t last_informed_ns_ = 0;
  std::uint64_t maps_ = 0;
  std::uint64_t map_bytes_ = 0;
  std::uint64_t serial_fell_ = 0;
  std::uint64_t failures_ = 0;
  std::string first_failure_;
  Clock::time_point last_received_ = Clock::now();
  bool closing_ = false;
  ClientLoop loop_;  // last: its clients refer to what stands above
};

/// Asks for the server's key again and again, and lets agents join, on a thread of its own: what
/// the generator has to do with maps must not count as the server's delay.
class Bystander {
 public:
  Bystander(AgentGroup::Plan plan, std::uint32_t joins);
  ~Bystander();
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  struct Report {
    Histogram server_key;
    Histogram join;
    Result<> outcome;
  };
  /// All have joined, or could not.
  [[nodiscard]] bool joined() const;
  Report end();

 private:
  class Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace nb::bench
