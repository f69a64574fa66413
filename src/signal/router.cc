#include "signal/router.h"

#include "base/assert.h"
#include "signal/message_scan.h"

#include <algorithm>
#include <utility>

namespace nb::signal {
namespace {

constexpr std::size_t kRecordOverhead = 32;
constexpr std::size_t kInstancesMax = 1'000;
constexpr std::size_t kOutboxPayloadsMax = 256;  // 64 MiB; answers beyond are lost and asked again
constexpr std::uint8_t kSilencesMax = 3;
constexpr std::string_view kTooMany = "too many messages are waiting for other instances";

}  // namespace

Router::Router(ha::InstanceId self, std::uint64_t first_id, Options options, Alive alive)
    : self_(std::move(self)),
      options_(std::move(options)),
      alive_(std::move(alive)),
      next_id_(first_id == 0 ? 1 : first_id),
      arrivals_(self_.value()) {}

void Router::send(Ticket ticket, std::string_view peer, std::string message, Instant now) {
  if (pending_.size() >= options_.pending_max ||
      pending_bytes_ + message.size() > options_.pending_bytes_max) {
    ++counts_.refused;
    if (ticket != 0) effects_.reply.push_back({ticket, Code::kResourceExhausted, kTooMany});
    return;
  }
  if (const auto known = absent_.find(peer); known != absent_.end() && now < known->second.until) {
    if (known->second.owner_dead) {
      ++counts_.owner_dead;
    } else {
      ++counts_.not_connected;
    }
    if (ticket != 0) {
      effects_.reply.push_back(
          known->second.owner_dead
              ? RouterEffects::Reply{ticket, Code::kUnavailable, "the peer's signal server is gone"}
              : RouterEffects::Reply{ticket, Code::kOk, {}});
    }
    return;
  }
  const std::uint64_t id = next_id_++;
  Pending& pending = pending_[id];
  pending.ticket = ticket;
  pending.peer = peer;
  pending.message = std::move(message);
  pending.started = now;
  pending_bytes_ += pending.message.size();
  const auto route = routes_.find(peer);
  if (route != routes_.end() && now < route->second.until && alive_(route->second.holder))
    return forward(id, pending, ha::Holder(route->second.holder), now);
  find(id, pending, now);
}

void Router::displaced(std::string_view peer, const ha::Holder& previous, Instant now) {
  routes_.erase(std::string(peer));
  absent_.erase(std::string(peer));
  if (previous.instance == self_ || !previous.claim || !alive_(previous)) return;
  if (evictions_.size() >= options_.pending_max) return;  // reassertion finds it out later
  const std::uint64_t id = next_id_++;
  Eviction& eviction = evictions_[id];
  eviction.peer = peer;
  eviction.previous = previous;
  ++counts_.evictions_sent;
  send_eviction(id, eviction, now);
}

void Router::send_eviction(std::uint64_t id, Eviction& eviction, Instant now) {
  ++eviction.attempts;
  eviction.due = now + options_.evict_interval;
  const std::string token = ha::token(*eviction.previous.claim);
  Outbox& box = outbox_for(eviction.previous.instance.value(),
                           eviction.peer.size() + token.size() + kRecordOverhead);
  box.writer.evict(id, eviction.peer, token);
  dues_.emplace(eviction.due, id);
}

void Router::find(std::uint64_t id, Pending& pending, Instant now) {
  wait(id, pending, State::kFinding, now + options_.store_patience);
  auto& waiting = finding_[pending.peer].ids;
  if (waiting.empty()) effects_.find.push_back(pending.peer);
  waiting.push_back(id);
}

void Router::arrived(std::string_view peer) {
  make_room(arrivals_, peer.size() + kRecordOverhead);
  arrivals_.writer.arrived(peer);
}

void Router::heard(std::string_view payload) {
  const auto batch = decode_bus(payload);
  if (!batch) {
    ++counts_.invalid;
    return;
  }
  if (batch->from == self_.value()) return;
  for (const BusRecord& record : batch->records) {
    if (record.kind != RecordKind::kArrived) {
      ++counts_.invalid;
      continue;
    }
    if (const auto known = absent_.find(record.peer); known != absent_.end()) absent_.erase(known);
    if (const auto known = routes_.find(record.peer); known != routes_.end()) routes_.erase(known);
    if (const auto asked = finding_.find(record.peer); asked != finding_.end())
      asked->second.arrived = true;
  }
}

void Router::found(const std::string& peer, const Result<std::optional<ha::Holder>>& holder,
                   Instant now) {
  const auto at = finding_.find(peer);
  if (at == finding_.end()) return;
  const std::vector<std::uint64_t> ids = std::move(at->second.ids);
  const bool arrived = at->second.arrived;
  finding_.erase(at);
  bool forgotten = false;
  for (const std::uint64_t id : ids) {
    const auto pending = pending_.find(id);
    if (pending == pending_.end() || pending->second.state != State::kFinding) continue;
    if (!holder) {
      strand(id, now);
    } else if (!*holder) {
      if (arrived) {
        find(id, pending->second, now);
      } else {
        absent(id, now);
      }
    } else if ((*holder)->instance == self_) {
      wait(id, pending->second, State::kDelivering,
           now + options_.send_timeout + options_.evict_interval);
      pending->second.owner = **holder;
      effects_.deliver.push_back({{.from = {}, .id = id}, peer, pending->second.message});
    } else if (!alive_(**holder)) {
      pending->second.had_owner = true;
      if (!std::exchange(forgotten, true)) effects_.forget.push_back({ha::PeerKey(peer), **holder});
      absent(id, now);
    } else {
      if (routes_.size() >= options_.cache_max) routes_.clear();
      routes_[peer] = {**holder, now + options_.route_ttl};
      forward(id, pending->second, **holder, now);
    }
  }
}

void Router::forward(std::uint64_t id, Pending& pending, const ha::Holder& holder, Instant now) {
  pending.owner = holder;
  ++pending.sends;
  Outbox& box = outbox_for(holder.instance.value(), pending.message.size() + kRecordOverhead);
  box.writer.forward(id, pending.message);
  box.ids.push_back(id);
  wait(id, pending, State::kQueued, now + options_.store_patience);
}

Router::Outbox& Router::outbox(const std::string& instance) {
  return outboxes_.try_emplace(instance, self_.value()).first->second;
}

Router::Outbox& Router::outbox_for(const std::string& instance, std::size_t bytes) {
  Outbox& box = outbox(instance);
  make_room(box, bytes);
  return box;
}

void Router::make_room(Outbox& box, std::size_t bytes) {
  if (!box.writer.full(bytes)) return;
  if (box.closed.size() >= kOutboxPayloadsMax) box.closed.erase(box.closed.begin());
  box.closed.emplace_back(box.writer.take(), std::exchange(box.ids, {}));
}

RouterEffects Router::take_effects() {
  if (!publishing_) {
    for (auto& [instance, box] : outboxes_)
      publish(instance, options_.channel_prefix + instance, box);
    publish({}, options_.arrivals_channel, arrivals_);
    if (outboxes_.size() > kInstancesMax) outboxes_.clear();
    publishing_ = !effects_.publish.empty();
  }
  return std::exchange(effects_, {});
}

void Router::publish(const std::string& instance, const std::string& channel, Outbox& box) {
  for (auto& [payload, ids] : box.closed) {
    effects_.publish.push_back({channel, std::move(payload)});
    publishing_batch_.push_back({instance, std::move(ids)});
  }
  box.closed.clear();
  if (box.writer.empty()) return;
  effects_.publish.push_back({channel, box.writer.take()});
  publishing_batch_.push_back({instance, std::exchange(box.ids, {})});
}

bool Router::next_batch_waits() const {
  const auto waits = [](const Outbox& box) { return !box.closed.empty() || !box.writer.empty(); };
  return waits(arrivals_) || std::any_of(outboxes_.begin(), outboxes_.end(),
                                         [&](const auto& item) { return waits(item.second); });
}

void Router::published(const Result<std::vector<std::size_t>>& receivers, Instant now) {
  NB_ASSERT(publishing_);
  publishing_ = false;
  const std::vector<Sent> batch = std::exchange(publishing_batch_, {});
  for (std::size_t i = 0; i < batch.size(); ++i) {
    for (const std::uint64_t id : batch[i].ids) {
      const auto at = pending_.find(id);
      // The answer may have been faster than the count.
      if (at == pending_.end() || at->second.state != State::kQueued) continue;
      if (!receivers || i >= receivers->size()) {
        strand(id, now);
      } else if ((*receivers)[i] == 0) {
        owner_silent(id, now);
      } else {
        const auto patience =
            suspected(batch[i].instance) ? options_.suspect_budget : options_.answer_patience;
        wait(id, at->second, State::kSent, now + patience);
      }
    }
  }
}

// Nobody listens on the channel of the peer's instance: it is dead, or about to subscribe again.
// Asked again for almost a second before the entry is taken for a dead one's.
void Router::owner_silent(std::uint64_t id, Instant now) {
  Pending& pending = pending_.at(id);
  pending.had_owner = true;
  routes_.erase(pending.peer);
  if (++pending.silences <= kSilencesMax)
    return wait(id, pending, State::kPausing, now + options_.recheck * pending.silences);
  effects_.forget.push_back({ha::PeerKey(pending.peer), pending.owner});
  pending.absences = kSilencesMax;
  absent(id, now);
}

// Nobody serves the peer. It may be between two connections: look once more, or twice when it was
// registered until now.
void Router::absent(std::uint64_t id, Instant now) {
  const auto at = pending_.find(id);
  Pending& pending = at->second;
  const unsigned looks = pending.had_owner ? 2 : 1;
  if (pending.absences < looks && now < pending.started + options_.budget) {
    ++pending.absences;
    return wait(id, pending, State::kPausing, now + options_.recheck * pending.absences);
  }
  remember_absent(pending.peer, pending.had_owner, now);
  if (pending.had_owner) {
    ++counts_.owner_dead;
    finish(at, Code::kUnavailable, "the peer's signal server is gone");
  } else {
    ++counts_.not_connected;
    finish(at, Code::kOk, {});
  }
}

void Router::remember_absent(const std::string& peer, bool owner_dead, Instant now) {
  if (absent_.size() >= options_.cache_max) absent_.clear();
  absent_[peer] = {now + options_.negative_ttl, owner_dead};
}

// The instance that was to serve the peer does not. Look again, at once the first time.
void Router::refused(std::uint64_t id, Instant now) {
  Pending& pending = pending_.at(id);
  routes_.erase(pending.peer);
  if (pending.refusals++ == 0) return find(id, pending, now);
  absent(id, now);
}

// Redis failed: the sender gets its answer, the message one more chance.
void Router::strand(std::uint64_t id, Instant now) {
  Pending& pending = pending_.at(id);
  if (pending.ticket != 0) ++counts_.store_unavailable;
  reply(pending, Code::kOk, {});
  wait(id, pending, State::kStranded, std::max(now, pending.started + options_.budget));
}

void Router::store_lost(Instant now) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, pending] : pending_) {
    if (pending.state != State::kWaiting && pending.state != State::kDelivering &&
        pending.state != State::kStranded)
      ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (const std::uint64_t id : ids) strand(id, now);
}

