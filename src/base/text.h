// Small things about text: hex, UTF-8, splitting, host:port, URLs.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb {

[[nodiscard]] std::string to_hex(std::string_view bytes);
Result<std::string> from_hex(std::string_view text);

struct PercentRules {
  bool plus_is_blank = false;  // forms and queries
  bool keep_broken = false;    // '%' without two hex digits stays as it is
};
/// %XX of URLs, forms and headers, decoded once. Nothing: a broken escape that may not be kept.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text,
                                                        PercentRules rules = {});

/// ASCII only.
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] bool equals_ignore_case(std::string_view a, std::string_view b);
[[nodiscard]] std::string_view trim(std::string_view text);
/// Cuts off all \n and \r at the end: what an editor or `echo` leaves in the file of a secret.
void drop_line_ends(std::string& text);
/// Splits at `separator`, trims the pieces, drops empty ones.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
/// Bytes of the UTF-8 character that `text` begins with; 0: none, or a broken one.
/// Source   RFC 3629 §4: no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] std::size_t utf8_length(std::string_view text);
[[nodiscard]] bool is_utf8(std::string_view text);
/// Control characters, DEL and invalid UTF-8 as \n, \t, \x1b…: one line, safe for a terminal.
[[nodiscard]] std::string escape_control(std::string_view text);

struct HostPort {
  std::string host;  // without brackets; may be empty
  std::uint16_t port = 0;
};
/// "host:port", "[::1]:port", ":port".
Result<HostPort> parse_host_port(std::string_view text);

struct Url {
  std::string scheme;  // lower case
  std::string user;    // percent-decoded
  std::string password;
  std::string host;        // without brackets
  std::uint16_t port = 0;  // 0: not given
  std::string path;        // with its leading slash, or empty
  std::string query;
};
/// Errors never repeat the text: it may carry a password.
Result<Url> parse_url(std::string_view text);

}  // namespace nb
