#include "management/app/presence.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::management::app {

namespace asio = boost::asio;

Presence::Presence(asio::any_io_executor home, ha::PeerDirectory& directory, Clock& clock,
                   PresenceOptions options)
    : home_(home),
      directory_(directory),
      clock_(clock),
      options_(std::move(options)),
      tasks_(std::move(home)) {}

void Presence::start() {
  tasks_.spawn(run());
}

asio::awaitable<void> Presence::stop() {
  const auto self = shared_from_this();
  stopped_ = true;
  std::vector<ha::PeerClaim> ours;
  for (auto& [peer, entry] : peers_)
    if (entry.claimed) ours.push_back({ha::PeerKey(peer), entry.claim});
  peers_.clear();
  co_await tasks_.stop();
  if (!ours.empty())
    ignore(co_await directory_.release_all(std::move(ours)),
           "the entries are stale then, not wrong");
}

void Presence::on_open(std::string peer, std::int64_t epoch) {
  asio::post(home_, [self = shared_from_this(), peer = std::move(peer), epoch] {
    if (self->stopped_) return;
    Entry& entry = self->peers_[peer];
    if (epoch <= entry.epoch) return;
    entry.epoch = epoch;
    self->poke(peer);
  });
}

void Presence::on_close(std::string peer, std::int64_t epoch) {
  asio::post(home_, [self = shared_from_this(), peer = std::move(peer), epoch] {
    const auto found = self->peers_.find(peer);
    if (self->stopped_ || found == self->peers_.end() || found->second.epoch != epoch) return;
    found->second.epoch = 0;
    self->poke(peer);
  });
}

void Presence::poke(const std::string& peer) {
  Entry& entry = peers_.at(peer);
  if (entry.busy) {
    entry.again = true;
    return;
  }
  entry.busy = true;
  tasks_.spawn(settle(peer));
}

asio::awaitable<void> Presence::settle(std::string peer) {
  const auto self = shared_from_this();
  for (;;) {
    const auto found = peers_.find(peer);
    if (found == peers_.end()) co_return;
    found->second.again = false;
    const bool wanted = found->second.epoch != 0;
    if (wanted) {
      const auto now =
          std::chrono::duration_cast<std::chrono::microseconds>(clock_.wall().time_since_epoch());
      ha::Claim claim{options_.instance, options_.incarnation,
                      static_cast<std::uint64_t>(now.count())};
      found->second.claim = claim;
      auto claimed = co_await directory_.claim(ha::PeerKey(peer), std::move(claim));
      const auto entry = peers_.find(peer);
      if (entry == peers_.end()) co_return;
      entry->second.claimed = true;  // also after an error: it may have happened
      if (claimed) entry->second.claim = std::move(claimed->claim);
    } else if (found->second.claimed) {
      ha::Claim claim = found->second.claim;
      ignore(co_await directory_.release(ha::PeerKey(peer), std::move(claim)),
             "another instance's claim replaces it, or the key runs out");
    }
    const auto entry = peers_.find(peer);
    if (entry == peers_.end()) co_return;
    if (entry->second.again) continue;
    entry->second.busy = false;
    if (!wanted) peers_.erase(entry);
    co_return;
  }
}

void Presence::refresh() {
  asio::post(home_, [self = shared_from_this()] {
    if (!self->stopped_) self->tasks_.spawn(self->reassert());
  });
}

asio::awaitable<void> Presence::run() {
  const auto self = shared_from_this();
  for (;;) {
    co_await clock_.sleep_for(options_.interval);
    if (stopped_) co_return;
    co_await reassert();
  }
}

asio::awaitable<void> Presence::reassert() {
  const auto self = shared_from_this();
  std::vector<ha::PeerClaim> claims;
  for (const auto& [peer, entry] : peers_)
    if (entry.claimed && entry.epoch != 0 && !entry.busy)
      claims.push_back({ha::PeerKey(peer), entry.claim});
  for (std::size_t at = 0; at < claims.size(); at += options_.batch) {
    const auto first = claims.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last =
        claims.begin() + static_cast<std::ptrdiff_t>(std::min(at + options_.batch, claims.size()));
    std::vector<ha::PeerClaim> part(first, last);
    const auto done = co_await directory_.reassert(std::move(part));
    if (!done) co_return;  // Redis is away; it calls refresh() when it is back
  }
}

asio::awaitable<void> Presence::forget(std::string peer) {
  const auto self = shared_from_this();
  if (peers_.contains(peer)) co_return;
  auto holder = co_await directory_.find(ha::PeerKey(peer));
  if (!holder || !*holder || (*holder)->instance == options_.instance) co_return;
  ha::Holder seen = std::move(**holder);
  ignore(co_await directory_.forget(ha::PeerKey(peer), std::move(seen)),
         "stale entries mislead nobody");
}

}  // namespace nb::management::app
