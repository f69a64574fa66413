#include "crypto/field_cipher.h"

#include "base/assert.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <memory>
#include <optional>
#include <span>

namespace nb::crypto {

namespace {

constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
constexpr std::string_view kBoundPrefix = "nb1:";  // ':' is no digit of base64
constexpr std::size_t kKeyIdSize = 8;

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
Context make_context() {
  Context context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  NB_ASSERT(context != nullptr);
  return context;
}

const EVP_CIPHER* gcm() {
  static const EVP_CIPHER* const kCipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return kCipher;
}

int as_int(std::size_t size) {
  NB_ASSERT(size <= 1U << 30U);
  return static_cast<int>(size);
}

unsigned char* raw(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string gcm_seal(std::span<const std::uint8_t> key, std::string_view plain,
                     std::string_view additional, RandomSource& random) {
  std::string sealed(kNonceBytes + plain.size() + kTagBytes, '\0');
  random.fill({raw(sealed), kNonceBytes});
  const Context context = make_context();
  int size = 0;
  NB_ASSERT(EVP_EncryptInit_ex(context.get(), gcm(), nullptr, key.data(), raw(sealed)) == 1);
  if (!additional.empty()) {
    NB_ASSERT(EVP_EncryptUpdate(context.get(), nullptr, &size, as_bytes(additional).data(),
                                as_int(additional.size())) == 1);
  }
  NB_ASSERT(EVP_EncryptUpdate(context.get(), raw(sealed) + kNonceBytes, &size,
                              as_bytes(plain).data(), as_int(plain.size())) == 1);
  unsigned char* const tag = raw(sealed) + kNonceBytes + plain.size();
  NB_ASSERT(EVP_EncryptFinal_ex(context.get(), tag, &size) == 1);
  NB_ASSERT(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, as_int(kTagBytes), tag) == 1);
  return sealed;
}

std::optional<std::string> gcm_open(std::span<const std::uint8_t> key, std::string_view sealed,
                                    std::string_view additional) {
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const std::string_view nonce = sealed.substr(0, kNonceBytes);
  const std::string_view body = sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  std::string plain(body.size(), '\0');
  const Context context = make_context();
  int size = 0;
  NB_ASSERT(EVP_DecryptInit_ex(context.get(), gcm(), nullptr, key.data(), as_bytes(nonce).data()) ==
            1);
  if (!additional.empty()) {
    NB_ASSERT(EVP_DecryptUpdate(context.get(), nullptr, &size, as_bytes(additional).data(),
                                as_int(additional.size())) == 1);
  }
  NB_ASSERT(EVP_DecryptUpdate(context.get(), raw(plain), &size, as_bytes(body).data(),
                              as_int(body.size())) == 1);
  NB_ASSERT(
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, as_int(kTagBytes), tag.data()) == 1);
  if (EVP_DecryptFinal_ex(context.get(), raw(plain) + plain.size(), &size) != 1) return {};
  return plain;
}

std::string place_text(FieldPlace place) {
  return fmt::format("{}/{}/{}", place.table, place.column, place.row);
}

/// What a stored text says about itself.
struct Stored {
  bool bound = false;
  std::string_view key_id;
  std::string_view base64;
};

Result<Stored> parse_stored(std::string_view text) {
  if (!text.starts_with(kBoundPrefix)) return Stored{false, {}, text};
  text.remove_prefix(kBoundPrefix.size());
  if (text.size() <= kKeyIdSize || text[kKeyIdSize] != ':') {
    return fail(Code::kInvalidArgument, "encrypted field: no key id");
  }
  return Stored{true, text.substr(0, kKeyIdSize), text.substr(kKeyIdSize + 1)};
}

}  // namespace