void Router::store_back(Instant now) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, pending] : pending_)
    if (pending.state == State::kStranded) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  routes_.clear();
  absent_.clear();
  for (const std::uint64_t id : ids) {
    ++counts_.resent;
    find(id, pending_.at(id), now);
  }
}

void Router::received(std::string_view payload, Instant now) {
  const auto batch = decode_bus(payload);
  if (!batch || batch->from == self_.value()) {
    ++counts_.invalid;
    return;
  }
  if (const auto at = suspects_.find(batch->from); at != suspects_.end()) suspects_.erase(at);
  rotate_seen(now);
  for (const BusRecord& record : batch->records) {
    switch (record.kind) {
      case RecordKind::kForward:
        deliver_forward(batch->from, record, now);
        break;
      case RecordKind::kAnswer:
        answered(batch->from, record.id, record.outcome, now);
        break;
      case RecordKind::kArrived:
        ++counts_.invalid;  // has a channel of its own
        break;
      case RecordKind::kEvict:
        ++counts_.evictions_received;
        routes_.erase(std::string(record.peer));
        absent_.erase(std::string(record.peer));
        effects_.evict.push_back({std::string(record.peer), std::string(record.token)});
        outbox_for(std::string(batch->from), kRecordOverhead)
            .writer.answer(record.id, Outcome::kAccepted);
        break;
    }
  }
}

