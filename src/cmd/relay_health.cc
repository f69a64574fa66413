#include "cmd/relay_health.h"

#include "net/http_client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/chrono.h>

#include <mutex>
#include <optional>
#include <utility>

namespace nb::cmd {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::seconds kFresh{3};
constexpr std::chrono::seconds kProbeTime{5};
constexpr std::chrono::milliseconds kLook{20};
constexpr int kUpgradeRequired = 426;

struct Report {
  bool listening = false;
  bool certificate_valid = false;
  bool reachable = false;
  WallTime at{};
};

std::string rfc3339(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(seconds.time_since_epoch().count()),
                     (time - seconds).count());
}

net::HttpResponse page(const Report& report, bool quic) {
  const bool healthy = report.listening;
  return net::HttpResponse::json(
      healthy ? 200 : 503,
      fmt::format(R"({{"status":"{}","timestamp":"{}","listeners":{},"certificate_valid":{},)"
                  R"("exposed_address_reachable":{}}})",
                  healthy ? "healthy" : "unhealthy", rfc3339(report.at),
                  !report.listening ? "null"
                  : quic            ? R"(["ws","quic"])"
                                    : R"(["ws"])",
                  report.certificate_valid, report.reachable));
}

class RelayHealth : public std::enable_shared_from_this<RelayHealth> {
 public:
  RelayHealth(std::shared_ptr<net::HttpClient> client, RelayHealthOptions options,
              const Clock& clock)
      : client_(std::move(client)), options_(std::move(options)), clock_(clock) {}

  asio::awaitable<net::HttpResponse> answer() {
    const auto self = shared_from_this();
    for (;;) {
      const auto [known, mine] = begin();
      if (known) co_return page(*known, options_.quic);
      if (mine) break;
      asio::steady_timer pause(co_await asio::this_coro::executor, kLook);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    const Report made = co_await probe_and_keep();
    co_return page(made, options_.quic);
  }

 private:
  /// The last report while it is fresh, or while somebody else makes the next one; otherwise it is
  /// up to the caller.
  std::pair<std::optional<Report>, bool> begin() {
    const std::lock_guard lock(mutex_);
    if (last_ && (probing_ || clock_.now() - made_ < kFresh)) return {last_, false};
    return {std::nullopt, !std::exchange(probing_, true)};
  }

  asio::awaitable<Report> probe_and_keep() {
    // However this ends (the caller may have gone), the next one may probe again.
    struct Turn {
      ~Turn() {
        const std::lock_guard lock(health.mutex_);
        health.probing_ = false;
      }
      RelayHealth& health;
    } const turn{*this};
    const Report report = co_await probe();
    const std::lock_guard lock(mutex_);
    last_ = report;
    made_ = clock_.now();
    co_return report;
  }

  asio::awaitable<Report> probe() {
    Report report;
    report.at = clock_.wall();
    const std::uint16_t port = options_.local_port();
    if (port == 0) co_return report;
    // Operands are named before they are awaited: gcc 12 frees temporaries of a co_await twice.
    std::string own =
        fmt::format("{}://{}:{}/relay", options_.local_tls ? "https" : "http", local_host(), port);
    const auto local = co_await ask(std::move(own));
    // The certificate is made out to the exposed name: that it does not fit this one is no illness.
    report.listening =
        local || (options_.local_tls && local.error().code == Code::kPermissionDenied);
    // rel:// and rels:// are http:// and https:// of a WebSocket (contract §3.5).
    const bool tls = options_.instance_url.starts_with("rels://");
    const std::string_view authority = std::string_view(options_.instance_url).substr(tls ? 7 : 6);
    std::string exposed = fmt::format("{}://{}/relay", tls ? "https" : "http",
                                      authority.substr(0, authority.find('/')));
    const auto outside = co_await ask(std::move(exposed));
    report.reachable = static_cast<bool>(outside);
    report.certificate_valid = tls && outside;
    co_return report;
  }

  /// Success: a WebSocket is there, and says so to somebody who does not ask for an upgrade.
  asio::awaitable<Result<>> ask(std::string url) {
    net::HttpClientRequest request;
    request.url = std::move(url);
    request.timeout = kProbeTime;
    auto answer = co_await client_->send(std::move(request));
    if (!answer) co_return answer.error();
    if (answer->status != kUpgradeRequired)
      co_return fail(Code::kUnavailable, "status {}", answer->status);
    co_return Result<>();
  }

  [[nodiscard]] std::string local_host() const {
    const std::string& address = options_.local_address;
    if (address == "0.0.0.0") return "127.0.0.1";
    if (address.find(':') == std::string::npos) return address;
    return address == "::" ? "[::1]" : "[" + address + "]";
  }

  const std::shared_ptr<net::HttpClient> client_;
  const RelayHealthOptions options_;
  const Clock& clock_;
  std::mutex mutex_;
  std::optional<Report> last_;
  Instant made_{};
  bool probing_ = false;
};

}  // namespace

void add_process_health(net::HttpRouter& router, const Health& health, const Clock& clock) {
  router.exact("/health",
               [&health, &clock](net::HttpRequest) -> asio::awaitable<net::HttpResponse> {
                 const bool healthy = health.ready();
                 co_return net::HttpResponse::json(
                     healthy ? 200 : 503,
                     fmt::format(R"({{"status":"{}","timestamp":"{}","listeners":null,)"
                                 R"("certificate_valid":false}})",
                                 healthy ? "healthy" : "unhealthy", rfc3339(clock.wall())));
               });
}

Result<> add_relay_health(net::HttpRouter& router, RelayHealthOptions options, const Clock& clock) {
  NB_LET(auto client, net::HttpClient::create());
  const auto health = std::make_shared<RelayHealth>(std::move(client), std::move(options), clock);
  router.exact("/health", [health](const net::HttpRequest&) { return health->answer(); });
  return {};
}

}  // namespace nb::cmd
