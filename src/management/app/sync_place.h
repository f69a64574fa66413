// One caller's place at a SyncAdmission.
#pragma once

#include "management/app/sync_admission.h"

#include <functional>
#include <utility>

namespace nb::management::app {

/// Asked for once and given back once, on the caller's home; at the latest when it is dropped.
class SyncPlace {
 public:
  /// Runs something on the caller's home; any thread.
  using Post = std::function<void(std::function<void()>)>;
  /// Whether the caller may go on, and whether it had to wait to hear that.
  using Turn = std::function<void(bool go, bool waited)>;
  struct Asking {
    std::string source{};  // callers of one source take turns with those of others
    std::size_t bytes = 0;
    Instant since{};
  };

  explicit SyncPlace(SyncAdmission& admission) : admission_(admission) {}
  ~SyncPlace() { leave(); }
  SyncPlace(const SyncPlace&) = delete;
  SyncPlace& operator=(const SyncPlace&) = delete;

  /// `turn` is called at once, or through `post` when its wait is over, unless the caller leaves
  /// before. True: it waits.
  bool enter(const Asking& asking, const Post& post, const Turn& turn) {
    const auto place =
        admission_.enter(asking.source, asking.bytes, asking.since,
                         [post, turn](bool go) { post([turn, go] { turn(go, true); }); });
    ticket_ = place.ticket;
    if (place.entry == SyncAdmission::Entry::kWaits) return true;
    turn(place.entry == SyncAdmission::Entry::kGo, false);
    return false;
  }
  /// See SyncAdmission.
  void started() { admission_.started(ticket_); }
  void leave() {
    if (ticket_ != 0) admission_.leave(std::exchange(ticket_, 0));
  }
  [[nodiscard]] bool held() const { return ticket_ != 0; }

 private:
  SyncAdmission& admission_;
  SyncAdmission::Ticket ticket_ = 0;
};

}  // namespace nb::management::app
