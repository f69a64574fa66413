// What a management server could send as components: expanding it ends and names only peers of the
// envelope.
#include "base/assert.h"
#include "client/component_map.h"
#include "crypto/encoding.h"
#include "proto/management.pb.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  management::NetworkMapEnvelope envelope;
  if (!envelope.ParseFromArray(data, static_cast<int>(size))) return 0;
  std::set<std::string> keys;
  for (const auto& peer : envelope.full().peers())
    keys.insert(nb::crypto::to_base64(peer.wg_pub_key()));
  const std::string own = envelope.full().peers().empty() ? std::string(32, 'k')
                                                          : envelope.full().peers(0).wg_pub_key();
  const auto map = nb::client::expand_components(envelope, own, nb::WallTime{});
  if (!map) return 0;
  for (const auto* const list : {&map->remotepeers(), &map->offlinepeers()})
    for (const auto& peer : *list) NB_ASSERT(keys.contains(peer.wgpubkey()));
  for (const auto& route : map->routes()) NB_ASSERT(keys.contains(route.peer()));
  NB_ASSERT(map->remotepeersisempty() == map->remotepeers().empty());
  return 0;
}
