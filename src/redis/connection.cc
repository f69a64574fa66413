#include "redis/connection.h"

#include "base/log_keys.h"
#include "crypto/random.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace nb::redis {
namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kRoomBytes = 64 * 1024;
constexpr std::size_t kKeptBytesMax = 256 * 1024;  // capacity a burst may leave behind
constexpr milliseconds kStableAfter{1'000};
constexpr milliseconds kTickMin{10};
constexpr milliseconds kTickMax{250};
constexpr milliseconds kSentinelRetry{1'000};
constexpr std::chrono::seconds kWarnEvery{30};

Instant now() {
  return std::chrono::steady_clock::now();
}

double jitter() {
  static crypto::SystemRandom random;
  return random.fraction();
}

/// Silence is noticed at most a quarter later than it should be.
milliseconds tick_interval(const Options& options) {
  const auto shortest = std::min(
      {options.stall_after, options.read_timeout, options.write_timeout, options.ping_interval});
  return std::clamp(shortest / 4, kTickMin, kTickMax);
}

}  // namespace

Connection::Connection(asio::any_io_executor home, std::shared_ptr<const Options> options,
                       Owner& owner, Metrics& metrics, Logger log, std::string_view name)
    : home_(std::move(home)),
      options_(std::move(options)),
      owner_(&owner),
      metrics_(metrics),
      log_(std::move(log)),
      name_(name),
      connector_(home_, options_),
      watcher_(home_, options_),
      tasks_(home_),
      breaker_({options_->backoff_min, options_->backoff_max, kStableAfter}),
      pause_(home_),
      ticker_(home_),
      room_(kRoomBytes) {}

void Connection::start() {
  tasks_.spawn(main(shared_from_this()));
  if (!options_->sentinels.empty()) tasks_.spawn(watch_sentinels(shared_from_this()));
  schedule_tick();
}

void Connection::shut_down() {
  stopping_ = true;
  connector_.cancel();
  watcher_.cancel();
  pause_.cancel();
  ticker_.cancel();
  if (stream_) stream_->close();
}

void Connection::detach() {
  owner_ = nullptr;
  shut_down();
}

asio::awaitable<void> Connection::stop() {
  const auto self = shared_from_this();
  shut_down();
  co_await tasks_.stop();
}

std::string Connection::endpoint() const {
  return endpoint_.empty() ? to_text(options_->address) : endpoint_;
}

asio::awaitable<void> Connection::main(std::shared_ptr<Connection> self) {
  while (!self->stopping_) {
    if (!self->breaker_.allows()) {
      self->pause_.expires_at(self->breaker_.probe_at());
      co_await self->pause_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (self->stopping_) break;
      if (!self->breaker_.try_probe(now())) continue;
      self->note_breaker();
    }
    self->attempt_since_ = now();
    Result<Session> session = co_await self->connector_.connect();
    self->attempt_since_.reset();
    if (self->stopping_) break;
    if (!session) {
      self->attempt_failed(session.error());
      continue;
    }
    co_await self->serve(*std::move(session));
  }
}

void Connection::attempt_failed(const Error& why) {
  metrics_.connect_errors_total.Increment();
  breaker_.on_failure(now(), jitter());
  note_breaker();
  if (!warned_at_ || now() - *warned_at_ >= kWarnEvery) {
    warned_at_ = now();
    log_.warn("redis cannot be reached, retrying; local work goes on",
              {log::f(log::kContext, name_), log::f(log::kError, why.text)});
  }
  if (owner_ != nullptr) owner_->on_refusing(why);
}

void Connection::begin(Session session) {
  stream_ = std::move(session.stream);
  reader_ = std::move(session.reader);
  endpoint_ = std::move(session.endpoint);
  writing_ = std::make_shared<std::string>();
  dropped_.reset();
  write_since_.reset();
  warned_at_.reset();
  up_since_ = last_read_ = now();
  if (++generation_ > 1) metrics_.reconnects_total.Increment();
  breaker_.on_success(up_since_);
  note_breaker();
  log_.info("redis connected", {log::f(log::kContext, name_), log::f(log::kAddress, endpoint_)});
  if (owner_ != nullptr) owner_->on_up();
  flush_soon();
}

bool Connection::young() const {
  return now() - up_since_ < kStableAfter;
}

void Connection::end(const Error& why) {
  // A server that greets and hangs up at once would be dialled in a tight loop.
  const bool blame = dropped_ ? dropped_->blame : young();
  stream_->close();
  stream_.reset();
  reader_.reset();
  writing_.reset();
  write_since_.reset();
  if (stopping_) return;
  if (blame) {
    breaker_.on_failure(now(), jitter());
  } else {
    breaker_.on_close();
  }
  note_breaker();
  log_.warn("redis connection lost; local work goes on",
            {log::f(log::kContext, name_), log::f(log::kAddress, endpoint_),
             log::f(log::kError, why.text)});
  warned_at_ = now();
  if (owner_ != nullptr) owner_->on_down(why);
  if (blame && owner_ != nullptr) owner_->on_refusing(why);
}

asio::awaitable<void> Connection::serve(Session session) {
  begin(std::move(session));
  const Result<> read = co_await read_until_broken();
  end(dropped_ ? dropped_->why : read.error());
}

asio::awaitable<Result<>> Connection::read_until_broken() {
  const auto stream = stream_;
  while (!stopping_ && !dropped_) {
    NB_CO_LET(const std::size_t size, co_await stream->read(room_));
    last_read_ = now();
    breaker_.on_answer();
    note_breaker();
    NB_CO_TRY(take({room_.data(), size}));
  }
  co_return fail(Code::kCancelled, "stopped");
}

Result<> Connection::take(std::string_view bytes) {
  NB_TRY(reader_->feed(bytes));
  while (!stopping_ && !dropped_) {
    NB_LET(auto reply, reader_->next());
    if (!reply || owner_ == nullptr) break;
    owner_->on_reply(*std::move(reply));
  }
  return {};
}

void Connection::drop(Error why, DropOptions options) {
  if (!stream_ || dropped_) return;
  dropped_ = Dropped{std::move(why), options.blame};
  stream_->close();
}

void Connection::queue(std::string_view bytes) {
  out_.append(bytes);
  flush_soon();
}

void Connection::flush_soon() {
  if (flush_posted_ || !stream_ || write_since_ || out_.empty()) return;
  flush_posted_ = true;
  // Behind the handlers that are ready now, so that what they queue leaves with this.
  asio::post(home_, [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (!stream_ || dropped_ || stopping_ || write_since_ || out_.empty()) return;
  writing_->clear();
  if (writing_->capacity() > kKeptBytesMax) writing_->shrink_to_fit();
  std::swap(*writing_, out_);
  write_since_ = now();
  if (owner_ != nullptr) owner_->on_sending();
  stream_->send(*writing_, [self = shared_from_this(), bytes = writing_,
                            generation = generation_](boost::system::error_code ec) {
    if (!self->stream_ || self->generation_ != generation) return;
    self->write_since_.reset();
    if (ec) {
      self->drop(fail(Code::kUnavailable, "{}", ec.message()), {.blame = self->young()});
    } else {
      self->flush();
    }
  });
}

void Connection::schedule_tick() {
  ticker_.expires_after(tick_interval(*options_));
  ticker_.async_wait([self = shared_from_this()](boost::system::error_code ec) {
    if (ec || self->stopping_) return;
    self->tick();
    if (!self->stopping_) self->schedule_tick();
  });
}

void Connection::tick() {
  const Instant time = now();
  if (stream_ && !dropped_) {
    check_silence(time);
  } else if (attempt_since_ && time - *attempt_since_ > options_->stall_after &&
             breaker_.allows()) {
    breaker_.on_stall();
    note_breaker();
    if (owner_ != nullptr) owner_->on_refusing(fail(Code::kUnavailable, "no connection yet"));
  }
}

void Connection::check_silence(Instant time) {
  if (write_since_ && time - *write_since_ > options_->write_timeout) {
    drop(
        fail(Code::kUnavailable, "nothing was accepted for {} ms", options_->write_timeout.count()),
        {.blame = true});
    return;
  }
  if (owner_ == nullptr) return;
  const auto waiting_since = owner_->waiting_since();
  if (!waiting_since) {
    if (time - last_read_ > options_->ping_interval) owner_->on_idle();
    return;
  }
  const auto silent = time - std::max(*waiting_since, last_read_);
  // When this loop was blocked for long, the answer may be here without having been read.
  if (silent <= std::min(options_->stall_after, options_->read_timeout)) return;
  if (stream_->readable()) return;
  if (silent > options_->read_timeout) {
    drop(fail(Code::kUnavailable, "no answer for {} ms", options_->read_timeout.count()),
         {.blame = true});
  } else if (breaker_.allows()) {
    breaker_.on_stall();
    note_breaker();
  }
}

void Connection::note_breaker() {
  const BreakerState state = breaker_.state();
  if (state == noted_) return;
  noted_ = state;
  if (owner_ != nullptr) owner_->on_breaker(state);
}

asio::awaitable<void> Connection::watch_sentinels(std::shared_ptr<Connection> self) {
  asio::steady_timer pause(self->home_);
  while (!self->stopping_) {
    Result<Session> session = co_await self->watcher_.watch_sentinel();
    while (session && !self->stopping_) {
      auto event = co_await read_replies(*session, 1);
      if (!event || self->stopping_) break;
      self->on_sentinel_event(event->front());
    }
    if (self->stopping_) break;
    pause.expires_after(kSentinelRetry);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void Connection::on_sentinel_event(const Reply& event) {
  if (event.items.size() != 3 || event.items[0].text != "message") return;
  // "<master name> <old ip> <old port> <new ip> <new port>"
  const std::string& text = event.items[2].text;
  if (!text.starts_with(options_->sentinel_master + " ")) return;
  const auto port_at = text.rfind(' ');
  const auto ip_at = text.rfind(' ', port_at - 1);
  Address master{text.substr(ip_at + 1, port_at - ip_at - 1), 0};
  std::from_chars(text.data() + port_at + 1, text.data() + text.size(), master.port);
  // We may have found the new master before this news came.
  const bool there = to_text(master) == endpoint_;
  if (!there) drop(fail(Code::kUnavailable, "the master was switched"), {.blame = false});
}

}  // namespace nb::redis
