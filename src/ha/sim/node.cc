#include "base/assert.h"
#include "ha/sim/internal.h"
#include "ha/sim/store_link.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <exception>

namespace nb::sim {
namespace asio = boost::asio;

/// A process with its connection; on its way out it lives in the world's graveyard.
struct Node::Impl::Running {
  std::shared_ptr<Connection> connection;
  std::unique_ptr<SimAccess> access;
  std::unique_ptr<SimBus> bus;
  std::unique_ptr<NodeEnv> env;
  std::unique_ptr<Process> process;
  bool ending = false;
};

Node::Impl::Impl(World::Impl& owner, std::string own_name, Boot own_boot)
    : world(owner), name(std::move(own_name)), boot(std::move(own_boot)), clock(owner) {}

void Node::Impl::start() {
  if (running) return;
  ++starts;
  world.note(fmt::format("{} starts", name));
  running = std::make_shared<Running>();
  running->connection = std::make_shared<Connection>(world, *this);
  running->access = std::make_unique<SimAccess>(running->connection);
  running->bus = std::make_unique<SimBus>(running->connection);
  const std::uint64_t own_seed = world.random();
  const auto engine = std::make_shared<std::mt19937_64>(own_seed);
  running->env.reset(new NodeEnv{world.front, *self, name, context.get_executor(), clock,
                                 *running->access, *running->bus, [engine] { return (*engine)(); },
                                 ha::make_incarnation(clock.wall(), own_seed),
                                 [connection = running->connection](std::function<void()> call) {
                                   connection->on_up.push_back(std::move(call));
                                 }});
  running->connection->connect();
  running->process = boot(*running->env);
  NB_ASSERT(running->process != nullptr);
}

void Node::Impl::end(bool crash) {
  if (!running || running->ending) return;
  world.note(fmt::format("{} {}", name, crash ? "crashes" : "stops"));
  is_paused = false;
  running->ending = true;
  const auto ending = running;
  if (crash) ending->connection->die();
  ++starts;  // nothing under way is delivered to it any more
  running.reset();
  world.graveyard.push_back(ending);
  asio::co_spawn(
      context,
      [](std::shared_ptr<Running> last) -> asio::awaitable<void> {
        co_await last->process->stop();
        last->connection->die();
        last->process.reset();
      }(ending),
      [](const std::exception_ptr& error) {
        if (error) std::terminate();
      });
}

void Node::Impl::pause(Duration time) {
  if (!running) return;
  paused_until = std::max(paused_until, world.now + time);
  if (is_paused) return;
  is_paused = true;
  world.note(fmt::format("{} pauses", name));
  struct Resume {
    static void when_due(Node::Impl& node) {
      node.world.at(node.paused_until, [&node] {
        if (!node.is_paused) return;
        if (node.world.now < node.paused_until) return when_due(node);
        node.is_paused = false;
        node.world.note(fmt::format("{} goes on", node.name));
      });
    }
  };
  Resume::when_due(*this);
}

void Node::Impl::cut(Duration time) {
  world.note(fmt::format("{} cut from the store", name));
  cut_until = std::max(cut_until, world.now + time);
  if (running) running->connection->stall(false);
}

void Node::Impl::lose_connection() {
  if (running) running->connection->stall(true);
}

void Node::Impl::deliver(std::uint64_t start, std::function<void()> event) {
  if (start != starts || !running) return;
  asio::post(context, [this, start, event = std::move(event)] {
    if (start == starts) event();
  });
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Node::~Node() = default;
const std::string& Node::name() const {
  return impl_->name;
}
Process* Node::process() const {
  return impl_->running ? impl_->running->process.get() : nullptr;
}
bool Node::paused() const {
  return impl_->is_paused;
}
Clock& Node::clock() const {
  return impl_->clock;
}
void Node::start() {
  impl_->start();
}
void Node::crash() {
  impl_->end(true);
}
void Node::stop() {
  impl_->end(false);
}
void Node::pause(Duration time) {
  impl_->pause(time);
}
void Node::cut_store(Duration time) {
  impl_->cut(time);
}
void Node::set_skew(Duration skew) {
  impl_->clock.skew = skew;
}

}  // namespace nb::sim
