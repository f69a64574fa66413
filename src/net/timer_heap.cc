#include "net/timer_heap.h"

namespace nb::net {

void TimerHeap::place(std::size_t slot, Entry entry) {
  heap_[slot] = entry;
  entry.timer->slot_ = static_cast<std::uint32_t>(slot);
}

void TimerHeap::sift_up(std::size_t slot) {
  const Entry entry = heap_[slot];
  while (slot > 0) {
    const std::size_t parent = (slot - 1) / 2;
    if (heap_[parent].at <= entry.at) break;
    place(slot, heap_[parent]);
    slot = parent;
  }
  place(slot, entry);
}

void TimerHeap::sift_down(std::size_t slot) {
  const Entry entry = heap_[slot];
  for (;;) {
    std::size_t child = 2 * slot + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
    if (entry.at <= heap_[child].at) break;
    place(slot, heap_[child]);
    slot = child;
  }
  place(slot, entry);
}

void TimerHeap::arm(Timer& timer, Instant at) {
  if (timer.armed()) {
    const std::size_t slot = timer.slot_;
    const bool earlier = at < heap_[slot].at;
    heap_[slot].at = at;
    earlier ? sift_up(slot) : sift_down(slot);
    return;
  }
  heap_.push_back({at, &timer});
  timer.slot_ = static_cast<std::uint32_t>(heap_.size() - 1);
  sift_up(heap_.size() - 1);
}

void TimerHeap::cancel(Timer& timer) {
  if (!timer.armed()) return;
  const std::size_t slot = timer.slot_;
  timer.slot_ = Timer::kNone;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (slot == heap_.size()) return;
  place(slot, last);
  sift_up(slot);
  sift_down(last.timer->slot_);
}

std::optional<Instant> TimerHeap::earliest() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

void TimerHeap::run(Instant now) {
  while (!heap_.empty() && heap_.front().at <= now) {
    Timer& timer = *heap_.front().timer;
    cancel(timer);
    timer.on_timer(now);
  }
}

}  // namespace nb::net
