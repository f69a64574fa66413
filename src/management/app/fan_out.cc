#include "management/app/fan_out.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace nb::management::app {

void FanOut::opened(StreamNumber number, std::string account_id, std::string peer,
                    std::int64_t epoch, Serial serial, Instant now) {
  Account& account = accounts_[account_id];
  if (!account.known) {
    account.known = true;
    account.covered = serial;
  }
  superseded(account_id, peer, epoch);
  account.peers[peer].push_back(number);
  Stream stream;
  stream.account = account_id;
  stream.peer = std::move(peer);
  stream.epoch = epoch;
  // What was announced between that read and now is marked at nobody else's stream for us.
  stream.owed = std::max(serial, account.covered);
  const auto [at, fresh] = streams_.emplace(number, std::move(stream));
  NB_ASSERT(fresh);
  serve(account_id, account, number, at->second);
  pump(now);
}

void FanOut::mark(Account& account, Stream& stream, Serial serial) {
  // A map from a snapshot at least as new shows the change already.
  if (stream.ending || (!stream.first && stream.sent >= serial)) return;
  stream.dirty = std::max(stream.dirty, serial);
  account.pending = true;
}

void FanOut::mark_all(Account& account, Serial serial) {
  for (auto& [peer, numbers] : account.peers)
    for (const StreamNumber number : numbers) mark(account, streams_.at(number), serial);
}

void FanOut::changed(const std::string& id, Serial serial, const Affected& affected, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return;  // no stream here
  Account& account = found->second;
  if (serial <= account.covered) return;  // a repetition, or a poll was faster
  const bool gap = serial != account.covered + 1;
  account.covered = serial;
  if (gap || !affected) {
    mark_all(account, serial);
  } else {
    for (const std::string& peer : *affected) {
      const auto streams = account.peers.find(peer);
      if (streams == account.peers.end()) continue;
      for (const StreamNumber number : streams->second) mark(account, streams_.at(number), serial);
    }
  }
  if (account.pending && now >= account.next_round) start_round(id, account, now);
  pump(now);
}

bool FanOut::polled(const std::string& id, Serial serial, bool certain, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return false;
  Account& account = found->second;
  if (serial <= account.covered) return false;
  // The message may still be on its way, and it knows who is affected: give it one more poll.
  if (!certain && account.suspect <= account.covered) {
    account.suspect = serial;
    return false;
  }
  account.covered = serial;
  mark_all(account, serial);
  if (account.pending && now >= account.next_round) start_round(id, account, now);
  pump(now);
  return true;
}

void FanOut::start_round(const std::string& id, Account& account, Instant now) {
  account.pending = false;
  account.next_round = now + options_.window;
  for (auto& [peer, numbers] : account.peers) {
    for (const StreamNumber number : numbers) {
      Stream& stream = streams_.at(number);
      if (stream.dirty == 0) continue;
      stream.owed = std::max(stream.owed, stream.dirty);
      stream.dirty = 0;
    }
  }
  serve_all(id, account);
}

void FanOut::want_load(const std::string& id, Account& account, Serial at_least) {
  if (account.loading || account.retry_at) return;
  account.loading = true;
  effects_.emplace_back(Load{id, std::max(at_least, account.covered)});
}

void FanOut::serve(const std::string& id, Account& account, StreamNumber number, Stream& stream) {
  if (!owes(stream) || stream.ending) return;
  const bool stale = !account.have_snapshot || account.loaded < stream.owed;
  if (stale) want_load(id, account, stream.owed);
  if (stale || stream.building || stream.queued) return;
  stream.queued = true;
  (stream.first ? firsts_ : updates_).push_back(number);
}

void FanOut::serve_all(const std::string& id, Account& account) {
  for (auto& [peer, numbers] : account.peers)
    for (const StreamNumber number : numbers) serve(id, account, number, streams_.at(number));
}

void FanOut::pump(Instant now) {
  while (in_flight_.size() < options_.builds_max && (!firsts_.empty() || !updates_.empty())) {
    auto& queue = firsts_.empty() ? updates_ : firsts_;
    const StreamNumber number = queue.front();
    queue.pop_front();
    const auto found = streams_.find(number);
    if (found == streams_.end() || !found->second.queued) continue;
    Stream& stream = found->second;
    stream.queued = false;
    if (stream.ending) continue;
    // It may be owed a newer one by now; that load is under way and this map is progress.
    const Account& account = accounts_.at(stream.account);
    NB_ASSERT(account.have_snapshot && account.loaded >= stream.sent);
    stream.sent = account.loaded;
    stream.first = false;
    if (stream.owed <= account.loaded) stream.owed = 0;
    if (stream.dirty <= account.loaded) stream.dirty = 0;
    stream.building = true;
    stream.counted = true;
    stream.since = now;
    in_flight_.emplace(now, number);
    effects_.emplace_back(Build{number, stream.account});
  }
}

