#include "crypto/box.h"

#include "base/assert.h"
#include "crypto/encoding.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

namespace nb::crypto {

static_assert(BoxSession::kNonceBytes == crypto_box_NONCEBYTES);
static_assert(BoxSession::kTagBytes == crypto_box_MACBYTES);
static_assert(sizeof(PublicKey::Bytes) == crypto_box_PUBLICKEYBYTES);

namespace {

constexpr std::size_t kKeyTextSize = 44;

bool is_digit_of_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

// libsodium refuses stray bits, OpenSSL's block decoder does not look at them.
Result<std::array<std::uint8_t, 32>> parse_key(std::string_view text) {
  if (text.size() != kKeyTextSize || text.back() != '=' ||
      !std::all_of(text.begin(), text.end() - 1, is_digit_of_base64)) {
    return fail(Code::kInvalidArgument, "key: not 44 characters of standard base64");
  }
  std::array<std::uint8_t, 33> raw;  // OpenSSL decodes the padding as a zero byte
  NB_ASSERT(EVP_DecodeBlock(raw.data(), as_bytes(text).data(), static_cast<int>(text.size())) ==
            static_cast<int>(raw.size()));
  std::array<std::uint8_t, 32> key;
  std::copy_n(raw.begin(), key.size(), key.begin());
  sodium_memzero(raw.data(), raw.size());
  return key;
}

Error invalid_box() {
  return fail(Code::kInvalidArgument, "invalid request message");
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view text) {
  NB_LET(const auto bytes, parse_key(text));
  return PublicKey(bytes);
}

std::string PublicKey::base64() const {
  return to_base64(bytes_);
}

bool PublicKey::is_zero() const {
  return sodium_is_zero(bytes_.data(), bytes_.size()) == 1;
}

std::size_t PublicKeyHash::operator()(const PublicKey& key) const {
  // Keys come from strangers, who could choose colliding ones: so not just the first bytes.
  return std::hash<std::string_view>{}(as_text(key.bytes()));
}

PrivateKey::~PrivateKey() {
  sodium_memzero(bytes_.data(), bytes_.size());
}

Result<PrivateKey> PrivateKey::parse(std::string_view text) {
  NB_LET(auto bytes, parse_key(text));
  const PrivateKey key(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return key;
}

PrivateKey PrivateKey::generate(RandomSource& random) {
  auto bytes = random.bytes<32>();
  bytes[0] = static_cast<std::uint8_t>(bytes[0] & 0xF8U);  // RFC 7748 §5
  bytes[31] = static_cast<std::uint8_t>((bytes[31] & 0x7FU) | 0x40U);
  const PrivateKey key(bytes);
  sodium_memzero(bytes.data(), bytes.size());
  return key;
}

PublicKey PrivateKey::public_key() const {
  PublicKey::Bytes bytes;
  crypto_scalarmult_base(bytes.data(), bytes_.data());
  return PublicKey(bytes);
}

Secret PrivateKey::base64() const {
  return Secret(to_base64(bytes_));
}

Result<BoxSession> BoxSession::create(const PrivateKey& ours, const PublicKey& theirs) {
  BoxSession session;
  if (crypto_box_beforenm(session.shared_.data(), theirs.bytes().data(), ours.bytes().data()) !=
      0) {
    return fail(Code::kInvalidArgument, "key: gives no shared secret");
  }
  return session;
}

BoxSession::~BoxSession() {
  sodium_memzero(shared_.data(), shared_.size());
}

void BoxSession::seal_onto(std::string& out, std::initializer_list<std::string_view> plain,
                           RandomSource& random) const {
  const std::size_t before = out.size();
  std::size_t bytes = 0;
  for (const std::string_view part : plain) bytes += part.size();
  NB_ASSERT(bytes <= kPlainBytesMax);
  out.reserve(before + kOverhead + bytes);
  out.append(kOverhead, '\0');
  for (const std::string_view part : plain) out += part;
  auto* sealed = reinterpret_cast<unsigned char*>(out.data() + before);
  random.fill({sealed, kNonceBytes});
  crypto_box_easy_afternm(sealed + kNonceBytes, sealed + kOverhead, bytes, sealed, shared_.data());
}

std::string BoxSession::seal(std::string_view plain, RandomSource& random) const {
  std::string sealed;
  seal_onto(sealed, plain, random);
  return sealed;
}

Result<> BoxSession::open_into(std::string& plain, std::string_view sealed) const {
  if (sealed.size() < kOverhead || sealed.size() > kPlainBytesMax + kOverhead) return invalid_box();
  plain.resize(sealed.size() - kOverhead);
  const auto* in = as_bytes(sealed).data();
  if (crypto_box_open_easy_afternm(reinterpret_cast<unsigned char*>(plain.data()), in + kNonceBytes,
                                   sealed.size() - kNonceBytes, in, shared_.data()) != 0) {
    return invalid_box();
  }
  return {};
}

Result<std::string> BoxSession::open(std::string_view sealed) const {
  std::string plain;
  NB_TRY(open_into(plain, sealed));
  return plain;
}

}  // namespace nb::crypto
