#include "management/store/field_codec.h"

#include "crypto/encoding.h"

namespace nb::management {
namespace {
constexpr std::size_t kNonceAndTag = 12 + 16;
}  // namespace

bool looks_sealed(std::string_view stored) {
  if (stored.starts_with("nb1:")) return true;
  const auto bytes = crypto::from_base64(stored);
  return bytes && bytes->size() > kNonceAndTag;
}

std::string FieldCodec::seal(std::string_view plain, crypto::FieldPlace place) const {
  return cipher_ == nullptr ? std::string(plain) : cipher_->seal(plain, place, random_);
}

Result<std::string> FieldCodec::open(std::string_view stored, crypto::FieldPlace place) const {
  if (cipher_ == nullptr) {
    if (looks_sealed(stored))
      return fail(Code::kDataLoss, "{}.{} is encrypted and no DataStoreEncryptionKey is configured",
                  place.table, place.column);
    return std::string(stored);
  }
  auto plain = cipher_->open(stored, place);
  if (!plain)
    return fail(Code::kDataLoss, "{}.{} does not open with the configured DataStoreEncryptionKey",
                place.table, place.column);
  return plain;
}

std::string FieldCodec::open_or_plain(std::string_view stored, crypto::FieldPlace place) const {
  if (stored.empty()) return {};
  if (cipher_ != nullptr)
    if (auto plain = cipher_->open(stored, place)) return *std::move(plain);
  return looks_sealed(stored) ? std::string{} : std::string(stored);
}

}  // namespace nb::management
