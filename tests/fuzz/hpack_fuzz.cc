// Header blocks of a peer, one after the other, each behind a byte that tells its length: they must
// be understood as nghttp2 understands them, or refused as it refuses them.
#include "base/assert.h"
#include "net/hpack_decoder.h"
#include "net/nghttp2_hpack.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

namespace {

using namespace nb;  // NOLINT: the file's only subject

std::optional<net::testing::Fields> ours(net::HpackDecoder& decoder,
                                         std::span<const std::uint8_t> block) {
  net::HeaderBlock out;
  if (decoder.decode(block, out, 1'000'000) != net::HpackDecoder::Outcome::kWhole)
    return std::nullopt;
  net::testing::Fields fields;
  for (std::size_t i = 0; i < out.size(); ++i)
    fields.emplace_back(std::string(out.at(i).name), std::string(out.at(i).value));
  return fields;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  net::HpackDecoder decoder(net::hpack::kDefaultTable);
  net::testing::Inflater inflater;
  std::span<const std::uint8_t> rest(data, size);
  while (!rest.empty()) {
    const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 1);
    const auto block = rest.subspan(1, length);
    rest = rest.subspan(1 + length);
    const auto mine = ours(decoder, block);
    const auto theirs =
        inflater.fields({reinterpret_cast<const char*>(block.data()), block.size()});
    NB_ASSERT(mine == theirs);
    if (!mine) break;
  }
  return 0;
}
