// Paths, ids and queries of the upload server: a name that is taken stays within its folder and is
// written as it was read; every id has such a folder; nobody but us signs.
#include "base/assert.h"
#include "upload/links.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb::upload;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Links links(nb::Secret("a key that stands in no corpus, of 32 characters"));
  const nb::WallTime now{std::chrono::seconds(1'800'000'000)};
  const BundleName any{folder_of(text), "0b4f5c1e-27b8-4f06-9a7e-0d9a3a1d5a10"};
  const auto folder = parse_name(any.key());
  NB_ASSERT(folder && *folder == any);
  NB_ASSERT(!links.check(any, text, now));
  NB_ASSERT(links.check(any, links.sign(any, now), now).has_value());
  if (const auto name = parse_name(text)) {
    NB_ASSERT(name->key() == text);
    NB_ASSERT(text.find('.') == text.npos && text.find('%') == text.npos);
    NB_ASSERT(text.find('/') == text.rfind('/') && text.front() != '/');
  }
  return 0;
}
