// Bodies of strangers through BoxSession::open. What opens must be what sealing the plaintext with
// the same nonce gives; nothing else may open.
#include "base/assert.h"
#include "crypto/box.h"
#include "crypto/encoding.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using nb::crypto::BoxSession;
using nb::crypto::PrivateKey;

class NonceOf final : public nb::crypto::RandomSource {
 public:
  explicit NonceOf(std::string_view sealed) : sealed_(sealed) {}
  void fill(std::span<std::uint8_t> out) override {
    std::copy_n(sealed_.begin(), out.size(), out.begin());
  }

 private:
  std::string_view sealed_;
};

BoxSession make_session() {
  nb::crypto::SeededRandom random(1);
  const PrivateKey ours = PrivateKey::generate(random);
  const PrivateKey theirs = PrivateKey::generate(random);
  return *BoxSession::create(ours, theirs.public_key());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const BoxSession session = make_session();
  const std::string_view sealed(reinterpret_cast<const char*>(data), size);
  const auto plain = session.open(sealed);
  if (plain) {
    NonceOf nonce(sealed);
    NB_ASSERT(session.seal(*plain, nonce) == sealed);
  }
  // The same bytes as plaintext: sealed, they open; with one bit changed, they do not.
  nb::crypto::SeededRandom random(size);
  std::string box = session.seal(sealed, random);
  NB_ASSERT(*session.open(box) == sealed);
  box[size % box.size()] = static_cast<char>(box[size % box.size()] ^ 0x10);
  NB_ASSERT(!session.open(box));
  return 0;
}
