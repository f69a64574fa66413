#include "signal/registrar.h"

#include <algorithm>
#include <utility>

namespace nb::signal {

namespace asio = boost::asio;

Registrar::Registrar(asio::any_io_executor home, ha::PeerDirectory& directory,
                     ha::Membership& membership, Clock& clock, Options options, Events events)
    : home_(std::move(home)),
      directory_(directory),
      membership_(membership),
      clock_(clock),
      options_(options),
      events_(std::move(events)),
      tasks_(home_) {}

void Registrar::start() {
  tasks_.spawn(run());
}

void Registrar::enable() {
  if (std::exchange(enabled_, true)) return;
  pump();
}

void Registrar::add(const std::string& peer) {
  Entry& entry = entries_[peer];
  entry.wanted = true;
  entry.fresh = true;
  ++entry.streams;
  entry.since_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(clock_.wall().time_since_epoch())
          .count());
  work(peer);
}

void Registrar::remove(const std::string& peer) {
  const auto at = entries_.find(peer);
  if (at == entries_.end()) return;
  at->second.wanted = false;
  at->second.fresh = false;
  work(peer);
}

void Registrar::abandon(const std::string& peer) {
  const auto at = entries_.find(peer);
  if (at == entries_.end()) return;
  at->second.wanted = false;
  at->second.fresh = false;
  at->second.uncertain = false;
  set_claim(at->second, std::nullopt);
  settle(peer);
}

std::optional<ha::Claim> Registrar::claim(const std::string& peer) const {
  const auto at = entries_.find(peer);
  if (at == entries_.end() || at->second.fresh) return std::nullopt;
  return at->second.claim;
}

void Registrar::set_claim(Entry& entry, std::optional<ha::Claim> claim) {
  held_ -= entry.claim ? 1 : 0;
  entry.claim = std::move(claim);
  held_ += entry.claim ? 1 : 0;
}

ha::Claim Registrar::proposal(const Entry& entry) const {
  return {.instance = membership_.self(),
          .incarnation = membership_.incarnation(),
          .seq = entry.since_us};
}

// ---- single peers

void Registrar::work(const std::string& peer) {
  todo_.insert(peer);
  pump();
}

void Registrar::pump() {
  while (enabled_ && store_up_ && !stopping_ && calls_ < options_.calls_max && !todo_.empty()) {
    const std::string peer = std::move(todo_.extract(todo_.begin()).value());
    const auto at = entries_.find(peer);
    if (at == entries_.end() || at->second.busy) continue;  // a busy one comes back by settle()
    Entry& entry = at->second;
    if (entry.wanted && entry.fresh) {
      entry.busy = true;
      ++calls_;
      tasks_.spawn(entry.uncertain ? assert_now(peer) : claim_now(peer));
    } else if (!entry.wanted && (entry.claim || entry.uncertain)) {
      entry.busy = true;
      ++calls_;
      tasks_.spawn(release_now(peer));
    } else if (!entry.wanted) {
      entries_.erase(at);
    }
  }
}

/// After a call: what the entry needs next.
void Registrar::settle(const std::string& peer) {
  const auto at = entries_.find(peer);
  if (at == entries_.end()) return;
  const Entry& entry = at->second;
  if (entry.busy) return;
  if (entry.wanted ? entry.fresh : true) todo_.insert(peer);
  pump();
}

asio::awaitable<void> Registrar::claim_now(std::string peer) {
  const std::uint64_t streams = entries_.at(peer).streams;
  const ha::PeerKey key(peer);
  ha::Claim proposed = proposal(entries_.at(peer));
  const auto claimed = co_await directory_.claim(key, std::move(proposed));
  --calls_;
  Entry& entry = entries_.at(peer);
  entry.busy = false;
  if (!claimed) co_return failed(peer);
  set_claim(entry, claimed->claim);
  if (entry.streams == streams) entry.fresh = false;
  if (entry.wanted) events_.on_claimed(peer, *claimed);
  store_answered();
  settle(peer);
}

