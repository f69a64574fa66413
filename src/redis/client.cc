#include "redis/client.h"

#include "redis/connection.h"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <deque>
#include <optional>
#include <utility>

namespace nb::redis {
namespace asio = boost::asio;

namespace {

using Replies = Client::Replies;

/// Completes one awaiting coroutine, once: with the result or because it was cancelled.
template <class Handler>
class Waiter : public std::enable_shared_from_this<Waiter<Handler>> {
 public:
  Waiter(Handler handler, const asio::any_io_executor& home)
      : handler_(std::move(handler)), home_(home) {}

  void watch_cancellation() {
    auto slot = asio::get_associated_cancellation_slot(*handler_);
    if (!slot.is_connected()) return;
    slot.assign([weak = this->weak_from_this()](asio::cancellation_type /*kind*/) {
      if (const auto self = weak.lock()) self->finish_later(fail(Code::kCancelled, "cancelled"));
    });
  }

  void finish(Result<Replies> result) {
    if (!handler_) return;
    Handler handler = take();
    const auto executor = asio::get_associated_executor(handler, home_);
    asio::dispatch(executor, [handler = std::move(handler), result = std::move(result)]() mutable {
      std::move(handler)(std::move(result));
    });
  }

  void finish_later(Result<Replies> result) {
    if (!handler_) return;
    Handler handler = take();
    const auto executor = asio::get_associated_executor(handler, home_);
    asio::post(executor, [handler = std::move(handler), result = std::move(result)]() mutable {
      std::move(handler)(std::move(result));
    });
  }

 private:
  Handler take() {
    Handler handler = *std::move(handler_);
    handler_.reset();
    asio::get_associated_cancellation_slot(handler).clear();
    return handler;
  }

  std::optional<Handler> handler_;
  asio::any_io_executor home_;
};

}  // namespace

struct Client::Impl final : Connection::Owner, std::enable_shared_from_this<Client::Impl> {
  /// One batch on its way; front of the queue is answered first.
  struct Pending {
    Callback callback;  // none: our own probe
    std::size_t expected;
    Replies replies;
    Instant started;
  };

  Impl(asio::any_io_executor home, Options options, Metrics& given, Logger log)
      : metrics(given),
        connection(std::make_shared<Connection>(std::move(home),
                                                std::make_shared<const Options>(std::move(options)),
                                                *this, given, std::move(log), "commands")) {
    ++metrics.clients;
    metrics.refresh_up();
  }

  ~Impl() override {
    --metrics.clients;
    if (up) --metrics.clients_up;
    metrics.refresh_up();
  }

  /// The failure a call would end with now, or nothing.
  [[nodiscard]] std::optional<Error> refusal(const Batch& batch) const {
    const Options& options = connection->options();
    if (connection->stopping()) return fail(Code::kCancelled, "redis: client is stopped");
    if (!connection->breaker().allows()) return fail(Code::kUnavailable, "redis: unavailable");
    if (commands + batch.size() > options.pending_commands_max) {
      return fail(Code::kResourceExhausted, "redis: {} commands are pending, limit {}", commands,
                  options.pending_commands_max);
    }
    if (connection->queued_bytes() + batch.bytes() > options.pending_bytes_max) {
      return fail(Code::kResourceExhausted, "redis: {} bytes are pending, limit {}",
                  connection->queued_bytes(), options.pending_bytes_max);
    }
    return std::nullopt;
  }

  void start_batch(Batch batch, Callback callback) {
    if (batch.empty()) return callback(Replies{});
    if (auto error = refusal(batch)) {
      metrics.commands_refused_total.Increment(static_cast<double>(batch.size()));
      return callback(*std::move(error));
    }
    if (!batch.scripts_.empty()) {
      callback = with_sources(std::move(batch.scripts_), std::move(callback));
    }
    enqueue(batch.wire(), batch.size(), std::move(callback));
  }

