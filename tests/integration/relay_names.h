// Names of the relay protocol, for tests of it.
#pragma once

#include "relay/raw_peer.h"

namespace nb::test {

using net::testing::client_frame;
using relay::make_ids;
using relay::make_transport;
using relay::PeerId;
using relay::Type;
using relay::testing::id;
using relay::testing::RawPeer;
using relay::testing::token;

}  // namespace nb::test
