#include "ha/sim/store_link.h"

#include "ha/local/adapters.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

namespace nb::sim {
namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {
// As redis::Options: how long a silent store stalls a call, and how often a reconnect is tried.
constexpr Duration kStallAfter = 500ms;
constexpr Duration kBackoffMin = 50ms;
constexpr Duration kBackoffMax = 1s;
constexpr Duration kZombieMax = 5s;  // until the store forgets a subscriber it cannot reach
}  // namespace

Instant Connection::arrival(Instant& free) {
  const Faults& faults = world.front.faults;
  free = std::max(free, world.now + world.between(faults.delay_min, faults.delay_max));
  return free;
}

void Connection::connect() {
  if (dead || up) return;
  const bool first = generation == 0;
  world.after(world.between(first ? Duration(0) : kBackoffMin, first ? kBackoffMin : kBackoffMax),
              [self = shared_from_this()] {
                if (self->dead || self->up) return;
                if (!self->world.path_to_store(self->node)) return self->connect();
                self->up = true;
                ++self->generation;
                self->to_store_free = self->to_node_free = self->world.now;
                for (const auto& [id, wish] : self->wishes) self->subscribe_at_store(id);
                for (const auto& call : self->on_up) self->node.deliver(self->node.starts, call);
              });
}

void Connection::break_off() {
  if (!up) return;
  up = false;
  world.note(fmt::format("{} lost its connection", node.name));
  for (auto& [id, wish] : wishes) {
    wish.active = false;
    if (wish.sink != 0) {
      world.after(
          world.between(Duration(0), kZombieMax),
          [self = shared_from_this(), sink = wish.sink] { self->world.store.unsubscribe(sink); });
      wish.sink = 0;
    }
  }
  for (auto& [id, done] : std::exchange(calls, {})) done(false);
  connect();
}

void Connection::die() {
  dead = true;
  break_off();
  wishes.clear();
  on_up.clear();
}

void Connection::stall(bool lost) {
  if (!up) return;
  world.after(world.between(kStallAfter, 2 * kStallAfter),
              [self = shared_from_this(), was = generation, lost] {
                if (!self->up || self->generation != was) return;
                if (lost || !self->world.path_to_store(self->node)) self->break_off();
              });
}

void Connection::call(ha::StoreAccess::Op op, std::function<void(bool)> done) {
  if (dead || !up) return done(false);
  const std::uint64_t id = ++last_id;
  calls.emplace(id, std::move(done));
  const auto self = shared_from_this();
  const auto was = generation;
  // Either message may be lost; then the connection breaks, and the call with it.
  const bool request_lost = world.chance(world.front.faults.drop);
  const bool reply_lost = world.chance(world.front.faults.drop);
  world.at(arrival(to_store_free), [self, was, id, op = std::move(op), request_lost, reply_lost] {
    World::Impl& w = self->world;
    if (!w.path_to_store(self->node)) return self->stall(true);
    if (request_lost) {
      if (self->generation == was) self->break_off();
      return;
    }
    op(w.store);  // also when the process died meanwhile: it was on its way
    if (self->generation != was || !self->up) return;
    w.at(self->arrival(self->to_node_free), [self, was, id, reply_lost] {
      if (self->generation != was || !self->up) return;
      if (!self->world.path_to_store(self->node)) return self->stall(true);
      if (reply_lost) return self->break_off();
      const auto it = self->calls.find(id);
      if (it == self->calls.end()) return;
      const auto finish = std::move(it->second);
      self->calls.erase(it);
      finish(true);
    });
  });
  // A store that went down without a word is noticed by its silence.
  if (!world.path_to_store(node)) stall(false);
}

std::uint64_t Connection::subscribe(Wish wish) {
  const std::uint64_t id = ++last_id;
  wishes.emplace(id, std::move(wish));
  if (up) subscribe_at_store(id);
  return id;
}

void Connection::unsubscribe(std::uint64_t id) {
  const auto it = wishes.find(id);
  if (it == wishes.end()) return;
  if (it->second.sink != 0) world.store.unsubscribe(it->second.sink);
  wishes.erase(it);
}

void Connection::subscribe_at_store(std::uint64_t id) {
  const auto self = shared_from_this();
  const auto was = generation;
  call(
      [self, id, was](ha::MemoryStore& store) {
        const auto it = self->wishes.find(id);
        if (it == self->wishes.end() || self->generation != was || !self->up) return;
        const std::string channel = it->second.channel;
        it->second.sink = store.subscribe(
            channel, [self, id, was](const std::string& at, const std::string& payload) {
              World::Impl& w = self->world;
              const Faults& faults = w.front.faults;
              if (w.chance(faults.drop)) {
                // Not from inside the store's loop over subscribers.
                w.after(Duration(0), [self, was] {
                  if (self->generation == was) self->break_off();
                });
                return;
              }
              const int copies = w.chance(faults.duplicate) ? 2 : 1;
              for (int i = 0; i < copies; ++i) {
                if (w.chance(faults.lose)) continue;
                Instant loose = w.now;
                const Instant when = self->arrival(faults.reorder ? loose : self->to_node_free);
                w.at(when, [self, id, was, at, payload] {
                  if (self->generation != was || !self->up) return;
                  if (!self->world.path_to_store(self->node)) return self->stall(true);
                  self->node.deliver(self->node.starts, [self, id, at, payload] {
                    const auto wish = self->wishes.find(id);
                    if (wish == self->wishes.end()) return;
                    const auto handler = wish->second.on_message;  // it may unsubscribe
                    if (handler) handler(at, payload);
                  });
                });
              }
            });
      },
      [self, id, was](bool ok) {
        if (!ok || self->generation != was) return;
        const auto it = self->wishes.find(id);
        if (it == self->wishes.end()) return;
        it->second.active = true;
        self->node.deliver(self->node.starts, [self, id] {
          const auto wish = self->wishes.find(id);
          if (wish == self->wishes.end()) return;
          const auto handler = wish->second.on_gap;
          if (handler) handler();
        });
      });
}

asio::awaitable<Result<>> SimAccess::run(Op op) {
  struct Call {
    explicit Call(const asio::any_io_executor& home)
        : timer(home, asio::steady_timer::time_point::max()) {}
    asio::steady_timer timer;
    std::optional<bool> ok;
  };
  const auto call = std::make_shared<Call>(co_await asio::this_coro::executor);
  connection_->call(std::move(op), [call](bool ok) {
    call->ok = ok;
    call->timer.cancel();
  });
  if (!call->ok) co_await call->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  if (!call->ok) co_return fail(Code::kCancelled, "store: the caller was cancelled");
  if (!*call->ok) co_return fail(Code::kUnavailable, "store: away");
  co_return Result<>{};
}

asio::awaitable<Result<std::size_t>> SimBus::publish(std::string channel, std::string payload) {
  NB_CO_TRY(ha::check_message(channel, payload));
  auto op = [channel = std::move(channel), payload = std::move(payload)](ha::MemoryStore& store) {
    return store.publish(channel, payload);
  };
  co_return co_await ha::ask(access_, std::move(op));
}

asio::awaitable<Result<std::vector<std::size_t>>> SimBus::publish_all(
    std::vector<ha::BusMessage> messages) {
  for (const auto& message : messages) {
    NB_CO_TRY(ha::check_message(message.channel, message.payload));
  }
  auto op = [messages = std::move(messages)](ha::MemoryStore& store) {
    std::vector<std::size_t> counts;
    for (const auto& [channel, payload] : messages) {
      counts.push_back(store.publish(channel, payload));
    }
    return counts;
  };
  co_return co_await ha::ask(access_, std::move(op));
}

namespace {

class SimSubscription final : public ha::Subscription::Impl {
 public:
  SimSubscription(std::shared_ptr<Connection> connection, std::string channel,
                  ha::SubscribeOptions options)
      : connection_(std::move(connection)) {
    Connection::Wish wish;
    wish.channel = std::move(channel);
    wish.on_gap = std::move(options.on_gap);
    if (options.on_message) {
      wish.on_message = [handler = std::move(options.on_message)](const std::string& at,
                                                                  const std::string& payload) {
        handler({at, payload});
      };
    }
    id_ = connection_->subscribe(std::move(wish));
  }
  ~SimSubscription() override { connection_->unsubscribe(id_); }
  [[nodiscard]] bool active() const override {
    const auto it = connection_->wishes.find(id_);
    return it != connection_->wishes.end() && it->second.active && connection_->up;
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::uint64_t id_ = 0;
};

}  // namespace

ha::Subscription SimBus::subscribe(std::string channel, ha::SubscribeOptions options) {
  return ha::Subscription(
      std::make_unique<SimSubscription>(connection_, std::move(channel), std::move(options)));
}

}  // namespace nb::sim