Result<FieldCipher> FieldCipher::create(const std::vector<Secret>& keys, Form form) {
  if (keys.empty()) return fail(Code::kInvalidArgument, "data-store encryption key: none given");
  FieldCipher cipher;
  cipher.form_ = form;
  for (const Secret& text : keys) {
    auto bytes = from_base64(text.reveal());
    if (!bytes || bytes->size() != 32) {
      return fail(Code::kInvalidArgument,
                  "data-store encryption key: must be standard base64 of 32 bytes");
    }
    Key key;
    std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
    key.id = to_hex(sha256(*bytes)).substr(0, kKeyIdSize);
    cipher.keys_.push_back(std::move(key));
    sodium_memzero(bytes->data(), bytes->size());
  }
  return cipher;
}

FieldCipher::~FieldCipher() {
  for (Key& key : keys_) sodium_memzero(key.bytes.data(), key.bytes.size());
}

std::string FieldCipher::seal(std::string_view plain, FieldPlace place,
                              RandomSource& random) const {
  if (plain.empty()) return {};
  const Key& key = keys_.front();
  if (form_ == Form::kUpstream) return to_base64(gcm_seal(key.bytes, plain, {}, random));
  return fmt::format("{}{}:{}", kBoundPrefix, key.id,
                     to_base64(gcm_seal(key.bytes, plain, place_text(place), random)));
}

Result<std::string> FieldCipher::open(std::string_view stored, FieldPlace place) const {
  if (stored.empty()) return std::string();
  NB_LET(const Stored value, parse_stored(stored));
  NB_LET(const std::string sealed, from_base64(value.base64));
  if (sealed.size() < kNonceBytes + kTagBytes) {
    return fail(Code::kInvalidArgument, "encrypted field: {} bytes are too few", sealed.size());
  }
  const std::string additional = value.bound ? place_text(place) : std::string();
  for (const Key& key : keys_) {
    if (value.bound && key.id != value.key_id) continue;
    if (auto plain = gcm_open(key.bytes, sealed, additional)) return *std::move(plain);
  }
  return fail(Code::kUnauthenticated, "encrypted field: no key opens it");
}

bool FieldCipher::outdated(std::string_view stored, FieldPlace place) const {
  if (stored.empty()) return false;
  const auto value = parse_stored(stored);
  if (!value || value->bound != (form_ == Form::kBound)) return true;
  const std::string additional = value->bound ? place_text(place) : std::string();
  const auto sealed = from_base64(value->base64);
  return !sealed || !gcm_open(keys_.front().bytes, *sealed, additional);
}

Result<std::string> FieldCipher::open_legacy_cbc(std::string_view stored) const {
  // Fixed by the old format; contract/signal-relay-ops.md §6.8.
  static constexpr std::array<std::uint8_t, 16> kIv = {10, 22, 13, 79, 5,  8,  52, 91,
                                                       87, 98, 88, 98, 35, 25, 13, 5};
  if (stored.empty()) return std::string();
  NB_LET(const std::string sealed, from_base64(stored));
  for (const Key& key : keys_) {
    const Context context = make_context();
    std::string plain(sealed.size() + 16, '\0');
    int size = 0;
    int last = 0;
    NB_ASSERT(EVP_DecryptInit_ex(context.get(), EVP_aes_256_cbc(), nullptr, key.bytes.data(),
                                 kIv.data()) == 1);
    if (EVP_DecryptUpdate(context.get(), raw(plain), &size, as_bytes(sealed).data(),
                          as_int(sealed.size())) != 1 ||
        EVP_DecryptFinal_ex(context.get(), raw(plain) + size, &last) != 1) {
      continue;
    }
    plain.resize(static_cast<std::size_t>(size + last));
    return plain;
  }
  return fail(Code::kUnauthenticated, "encrypted field: no key opens it");
}

Secret FieldCipher::generate_key(RandomSource& random) {
  auto bytes = random.bytes<32>();
  Secret key(to_base64(bytes));
  sodium_memzero(bytes.data(), bytes.size());
  return key;
}

}  // namespace nb::crypto
