// Who a peer is: its WireGuard key.
#pragma once

#include "crypto/box.h"

#include <string>

namespace nb::client {

struct Identity {
  explicit Identity(const crypto::PrivateKey& secret)
      : private_key(secret), key(secret.public_key().base64()) {}
  crypto::PrivateKey private_key;
  std::string key;  // the peer's id everywhere
};

}  // namespace nb::client
