// One connection that comes back: dial, serve, notice silence, back off. Internal; Client and
// Subscriber say what the bytes mean.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/task_group.h"
#include "redis/breaker.h"
#include "redis/connector.h"
#include "redis/metrics.h"
#include "redis/options.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::redis {

/// Lives on home. Shared by its coroutines and handlers, which may outlast the owner.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// Called on home, never from inside a call of the owner's.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_up() = 0;
    virtual void on_reply(Reply reply) = 0;
    /// Everything queued so far is on its way.
    virtual void on_sending() = 0;
    /// The connection is gone; what was queued and not sent is kept for the next one.
    virtual void on_down(const Error& why) = 0;
    /// Nothing will be sent for now (the breaker is not closed): give up what waits.
    virtual void on_refusing(const Error& why) = 0;
    /// Asked for when the connection was silent for ping_interval.
    virtual void on_idle() = 0;
    /// Since when the oldest unanswered request waits.
    [[nodiscard]] virtual std::optional<Instant> waiting_since() const = 0;
    virtual void on_breaker(BreakerState state) = 0;
  };

  Connection(boost::asio::any_io_executor home, std::shared_ptr<const Options> options,
             Owner& owner, Metrics& metrics, Logger log, std::string_view name);

  void start();
  boost::asio::awaitable<void> stop();
  /// The owner is about to go: no more calls to it, and the end of everything.
  void detach();

  /// Queues bytes; what one turn of the loop queues leaves in one write.
  void queue(std::string_view bytes);
  void clear_queue() { out_.clear(); }
  [[nodiscard]] std::size_t queued_bytes() const { return out_.size(); }
  /// Ends the present connection; with `blame` the breaker opens.
  struct DropOptions {
    bool blame = false;
  };
  void drop(Error why, DropOptions options);

  [[nodiscard]] const Breaker& breaker() const { return breaker_; }
  [[nodiscard]] bool connected() const { return stream_ != nullptr; }
  [[nodiscard]] bool stopping() const { return stopping_; }
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  [[nodiscard]] const boost::asio::any_io_executor& executor() const { return home_; }
  [[nodiscard]] std::string endpoint() const;
  [[nodiscard]] const Options& options() const { return *options_; }

 private:
  static boost::asio::awaitable<void> main(std::shared_ptr<Connection> self);
  static boost::asio::awaitable<void> watch_sentinels(std::shared_ptr<Connection> self);
  boost::asio::awaitable<void> serve(Session session);
  boost::asio::awaitable<Result<>> read_until_broken();
  Result<> take(std::string_view bytes);
  void on_sentinel_event(const Reply& event);
  void begin(Session session);
  /// Of the present connection: too short a life to trust it.
  [[nodiscard]] bool young() const;
  void end(const Error& why);
  void attempt_failed(const Error& why);
  void shut_down();
  void flush_soon();
  void flush();
  void schedule_tick();
  void tick();
  void check_silence(Instant now);
  void note_breaker();

  boost::asio::any_io_executor home_;
  std::shared_ptr<const Options> options_;
  Owner* owner_;
  Metrics& metrics_;
  Logger log_;
  std::string_view name_;
  Connector connector_;
  Connector watcher_;
  TaskGroup tasks_;
  Breaker breaker_;
  BreakerState noted_ = BreakerState::kClosed;
  boost::asio::steady_timer pause_;
  boost::asio::steady_timer ticker_;
  bool stopping_ = false;

  std::shared_ptr<Stream> stream_;  // null: not connected
  std::shared_ptr<ReplyReader> reader_;
  std::string endpoint_;
  std::uint64_t generation_ = 0;
  Instant up_since_{};
  Instant last_read_{};
  std::optional<Instant> attempt_since_;
  std::optional<Instant> write_since_;
  std::optional<Instant> warned_at_;
  struct Dropped {
    Error why;
    bool blame;
  };
  std::optional<Dropped> dropped_;

  std::vector<char> room_;
  std::string out_;                       // queued
  std::shared_ptr<std::string> writing_;  // shared with the write under way
  bool flush_posted_ = false;
};

}  // namespace nb::redis
