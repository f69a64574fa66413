// One caller's place at a StreamAdmission.
#pragma once

#include "management/app/stream_admission.h"

#include <functional>
#include <utility>

namespace nb::management::app {

/// Asked for once and given back once, on the caller's home; at the latest when it is dropped.
class AdmissionPlace {
 public:
  /// Runs something on the caller's home; any thread.
  using Post = std::function<void(std::function<void()>)>;
  enum class Outcome : std::uint8_t { kAdmittedAtOnce, kAdmittedAfterWait, kRefused };
  using OnOutcome = std::function<void(Outcome)>;
  struct Asking {
    std::string source{};  // callers of one source take turns with those of others
    std::size_t bytes = 0;
    Instant since{};
  };

  explicit AdmissionPlace(StreamAdmission& admission) : admission_(admission) {}
  ~AdmissionPlace() { leave(); }
  AdmissionPlace(const AdmissionPlace&) = delete;
  AdmissionPlace& operator=(const AdmissionPlace&) = delete;

  /// `told` is called at once, or through `post` when the wait is over, unless the caller leaves
  /// before. True: it waits.
  bool enter(const Asking& asking, const Post& post, const OnOutcome& told) {
    using Decision = StreamAdmission::Decision;
    using Entry = StreamAdmission::Entry;
    const auto place = admission_.enter(
        asking.source, asking.bytes, asking.since, [post, told](Decision decision) {
          const bool admitted = decision == Decision::kAdmitted;
          post([told, outcome = admitted ? Outcome::kAdmittedAfterWait : Outcome::kRefused] {
            told(outcome);
          });
        });
    ticket_ = place.ticket;
    if (place.entry == Entry::kWaits) return true;
    told(place.entry == Entry::kAdmitted ? Outcome::kAdmittedAtOnce : Outcome::kRefused);
    return false;
  }
  /// See StreamAdmission.
  void started() { admission_.started(ticket_); }
  void leave() {
    if (ticket_ != 0) admission_.leave(std::exchange(ticket_, 0));
  }
  [[nodiscard]] bool held() const { return ticket_ != 0; }

 private:
  StreamAdmission& admission_;
  StreamAdmission::Ticket ticket_ = 0;
};

}  // namespace nb::management::app
