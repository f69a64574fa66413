#include "management/app/account_commands.h"

namespace nb::management::app {

void AccountCommands::tell(const Changed& changed) const {
  if (changed.serial != 0) changes_.committed(changed.account, changed.serial);
  if (changed.proxies) changes_.proxies_changed();
  for (const PeerEnd& end : changed.ended)
    changes_.end_peer(changed.account, end.peer,
                      end.deleted ? EndReason::kDeleted : EndReason::kRefused);
  if (on_idle_)
    for (const Peer& peer : changed.idle) on_idle_(peer);
}

}  // namespace nb::management::app