// A stream whose claim failed: by now somebody else may have a newer one.
asio::awaitable<void> Registrar::assert_now(std::string peer) {
  const std::uint64_t streams = entries_.at(peer).streams;
  const ha::PeerKey key(peer);
  const ha::Claim proposed = proposal(entries_.at(peer));
  const auto before = co_await directory_.find(key);
  std::vector<ha::PeerClaim> claims;
  claims.push_back({key, proposed});
  Result<std::vector<ha::Reasserted>> answer = fail(Code::kUnavailable, "no answer to find");
  if (before) answer = co_await directory_.reassert(std::move(claims));
  --calls_;
  Entry& entry = entries_.at(peer);
  entry.busy = false;
  if (!answer || answer->empty()) co_return failed(peer);
  const ha::Reasserted& asserted = answer->front();
  if (asserted.kept == ha::Kept::kLost && entry.streams == streams && entry.wanted) {
    store_answered();
    co_return lost(peer, streams, asserted.holder);  // decides what is next
  }
  if (asserted.kept != ha::Kept::kLost) {
    set_claim(entry, proposed);
    entry.uncertain = false;
    if (entry.streams == streams) entry.fresh = false;
    if (entry.wanted) events_.on_claimed(peer, {proposed, *before});
  }
  store_answered();
  settle(peer);
}

void Registrar::failed(const std::string& peer) {
  entries_.at(peer).uncertain = true;
  todo_.insert(peer);
  store_failed();
}

asio::awaitable<void> Registrar::release_now(std::string peer) {
  const ha::PeerKey key(peer);
  Entry& before = entries_.at(peer);
  // An uncertain claim may have been granted under another number: look, then forget exactly that.
  std::optional<ha::Claim> mine = before.claim;
  bool failed = false;
  if (before.uncertain) {
    const auto holder = co_await directory_.find(key);
    failed = !holder;
    if (holder && *holder && (*holder)->claim && (*holder)->claim->instance == membership_.self() &&
        (*holder)->claim->incarnation == membership_.incarnation())
      mine = (*holder)->claim;
  }
  if (!failed && mine) {
    const auto released = co_await directory_.release(key, *mine);
    failed = !released;
    if (released && *released) ++released_;
  }
  --calls_;
  Entry& entry = entries_.at(peer);
  entry.busy = false;
  if (failed) co_return this->failed(peer);
  set_claim(entry, std::nullopt);
  entry.uncertain = false;
  store_answered();
  settle(peer);
}

// ---- all peers

void Registrar::store_failed() {
  store_up_ = false;
  full_wanted_ = true;
}

void Registrar::store_answered() {
  if (store_up_) return;
  store_up_ = true;
  pump();
}

void Registrar::check_all() {
  full_wanted_ = true;
  if (enabled_ && !passing_ && !stopping_) tasks_.spawn(full_pass());
}

asio::awaitable<void> Registrar::run() {
  last_full_ = clock_.now();
  for (;;) {
    co_await clock_.sleep_for(options_.check_interval);
    if (stopping_) co_return;
    if (!enabled_) continue;
    if (clock_.now() - last_full_ >= options_.full_interval) full_wanted_ = true;
    if (!full_wanted_) co_await sample();
    if (full_wanted_ && !passing_) co_await full_pass();
  }
}

// A cheap look: the number of all entries, and some of ours in turn.
asio::awaitable<void> Registrar::sample() {
  const auto count = co_await directory_.count();
  if (!count) {
    store_failed();
    co_return;
  }
  store_answered();
  const bool fewer = *count + released_ < last_count_;
  last_count_ = *count;
  released_ = 0;
  if (*count < held_ || (fewer && clock_.now() - last_full_ >= options_.full_pause)) {
    full_wanted_ = true;
    co_return;
  }
  std::vector<std::string> peers;
  auto at = entries_.upper_bound(cursor_);
  for (std::size_t seen = 0; seen < std::min(entries_.size(), options_.sample); ++seen, ++at) {
    if (at == entries_.end()) at = entries_.begin();
    cursor_ = at->first;
    peers.push_back(at->first);
  }
  const auto repaired = co_await assert_all(std::move(peers));
  if (repaired && *repaired > 0) full_wanted_ = true;
}

