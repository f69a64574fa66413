#include "redis/subscriber.h"

#include "redis/command.h"
#include "redis/connection.h"

#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nb::redis {
namespace asio = boost::asio;

namespace {
constexpr std::size_t kChannelsMax = 65'536;
constexpr std::size_t kChannelBytesMax = 512;
constexpr std::size_t kChannelsPerCommand = 256;

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};
}  // namespace

struct Subscriber::Impl final : Connection::Owner, std::enable_shared_from_this<Subscriber::Impl> {
  /// Kept while it is wanted, or an answer about it is still to come.
  struct Channel {
    bool wanted = false;
    bool confirmed = false;
    std::uint32_t answers_due = 0;  // to SUBSCRIBE and UNSUBSCRIBE, in order
  };

  Impl(asio::any_io_executor home, Options options, Handlers given, Metrics& counters, Logger log)
      : handlers(std::move(given)),
        metrics(counters),
        connection(std::make_shared<Connection>(std::move(home),
                                                std::make_shared<const Options>(std::move(options)),
                                                *this, counters, std::move(log), "pubsub")) {
    ++metrics.subscribers;
    metrics.refresh_up();
  }

  ~Impl() override {
    --metrics.subscribers;
    set_live(false);
    metrics.refresh_up();
    metrics.pubsub_channels.Decrement(static_cast<double>(wanted_count));
  }

  Result<> subscribe(std::string_view name) {
    if (name.empty() || name.size() > kChannelBytesMax) {
      return fail(Code::kInvalidArgument, "channel name of {} bytes: must be 1..{}", name.size(),
                  kChannelBytesMax);
    }
    auto at = channels.find(name);
    if (at != channels.end() && at->second.wanted) return {};
    if (wanted_count >= kChannelsMax) {
      return fail(Code::kResourceExhausted, "{} channels are subscribed, limit {}", wanted_count,
                  kChannelsMax);
    }
    if (at == channels.end()) at = channels.emplace(std::string(name), Channel{}).first;
    at->second.wanted = true;
    count_wanted(+1);
    if (connection->connected()) ask("SUBSCRIBE", at->first, at->second);
    return {};
  }

  void unsubscribe(std::string_view name) {
    const auto at = channels.find(name);
    if (at == channels.end() || !at->second.wanted) return;
    at->second.wanted = false;
    at->second.confirmed = false;
    count_wanted(-1);
    if (connection->connected()) {
      ask("UNSUBSCRIBE", at->first, at->second);
    } else {
      channels.erase(at);
    }
  }

  void count_wanted(int change) {
    wanted_count = static_cast<std::size_t>(static_cast<std::int64_t>(wanted_count) + change);
    metrics.pubsub_channels.Increment(change);
  }

  void ask(std::string_view verb, const std::string& name, Channel& channel) {
    ++channel.answers_due;
    Batch batch;
    batch.add(verb, name);
    send(batch, 1);
  }

  void send(const Batch& batch, std::size_t answers) {
    if (awaited == 0) awaited_since = std::chrono::steady_clock::now();
    awaited += answers;
    connection->queue(batch.wire());
  }

  void set_live(bool live) {
    if (live == (now_state == State::kLive)) return;
    metrics.subscribers_up += live ? 1 : -1;
    metrics.refresh_up();
    now_state = live ? State::kLive : State::kDown;
  }

  // Connection::Owner

  void on_up() override {
    const auto self = shared_from_this();
    now_state = State::kSubscribing;
    awaited = 0;
    first_due = 0;
    connection->clear_queue();
    std::vector<std::string_view> words{"SUBSCRIBE"};
    const auto flush = [&] {
      Batch batch;
      batch.add_args(std::span<const std::string_view>(words));
      send(batch, words.size() - 1);
      words.resize(1);
    };
    for (auto at = channels.begin(); at != channels.end();) {
      if (!at->second.wanted) {
        at = channels.erase(at);
        continue;
      }
      at->second.confirmed = false;
      at->second.answers_due = 1;
      ++first_due;
      words.push_back(at->first);
      if (words.size() > kChannelsPerCommand) flush();
      ++at;
    }
    if (words.size() > 1) flush();
    if (first_due == 0) become_live();
  }

  void become_live() {
    set_live(true);
    ++generation;
    metrics.pubsub_gaps_total.Increment();
    if (handlers.on_gap) handlers.on_gap(generation);
  }

