#include "signal/housekeeper.h"

#include "base/log_keys.h"

#include <algorithm>
#include <utility>

namespace nb::signal {

namespace asio = boost::asio;

namespace {
constexpr std::chrono::milliseconds kTurn{100};
}  // namespace

Housekeeper::Housekeeper(asio::any_io_executor home, ha::Membership& membership,
                         ha::PeerDirectory& directory, ha::Leases* leases, Clock& clock,
                         Options options, Events events, Logger log)
    : membership_(membership),
      directory_(directory),
      leases_(leases),
      clock_(clock),
      options_(options),
      events_(std::move(events)),
      log_(std::move(log)),
      beat_due_(options.beat_interval, options.retry_interval),
      tasks_(std::move(home)) {}

void Housekeeper::start() {
  tasks_.spawn(run());
}

void Housekeeper::beat_soon() {
  beat_due_.soon();
}

asio::awaitable<void> Housekeeper::stop() {
  co_await tasks_.stop();
}

asio::awaitable<void> Housekeeper::run() {
  for (;;) {
    if (beat_due_.due(clock_.now())) {
      co_await beat();
      if (clock_.now() - purged_ >= options_.purge_interval) purge_wanted_ = true;
      if (purge_wanted_ && membership_.fresh()) co_await purge();
    }
    co_await clock_.sleep_for(std::min(kTurn, options_.beat_interval / 2));
  }
}

asio::awaitable<void> Housekeeper::beat() {
  beat_due_.begun();
  const auto beaten = co_await membership_.beat();
  beat_due_.ended(clock_.now(), static_cast<bool>(beaten));
  if (beaten && beaten->store_lost && events_.on_store_lost) events_.on_store_lost();
  if (beaten && somebody_died()) purge_wanted_ = true;
  if (events_.on_beat) events_.on_beat(static_cast<bool>(beaten));
}

bool Housekeeper::somebody_died() {
  std::vector<ha::InstanceId> now;
  for (const ha::Member& member : membership_.members()) now.push_back(member.id);
  const bool died = !std::includes(now.begin(), now.end(), known_.begin(), known_.end());
  known_ = std::move(now);
  return died;
}

asio::awaitable<void> Housekeeper::purge() {
  ha::Lease lease;
  if (leases_ != nullptr) {
    const ha::AcquireOptions wish{.ttl = std::chrono::seconds(10)};
    const ha::Resource resource("signal:janitor");
    auto got = co_await leases_->acquire(resource, wish);
    if (!got) {
      // Held elsewhere: that instance does it. Otherwise with the next beat.
      if (got.error().code == Code::kFailedPrecondition) {
        purge_wanted_ = false;
        purged_ = clock_.now();
      }
      co_return;
    }
    lease = std::move(*got);
  }
  std::size_t purged = 0;
  std::string cursor;
  do {
    const auto page = co_await directory_.scan(cursor, options_.page);
    if (!page) co_return;
    // Whoever wrote an entry had beaten before. So a view newer than the page knows all the living.
    const auto beaten = co_await membership_.beat();
    if (!beaten || (lease && !lease.held()) || !membership_.fresh()) co_return;
    std::vector<ha::PeerHolder> dead;
    for (const ha::PeerHolder& entry : page->entries) {
      const auto& claim = entry.holder.claim;
      if (!(claim ? membership_.alive(*claim) : membership_.alive(entry.holder.instance)))
        dead.push_back(entry);
    }
    if (!dead.empty()) {
      const auto deleted = co_await directory_.forget_all(std::move(dead));
      if (!deleted) co_return;
      purged += *deleted;
    }
    cursor = page->next;
  } while (!cursor.empty());
  purge_wanted_ = false;
  purged_ = clock_.now();
  if (lease) co_await lease.release();
  if (purged == 0) co_return;
  log_.info("removed directory entries of dead instances", {log::f(log::kCount, purged)});
  if (events_.on_purged) events_.on_purged(purged);
}

}  // namespace nb::signal
