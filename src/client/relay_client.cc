#include "client/relay_client.h"

#include "base/log_keys.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace nb::client {
namespace asio = boost::asio;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr auto kNever = asio::steady_timer::time_point::max();
const std::string kByName;  // no address: the name is looked up
}  // namespace

/// Several dials of which the first to succeed counts.
struct RelayClient::Race {
  explicit Race(const asio::any_io_executor& home) : changed(home, kNever) {}
  asio::steady_timer changed;
  std::size_t left = 0;
  std::shared_ptr<RelayConnection> winner;
  std::string url;  // the winner's
  Error last = fail(Code::kFailedPrecondition, "no relay is configured");
};

/// A relay other than the home relay: one dial for all who wait for it.
struct RelayClient::Foreign {
  explicit Foreign(const asio::any_io_executor& home) : dialled(home, kNever) {}
  asio::steady_timer dialled;
  bool dialling = true;
  Dialled result;
};

RelayClient::RelayClient(const asio::any_io_executor& home, const PeerId& self,
                         RelayOptions options, Logger log)
    : self_(self),
      options_(std::move(options)),
      log_(std::move(log)),
      tasks_(home),
      servers_changed_(home, kNever),
      backoff_(options_.retry, options_.seed) {
  tasks_.spawn(stay_home());
  tasks_.spawn(sweep_foreign());
}

RelayClient::~RelayClient() = default;

void RelayClient::use(RelayServers servers) {
  servers_ = std::move(servers);
  servers_changed_.cancel();
}

std::string RelayClient::instance_url() const {
  return home_ ? home_->instance_url() : std::string();
}

std::string RelayClient::instance_ip() const {
  return home_ ? home_->remote_ip() : std::string();
}

asio::awaitable<void> RelayClient::stop() {
  if (home_) home_->close();
  for (const auto& [url, foreign] : foreign_)
    if (foreign->result) (*foreign->result)->close();
  co_await tasks_.stop();
}

asio::awaitable<void> RelayClient::pause(std::chrono::nanoseconds time) {
  asio::steady_timer timer(tasks_.executor(), time);
  co_await timer.async_wait(kAwait);
}

// --- home --------------------------------------------------------------------------------------

asio::awaitable<void> RelayClient::stay_home() {
  for (;;) {
    while (servers_.urls.empty()) co_await servers_changed_.async_wait(kAwait);
    auto dialled = co_await dial_any();
    if (dialled) {
      backoff_.reset();
      co_await keep_home(*dialled);
      // Others have lost it as well, and it may be back in a moment (contract/client-agent §1.9).
      co_await pause(options_.settle);
      dialled = co_await dial(home_dialled_, kByName);
      if (dialled) co_await keep_home(*dialled);
      if (dialled) continue;
    }
    log_.limited().info("no relay", {log::f(log::kError, dialled.error().text)});
    servers_changed_.expires_after(backoff_.next());  // use() ends it
    co_await servers_changed_.async_wait(kAwait);
    servers_changed_.expires_at(kNever);
  }
}

asio::awaitable<void> RelayClient::keep_home(std::shared_ptr<RelayConnection> home) {
  set_home(home);
  const Error why = co_await home->ended();
  log_.info("relay lost", {log::f("url", home->instance_url()), log::f(log::kReason, why.text)});
  set_home(nullptr);
}

void RelayClient::set_home(std::shared_ptr<RelayConnection> home) {
  home_ = std::move(home);
  if (home_) log_.info("relay connected", {log::f("url", home_->instance_url())});
  if (on_home_) on_home_();
}

asio::awaitable<RelayClient::Dialled> RelayClient::dial(std::string url, std::string ip) {
  RelayDial dial;
  dial.url = std::move(url);
  dial.dial_ip = std::move(ip);
  dial.ca_file = options_.ca_file;
  dial.self = self_;
  dial.token = servers_.token;
  auto dialled = co_await RelayConnection::dial(std::move(dial), options_.times, tasks_);
  if (dialled)
    refusals_ = 0;
  else if (dialled.error().code == Code::kUnauthenticated)
    ++refusals_;
  co_return dialled;
}

asio::awaitable<RelayClient::Dialled> RelayClient::dial_any() {
  const auto race = std::make_shared<Race>(tasks_.executor());
  const std::vector<std::string> urls = servers_.urls;
  const std::size_t count = std::min(urls.size(), kDialsMax);
  race->left = count;
  for (std::size_t i = 0; i < count; ++i)
    tasks_.spawn(compete(race, urls[(first_url_ + i) % urls.size()]));
  first_url_ = (first_url_ + count) % std::max<std::size_t>(urls.size(), 1);
  while (!race->winner && race->left > 0) co_await race->changed.async_wait(kAwait);
  if (!race->winner) co_return race->last;
  home_dialled_ = race->url;
  co_return race->winner;
}

asio::awaitable<void> RelayClient::compete(std::shared_ptr<Race> race, std::string url) {
  const auto dialled = co_await dial(url, kByName);
  --race->left;
  race->changed.cancel();
  if (!dialled) {
    race->last = dialled.error();
  } else if (race->winner) {
    (*dialled)->close();
  } else {
    race->winner = *dialled;
    race->url = std::move(url);
  }
}

// --- tunnels -----------------------------------------------------------------------------------

asio::awaitable<Result<std::shared_ptr<RelayTunnel>>> RelayClient::open(PeerId peer,
                                                                        std::string instance_url,
                                                                        std::string ip) {
  if (home_ && home_->instance_url() == instance_url) {
    const auto home = home_;
    auto tunnel = co_await home->open(peer);
    co_return tunnel;
  }
  const auto other = co_await foreign(std::move(instance_url), std::move(ip));
  if (!other) co_return other.error();
  auto tunnel = co_await (*other)->open(peer);
  co_return tunnel;
}

asio::awaitable<RelayClient::Dialled> RelayClient::foreign(std::string url, std::string ip) {
  std::shared_ptr<Foreign>& known = foreign_[url];
  const bool usable = known && (known->dialling || (known->result && (*known->result)->alive()));
  if (!usable) {
    known = std::make_shared<Foreign>(tasks_.executor());
    tasks_.spawn(dial_foreign(known, std::move(url), std::move(ip)));
  }
  const auto mine = known;  // the map may change while we wait
  while (mine->dialling) co_await mine->dialled.async_wait(kAwait);
  co_return mine->result;
}

asio::awaitable<void> RelayClient::dial_foreign(std::shared_ptr<Foreign> foreign, std::string url,
                                                std::string ip) {
  foreign->result = co_await dial(url, kByName);
  const bool nameless = !foreign->result && foreign->result.error().code == Code::kUnavailable;
  if (nameless && !ip.empty()) foreign->result = co_await dial(url, std::move(ip));
  foreign->dialling = false;
  foreign->dialled.cancel();
}

asio::awaitable<void> RelayClient::sweep_foreign() {
  for (;;) {
    co_await pause(options_.sweep);
    const Instant limit = std::chrono::steady_clock::now() - options_.unused;
    std::erase_if(foreign_, [&](const auto& each) {
      const Foreign& foreign = *each.second;
      if (foreign.dialling) return false;
      if (!foreign.result || !(*foreign.result)->alive()) return true;
      RelayConnection& connection = **foreign.result;
      if (connection.tunnels() > 0 || connection.unused_since() > limit) return false;
      connection.close();
      return true;
    });
  }
}

}  // namespace nb::client
