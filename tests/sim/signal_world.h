// Signal instances and agents in the simulated world of ha/sim.
#pragma once

#include "ha/local/adapters.h"
#include "ha/sim/world.h"
#include "signal/exchange.h"
#include "signal/housekeeper.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {

/// What a planted flaw changes.
struct SignalFlaws {
  bool steals_back = false;     // asserts a registration by claiming it
  bool never_checks = false;    // registers once and never looks again
  bool wrong_peer = false;      // hands a message to whoever is there
  bool forgets_sender = false;  // does not answer duplicates
};

class SignalNode;

/// One agent: wants to have one stream somewhere, and remembers what came over it.
class Agent {
 public:
  Agent(std::string id) : id_(std::move(id)) {}
  [[nodiscard]] const std::string& id() const { return id_; }

  // The stream it believes in.
  std::string node;
  std::uint64_t boot = 0;
  std::uint64_t stream = 0;
  [[nodiscard]] bool connected() const { return stream != 0; }
  std::multiset<std::string> received;

 private:
  std::string id_;
};

/// The agents, shared by all nodes: their ends of the streams.
struct Agents {
  std::map<std::string, Agent> all;
  bool wrong_delivery = false;
};

/// A signal instance: exchange, registrar and router as in production, streams as a table.
class SignalNode final : public Process, public signal::ExchangeHost {
 public:
  SignalNode(NodeEnv& env, std::shared_ptr<Agents> agents, SignalFlaws flaws);
  boost::asio::awaitable<void> stop() override;

  /// The agent opens a stream here and forgets the one it had.
  void connect(Agent& agent);
  /// The transport notices that streams are dead whose agents have left.
  void drop_abandoned();
  /// A Send of some agent; its answer is counted.
  void send(const std::string& to, const std::string& body);
  [[nodiscard]] bool serves(const Agent& agent) const;
  [[nodiscard]] const std::string& name() const { return env_.name; }
  [[nodiscard]] const auto& streams() const { return streams_; }
  [[nodiscard]] std::size_t waiting() const { return tickets_.size(); }
  /// Oldest unanswered Send.
  [[nodiscard]] std::optional<Instant> oldest() const;

  struct Answers {
    std::size_t ok = 0;
    std::size_t told = 0;
    std::set<std::string> ok_bodies;
  } answers;

  // ExchangeHost
  [[nodiscard]] std::optional<std::uint64_t> stream_of(std::string_view peer) const override;
  void deliver(signal::Parcel parcel) override;
  void reply(const signal::ReplyMail& reply) override;
  void end(signal::EndMail end) override;
  void flapped(std::string_view /*peer*/) override {}

 private:
  void write(const std::string& peer, const std::string& message);
  void detach(const std::string& peer, std::uint64_t stream);

  NodeEnv& env_;
  std::shared_ptr<Agents> agents_;
  SignalFlaws flaws_;
  std::uint64_t boot_;
  ha::StoreMembership membership_;
  ha::LocalDirectory directory_;
  signal::Exchange exchange_;
  signal::Housekeeper housekeeper_;
  std::map<std::string, std::uint64_t, std::less<>> streams_;
  std::uint64_t last_stream_ = 0;
  struct Ticket {
    std::string body;
    Instant since;
  };
  std::map<std::uint64_t, Ticket> tickets_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace nb::sim
