#include "net/resolve.h"

#include "base/look_up.h"
#include "base/text.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_executor.hpp>
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
  explicit Lookup(const asio::any_io_executor& home) : resolver(look_up_executor()), wake(home) {}
  tcp::resolver resolver;
  asio::steady_timer wake;
  bool done = false;
  error_code error;
  tcp::resolver::results_type found;
};

asio::awaitable<Result<tcp::resolver::results_type>> look_up(std::string host, std::string port,
                                                             tcp::resolver::flags flags,
                                                             Instant deadline) {
  const auto home = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(home);
  lookup->wake.expires_at(deadline);
  lookup->resolver.async_resolve(
      host, port, flags,
      asio::bind_executor(
          home, [lookup](const error_code& error, const tcp::resolver::results_type& results) {
            lookup->done = true;
            lookup->error = error;
            lookup->found = results;
            lookup->wake.cancel();
          }));
  const auto [ended] = co_await lookup->wake.async_wait(kAwait);
  if (!lookup->done) {
    lookup->resolver.cancel();
    if (ended) co_return fail(Code::kCancelled, "{}: look-up was cancelled", host);
    co_return fail(Code::kDeadlineExceeded, "{}: name look-up took too long", host);
  }
  if (lookup->error)
    co_return fail(Code::kUnavailable, "{}: name look-up: {}", host, lookup->error.message());
  co_return std::move(lookup->found);
}
}  // namespace

asio::awaitable<Result<std::vector<tcp::endpoint>>> resolve(std::string host, std::string port,
                                                            Instant deadline) {
  const auto found =
      co_await look_up(std::move(host), std::move(port), tcp::resolver::numeric_service, deadline);
  if (!found) co_return found.error();
  std::vector<tcp::endpoint> out;
  for (const auto& entry : *found) out.push_back(entry.endpoint());
  co_return out;
}

asio::awaitable<Result<std::string>> canonical_name(std::string host, Instant deadline) {
  std::string no_port;
  const auto found =
      co_await look_up(host, std::move(no_port), tcp::resolver::canonical_name, deadline);
  if (!found) co_return found.error();
  if (found->empty()) co_return fail(Code::kUnavailable, "{}: has no address", host);
  std::string name = lower(found->begin()->host_name());
  if (name.ends_with('.')) name.pop_back();
  co_return name;
}

}  // namespace nb::net
