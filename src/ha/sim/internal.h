// Inside of the simulation: events, nodes and their connections to the store.
#pragma once

#include "ha/sim/world.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>
#include <queue>
#include <set>
#include <utility>

namespace nb::sim {

/// Virtual time for whoever owns it; sleeps are events of the world.
class SimClock final : public Clock {
 public:
  explicit SimClock(World::Impl& world) : world_(world) {}
  [[nodiscard]] WallTime wall() const override;
  [[nodiscard]] Instant now() const override;
  boost::asio::awaitable<void> sleep_for(std::chrono::nanoseconds time) override;
  Duration skew{0};

 private:
  World::Impl& world_;
};

/// One process's connection to the store: breaks, stays away, comes back with a new generation.
/// Messages of one direction keep their order, as on TCP.
struct Connection : std::enable_shared_from_this<Connection> {
  Connection(World::Impl& owner, Node::Impl& at) : world(owner), node(at) {}
  /// Sends `op` to the store; `done(ok)` runs on the node exactly once.
  void call(ha::StoreAccess::Op op, std::function<void(bool ok)> done);
  void connect();    // first attempt and all others
  void break_off();  // calls under way end, subscriptions are gone
  void die();        // the process crashed
  /// The path is cut, noticed only after a while. `lost`: a message fell into the cut, so that the
  /// connection breaks even if the path is back by then.
  void stall(bool lost);

  struct Wish {
    std::string channel;
    std::function<void(const std::string&, const std::string&)> on_message;
    std::function<void()> on_gap;
    std::uint64_t sink = 0;  // at the store
    bool active = false;
  };
  std::uint64_t subscribe(Wish wish);
  void unsubscribe(std::uint64_t id);
  void subscribe_at_store(std::uint64_t id);

  World::Impl& world;
  Node::Impl& node;
  bool up = false;
  bool dead = false;
  std::uint64_t generation = 0;
  Instant to_store_free{}, to_node_free{};
  std::map<std::uint64_t, std::function<void(bool)>> calls;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, Wish> wishes;
  std::vector<std::function<void()>> on_up;

 private:
  /// When a message sent now arrives; keeps the order.
  Instant arrival(Instant& free);
};

struct Node::Impl {
  Impl(World::Impl& owner, std::string own_name, Boot own_boot);
  World::Impl& world;
  std::string name;
  Boot boot;
  std::size_t index = 0;
  boost::asio::io_context context{1};
  SimClock clock;
  Node* self = nullptr;
  bool is_paused = false;
  Instant paused_until{};
  Instant cut_until{};
  std::uint64_t starts = 0;  // of the present process; grows with each

  struct Running;
  std::shared_ptr<Running> running;

  void start();
  void end(bool crash);
  void pause(Duration time);
  void cut(Duration time);
  void lose_connection();  // the store at its other end is gone
  /// Runs on the node, if the same process is still there.
  void deliver(std::uint64_t start, std::function<void()> event);
};

struct World::Impl {
  explicit Impl(World& front, std::uint64_t own_seed);

  struct Event {
    Instant at;
    std::uint64_t number;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return std::pair(at, number) > std::pair(other.at, other.number);  // earliest on top
    }
  };
  void at(Instant time, std::function<void()> run);
  void after(Duration delay, std::function<void()> run) { at(now + delay, std::move(run)); }
  /// Runs what is ready on all nodes; false when nothing was.
  bool drain_nodes();
  /// Advances to the next event; false when there is none before `limit`.
  bool step(Instant limit);
  void roll_faults();
  void note(std::string_view text);
  [[nodiscard]] bool path_to_store(const Node::Impl& node) const;
  void take_store_down(Duration time);
  std::uint64_t random() { return engine(); }
  bool chance(double probability);
  Duration between(Duration low, Duration high);

  World& front;
  std::uint64_t seed;
  std::mt19937_64 engine;
  Instant now{std::chrono::hours(1000)};
  std::vector<std::unique_ptr<Node>> nodes;  // their contexts go last
  std::vector<std::shared_ptr<Node::Impl::Running>> graveyard;
  SimClock clock;
  ha::MemoryStore store;
  bool store_up = true;
  Instant store_down_until{};
  std::map<std::pair<std::size_t, std::size_t>, Instant> splits;
  std::priority_queue<Event> events;
  std::uint64_t last_event = 0;
  std::uint64_t hash = 1469598103934665603ULL;
  bool trace = false;
  bool rolling = false;
  bool ending = false;
};

}  // namespace nb::sim
