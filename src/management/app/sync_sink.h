// The far end of a Sync stream, as the hub sees it.
#pragma once

#include "management/app/fan_out.h"
#include "management/netmap/map_view.h"

#include <cstdint>

namespace nb::management::app {

/// One stream. The hub never has two build() of one sink under way, and asks for the next only
/// after SyncHub::ready().
class SyncSink {
 public:
  virtual ~SyncSink() = default;
  /// Whether build() would take no longer than a call does that is answered at once, because the
  /// map has been made before. Called on the hub's home, before build().
  [[nodiscard]] virtual bool at_hand(const netmap::MapViewPtr& /*view*/,
                                     netmap::PeerIndex /*slot*/) {
    return false;
  }
  /// Makes, seals and sends the peer's map, or drops it when the stream has one like it; then
  /// SyncHub::ready() follows, once the transport took all bytes. Called on a map thread, or on the
  /// hub's home if it is at hand.
  virtual void build(const netmap::MapViewPtr& view, netmap::PeerIndex slot) = 0;
  /// Ends the stream; `view` (may be null) tells the deletion message its serial. Called on the
  /// hub's home.
  virtual void end(EndReason reason, const netmap::MapViewPtr& view) = 0;
};

}  // namespace nb::management::app
