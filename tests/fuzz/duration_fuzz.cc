// Durations and addresses: what was read is written, read again and must be the same.
#include "base/duration.h"
#include "base/ip.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto time = nb::parse_duration(text)) {
    const auto again = nb::parse_duration(nb::format_duration(*time));
    if (!again || *again != *time) std::abort();
  }
  if (const auto address = nb::IpAddress::parse(text)) {
    const auto again = nb::IpAddress::parse(address->text());
    if (!again || *again != *address) std::abort();
  }
  if (const auto prefix = nb::IpPrefix::parse(text)) {
    const auto again = nb::IpPrefix::parse(prefix->text());
    if (!again || !(*again == *prefix) || !prefix->contains(prefix->address())) std::abort();
  }
  return 0;
}
