#include "net/resolve.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <utility>

namespace nb::net {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// getaddrinfo cannot be interrupted, so nobody waits for it: the answer comes into a shared state
// and wakes a timer, which the deadline ends too.
struct Lookup {
  explicit Lookup(const asio::any_io_executor& home) : resolver(home), wake(home) {}
  tcp::resolver resolver;
  asio::steady_timer wake;
  bool done = false;
  error_code error;
  std::vector<tcp::endpoint> endpoints;
};
}  // namespace

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(std::string host, std::string port,
                                                            Instant deadline) {
  const auto home = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(home);
  lookup->wake.expires_at(deadline);
  lookup->resolver.async_resolve(
      host, port, tcp::resolver::numeric_service,
      [lookup](const error_code& error, const tcp::resolver::results_type& results) {
        lookup->done = true;
        lookup->error = error;
        for (const auto& entry : results) lookup->endpoints.push_back(entry.endpoint());
        lookup->wake.cancel();
      });
  const auto [ended] = co_await lookup->wake.async_wait(kAwait);
  if (!lookup->done) {
    lookup->resolver.cancel();
    if (ended) co_return fail(Code::kCancelled, "{}: look-up was cancelled", host);
    co_return fail(Code::kDeadlineExceeded, "{}: name look-up took too long", host);
  }
  if (lookup->error)
    co_return fail(Code::kUnavailable, "{}: name look-up: {}", host, lookup->error.message());
  co_return std::move(lookup->endpoints);
}

}  // namespace nb::net
