#include "ha/sim/world.h"

#include "base/assert.h"
#include "ha/sim/internal.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

namespace nb::sim {
namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {
constexpr Duration kRollEvery = 100ms;
constexpr WallTime kEpoch{1'700'000'000s};
constexpr Instant kBegin{1000h};
std::string (*test_name)() = nullptr;
}  // namespace

WallTime SimClock::wall() const {
  return kEpoch + (world_.now - kBegin) + skew;
}
Instant SimClock::now() const {
  return world_.now;
}

asio::awaitable<void> SimClock::sleep_for(std::chrono::nanoseconds time) {
  // The timer never expires by itself: the world's event cancels it, and so does cancellation.
  const auto timer = std::make_shared<asio::steady_timer>(co_await asio::this_coro::executor,
                                                          asio::steady_timer::time_point::max());
  world_.after(std::max(time, Duration(0)), [weak = std::weak_ptr(timer)] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
  co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
}

World::Impl::Impl(World& owner, std::uint64_t own_seed)
    : front(owner),
      seed(own_seed),
      engine(own_seed * 0x9e3779b97f4a7c15ULL + 1),
      clock(*this),
      store(clock),
      trace(std::getenv("NB_SIM_TRACE") != nullptr) {}

void World::Impl::at(Instant time, std::function<void()> run) {
  events.push({std::max(time, now), ++last_event, std::move(run)});
}

bool World::Impl::drain_nodes() {
  bool any = false;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Node::Impl& node = *nodes[i]->impl_;
    if (node.is_paused) continue;
    node.context.restart();
    std::size_t ran = 0;
    while (node.context.poll_one() > 0) {
      any = true;
      NB_ASSERT(++ran < 1'000'000);  // a loop that never waits
    }
  }
  std::erase_if(graveyard, [](const auto& dead) { return dead.use_count() == 1; });
  return any;
}

bool World::Impl::step(Instant limit) {
  if (drain_nodes()) return true;
  if (events.empty() || events.top().at > limit) return false;
  Event event = events.top();
  events.pop();
  now = event.at;
  hash = (hash ^ static_cast<std::uint64_t>(now.time_since_epoch().count())) * 1099511628211ULL;
  event.run();
  return true;
}

void World::Impl::note(std::string_view text) {
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  }
  if (trace) {
    fmt::print(stderr, "{:14.6f} {}\n", std::chrono::duration<double>(now - kBegin).count(), text);
  }
}

bool World::Impl::chance(double probability) {
  if (probability <= 0) return false;
  return static_cast<double>(random() >> 11) * 0x1.0p-53 < probability;
}

Duration World::Impl::between(Duration low, Duration high) {
  if (high <= low) return low;
  const auto span = static_cast<std::uint64_t>((high - low).count());
  return low + Duration(static_cast<std::int64_t>(random() % span));
}

bool World::Impl::path_to_store(const Node::Impl& node) const {
  return store_up && now >= node.cut_until;
}

void World::Impl::take_store_down(Duration time) {
  store_down_until = std::max(store_down_until, now + time);
  if (!store_up) return;
  store_up = false;
  note("store down");
  for (const auto& node : nodes) {
    node->impl_->lose_connection();
  }
  at(store_down_until, [this] {
    struct Again {
      static void up(World::Impl& world) {
        if (world.store_up) return;
        if (world.now < world.store_down_until) {
          return world.at(world.store_down_until, [&world] { up(world); });
        }
        world.store_up = true;
        if (world.front.faults.store_forgets) world.store.flush();
        world.note("store up");
      }
    };
    Again::up(*this);
  });
}

void World::Impl::roll_faults() {
  const Faults& f = front.faults;
  const double share = std::chrono::duration<double>(kRollEvery).count();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Node::Impl& node = *nodes[i]->impl_;
    if (chance(f.pause * share)) node.pause(between(Duration(0), f.pause_max));
    if (chance(f.cut * share)) node.cut(between(Duration(0), f.cut_max));
    if (chance(f.crash * share)) {
      node.end(true);
      after(between(Duration(0), f.downtime_max), [&node] { node.start(); });
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (chance(f.split * share)) {
        front.split(*nodes[j], *nodes[i], between(Duration(0), f.split_max));
      }
    }
  }
  if (chance(f.store_down * share)) take_store_down(between(Duration(0), f.store_down_max));
  if (chance(f.flush * share)) front.flush_store();
}

World::World(std::uint64_t seed) : impl_(std::make_unique<Impl>(*this, seed)) {}

