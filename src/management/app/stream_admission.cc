#include "management/app/stream_admission.h"

#include "base/assert.h"

#include <iterator>

namespace nb::management::app {

bool StreamAdmission::room() const {
  if (options_.in_setup_max < 0) return true;
  return in_setup_ < options_.in_setup_max && starting_ < options_.starting_max;
}

StreamAdmission::Place StreamAdmission::enter(const std::string& source, std::size_t bytes,
                                              Instant now, Decide decide) {
  if (options_.in_setup_max == 0) return {};
  Decisions decisions;
  Place place;
  {
    const std::lock_guard lock(mutex_);
    Call call{.state = Call::State::kStarting,
              .source = source,
              .bytes = bytes,
              .since = now,
              .decide = std::move(decide)};
    if (room() && by_age_.empty()) {
      place = {Entry::kAdmitted, ++last_};
      ++starting_;
      ++in_setup_;
      call.decide = nullptr;
      calls_.emplace(place.ticket, std::move(call));
      return place;
    }
    const auto full = [&] {
      return by_age_.size() >= options_.waiting_max ||
             waiting_bytes_ + bytes > options_.waiting_bytes_max;
    };
    const auto mine = sources_.find(source);
    const std::size_t my_size = mine == sources_.end() ? 0 : mine->second.calls.size();
    while (full() && !sizes_.empty() && sizes_.rbegin()->first > my_size + 1)
      refuse(sources_.at(sizes_.rbegin()->second).calls.back(), decisions);
    if (!full()) {
      place = {Entry::kWaits, ++last_};
      enqueue(place.ticket, std::move(call));
    }
  }
  tell(std::move(decisions));
  return place;
}

void StreamAdmission::enqueue(Ticket ticket, Call call) {
  call.state = Call::State::kWaiting;
  const auto [source, fresh] = sources_.try_emplace(call.source);
  std::list<Ticket>& calls = source->second.calls;
  if (fresh)
    source->second.turn = turns_.insert(turns_.end(), call.source);
  else
    sizes_.erase({calls.size(), call.source});
  call.in_source = calls.insert(calls.end(), ticket);
  call.in_age = by_age_.insert(by_age_.end(), ticket);
  sizes_.emplace(calls.size(), call.source);
  waiting_bytes_ += call.bytes;
  calls_.emplace(ticket, std::move(call));
}

void StreamAdmission::dequeue(Call& call) {
  const auto source = sources_.find(call.source);
  std::list<Ticket>& calls = source->second.calls;
  sizes_.erase({calls.size(), call.source});
  calls.erase(call.in_source);
  by_age_.erase(call.in_age);
  waiting_bytes_ -= call.bytes;
  if (!calls.empty()) {
    sizes_.emplace(calls.size(), call.source);
    return;
  }
  turns_.erase(source->second.turn);
  sources_.erase(source);
}

void StreamAdmission::refuse(Ticket ticket, Decisions& out) {
  const auto found = calls_.find(ticket);
  NB_ASSERT(found != calls_.end());
  dequeue(found->second);
  out.emplace_back(std::move(found->second.decide), Decision::kRefused);
  calls_.erase(found);
}

void StreamAdmission::admit(Decisions& out) {
  while (!turns_.empty() && room()) {
    // The next source's oldest call; its other calls wait until all sources had their turn.
    const std::string name = turns_.front();
    Source& source = sources_.at(name);
    Call& call = calls_.at(source.calls.front());
    if (source.calls.size() > 1) turns_.splice(turns_.end(), turns_, source.turn);
    dequeue(call);
    call.state = Call::State::kStarting;
    ++starting_;
    ++in_setup_;
    out.emplace_back(std::exchange(call.decide, nullptr), Decision::kAdmitted);
  }
}

void StreamAdmission::started(Ticket ticket) {
  Decisions decisions;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(ticket);
    if (found == calls_.end() || found->second.state != Call::State::kStarting) return;
    found->second.state = Call::State::kStarted;
    --starting_;
    admit(decisions);
  }
  tell(std::move(decisions));
}

void StreamAdmission::leave(Ticket ticket) {
  Decisions decisions;
  {
    const std::lock_guard lock(mutex_);
    const auto found = calls_.find(ticket);
    if (found == calls_.end()) return;
    if (found->second.state == Call::State::kWaiting) {
      dequeue(found->second);
    } else {
      if (found->second.state == Call::State::kStarting) --starting_;
      --in_setup_;
    }
    calls_.erase(found);
    admit(decisions);
  }
  tell(std::move(decisions));
}

void StreamAdmission::expire(Instant now) {
  Decisions decisions;
  {
    const std::lock_guard lock(mutex_);
    while (!by_age_.empty() && calls_.at(by_age_.front()).since + options_.wait_max <= now)
      refuse(by_age_.front(), decisions);
  }
  tell(std::move(decisions));
}

void StreamAdmission::tell(Decisions decisions) {
  for (auto& [decide, decision] : decisions) decide(decision);
}

std::size_t StreamAdmission::waiting() const {
  const std::lock_guard lock(mutex_);
  return by_age_.size();
}

std::size_t StreamAdmission::in_setup() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(in_setup_);
}

}  // namespace nb::management::app
