#include "management/app/janitor_lease.h"

#include <boost/asio/this_coro.hpp>

#include <utility>

namespace nb::management::app {

namespace asio = boost::asio;

JanitorLease::JanitorLease(ha::Leases* leases, Clock& clock, std::chrono::milliseconds ttl,
                           Logger log)
    : leases_(leases), clock_(clock), ttl_(ttl), log_(std::move(log)) {}

asio::awaitable<void> JanitorLease::run() {
  if (leases_ == nullptr) co_return;
  for (;;) {
    if (!lease_.held()) {
      lease_ = {};
      const ha::Resource resource("janitor");
      auto got = co_await leases_->acquire(resource, {.ttl = ttl_});
      elsewhere_ = !got && got.error().code == Code::kFailedPrecondition;
      if (got) {
        lease_ = std::move(*got);
        log_.info("this instance tidies up for all");
      }
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
    co_await clock_.sleep_for(ttl_ / 3);
  }
}

}  // namespace nb::management::app