  /// Sends script calls the server did not know once more, with their source.
  Callback with_sources(std::vector<Batch::ScriptCall> calls, Callback callback) {
    return [weak = weak_from_this(), calls = std::move(calls),
            callback = std::move(callback)](Result<Replies> result) {
      if (!result) return callback(std::move(result));
      std::vector<Batch::ScriptCall> unknown;
      for (const auto& call : calls) {
        if ((*result)[call.index].error_word() == "NOSCRIPT") unknown.push_back(call);
      }
      const auto self = weak.lock();
      if (unknown.empty() || !self) return callback(std::move(result));
      Batch again = Batch::again(unknown);
      self->start_batch(std::move(again), [first = *std::move(result), unknown,
                                           callback](Result<Replies> second) mutable {
        if (!second) return callback(std::move(second));
        for (std::size_t i = 0; i < unknown.size(); ++i) {
          first[unknown[i].index] = std::move((*second)[i]);
        }
        callback(std::move(first));
      });
    };
  }

  void enqueue(std::string_view wire, std::size_t count, Callback callback) {
    pending.push_back({std::move(callback), count, {}, std::chrono::steady_clock::now()});
    pending.back().replies.reserve(count);
    ++unsent;
    commands += count;
    metrics.pending_commands.Increment(static_cast<double>(count));
    connection->queue(wire);
  }

  // Connection::Owner

  void on_up() override {
    up = true;
    ++metrics.clients_up;
    metrics.refresh_up();
    const auto self = shared_from_this();
    if (events.on_up) events.on_up(connection->generation());
  }

  void on_down(const Error& why) override {
    const auto self = shared_from_this();
    up = false;
    --metrics.clients_up;
    metrics.refresh_up();
    fail_front(pending.size() - unsent,
               fail(Code::kUnavailable, "redis: connection lost: {}", why.text));
    if (events.on_down) events.on_down(connection->generation(), why);
  }

  void on_refusing(const Error& why) override {
    if (up) return;  // a stall: those on their way may still be answered
    give_up(fail(Code::kUnavailable, "redis: unavailable: {}", why.text));
  }

  void on_sending() override { unsent = 0; }

  void on_idle() override {
    Batch ping;
    ping.add("PING");
    enqueue(ping.wire(), 1, nullptr);
  }

  [[nodiscard]] std::optional<Instant> waiting_since() const override {
    if (pending.empty()) return std::nullopt;
    return pending.front().started;
  }

  void on_breaker(BreakerState state) override {
    metrics.breaker_state.Set(static_cast<double>(state));
    if (state == BreakerState::kOpen) metrics.breaker_opened_total.Increment();
  }

  void on_reply(Reply reply) override {
    if (pending.size() == unsent) {
      return connection->drop(fail(Code::kDataLoss, "a reply nobody asked for"), {.blame = true});
    }
    if (reply.error_word() == "READONLY") {
      // A master that was demoted, perhaps behind the same name: look it up again.
      connection->drop(fail(Code::kUnavailable, "the server became a replica"), {.blame = true});
    }
    Pending& front = pending.front();
    if (front.callback) {
      (reply.is_error() ? metrics.commands_error_total : metrics.commands_ok_total).Increment();
    }
    front.replies.push_back(std::move(reply));
    if (front.replies.size() < front.expected) return;
    Pending done = std::move(front);
    pending.pop_front();
    forget(done);
    if (!done.callback) return;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - done.started;
    metrics.command_seconds.Observe(took.count());
    const auto self = shared_from_this();  // the callback may let the client go
    done.callback(std::move(done.replies));
  }

  void forget(const Pending& done) {
    commands -= done.expected;
    metrics.pending_commands.Decrement(static_cast<double>(done.expected));
  }

