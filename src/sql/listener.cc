#include "sql/listener.h"

#include "base/assert.h"
#include "base/log_keys.h"
#include "base/result.h"
#include "sql/pg_connect.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <libpq-fe.h>
#include <unistd.h>

#include <algorithm>
#include <random>

namespace nb::sql {

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;

namespace {

struct Finish {
  void operator()(PGconn* pg) const { PQfinish(pg); }
};
using Handle = std::unique_ptr<PGconn, Finish>;

bool valid_channel(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

struct Listener::Impl {
  Impl(Dsn dsn_in, ListenerOptions options_in, Handlers handlers_in, Logger log_in)
      : dsn(std::move(dsn_in)),
        options(std::move(options_in)),
        handlers(std::move(handlers_in)),
        log(std::move(log_in)) {}

  using Socket = asio::posix::stream_descriptor;
  /// Shared with the timer's handler, which may run after the wait has ended.
  struct Wait {
    Socket socket;
    bool timed_out = false;
  };

  /// Waits until the connection's socket is ready; false: `limit` passed or cancelled.
  awaitable<bool> ready(Socket::wait_type what, std::chrono::milliseconds limit) {
    const auto executor = co_await asio::this_coro::executor;
    // The library owns the socket and may replace it, so a copy of its number is watched.
    const int copy = ::dup(PQsocket(pg.get()));
    if (copy < 0) co_return false;
    const auto wait = std::make_shared<Wait>(Wait{Socket(executor, copy)});
    asio::steady_timer timer(executor, limit);
    timer.async_wait([wait](const boost::system::error_code& error) {
      if (error) return;
      wait->timed_out = true;
      wait->socket.cancel();
    });
    boost::system::error_code error;
    co_await wait->socket.async_wait(what, asio::redirect_error(use_awaitable, error));
    co_return !wait->timed_out && !error;
  }

  Error lost() const {
    std::string reason = PQerrorMessage(pg.get());
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    return fail(Code::kUnavailable, "{}: {}", dsn.describe(), reason.empty() ? "closed" : reason);
  }

  awaitable<Result<>> connect() {
    const PgKeywords keywords = pg_keywords(dsn, "netbird-listen");
    pg.reset(PQconnectStartParams(keywords.names.data(), keywords.values.data(), 0));
    if (!pg || PQstatus(pg.get()) == CONNECTION_BAD) co_return lost();
    for (auto state = PGRES_POLLING_WRITING; state != PGRES_POLLING_OK;
         state = PQconnectPoll(pg.get())) {
      if (state == PGRES_POLLING_FAILED) co_return lost();
      const auto what = state == PGRES_POLLING_READING ? Socket::wait_read : Socket::wait_write;
      const bool in_time = co_await ready(what, options.connect_timeout);
      if (!in_time) co_return fail(Code::kUnavailable, "{}: no connection in time", dsn.describe());
    }
    drop_notices(pg.get());
    PQsetnonblocking(pg.get(), 1);
    std::string listen;
    for (const std::string& channel : options.channels) listen += "LISTEN " + channel + ";";
    co_return co_await command(std::move(listen));
  }

  /// Sends a command and waits for its end.
  awaitable<Result<>> command(std::string text) {
    if (PQsendQuery(pg.get(), text.c_str()) == 0) co_return lost();
    for (int unsent = PQflush(pg.get()); unsent == 1 || PQisBusy(pg.get()) == 1;
         unsent = PQflush(pg.get())) {
      const auto what = unsent == 1 ? Socket::wait_write : Socket::wait_read;
      const bool in_time = co_await ready(what, options.connect_timeout);
      if (!in_time) co_return fail(Code::kUnavailable, "{}: no answer in time", dsn.describe());
      if (PQconsumeInput(pg.get()) == 0) co_return lost();
    }
    Result<> out;
    while (PGresult* result = PQgetResult(pg.get())) {
      if (PQresultStatus(result) == PGRES_FATAL_ERROR) out = lost();
      PQclear(result);
    }
    co_return out;
  }

  void deliver() {
    while (PGnotify* notification = PQnotifies(pg.get())) {
      handlers.on_notify(notification->relname, notification->extra);
      PQfreemem(notification);
    }
  }

  /// Connects and delivers until something breaks.
  awaitable<Result<>> serve() {
    NB_CO_TRY(co_await connect());
    connected = true;
    log.info("listening for notifications", {log::f("database", dsn.describe())});
    handlers.on_gap();
    for (;;) {
      deliver();
      const bool readable = co_await ready(Socket::wait_read, options.probe_interval);
      if (!readable) {
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
          co_return fail(Code::kCancelled, "listening ended");
        NB_CO_TRY(co_await command("SELECT 1"));
        continue;
      }
      if (PQconsumeInput(pg.get()) == 0) co_return lost();
    }
  }

  awaitable<void> pause(int failures) {
    const auto limit = std::min(options.reconnect_delay_min * (1 << std::min(failures, 6)),
                                options.reconnect_delay_max);
    std::uniform_int_distribution<std::chrono::milliseconds::rep> spread(limit.count() / 2,
                                                                         limit.count());
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, std::chrono::milliseconds(spread(random)));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(use_awaitable, ignored));
  }

  const Dsn dsn;
  const ListenerOptions options;
  const Handlers handlers;
  const Logger log;
  Handle pg;
  bool connected = false;
  std::minstd_rand random{std::random_device{}()};
};

Listener::Listener(Dsn dsn, ListenerOptions options, Handlers handlers, Logger log)
    : impl_(std::make_unique<Impl>(std::move(dsn), std::move(options), std::move(handlers),
                                   std::move(log))) {
  for (const std::string& channel : impl_->options.channels) NB_ASSERT(valid_channel(channel));
}
Listener::~Listener() = default;

bool Listener::connected() const {
  return impl_->connected;
}

awaitable<void> Listener::run() {
  // Waits end with an error code when cancelled; every loop below looks at the state.
  co_await asio::this_coro::throw_if_cancelled(false);
  const auto state = co_await asio::this_coro::cancellation_state;
  for (int failures = 0; state.cancelled() == asio::cancellation_type::none; ++failures) {
    const Result<> ended = co_await impl_->serve();
    if (impl_->connected) failures = 0;
    impl_->connected = false;
    impl_->pg.reset();
    if (state.cancelled() != asio::cancellation_type::none) break;
    if (!ended)
      impl_->log.warn(
          "not listening for notifications; changes are found by polling until it is back",
          {log::f(log::kError, ended.error().text)});
    co_await impl_->pause(failures);
  }
}

}  // namespace nb::sql
