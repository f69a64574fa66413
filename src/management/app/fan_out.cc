#include "management/app/fan_out.h"

#include "base/assert.h"

#include <algorithm>
#include <utility>

namespace nb::management::app {

void FanOut::opened(StreamNumber number, std::string account_id, std::string peer,
                    std::int64_t epoch, Serial serial, Instant now) {
  Account& account = accounts_[account_id];
  end_older(account, peer, epoch);
  const bool overtaken = newest_epoch(account, peer) > epoch;
  account.peers[peer].push_back(number);
  Stream stream;
  stream.account = account_id;
  stream.peer = std::move(peer);
  stream.epoch = epoch;
  stream.floor = serial;
  account.wanted = std::max(account.wanted, serial);
  const auto [at, fresh] = streams_.emplace(number, std::move(stream));
  NB_ASSERT(fresh);
  if (overtaken) end(number, at->second, EndReason::kSuperseded);
  serve(account_id, account, number, at->second, now);
  schedule(account_id, account);
  pump(now);
}

void FanOut::mark(Account& account, const std::vector<StreamNumber>& numbers) {
  for (const StreamNumber number : numbers) {
    Stream& stream = streams_.at(number);
    if (stream.first || stream.ending) continue;  // the first map will be of this snapshot anyway
    stream.dirty = true;
    account.pending = true;
  }
}

void FanOut::mark_affected(Account& account, const Affected& affected) {
  if (!affected) {
    for (const auto& [peer, numbers] : account.peers) mark(account, numbers);
    return;
  }
  for (const std::string& peer : *affected) {
    const auto streams = account.peers.find(peer);
    if (streams != account.peers.end()) mark(account, streams->second);
  }
}

bool FanOut::changed(const std::string& id, Serial serial, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return false;  // no stream here
  Account& account = found->second;
  if (serial <= account.wanted) return false;  // a repetition, or a poll was faster
  account.wanted = serial;
  account.pending = true;
  advance(id, account, now);
  pump(now);
  return true;
}

void FanOut::advance(const std::string& id, Account& account, Instant now) {
  if (account.pending && now >= account.next_round) {
    // One load for everything that was announced; what it finds is let go at once.
    if (account.wanted > account.loaded || !account.have_snapshot)
      want_load(id, account, account.wanted, now);
    else
      release(id, account, now);
  }
  schedule(id, account);
}

void FanOut::release(const std::string& id, Account& account, Instant now) {
  account.pending = false;
  account.next_round =
      now + (now < options_.startup_until ? options_.startup_window : options_.window);
  for (auto& [peer, numbers] : account.peers) {
    for (const StreamNumber number : numbers) {
      Stream& stream = streams_.at(number);
      if (std::exchange(stream.dirty, false)) stream.owed = true;
    }
  }
  serve_all(id, account, now);
}

void FanOut::want_load(const std::string& id, Account& account, Serial at_least, Instant now) {
  if (account.loading || account.retry_at) return;
  account.loading = true;
  account.asked = at_least;
  if (options_.gather > std::chrono::nanoseconds::zero())
    account.load_at = now + options_.gather;
  else
    begin_load(id, account);
}

void FanOut::begin_load(const std::string& id, Account& account) {
  account.load_at.reset();
  account.asked = std::max(account.asked, account.wanted);
  effects_.emplace_back(Load{id, account.asked});
}

void FanOut::serve(const std::string& id, Account& account, StreamNumber number, Stream& stream,
                   Instant now) {
  if (stream.ending || (!stream.first && !stream.owed)) return;
  const bool stale = !account.have_snapshot || (stream.first && account.loaded < stream.floor);
  if (stale) want_load(id, account, stream.floor, now);
  if (stale || stream.building || stream.queued) return;
  stream.queued = true;
  (stream.first ? firsts_ : updates_).push_back(number);
}

void FanOut::serve_all(const std::string& id, Account& account, Instant now) {
  for (auto& [peer, numbers] : account.peers)
    for (const StreamNumber number : numbers) serve(id, account, number, streams_.at(number), now);
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
    const Account& account = accounts_.at(stream.account);
    NB_ASSERT(account.have_snapshot && account.loaded >= stream.sent);
    // The newest snapshot: whatever marked the stream until now is in it.
    stream.sent = account.loaded;
    stream.first = false;
    stream.owed = false;
    stream.dirty = false;
    stream.building = true;
    stream.counted = true;
    stream.since = now;
    forget_time(number, stream);
    in_flight_.emplace(now, number);
    effects_.emplace_back(Build{number, stream.account});
  }
}

