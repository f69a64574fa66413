// How many streams are set up, or taken down, at one time, and who waits for his turn. One object
// each for Sync, for Job streams and for the peers that leave.
//
// A call that is turned away comes back within 1.6 s, for ever (contract/management-grpc.md §9.2),
// and costs more each time than a call that waits. So calls wait, in a bounded queue and for a
// bounded time, and what is set up at once stays few enough that other users of the database find
// their turn (decision 0119).
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nb::management::app {

struct StreamAdmissionOptions {
  /// Calls that are not set up yet (a Sync: has not had its first map); negative: no limit and no
  /// queue; 0: refuses all.
  std::int64_t in_setup_max = 1'000;
  /// Of these, calls that ask the database; more would only queue there, in front of everybody.
  std::int64_t starting_max = 64;
  std::size_t waiting_max = 20'000;
  std::size_t waiting_bytes_max = std::size_t{64} << 20;  // of requests
  std::chrono::nanoseconds wait_max = std::chrono::seconds(60);
};

/// Sources take turns, calls of one source go in their order. Of a full queue the newest call of
/// the source with most of them gives way. Threads  any; `decide` is called on the thread that made
/// room, without a lock held.
class StreamAdmission {
 public:
  explicit StreamAdmission(StreamAdmissionOptions options) : options_(options) {}

  using Ticket = std::uint64_t;
  enum class Entry : std::uint8_t { kAdmitted, kWaits, kRefused };
  struct Place {
    Entry entry = Entry::kRefused;
    Ticket ticket = 0;  // to leave with, unless refused
  };
  enum class Decision : std::uint8_t { kAdmitted, kRefused };
  using Decide = std::function<void(Decision)>;

  /// `decide` is called once if the call has to wait, unless it leaves before. Refused then: it has
  /// no place any more.
  Place enter(const std::string& source, std::size_t bytes, Instant now, Decide decide);
  /// The database has answered; what is left asks it no more (a Sync: the first map).
  void started(Ticket ticket);
  /// It is set up, or has ended, whatever its state was; nothing if it is not known.
  void leave(Ticket ticket);
  /// Refuses those who waited for too long.
  void expire(Instant now);

  [[nodiscard]] std::size_t waiting() const;
  [[nodiscard]] std::size_t in_setup() const;

 private:
  struct Call {
    enum class State : std::uint8_t { kWaiting, kStarting, kStarted } state;
    std::string source;
    std::size_t bytes = 0;
    Instant since{};
    Decide decide;
    std::list<Ticket>::iterator in_source{};  // while it waits
    std::list<Ticket>::iterator in_age{};
  };
  struct Source {
    std::list<Ticket> calls;
    std::list<std::string>::iterator turn;
  };
  using Decisions = std::vector<std::pair<Decide, Decision>>;

  [[nodiscard]] bool room() const;
  void enqueue(Ticket ticket, Call call);
  /// Out of the queue, not out of calls_.
  void dequeue(Call& call);
  void refuse(Ticket ticket, Decisions& out);
  void admit(Decisions& out);
  static void tell(Decisions decisions);

  const StreamAdmissionOptions options_;
  mutable std::mutex mutex_;
  Ticket last_ = 0;
  std::unordered_map<Ticket, Call> calls_;
  std::map<std::string, Source> sources_;                // with calls that wait
  std::list<std::string> turns_;                         // the same, in the order of their turns
  std::set<std::pair<std::size_t, std::string>> sizes_;  // the same, by how many wait
  std::list<Ticket> by_age_;
  std::size_t waiting_bytes_ = 0;
  std::int64_t starting_ = 0;
  std::int64_t in_setup_ = 0;
};

}  // namespace nb::management::app