asio::awaitable<void> Registrar::full_pass() {
  if (std::exchange(passing_, true)) co_return;
  full_wanted_ = false;
  // Does the store answer at all? And whoever finds our entries must find us alive: data loss takes
  // both.
  const auto beaten = co_await membership_.beat();
  bool failed = !beaten;
  std::string from;
  for (bool more = true; more && !failed;) {
    std::vector<std::string> peers;
    auto at = from.empty() ? entries_.begin() : entries_.upper_bound(from);
    for (; at != entries_.end() && peers.size() < options_.chunk; ++at) peers.push_back(at->first);
    more = at != entries_.end();
    if (peers.empty()) break;
    from = peers.back();
    const auto repaired = co_await assert_all(std::move(peers));
    failed = !repaired;
  }
  passing_ = false;
  if (failed) co_return store_failed();  // run() tries again
  last_full_ = clock_.now();
  store_answered();
}

asio::awaitable<std::optional<std::size_t>> Registrar::assert_all(std::vector<std::string> peers) {
  std::vector<ha::PeerClaim> claims;
  std::vector<std::uint64_t> streams;
  for (std::string& peer : peers) {
    const auto at = entries_.find(peer);
    if (at == entries_.end()) continue;
    Entry& entry = at->second;
    if (entry.busy || !entry.wanted || entry.fresh || !entry.claim) continue;
    entry.busy = true;
    claims.push_back({ha::PeerKey(peer), *entry.claim});
    streams.push_back(entry.streams);
  }
  if (claims.empty()) co_return std::size_t{0};
  const std::vector<ha::PeerClaim> asked = claims;
  const auto answers = co_await directory_.reassert(std::move(claims));
  for (const auto& [peer, claim] : asked) entries_.at(peer.value()).busy = false;
  if (!answers || answers->size() != asked.size()) {
    store_failed();
    for (const auto& [peer, claim] : asked) settle(peer.value());
    co_return std::nullopt;
  }
  std::size_t repaired = 0;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const std::string& peer = asked[i].peer.value();
    const ha::Reasserted& answer = (*answers)[i];
    if (answer.kept == ha::Kept::kLost) lost(peer, streams[i], answer.holder);
    if (answer.kept == ha::Kept::kRestored) {
      ++repaired;
      events_.on_restored(peer);
    }
    settle(peer);
  }
  co_return repaired;
}

void Registrar::lost(const std::string& peer, std::uint64_t streams,
                     const std::optional<ha::Holder>& holder) {
  tasks_.spawn(contest(peer, streams, holder));
}

// Somebody else's entry stands. If that somebody is dead or left no token, the peer is still ours.
asio::awaitable<void> Registrar::contest(std::string peer, std::uint64_t streams,
                                         std::optional<ha::Holder> holder) {
  const bool other =
      holder && holder->claim && holder->instance != membership_.self() && !options_.steals_back;
  if (other && !membership_.alive(*holder->claim)) {
    // It may have started a moment ago; whoever writes entries has beaten before.
    const auto beaten = co_await membership_.beat();
    if (!beaten && entries_.contains(peer)) co_return failed(peer);
  }
  const auto at = entries_.find(peer);
  if (at == entries_.end() || at->second.streams != streams || !at->second.wanted) co_return;
  if (other && membership_.alive(*holder->claim)) {
    abandon(peer);
    events_.on_lost(peer);
    co_return;
  }
  at->second.fresh = true;
  at->second.uncertain = false;
  work(peer);
}

asio::awaitable<void> Registrar::stop() {
  stopping_ = true;
  std::vector<ha::PeerClaim> claims;
  for (const auto& [peer, entry] : entries_)
    if (entry.claim) claims.push_back({ha::PeerKey(peer), *entry.claim});
  if (!claims.empty() && store_up_) {
    for (std::size_t from = 0; from < claims.size(); from += options_.chunk) {
      const auto begin = claims.begin() + static_cast<std::ptrdiff_t>(from);
      const auto end = claims.begin() +
                       static_cast<std::ptrdiff_t>(std::min(claims.size(), from + options_.chunk));
      std::vector<ha::PeerClaim> chunk(begin, end);
      const auto released = co_await directory_.release_all(std::move(chunk));
      if (!released) break;
    }
  }
  co_await tasks_.stop();
}

}  // namespace nb::signal