  /// Ends the first `count` batches with `why`. Their callbacks run in a turn of their own, since
  /// they may do anything to us.
  void fail_front(std::size_t count, const Error& why) {
    std::vector<Callback> callbacks;
    for (; count > 0; --count) {
      Pending& front = pending.front();
      forget(front);
      if (front.callback) {
        metrics.commands_lost_total.Increment(
            static_cast<double>(front.expected - front.replies.size()));
        callbacks.push_back(std::move(front.callback));
      }
      pending.pop_front();
    }
    unsent = std::min(unsent, pending.size());
    if (callbacks.empty()) return;
    asio::post(connection->executor(), [callbacks = std::move(callbacks), why] {
      for (const Callback& callback : callbacks) callback(why);
    });
  }

  void give_up(const Error& why) {
    fail_front(pending.size(), why);
    connection->clear_queue();
  }

  void shut_down() {
    connection->detach();
    give_up(fail(Code::kCancelled, "redis: client is stopped"));
  }

  Metrics& metrics;
  Events events;
  std::deque<Pending> pending;
  std::size_t unsent = 0;    // batches at the back whose bytes are still queued
  std::size_t commands = 0;  // in all pending batches
  bool up = false;
  std::shared_ptr<Connection> connection;
};

Client::Client(asio::any_io_executor home, Options options, Metrics& metrics, Logger log)
    : impl_(std::make_shared<Impl>(std::move(home), std::move(options), metrics, std::move(log))) {}

Client::~Client() {
  impl_->shut_down();
}

void Client::set_events(Events events) {
  impl_->events = std::move(events);
}

void Client::start() {
  impl_->connection->start();
}

asio::awaitable<void> Client::stop() {
  const auto impl = impl_;
  impl->shut_down();
  co_await impl->connection->stop();
}

asio::awaitable<Result<Client::Replies>> Client::run(Batch batch) {
  if (auto error = impl_->refusal(batch)) {
    impl_->metrics.commands_refused_total.Increment(static_cast<double>(batch.size()));
    co_return *std::move(error);
  }
  if (batch.empty()) co_return Replies{};
  const auto initiate = [](auto handler, Impl* impl, Batch sent) {
    using Handler = decltype(handler);
    const auto waiter =
        std::make_shared<Waiter<Handler>>(std::move(handler), impl->connection->executor());
    waiter->watch_cancellation();
    // Was not refused above, so the callback comes later.
    impl->start_batch(std::move(sent),
                      [waiter](Result<Replies> result) { waiter->finish(std::move(result)); });
  };
  auto result =
      co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<Replies>)>(
          initiate, asio::use_awaitable, impl_.get(), std::move(batch));
  co_return result;
}

void Client::start_batch(Batch batch, Callback callback) {
  impl_->start_batch(std::move(batch), std::move(callback));
}

asio::awaitable<Result<Reply>> Client::single(Batch batch) {
  NB_CO_LET(Replies replies, co_await run(std::move(batch)));
  if (replies.front().is_error()) co_return to_error(replies.front());
  co_return std::move(replies.front());
}

asio::awaitable<Result<Reply>> Client::eval(const Script& script, std::vector<std::string> keys,
                                            std::vector<std::string> args) {
  const std::vector<std::string_view> key_views(keys.begin(), keys.end());
  const std::vector<std::string_view> arg_views(args.begin(), args.end());
  Batch batch;
  batch.eval(script, key_views, arg_views);
  return single(std::move(batch));
}

bool Client::available() const {
  return !impl_->connection->stopping() && impl_->connection->breaker().allows();
}

bool Client::connected() const {
  return impl_->connection->connected();
}

BreakerState Client::breaker() const {
  return impl_->connection->breaker().state();
}

std::uint64_t Client::generation() const {
  return impl_->connection->generation();
}

std::size_t Client::pending() const {
  return impl_->commands;
}

const asio::any_io_executor& Client::executor() const {
  return impl_->connection->executor();
}

std::string Client::endpoint() const {
  return impl_->connection->endpoint();
}

}  // namespace nb::redis
