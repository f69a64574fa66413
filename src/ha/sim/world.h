// sim: a whole cluster in one thread, with one seed for everything that can go wrong.
//
// Purpose      production coroutines run unchanged on virtual time: clocks, the store (a
// MemoryStore
//              behind one link per process), messages between nodes, pauses, crashes, partitions,
//              store outages and data loss. The same seed gives the same run.
// Used by      tests only (tests/sim). Start with tests/sim/lease_sim.cc: the smallest example.
// How          1. Write a sim::Process: your objects, built from a NodeEnv (home, clock, store,
//                 random, …), and stop() that ends their TaskGroups.
//              2. World world(seed); world.add_node("a", [](NodeEnv& env) { return
//                 std::make_unique<MyProcess>(env); });
//              3. world.faults = {.drop = 0.01, …}; world.run_for(1h, [&] { check safety; });
//              4. world.heal(); world.run_for(60s); check liveness.
//              5. Show world.replay() with each failure; loop with for_seeds (tests/sim/seeds.h).
// Rules        nothing may read a real clock, sleep, use threads or iterate over containers ordered
//              by address or hash, or a seed does not repeat. Waiting on asio timers that never
//              expire (wake-ups by cancel()) is fine; expiring ones are not: use env.clock.
// A crash      cuts the process off for good (its calls end with kUnavailable, nothing it sends
//              leaves any more) and then runs its stop() as undertaker; what it sent may arrive.
// Threads      one.
#pragma once

#include "base/clock.h"
#include "ha/ids.h"
#include "ha/memory_store.h"
#include "ha/message_bus.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace nb::sim {

using Duration = std::chrono::nanoseconds;

/// What goes wrong while it is set. Rates are per second and node (or store).
struct Faults {
  double drop = 0;       // a message to or from the store is lost and its connection breaks with it
  double lose = 0;       // a bus delivery or node-to-node message vanishes silently
  double duplicate = 0;  // a bus delivery or node-to-node message arrives twice
  Duration delay_min = std::chrono::microseconds(200);
  Duration delay_max = std::chrono::milliseconds(5);
  bool reorder = false;  // node-to-node and bus messages overtake each other
  double pause = 0;      // the process stands still (SIGSTOP, virtual machine), then goes on
  Duration pause_max = std::chrono::seconds(30);
  double crash = 0;
  Duration downtime_max = std::chrono::seconds(60);
  double cut = 0;  // between one node and the store
  Duration cut_max = std::chrono::seconds(30);
  double split = 0;  // between one pair of nodes
  Duration split_max = std::chrono::seconds(30);
  double store_down = 0;
  Duration store_down_max = std::chrono::seconds(30);
  bool store_forgets = false;  // a store that comes back is empty
  double flush = 0;
};

class World;
class Node;

/// What a process is built from; lives as long as the process.
struct NodeEnv {
  World& world;
  Node& node;
  std::string name;
  boost::asio::any_io_executor home;
  Clock& clock;            // virtual; wall() is off by the node's skew
  ha::StoreAccess& store;  // for the Local… adapters of ha/local/adapters.h
  ha::MessageBus& bus;     // pub/sub of that store
  ha::Random random;
  ha::Incarnation incarnation;
  /// Called on home after the connection to the store came (back) up.
  std::function<void(std::function<void()>)> on_store_up;
};

class Process {
 public:
  virtual ~Process() = default;
  /// Ends everything the process runs. Also called after a crash, then cut off from the world.
  virtual boost::asio::awaitable<void> stop() = 0;
};
using Boot = std::function<std::unique_ptr<Process>(NodeEnv&)>;

class Node {
 public:
  ~Node();
  [[nodiscard]] const std::string& name() const;
  /// Null while down.
  [[nodiscard]] Process* process() const;
  template <class T>
  [[nodiscard]] T* as() const {
    return dynamic_cast<T*>(process());
  }
  [[nodiscard]] bool paused() const;
  [[nodiscard]] Clock& clock() const;

  void start();                   // if down
  void crash();                   // at once, without a word
  void stop();                    // orderly: stop() runs with the world connected, then it is down
  void pause(Duration time);      // nothing of it runs until then
  void cut_store(Duration time);  // no message between it and the store until then
  void set_skew(Duration skew);   // of wall()

 private:
  friend class World;
  friend struct Connection;
  struct Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class World {
 public:
  explicit World(std::uint64_t seed);
  /// Heals, stops all processes and waits for them.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Faults faults;

  [[nodiscard]] std::uint64_t seed() const;
  [[nodiscard]] Instant now() const;
  /// The world's own clock, without skew; the store's.
  [[nodiscard]] Clock& clock();
  [[nodiscard]] ha::MemoryStore& store();

  /// Adds and starts a node.
  Node& add_node(std::string name, Boot boot);
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const;

  /// Lets time pass; `check` runs after every event.
  void run_for(Duration time, const std::function<void()>& check = {});
  /// Until `done`, at most `limit`; false when it did not come.
  [[nodiscard]] bool run_until(const std::function<bool()>& done, Duration limit);
  /// Runs `work` on `node` to its end and returns its result; NB_ASSERTs that it ends in `limit`.
  void run_on(Node& node, boost::asio::awaitable<void> work,
              Duration limit = std::chrono::minutes(10));

  /// Calls `event` after `delay`, outside all nodes (the script of a test, a client).
  void after(Duration delay, std::function<void()> event);
  /// A message between nodes: `deliver` runs on the receiver, if it is the same process then, with
  /// faults applied. For what does not go over the store.
  void send(Node& from, Node& to, std::function<void()> deliver);

  void split(Node& a, Node& b, Duration time);  // no node-to-node message between them until then
  void store_down(Duration time);               // up again by itself, empty if faults.store_forgets
  void flush_store();
  /// No faults from now on; everything comes back: partitions, pauses, the store, crashed nodes.
  void heal();

  /// Random, from the seed. Not for processes: they have env.random.
  std::uint64_t random();
  [[nodiscard]] bool chance(double probability);
  [[nodiscard]] Duration between(Duration low, Duration high);
  [[nodiscard]] std::size_t pick(std::size_t size);

  /// Adds to the fingerprint and, with NB_SIM_TRACE=1, prints with the virtual time.
  void note(std::string_view text);
  /// Of everything that happened: equal for equal seeds.
  [[nodiscard]] std::uint64_t fingerprint() const;
  /// The command that runs this seed again, to show with a failure.
  [[nodiscard]] std::string replay() const;
  /// How replay() learns the name of the running test; tests/sim/seeds.h sets it.
  static void set_test_name(std::string (*name)());

  struct Impl;

 private:
  friend class Node;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::sim
