#include "cmd/mgmt_proxies.h"

#include "base/log_keys.h"
#include "management/auth/proxy_sign_in.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
namespace grpc = management::grpc;
using namespace std::chrono_literals;

constexpr const char* kChannel = "nb:mgmt:proxies";
constexpr auto kPruneEvery = 5min;
constexpr auto kPruneIn = 60s;
constexpr auto kSilence = 1h;  // then nobody lists a proxy any more, not even as offline

}  // namespace

MgmtProxies::MgmtProxies(Ports ports, Logger log)
    : ports_(std::move(ports)),
      log_(std::move(log)),
      store_(management::make_sql_proxy_store(
          {.database = ports_.core.database(),
           .cipher = ports_.core.cipher(),
           .random = ports_.core.random(),
           .clock = ports_.core.clock(),
           .log = log_},
          {.announce = ports_.announce, .dns_domain = ports_.config.dns_domain})),
      // What all instances share in secret: the keys that agents know them by.
      seals_(
          [this] {
            std::vector<Secret> out;
            for (const auto& key : *ports_.keys.keys()) out.push_back(key.secret.base64());
            return out;
          },
          ports_.core.random()),
      notices_(ports_.home, ports_.next, ports_.bus, kChannel, [this] {
        if (service_) service_->news();
      }) {}

void MgmtProxies::open(MgmtApi& api, net::LoopPool& loops, const app::GeoDatabase* geo,
                       app::AccountCommands::OnIdle on_idle) {
  grpc::ProxyPorts ports{.store = *store_,
                         .seals = seals_,
                         .hasher = hasher_,
                         .limiter = api.limiter(),
                         .random = ports_.core.random(),
                         .clock = ports_.core.clock(),
                         .geo = geo,
                         .on_idle = std::move(on_idle)};
  if (management::auth::ProxySignIn* const sign_in = api.sign_in())
    ports.sign_in_url = [sign_in](Instant deadline, std::string url) {
      return sign_in->begin(deadline, std::move(url));
    };
  service_ = std::make_unique<grpc::ProxyService>(
      std::move(ports), loops, grpc::ProxyOptions{.poll = ports_.config.ha.anti_entropy_interval},
      log_);
}

void MgmtProxies::start(TaskGroup& tasks) {
  notices_.start();
  tasks.spawn(prune());
}

asio::awaitable<void> MgmtProxies::prune() {
  // contract/rest-api.md §7.13: a week of accesses, unless the file says otherwise.
  const std::int64_t asked = ports_.config.access_log_days;
  const std::int64_t days = asked == 0 ? 7 : std::max<std::int64_t>(asked, 0);
  for (;;) {
    co_await ports_.core.clock().sleep_for(kPruneEvery);
    const auto done = co_await store_->prune(ports_.core.clock().now() + kPruneIn, kSilence,
                                             std::chrono::hours(24 * days));
    if (!done) log_.debug("proxies not pruned", {log::f(log::kError, done.error().text)});
  }
}

}  // namespace nb::cmd
