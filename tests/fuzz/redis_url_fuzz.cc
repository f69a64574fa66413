// Addresses of Redis: what is accepted can be written as a URL and means the same; what is refused
// changes nothing.
#include "base/assert.h"
#include "redis/options.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using nb::redis::Options;

std::string encode(std::string_view text) {
  std::string out;
  for (const char c : text) out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  return out;
}

bool same(const Options& a, const Options& b) {
  return a.address == b.address && a.user == b.user && a.password.reveal() == b.password.reveal() &&
         a.db == b.db && a.tls.enabled == b.tls.enabled;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  nb::ignore(nb::redis::parse_sentinels(text), "must only not crash");
  Options options;
  if (!nb::redis::apply_url(options, text)) {
    NB_ASSERT(same(options, Options()));
    return 0;
  }
  const std::string url = fmt::format(
      "{}://{}:{}@[{}]:{}/{}", options.tls.enabled ? "rediss" : "redis", encode(options.user),
      encode(options.password.reveal()), options.address.host, options.address.port, options.db);
  Options again;
  NB_ASSERT(nb::redis::apply_url(again, url).has_value());
  NB_ASSERT(same(options, again));
  return 0;
}
