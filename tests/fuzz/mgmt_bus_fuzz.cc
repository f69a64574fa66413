// Payloads of strangers on an account's channel: what is understood encodes to itself.
#include "base/assert.h"
#include "management/app/bus_message.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb::management::app;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  const auto message = decode_bus_message(payload);
  if (!message) return 0;
  const auto again = decode_bus_message(encode(*message));
  NB_ASSERT(again && *again == *message);
  return 0;
}