  void on_down(const Error& why) override {
    const auto self = shared_from_this();
    set_live(false);
    now_state = State::kDown;
    awaited = 0;
    for (auto at = channels.begin(); at != channels.end();) {
      at->second.confirmed = false;
      at->second.answers_due = 0;
      at = at->second.wanted ? std::next(at) : channels.erase(at);
    }
    connection->clear_queue();
    if (handlers.on_down) handlers.on_down(why);
  }

  void on_refusing(const Error& /*why*/) override {}
  void on_sending() override {}
  void on_breaker(BreakerState /*state*/) override {}

  void on_idle() override {
    Batch ping;
    ping.add("PING");
    send(ping, 1);
  }

  [[nodiscard]] std::optional<Instant> waiting_since() const override {
    if (awaited == 0) return std::nullopt;
    return awaited_since;
  }

  void on_reply(Reply reply) override {
    const auto self = shared_from_this();  // a handler may let the subscriber go
    if (reply.is_error()) {
      return connection->drop(
          fail(Code::kPermissionDenied, "SUBSCRIBE refused: {}", reply.error_word()),
          {.blame = true});
    }
    auto& items = reply.items;
    if (items.size() == 3 && items[0].text == "message") {
      return on_message(items[1].text, items[2].text);
    }
    // Everything else answers something we sent; a PING without subscriptions gives a status.
    if (awaited == 0) {
      return connection->drop(fail(Code::kDataLoss, "an answer nobody asked for"), {.blame = true});
    }
    --awaited;
    awaited_since = std::chrono::steady_clock::now();
    if (items.size() == 3) on_answer(items[0].text, items[1].text);
  }

  void on_message(std::string_view name, std::string_view payload) {
    const auto at = channels.find(name);
    if (at == channels.end() || !at->second.wanted) return;
    metrics.pubsub_messages_total.Increment();
    if (handlers.on_message) handlers.on_message(name, payload);
  }

  void on_answer(std::string_view verb, std::string_view name) {
    const auto at = channels.find(name);
    if (at == channels.end() || at->second.answers_due == 0) return;
    if (--at->second.answers_due == 0 && !at->second.wanted) {
      channels.erase(at);
    } else if (at->second.answers_due == 0 && verb == "subscribe") {
      at->second.confirmed = true;
      if (handlers.on_confirmed) handlers.on_confirmed(name);
    }
    // The answers to what on_up() sent come before all others.
    if (first_due > 0 && --first_due == 0 && connection->connected()) become_live();
  }

  Handlers handlers;
  Metrics& metrics;
  std::unordered_map<std::string, Channel, TextHash, std::equal_to<>> channels;
  std::size_t wanted_count = 0;
  std::size_t awaited = 0;  // answers to come
  Instant awaited_since{};
  std::size_t first_due = 0;  // of them, to on_up()'s SUBSCRIBEs
  std::uint64_t generation = 0;
  State now_state = State::kDown;
  std::shared_ptr<Connection> connection;
};

Subscriber::Subscriber(asio::any_io_executor home, Options options, Handlers handlers,
                       Metrics& metrics, Logger log)
    : impl_(std::make_shared<Impl>(std::move(home), std::move(options), std::move(handlers),
                                   metrics, std::move(log))) {}

Subscriber::~Subscriber() {
  impl_->connection->detach();
}

void Subscriber::start() {
  impl_->connection->start();
}

asio::awaitable<void> Subscriber::stop() {
  const auto impl = impl_;
  impl->connection->detach();
  co_await impl->connection->stop();
}

Result<> Subscriber::subscribe(std::string_view channel) {
  return impl_->subscribe(channel);
}

void Subscriber::unsubscribe(std::string_view channel) {
  impl_->unsubscribe(channel);
}

bool Subscriber::confirmed(std::string_view channel) const {
  const auto at = impl_->channels.find(channel);
  return at != impl_->channels.end() && at->second.wanted && at->second.confirmed;
}

Subscriber::State Subscriber::state() const {
  if (impl_->now_state == State::kDown && impl_->connection->breaker().allows() &&
      !impl_->connection->stopping()) {
    return State::kConnecting;
  }
  return impl_->now_state;
}

std::uint64_t Subscriber::generation() const {
  return impl_->generation;
}

std::size_t Subscriber::channels() const {
  return impl_->wanted_count;
}

}  // namespace nb::redis
