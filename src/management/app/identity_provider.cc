#include "management/app/identity_provider.h"

#include "crypto/encoding.h"

#include <algorithm>

namespace nb::management {
namespace {

void put_field(std::string& out, char tag, std::string_view value) {
  out += tag;
  std::size_t size = value.size();
  for (; size >= 0x80; size >>= 7) out += static_cast<char>((size & 0x7F) | 0x80);
  out += static_cast<char>(size);
  out += value;
}

bool take_field(std::string_view& in, char tag, std::string& value) {
  if (in.empty() || in.front() != tag) return false;
  in.remove_prefix(1);
  std::size_t size = 0;
  for (unsigned shift = 0;; shift += 7) {
    if (in.empty() || shift > 21) return false;
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    size |= static_cast<std::size_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) break;
  }
  if (size == 0 || size > in.size()) return false;
  value = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

// Letters beyond ASCII count as lower-case letters: no Unicode tables here, and the rule only asks
// for classes that ASCII has.
bool letter_or_digit(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

}  // namespace

UserId encode_subject(const IdpSubject& subject) {
  std::string bytes;
  put_field(bytes, '\x0A', subject.user_id);
  put_field(bytes, '\x12', subject.connector_id);
  return UserId(crypto::to_base64(bytes, crypto::Base64::kUrlRaw));
}

std::optional<IdpSubject> decode_subject(std::string_view id) {
  std::string text(id);
  while (text.ends_with('=')) text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  const auto bytes = crypto::from_base64(text, crypto::Base64::kUrlRaw);
  if (!bytes) return std::nullopt;
  std::string_view in = *bytes;
  IdpSubject subject;
  if (!take_field(in, '\x0A', subject.user_id) || !take_field(in, '\x12', subject.connector_id) ||
      !in.empty())
    return std::nullopt;
  return subject;
}

Result<> check_password(const Secret& password, PasswordRule rule) {
  const std::string_view text = password.reveal();
  if (text.size() < 8)
    return fail(Code::kInvalidArgument, "password must be at least 8 characters long");
  if (text.size() > 72)
    return fail(Code::kInvalidArgument, "password must be at most 72 bytes long");
  if (text.find('\0') != std::string_view::npos)
    return fail(Code::kInvalidArgument, "password must not contain a NUL byte");
  if (rule == PasswordRule::kLength) return {};
  const auto has = [&](auto test) { return std::any_of(text.begin(), text.end(), test); };
  if (!has([](unsigned char c) { return c >= '0' && c <= '9'; }))
    return fail(Code::kInvalidArgument, "password must contain at least one digit");
  if (!has([](unsigned char c) { return c >= 'A' && c <= 'Z'; }))
    return fail(Code::kInvalidArgument, "password must contain at least one uppercase letter");
  if (!has([](unsigned char c) { return !letter_or_digit(c); }))
    return fail(Code::kInvalidArgument, "password must contain at least one special character");
  return {};
}

}  // namespace nb::management
