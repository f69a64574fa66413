// What instances say of themselves: whatever is read is written so that it reads the same.
#include "ha/instance_facts.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // The first reading may cut; after that nothing is lost.
  const ha::InstanceFacts facts = ha::parse_facts(ha::facts_text(ha::parse_facts(text)));
  if (ha::parse_facts(ha::facts_text(facts)) != facts) std::abort();
  for (const char c : facts.trouble)
    if (c >= 0 && c < ' ') std::abort();
  return 0;
}
