// Version texts of agents and domain names of resources: what parses keeps its meaning, and order
// is an order.
#include "base/assert.h"
#include "management/netmap/agent_version.h"
#include "management/netmap/punycode.h"
#include "management/netmap/version.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb::netmap;  // NOLINT: the file's only subject
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto features = AgentFeatures::of(text);
  NB_ASSERT(!features.native_ssh || features.port_ranges);  // 0.60.0 is above 0.48.0
  if (const auto version = Version::parse(text)) {
    NB_ASSERT(version->numbers.size() >= 3 && version->at_least(*version));
  }
  if (const auto semantic = SemanticVersion::parse(text)) {
    // Whatever the strict reading takes, the lenient one takes, too, if its numbers fit.
    NB_ASSERT(Version::parse(text) || std::ranges::any_of(semantic->numbers, [](std::uint64_t n) {
                return n > INT64_MAX;
              }));
  }
  const std::string ascii = ascii_domain(text);
  NB_ASSERT(ascii_domain(ascii) == ascii);
  return 0;
}