void Router::deliver_forward(std::string_view from, const BusRecord& record, Instant /*now*/) {
  const auto message = scan_message(record.message);
  if (!message || message->remote_key.empty()) {
    ++counts_.invalid;
    return;
  }
  SeenKey key{std::string(from), record.id};
  if (auto* known = seen(key)) {
    ++counts_.duplicates;
    if (*known && options_.answer_duplicates)
      outbox_for(key.from, kRecordOverhead).writer.answer(record.id, **known);
    return;
  }
  seen_[0].emplace(key, std::nullopt);
  effects_.deliver.push_back({{std::move(key.from), record.id},
                              std::string(message->remote_key),
                              std::string(record.message)});
}

std::optional<Outcome>* Router::seen(const SeenKey& key) {
  for (Seen& generation : seen_)
    if (const auto at = generation.find(key); at != generation.end()) return &at->second;
  return nullptr;
}

void Router::rotate_seen(Instant now) {
  if (now - seen_rotated_ < options_.seen_ttl && seen_[0].size() < options_.seen_max) return;
  seen_rotated_ = now;
  seen_[1] = std::exchange(seen_[0], {});
}

void Router::delivered(const Origin& origin, std::string_view peer, Outcome outcome, Instant now) {
  if (outcome == Outcome::kNotHere) effects_.repair.emplace_back(peer);
  if (origin.from.empty()) return answered(self_.value(), origin.id, outcome, now);
  const SeenKey key{origin.from, origin.id};
  if (outcome == Outcome::kNotHere) {
    // Not delivered, so not a duplicate should it come again.
    for (Seen& generation : seen_) generation.erase(key);
  } else if (auto* known = seen(key)) {
    *known = outcome;
  }
  outbox_for(origin.from, kRecordOverhead).writer.answer(origin.id, outcome);
}