void FanOut::loaded(const std::string& id, Serial serial, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  account.loading = false;
  account.retry_at.reset();
  account.have_snapshot = true;
  account.loaded = std::max(account.loaded, serial);
  serve_all(id, account);  // asks for another load where this one is still too old
  pump(now);
}

void FanOut::load_failed(const std::string& id, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return;
  found->second.loading = false;
  found->second.retry_at = now + options_.load_retry;
}

void FanOut::uncount(StreamNumber number, Stream& stream) {
  if (std::exchange(stream.counted, false)) in_flight_.erase({stream.since, number});
}

void FanOut::ready(StreamNumber number, Instant now) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.building = false;
  uncount(number, stream);
  Account& account = accounts_.at(stream.account);
  serve(stream.account, account, number, stream);
  pump(now);
}

void FanOut::closed(StreamNumber number, Instant now) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  uncount(number, found->second);
  const std::string id = found->second.account;
  Account& account = accounts_.at(id);
  const auto peer = account.peers.find(found->second.peer);
  std::erase(peer->second, number);
  if (peer->second.empty()) account.peers.erase(peer);
  streams_.erase(found);
  if (account.peers.empty()) {
    accounts_.erase(id);
    effects_.emplace_back(Forget{id});
  }
  pump(now);
}

void FanOut::end(StreamNumber number, Stream& stream, EndReason reason) {
  if (std::exchange(stream.ending, true)) return;
  effects_.emplace_back(End{number, stream.account, reason});
}

void FanOut::superseded(const std::string& id, const std::string& peer, std::int64_t epoch) {
  const auto account = accounts_.find(id);
  if (account == accounts_.end()) return;
  const auto streams = account->second.peers.find(peer);
  if (streams == account->second.peers.end()) return;
  for (const StreamNumber number : streams->second) {
    Stream& stream = streams_.at(number);
    if (stream.epoch < epoch) end(number, stream, EndReason::kSuperseded);
  }
}

void FanOut::end_peer(const std::string& id, const std::string& peer, EndReason reason) {
  const auto account = accounts_.find(id);
  if (account == accounts_.end()) return;
  const auto streams = account->second.peers.find(peer);
  if (streams == account->second.peers.end()) return;
  for (const StreamNumber number : streams->second) end(number, streams_.at(number), reason);
}

void FanOut::tick(Instant now) {
  // A peer that does not read must not hold up the others.
  while (!in_flight_.empty() && in_flight_.begin()->first + options_.slow_after <= now) {
    const StreamNumber number = in_flight_.begin()->second;
    uncount(number, streams_.at(number));
  }
  for (auto& [id, account] : accounts_) {
    if (account.retry_at && *account.retry_at <= now) {
      account.retry_at.reset();
      serve_all(id, account);
    }
    if (account.pending && now >= account.next_round) start_round(id, account, now);
  }
  pump(now);
}

std::vector<FanOut::Effect> FanOut::take_effects() {
  return std::exchange(effects_, {});
}

std::optional<Instant> FanOut::next_wakeup() const {
  std::optional<Instant> soonest;
  const auto consider = [&](Instant at) {
    if (!soonest || at < *soonest) soonest = at;
  };
  for (const auto& [id, account] : accounts_) {
    if (account.retry_at) consider(*account.retry_at);
    if (account.pending) consider(account.next_round);
  }
  if (in_flight_.size() >= options_.builds_max)
    consider(in_flight_.begin()->first + options_.slow_after);
  return soonest;
}

std::vector<std::string> FanOut::accounts() const {
  std::vector<std::string> ids;
  ids.reserve(accounts_.size());
  for (const auto& [id, account] : accounts_) ids.push_back(id);
  return ids;
}

Serial FanOut::loaded_serial(const std::string& account) const {
  const auto found = accounts_.find(account);
  return found == accounts_.end() ? 0 : found->second.loaded;
}

}  // namespace nb::management::app
