#include "management/app/identity_provider.h"

#include "base/text.h"
#include "crypto/encoding.h"

#include <boost/spirit/home/support/char_encoding/unicode/query.hpp>

#include <algorithm>
#include <cstdint>

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

/// Of one well-formed UTF-8 sequence.
std::uint32_t code_point(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence.front());
  if (sequence.size() == 1) return first;
  std::uint32_t value = first & (0x7FU >> sequence.size());
  for (const char c : sequence.substr(1))
    value = value << 6 | (static_cast<unsigned char>(c) & 0x3F);
  return value;
}

struct CharacterClasses {
  bool digit = false;
  bool upper = false;
  bool special = false;  // neither letter nor digit
};

/// By Unicode's general categories, as Go's IsDigit, IsUpper and IsLetter tell them.
CharacterClasses classes_of(std::string_view text) {
  namespace ucd = boost::spirit::ucd;
  CharacterClasses found;
  while (!text.empty()) {
    const std::size_t size = utf8_length(text);
    // What is no UTF-8 is U+FFFD to Go: a symbol.
    const std::uint32_t c = size == 0 ? 0xFFFD : code_point(text.substr(0, size));
    text.remove_prefix(std::max<std::size_t>(size, 1));
    // What the tables do not know (yet) has the number of upper-case letters there, without being
    // alphabetic: a symbol, which new characters mostly are.
    if (ucd::is_decimal_number(c))
      found.digit = true;
    else if (ucd::get_major_category(c) != ucd::properties::letter || !ucd::is_alphabetic(c))
      found.special = true;
    else if (ucd::get_category(c) == ucd::properties::uppercase_letter)
      found.upper = true;
  }
  return found;
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
  const CharacterClasses found = classes_of(text);
  if (!found.digit) return fail(Code::kInvalidArgument, "password must contain at least one digit");
  if (!found.upper)
    return fail(Code::kInvalidArgument, "password must contain at least one uppercase letter");
  if (!found.special)
    return fail(Code::kInvalidArgument, "password must contain at least one special character");
  return {};
}

}  // namespace nb::management
