// The relay's messages: what is read can be written again, byte for byte.
#include "relay/messages.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb;
  const relay::Bytes bytes(data, size);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto auth = relay::parse_auth(bytes)) {
    crypto::RelayToken token{.payload = std::string(auth->payload), .signature = auth->signature};
    if (auth->algorithm == 1 && relay::make_auth(auth->id, token) != text) std::abort();
  }
  if (const auto url = relay::parse_auth_response(bytes)) {
    if (relay::make_auth_response(*url) != text) std::abort();
  }
  if (const auto ids = relay::parse_ids(bytes)) {
    if (relay::make_ids(relay::Type::kSubscribe, *ids).substr(relay::kHeadBytes) != text)
      std::abort();
  }
  return 0;
}
