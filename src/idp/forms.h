// What browsers and clients send: form fields, cookies, basic credentials, redirect URIs.
// Every function here is fuzzed.
#pragma once

#include "base/result.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::idp {

/// application/x-www-form-urlencoded, of a query or a body. Bytes are not interpreted: values may
/// hold anything, clean() says whether they are text.
class Fields {
 public:
  static constexpr std::size_t kBytesMax = 64 * 1024;
  static constexpr std::size_t kFieldsMax = 100;
  /// Errors   kInvalidArgument: too long, too many, '%' without two hex digits.
  static Result<Fields> parse(std::string_view text);

  /// First value, or empty.
  [[nodiscard]] std::string get(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  /// One of `names` is there more than once.
  [[nodiscard]] bool repeated(std::span<const std::string_view> names) const;
  /// Re-encoded; parse() of it gives the same fields.
  [[nodiscard]] std::string encode() const;
  [[nodiscard]] std::size_t size() const { return fields_.size(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// UTF-8 without control characters, at most `bytes_max` long.
[[nodiscard]] bool clean(std::string_view text, std::size_t bytes_max = 2048);
/// One bare address: no display name, no blanks, at most 254 bytes.
[[nodiscard]] bool is_mailbox(std::string_view text);

/// Value of the cookie `name` in a Cookie header; the first one wins, as browsers send the most
/// specific path first.
[[nodiscard]] std::optional<std::string> cookie(std::string_view header, std::string_view name);

struct Credentials {
  std::string id;
  std::string secret;
};
/// "Basic …" with both halves form-urlencoded (RFC 6749 §2.3.1). Nothing for other schemes.
/// Errors   kInvalidArgument: Basic, but malformed.
Result<std::optional<Credentials>> basic_credentials(std::string_view authorization);
/// The token of "Bearer …", or empty.
[[nodiscard]] std::string_view bearer_token(std::string_view authorization);

/// Byte for byte one of the registered (T1). No wildcard, no normalisation.
[[nodiscard]] bool is_registered(std::span<const std::string> registered, std::string_view uri);
/// `uri` with parameters added: reserved bytes as %XX, blank as %20, every name with '=', because
/// the dashboard splits at '&' and '=' before it decodes (contract §4.3).
[[nodiscard]] std::string add_query(
    std::string_view uri, const std::vector<std::pair<std::string, std::string>>& parameters);

/// Eight letters of the vowel-free alphabet, whatever case, blanks and dashes; nothing otherwise.
[[nodiscard]] std::optional<std::string> normalise_user_code(std::string_view text);
inline constexpr std::string_view kUserCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ";

/// "de" if that is what the browser would rather read, otherwise "en".
[[nodiscard]] std::string_view preferred_language(std::string_view accept_language);

}  // namespace nb::idp
