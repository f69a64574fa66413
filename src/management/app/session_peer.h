// What is kept of a peer while its stream is open.
#pragma once

#include "management/domain/peer.h"

namespace nb::management::app {

struct SessionPeer {
  AccountId account;
  PeerId id;
  PeerKey key;
  bool ephemeral = false;
};

[[nodiscard]] inline SessionPeer session_peer(const Peer& peer) {
  return {peer.account_id, peer.id, peer.key, peer.ephemeral};
}

}  // namespace nb::management::app