World::~World() {
  impl_->ending = true;
  heal();
  for (const auto& node : impl_->nodes) node->stop();
  const bool ended = run_until([this] { return impl_->graveyard.empty(); }, 1h);
  NB_ASSERT(ended);  // a process whose stop() does not end
  while (!impl_->events.empty()) impl_->events.pop();
}

std::uint64_t World::seed() const {
  return impl_->seed;
}
Instant World::now() const {
  return impl_->now;
}
Clock& World::clock() {
  return impl_->clock;
}
ha::MemoryStore& World::store() {
  return impl_->store;
}
const std::vector<std::unique_ptr<Node>>& World::nodes() const {
  return impl_->nodes;
}

Node& World::add_node(std::string name, Boot boot) {
  auto inside = std::make_unique<Node::Impl>(*impl_, std::move(name), std::move(boot));
  inside->index = impl_->nodes.size();
  auto* raw = inside.get();
  impl_->nodes.push_back(std::unique_ptr<Node>(new Node(std::move(inside))));
  raw->self = impl_->nodes.back().get();
  raw->start();
  return *raw->self;
}

void World::run_for(Duration time, const std::function<void()>& check) {
  const Instant end = impl_->now + time;
  if (!impl_->rolling) {
    impl_->rolling = true;
    struct Roll {
      static void again(Impl& world) {
        world.roll_faults();
        world.after(kRollEvery, [&world] { again(world); });
      }
    };
    impl_->after(kRollEvery, [world = impl_.get()] { Roll::again(*world); });
  }
  while (impl_->step(end)) {
    if (check) check();
  }
  impl_->now = end;
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant end = impl_->now + limit;
  while (!done()) {
    if (!impl_->step(end)) {
      impl_->now = end;
      return done();
    }
  }
  return true;
}

void World::run_on(Node& node, asio::awaitable<void> work, Duration limit) {
  const auto ended = std::make_shared<bool>(false);
  asio::co_spawn(node.impl_->context, std::move(work), [ended](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
    *ended = true;
  });
  const bool in_time = run_until([&] { return *ended; }, limit);
  NB_ASSERT(in_time);
}

void World::after(Duration delay, std::function<void()> event) {
  impl_->after(delay, [world = impl_.get(), event = std::move(event)] {
    if (!world->ending) event();  // what the test's script refers to may be gone by then
  });
}

void World::send(Node& from, Node& to, std::function<void()> deliver) {
  const auto pair = std::minmax(from.impl_->index, to.impl_->index);
  const auto start = to.impl_->starts;
  const int copies = impl_->chance(faults.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (impl_->chance(faults.lose)) continue;
    const Duration delay = faults.reorder || i > 0
                               ? impl_->between(faults.delay_min, faults.delay_max)
                               : faults.delay_min;
    impl_->after(delay, [this, pair, &to, start, deliver] {
      const auto cut = impl_->splits.find(pair);
      if (cut != impl_->splits.end() && cut->second > impl_->now) return;
      to.impl_->deliver(start, deliver);
    });
  }
}

void World::split(Node& a, Node& b, Duration time) {
  note(fmt::format("{} and {} split", a.name(), b.name()));
  auto& until = impl_->splits[std::minmax(a.impl_->index, b.impl_->index)];
  until = std::max(until, impl_->now + time);
}

void World::store_down(Duration time) {
  impl_->take_store_down(time);
}

void World::flush_store() {
  note("store flushed");
  impl_->store.flush();
}

void World::heal() {
  faults = {};
  note("healed");
  impl_->splits.clear();
  impl_->store_down_until = impl_->now;
  impl_->store_up = true;
  for (const auto& node : impl_->nodes) {
    node->impl_->cut_until = impl_->now;
    node->impl_->is_paused = false;
    node->impl_->start();
  }
}

std::uint64_t World::random() {
  return impl_->random();
}
bool World::chance(double probability) {
  return impl_->chance(probability);
}
Duration World::between(Duration low, Duration high) {
  return impl_->between(low, high);
}
std::size_t World::pick(std::size_t size) {
  return static_cast<std::size_t>(random() % size);
}
void World::note(std::string_view text) {
  impl_->note(text);
}
std::uint64_t World::fingerprint() const {
  return impl_->hash;
}
void World::set_test_name(std::string (*name)()) {
  test_name = name;
}

std::string World::replay() const {
  return fmt::format("replay: NB_SIM_SEED={} NB_SIM_TRACE=1 {}", impl_->seed,
                     test_name ? test_name() : std::string("<the test>"));
}

}  // namespace nb::sim
