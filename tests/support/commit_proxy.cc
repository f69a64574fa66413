#include "support/commit_proxy.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <atomic>
#include <string_view>
#include <thread>
#include <utility>

namespace nb::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::string_view_literals;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// PostgreSQL's protocol, "Message Formats": a simple query with its length, and how libpq's users
// here begin a transaction.
constexpr auto kCommit =
    "Q\0\0\0\x0b"
    "COMMIT\0"sv;
constexpr auto kBegin = "BEGIN ISOLATION LEVEL"sv;

enum class Fault : std::uint8_t { kNone, kLoseAnswer, kHold };

struct Line {
  Line(tcp::socket near_in, tcp::socket far_in)
      : near(std::move(near_in)), far(std::move(far_in)) {}
  tcp::socket near;
  tcp::socket far;
  std::string transaction{};  // what the client has sent since its BEGIN
  bool loses_answer = false;

  void close() {
    boost::system::error_code error;
    near.close(error);
    far.close(error);
  }
};

}  // namespace

/// One thread; the connections end with its context.
struct CommitProxy::Impl {
  explicit Impl(std::uint16_t server_in)
      : server(asio::ip::address_v4::loopback(), server_in),
        acceptor(context, {asio::ip::address_v4::loopback(), 0}),
        held(context, asio::steady_timer::time_point::max()) {
    asio::co_spawn(context, accept(), asio::detached);
    thread = std::thread([this] { context.run(); });
  }
  ~Impl() {
    context.stop();
    thread.join();
  }

  void arm(Fault wanted, std::string text) {
    asio::post(context, [this, wanted, text = std::move(text)]() mutable {
      struck = false;
      fault = wanted;
      part = std::move(text);
    });
  }

  asio::awaitable<void> accept() {
    for (;;) {
      auto [error, near] = co_await acceptor.async_accept(kAwait);
      if (error) co_return;
      auto line = std::make_shared<Line>(std::move(near), tcp::socket(context));
      const auto [failed] = co_await line->far.async_connect(server, kAwait);
      if (failed) continue;
      asio::co_spawn(context, inward(line), asio::detached);
      asio::co_spawn(context, outward(line), asio::detached);
    }
  }

  /// Whether the bytes that came last end the transaction that is looked for.
  bool is_wanted(Line& line, std::string_view bytes) {
    line.transaction += bytes;
    if (const auto begin = line.transaction.rfind(kBegin); begin != std::string::npos)
      line.transaction.erase(0, begin);
    const auto end = line.transaction.find(kCommit);
    if (end == std::string::npos) return false;
    const std::string statements = std::exchange(line.transaction, {}).substr(0, end);
    return fault != Fault::kNone && statements.find(part) != std::string::npos;
  }

  /// Whether bytes may go on; it may take its time to say so.
  using MayPass = asio::awaitable<bool> (Impl::*)(std::shared_ptr<Line>, std::string_view);

  asio::awaitable<void> pump(std::shared_ptr<Line> line, tcp::socket Line::*from,
                             tcp::socket Line::*to, MayPass may_pass) {
    std::array<char, 16 * 1024> bytes{};
    for (;;) {
      const auto [read_error, size] =
          co_await ((*line).*from).async_read_some(asio::buffer(bytes), kAwait);
      if (read_error) co_return;
      const std::string_view read(bytes.data(), size);
      if (!co_await (this->*may_pass)(line, read)) co_return;
      const auto [error, sent] =
          co_await asio::async_write((*line).*to, asio::buffer(read), kAwait);
      if (error) co_return;
    }
  }

  asio::awaitable<bool> may_go_in(std::shared_ptr<Line> line, std::string_view bytes) {
    if (!is_wanted(*line, bytes)) co_return true;
    line->loses_answer = std::exchange(fault, Fault::kNone) == Fault::kLoseAnswer;
    if (!line->loses_answer) {
      struck = true;
      static_cast<void>(co_await held.async_wait(kAwait));
    }
    co_return true;
  }
  asio::awaitable<void> inward(std::shared_ptr<Line> line) {
    co_await pump(line, &Line::near, &Line::far, &Impl::may_go_in);
    boost::system::error_code gone;  // what was sent is still to be done
    line->far.shutdown(tcp::socket::shutdown_send, gone);
  }

  asio::awaitable<bool> may_go_out(std::shared_ptr<Line> line, std::string_view /*bytes*/) {
    if (line->loses_answer) struck = true;
    co_return !line->loses_answer;
  }
  asio::awaitable<void> outward(std::shared_ptr<Line> line) {
    co_await pump(line, &Line::far, &Line::near, &Impl::may_go_out);
    line->close();
  }

  asio::io_context context{1};
  const tcp::endpoint server;
  tcp::acceptor acceptor;
  asio::steady_timer held;
  Fault fault = Fault::kNone;
  std::string part;
  std::atomic<bool> struck{false};
  std::thread thread;
};

CommitProxy::CommitProxy(std::uint16_t server) : impl_(std::make_unique<Impl>(server)) {}
CommitProxy::~CommitProxy() = default;

std::uint16_t CommitProxy::port() const {
  return impl_->acceptor.local_endpoint().port();
}
void CommitProxy::lose_answer(std::string part) {
  impl_->arm(Fault::kLoseAnswer, std::move(part));
}
void CommitProxy::hold_commit(std::string part) {
  impl_->arm(Fault::kHold, std::move(part));
}
void CommitProxy::release() {
  asio::post(impl_->context, [impl = impl_.get()] { impl->held.cancel(); });
}
bool CommitProxy::struck() const {
  return impl_->struck;
}

}  // namespace nb::test
