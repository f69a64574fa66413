#include "support/ws_bridge.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include <thread>
#include <utility>
#include <vector>

namespace nb::test {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
using Far = websocket::stream<tcp::socket>;

asio::awaitable<void> inward(tcp::socket& near, Far& far, std::size_t chunk) {
  std::vector<char> bytes(chunk);
  for (;;) {
    const auto [read_error, size] = co_await near.async_read_some(asio::buffer(bytes), kAwait);
    if (read_error) co_return;
    const auto [error, sent] = co_await far.async_write(asio::buffer(bytes.data(), size), kAwait);
    if (error) co_return;
  }
}

asio::awaitable<void> outward(Far& far, tcp::socket& near) {
  boost::beast::flat_buffer bytes;
  for (;;) {
    const auto [read_error, size] = co_await far.async_read(bytes, kAwait);
    if (read_error) co_return;
    const auto [error, sent] = co_await asio::async_write(near, bytes.data(), kAwait);
    if (error) co_return;
    bytes.consume(size);
  }
}

}  // namespace

/// One thread; the bridged connections end with its context.
struct WsBridge::Impl {
  Impl(std::uint16_t server_in, std::string path_in, std::size_t chunk_in)
      : server(asio::ip::address_v4::loopback(), server_in),
        path(std::move(path_in)),
        chunk(chunk_in),
        acceptor(context, {asio::ip::address_v4::loopback(), 0}) {
    asio::co_spawn(context, accept(), asio::detached);
    thread = std::thread([this] { context.run(); });
  }
  ~Impl() {
    context.stop();
    thread.join();
  }
  asio::awaitable<void> accept() {
    for (;;) {
      auto [error, near] = co_await acceptor.async_accept(kAwait);
      if (error) co_return;
      asio::co_spawn(context, bridge(std::move(near)), asio::detached);
    }
  }
  asio::awaitable<void> bridge(tcp::socket near) {
    Far far(context);
    if (const auto [error] = co_await far.next_layer().async_connect(server, kAwait); error)
      co_return;
    if (const auto [error] = co_await far.async_handshake("127.0.0.1", path, kAwait); error)
      co_return;
    far.binary(true);
    co_await (inward(near, far, chunk) || outward(far, near));
  }

  asio::io_context context;
  const tcp::endpoint server;
  const std::string path;
  const std::size_t chunk;
  tcp::acceptor acceptor;
  std::thread thread;
};

WsBridge::WsBridge(std::uint16_t server, std::string path, std::size_t chunk)
    : impl_(std::make_unique<Impl>(server, std::move(path), chunk)) {}

WsBridge::~WsBridge() = default;

std::string WsBridge::address() const {
  return "127.0.0.1:" + std::to_string(impl_->acceptor.local_endpoint().port());
}

}  // namespace nb::test