void Router::answered(std::string_view from, std::uint64_t id, Outcome outcome, Instant now) {
  if (evictions_.erase(id) > 0) return;
  const auto at = pending_.find(id);
  if (at == pending_.end()) return;
  Pending& pending = at->second;
  const bool current = pending.owner.instance.value() == from;
  switch (outcome) {
    case Outcome::kAccepted:
      if (from != self_.value()) ++counts_.forwarded;
      return finish(at, Code::kOk, {});
    case Outcome::kWaiting:
      if (current)
        wait(id, pending, State::kWaiting, now + options_.send_timeout + options_.evict_interval);
      return;
    case Outcome::kNotHere:
    case Outcome::kGone:  // the peer left while the message waited: it may be elsewhere by now
      if (current && pending.state != State::kFinding && pending.state != State::kPausing)
        refused(id, now);
      return;
    case Outcome::kOverflow:
      ++counts_.overflow;
      return finish(at, Code::kResourceExhausted, "the peer does not keep up with its messages");
    case Outcome::kTimeout:  // dropped and counted, its stream is cut off (§1.3)
      ++counts_.timeouts;
      return finish(at, Code::kOk, {});
  }
}

void Router::tick(Instant now) {
  while (!dues_.empty() && dues_.top().first <= now) {
    const auto [due, id] = dues_.top();
    dues_.pop();
    if (const auto at = pending_.find(id); at != pending_.end()) {
      if (at->second.due == due) overdue(id, now);
    } else if (const auto evict = evictions_.find(id); evict != evictions_.end()) {
      if (evict->second.due != due) continue;
      if (evict->second.attempts >= options_.evict_attempts_max ||
          !alive_(evict->second.previous)) {
        evictions_.erase(evict);
      } else {
        send_eviction(id, evict->second, now);
      }
    }
  }
  std::erase_if(suspects_,
                [&](const auto& item) { return now - item.second > std::chrono::minutes(1); });
}

void Router::overdue(std::uint64_t id, Instant now) {
  const auto at = pending_.find(id);
  Pending& pending = at->second;
  const Instant end = pending.started + options_.budget;
  switch (pending.state) {
    case State::kPausing:
      return find(id, pending, now);
    case State::kFinding:
    case State::kQueued: {
      // Redis does not answer. The sender is told OK (contract/signal-relay-ops.md §2.4); the
      // message goes when it answers within the budget after all.
      if (now >= end) {
        if (pending.ticket != 0) ++counts_.store_unavailable;
        return finish(at, Code::kOk, {});
      }
      if (pending.ticket != 0) ++counts_.store_unavailable;
      reply(pending, Code::kOk, {});
      return wait(id, pending, pending.state, end);
    }
    case State::kSent: {
      const std::string& instance = pending.owner.instance.value();
      if (pending.sends < 2 && now < end && !suspected(instance)) {
        ++counts_.resent;
        routes_.erase(pending.peer);
        pending.had_owner = true;       // should the entry be purged meanwhile, that is a loss
        return find(id, pending, now);  // it may have moved meanwhile
      }
      if (suspects_.size() < kInstancesMax) suspects_.insert_or_assign(instance, now);
      ++counts_.timeouts;
      return finish(at, Code::kUnavailable, "the peer's signal server does not answer");
    }
    case State::kWaiting:
    case State::kDelivering:
      ++counts_.timeouts;
      return finish(at, Code::kOk, {});
    case State::kStranded:
      return finish(at, Code::kOk, {});
  }
}

bool Router::suspected(const std::string& instance) const {
  return suspects_.contains(instance);
}

void Router::wait(std::uint64_t id, Pending& pending, State state, Instant due) {
  // No chain of attempts outlasts the budget.
  if (state == State::kPausing || state == State::kSent)
    due = std::min(due, pending.started + options_.budget);
  pending.state = state;
  pending.due = due;
  dues_.emplace(due, id);
}

void Router::reply(Pending& pending, Code code, std::string_view text) {
  if (const Ticket ticket = std::exchange(pending.ticket, 0); ticket != 0)
    effects_.reply.push_back({ticket, code, text});
}

void Router::finish(PendingMap::iterator at, Code code, std::string_view text) {
  reply(at->second, code, text);
  pending_bytes_ -= at->second.message.size();
  pending_.erase(at);
}

std::optional<Instant> Router::next_due() const {
  if (dues_.empty()) return std::nullopt;
  return dues_.top().first;
}

}  // namespace nb::signal