void FanOut::loaded(const std::string& id, Serial serial, const Affected& affected, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  account.loading = false;
  account.retry_at.reset();
  const bool had = std::exchange(account.have_snapshot, true);
  const bool newer = !had || serial > account.loaded;
  // Edits by hand and upstream servers change accounts without raising their serial.
  const bool changed_silently = had && serial == account.loaded && affected && !affected->empty();
  account.loaded = std::max(account.loaded, serial);
  if (serial < account.asked) {
    // A forged announcement, a restored database, or a read from behind: the database is right, and
    // is asked again later, not at once.
    if (account.wanted <= account.asked) account.wanted = account.loaded;
    account.retry_at = now + options_.load_retry;
  }
  account.wanted = std::max(account.wanted, account.loaded);
  const bool news = changed_silently || (newer && had);
  if (news) mark_affected(account, affected);
  // Also when nobody here is affected: the next load then waits for its turn.
  if (news && now >= account.next_round) release(id, account, now);
  if (account.wanted > account.loaded) account.pending = true;
  advance(id, account, now);
  serve_all(id, account, now);
  schedule(id, account);
  pump(now);
}

void FanOut::load_failed(const std::string& id, Instant now) {
  const auto found = accounts_.find(id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  account.loading = false;
  account.retry_at = now + options_.load_retry;
  // What the present snapshot has for them need not wait for a database that is away.
  if (account.have_snapshot && account.pending && now >= account.next_round) {
    release(id, account, now);
    account.pending = true;
  }
  schedule(id, account);
  pump(now);
}

void FanOut::uncount(StreamNumber number, Stream& stream) {
  if (std::exchange(stream.counted, false)) in_flight_.erase({stream.since, number});
}

void FanOut::forget_time(StreamNumber number, Stream& stream) {
  if (stream.changes_at) timed_.erase({*stream.changes_at, number});
  stream.changes_at.reset();
}

void FanOut::ready(StreamNumber number, std::optional<Instant> changes_at, Instant now) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.building = false;
  uncount(number, stream);
  forget_time(number, stream);
  if (changes_at) {
    stream.changes_at = changes_at;
    timed_.emplace(*changes_at, number);
  }
  const std::string id = stream.account;
  Account& account = accounts_.at(id);
  serve(id, account, number, stream, now);
  schedule(id, account);
  pump(now);
}

void FanOut::closed(StreamNumber number, Instant now) {
  const auto found = streams_.find(number);
  if (found == streams_.end()) return;
  uncount(number, found->second);
  forget_time(number, found->second);
  known_.note(found->second.peer, found->second.epoch, now);
  const std::string id = found->second.account;
  Account& account = accounts_.at(id);
  const auto peer = account.peers.find(found->second.peer);
  std::erase(peer->second, number);
  if (peer->second.empty()) account.peers.erase(peer);
  streams_.erase(found);
  if (account.peers.empty()) {
    if (account.due) due_.erase({*account.due, id});
    accounts_.erase(id);
    effects_.emplace_back(Forget{id});
  }
  pump(now);
}

void FanOut::end(StreamNumber number, Stream& stream, EndReason reason) {
  if (std::exchange(stream.ending, true)) return;
  effects_.emplace_back(End{number, stream.account, reason});
}

void FanOut::end_older(const Account& account, const std::string& peer, std::int64_t epoch) {
  const auto streams = account.peers.find(peer);
  if (streams == account.peers.end()) return;
  for (const StreamNumber number : streams->second) {
    Stream& stream = streams_.at(number);
    if (stream.epoch < epoch) end(number, stream, EndReason::kSuperseded);
  }
}

