// A redis::Client or Subscriber on a thread of its own, with what tests ask about it.
#pragma once

#include "base/log.h"
#include "redis/client.h"
#include "redis/subscriber.h"
#include "support/home_loop.h"
#include "support/process.h"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <source_location>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace nb::redis {

/// Limits short enough for tests of failures.
inline Options quick_options(std::uint16_t port) {
  Options options;
  options.address = {"127.0.0.1", port};
  options.dial_timeout = std::chrono::milliseconds(1'000);
  options.read_timeout = std::chrono::milliseconds(1'000);
  options.write_timeout = std::chrono::milliseconds(1'000);
  options.stall_after = std::chrono::milliseconds(300);
  options.ping_interval = std::chrono::milliseconds(200);
  options.backoff_min = std::chrono::milliseconds(20);
  options.backoff_max = std::chrono::milliseconds(200);
  return options;
}

/// Everything logged, as one text.
class TextSink final : public LogSink {
 public:
  void write(LogLevel /*level*/, std::string_view sentence, std::span<const LogField> context,
             std::span<const LogField> fields, const std::source_location& /*where*/) override {
    const std::scoped_lock lock(mutex_);
    text_ += sentence;
    for (const auto& list : {context, fields}) {
      for (const LogField& field : list) text_ += fmt::format(" {}={}", field.key, field.value);
    }
    text_ += '\n';
  }
  [[nodiscard]] LogLevel level() const override { return LogLevel::kTrace; }
  void set_level(LogLevel /*level*/) override {}
  [[nodiscard]] std::string text() const {
    const std::scoped_lock lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

struct Counted {
  prometheus::Registry registry;
  Metrics metrics{registry};
  std::shared_ptr<TextSink> log = std::make_shared<TextSink>();
};

class TestClient {
 public:
  explicit TestClient(Options options)
      : client(std::make_unique<Client>(loop.executor(), std::move(options), counted.metrics,
                                        Logger(counted.log))) {
    loop.run([this] {
      client->set_events(
          {.on_up = [this](std::uint64_t generation) { up = generation; },
           .on_down = [this](std::uint64_t generation, const Error&) { down = generation; }});
      client->start();
    });
  }
  ~TestClient() {
    loop.await([this] { return client->stop(); });
    loop.run([this] { client.reset(); });
  }

  Result<Reply> command(std::vector<std::string> args) {
    return loop.await([this, args] { return client->command_args(args); });
  }
  /// The reply to a command that must succeed.
  Reply reply(std::vector<std::string> args) {
    auto result = command(std::move(args));
    EXPECT_TRUE(result) << result.error().text;
    return result ? *std::move(result) : Reply();
  }
  std::future<Result<Reply>> command_later(std::vector<std::string> args) {
    return loop.start([this, args] { return client->command_args(args); });
  }
  Result<Client::Replies> batch(Batch batch) {
    return loop.await([this, batch] { return client->run(batch); });
  }
  bool connected() {
    return loop.run([this] { return client->connected(); });
  }
  BreakerState breaker() {
    return loop.run([this] { return client->breaker(); });
  }
  std::uint64_t generation() {
    return loop.run([this] { return client->generation(); });
  }
  bool wait_connected() {
    return test::eventually([this] { return connected(); });
  }
  /// PING works again.
  bool heals() {
    return test::eventually([this] {
      const auto pong = command({"PING"});
      return pong && pong->text == "PONG";
    });
  }

  Counted counted;
  test::HomeLoop loop;
  std::atomic<std::uint64_t> up{0};
  std::atomic<std::uint64_t> down{0};
  std::unique_ptr<Client> client;
};

class TestSubscriber {
 public:
  explicit TestSubscriber(Options options) {
    Subscriber::Handlers handlers;
    handlers.on_message = [this](std::string_view channel, std::string_view payload) {
      const std::scoped_lock lock(mutex);
      messages_.emplace_back(channel, payload);
    };
    handlers.on_gap = [this](std::uint64_t generation) { gap = generation; };
    handlers.on_confirmed = [this](std::string_view) { ++confirmations; };
    handlers.on_down = [this](const Error&) { ++downs; };
    subscriber =
        std::make_unique<Subscriber>(loop.executor(), std::move(options), std::move(handlers),
                                     counted.metrics, Logger(counted.log));
  }
  ~TestSubscriber() {
    loop.await([this] { return subscriber->stop(); });
    loop.run([this] { subscriber.reset(); });
  }
  void start() {
    loop.run([this] { subscriber->start(); });
  }
  bool subscribe(const std::string& channel) {
    return loop.run([&] { return subscriber->subscribe(channel).has_value(); });
  }
  void unsubscribe(const std::string& channel) {
    loop.run([&] { subscriber->unsubscribe(channel); });
  }
  bool confirmed(const std::string& channel) {
    return loop.run([&] { return subscriber->confirmed(channel); });
  }
  bool wait_confirmed(const std::string& channel) {
    return test::eventually([&] { return confirmed(channel); });
  }
  Subscriber::State state() {
    return loop.run([this] { return subscriber->state(); });
  }
  bool wait_gap(std::uint64_t generation) {
    return test::eventually([&] { return gap >= generation; });
  }
  using Message = std::pair<std::string, std::string>;
  std::vector<Message> messages() {
    const std::scoped_lock lock(mutex);
    return messages_;
  }
  bool wait_message(const Message& wanted) {
    return test::eventually([&] {
      for (const Message& message : messages()) {
        if (message == wanted) return true;
      }
      return false;
    });
  }

  Counted counted;
  std::mutex mutex;
  std::vector<Message> messages_;
  std::atomic<std::uint64_t> gap{0};
  std::atomic<int> confirmations{0};
  std::atomic<int> downs{0};
  test::HomeLoop loop;
  std::unique_ptr<Subscriber> subscriber;
};

}  // namespace nb::redis