std::int64_t FanOut::newest_epoch(const Account& account, const std::string& peer) const {
  std::int64_t newest = known_.of(peer);
  const auto streams = account.peers.find(peer);
  if (streams == account.peers.end()) return newest;
  for (const StreamNumber number : streams->second)
    newest = std::max(newest, streams_.at(number).epoch);
  return newest;
}

void FanOut::superseded(const std::string& id, const std::string& peer, std::int64_t epoch,
                        Instant now) {
  known_.note(peer, epoch, now);
  const auto account = accounts_.find(id);
  if (account != accounts_.end()) end_older(account->second, peer, epoch);
}

void FanOut::end_peer(const std::string& id, const std::string& peer, EndReason reason) {
  const auto account = accounts_.find(id);
  if (account == accounts_.end()) return;
  const auto streams = account->second.peers.find(peer);
  if (streams == account->second.peers.end()) return;
  for (const StreamNumber number : streams->second) end(number, streams_.at(number), reason);
}

void FanOut::end_stream(StreamNumber number, EndReason reason) {
  const auto found = streams_.find(number);
  if (found != streams_.end()) end(number, found->second, reason);
}

std::vector<FanOut::OpenStream> FanOut::open_streams() const {
  std::vector<OpenStream> out;
  out.reserve(streams_.size());
  for (const auto& [number, stream] : streams_)
    if (!stream.ending) out.push_back({number, stream.peer, stream.epoch});
  // Not in the order of a hash: simulations repeat themselves.
  std::ranges::sort(out, {}, &OpenStream::stream);
  return out;
}

std::vector<FanOut::OpenStream> FanOut::open_streams(const std::string& id,
                                                     const std::string& peer) const {
  std::vector<OpenStream> out;
  const auto account = accounts_.find(id);
  if (account == accounts_.end()) return out;
  const auto numbers = account->second.peers.find(peer);
  if (numbers == account->second.peers.end()) return out;
  for (const StreamNumber number : numbers->second)
    if (const Stream& stream = streams_.at(number); !stream.ending)
      out.push_back({number, peer, stream.epoch});
  return out;
}

void FanOut::tick(Instant now) {
  known_.forget_old(now);
  // A peer that does not read must not hold up the others.
  while (!in_flight_.empty() && in_flight_.begin()->first + options_.slow_after <= now) {
    const StreamNumber number = in_flight_.begin()->second;
    uncount(number, streams_.at(number));
  }
  while (!timed_.empty() && timed_.begin()->first <= now) {
    const StreamNumber number = timed_.begin()->second;
    Stream& stream = streams_.at(number);
    forget_time(number, stream);
    stream.dirty = true;
    Account& account = accounts_.at(stream.account);
    account.pending = true;
    advance(stream.account, account, now);
  }
  while (!due_.empty() && due_.begin()->first <= now) {
    const std::string id = due_.begin()->second;
    Account& account = accounts_.at(id);
    if (account.load_at && *account.load_at <= now) begin_load(id, account);
    if (account.retry_at && *account.retry_at <= now) {
      account.retry_at.reset();
      serve_all(id, account, now);
    }
    advance(id, account, now);
  }
  pump(now);
}

void FanOut::schedule(const std::string& id, Account& account) {
  if (account.due) due_.erase({*account.due, id});
  account.due.reset();
  if (account.retry_at)
    account.due = account.retry_at;
  else if (account.load_at)
    account.due = account.load_at;
  // While a load is under way its end goes on.
  else if (account.pending && !account.loading)
    account.due = account.next_round;
  if (account.due) due_.emplace(*account.due, id);
}

std::vector<FanOut::Effect> FanOut::take_effects() {
  return std::exchange(effects_, {});
}

std::optional<Instant> FanOut::next_wakeup() const {
  std::optional<Instant> soonest;
  const auto consider = [&](Instant at) {
    if (!soonest || at < *soonest) soonest = at;
  };
  if (!due_.empty()) consider(due_.begin()->first);
  if (!timed_.empty()) consider(timed_.begin()->first);
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
