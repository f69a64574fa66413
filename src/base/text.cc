#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>

namespace nb {

namespace {
constexpr std::string_view kDigits = "0123456789abcdef";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char lower_char(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

Result<std::string> decoded_user_info(std::string_view text) {
  if (auto out = percent_decode(text)) return std::move(*out);
  return fail(Code::kInvalidArgument, "bad percent-encoding");
}

Result<std::uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (ec != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65'535) {
    return fail(Code::kInvalidArgument, "the port must be 1..65535");
  }
  return static_cast<std::uint16_t>(port);
}
}  // namespace

std::string to_hex(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out.push_back(kDigits[byte >> 4U]);
    out.push_back(kDigits[byte & 15U]);
  }
  return out;
}

Result<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return fail(Code::kInvalidArgument, "hex text of odd length");
  std::string out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_digit(text[i]);
    const int low = hex_digit(text[i + 1]);
    if (high < 0 || low < 0) return fail(Code::kInvalidArgument, "not a hex digit");
    out.push_back(static_cast<char>(high * 16 + low));
  }
  return out;
}

std::optional<std::string> percent_decode(std::string_view text, PercentRules rules) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && rules.plus_is_blank) {
      out.push_back(' ');
      continue;
    }
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high >= 0 && low >= 0) {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else if (rules.keep_broken) {
      out.push_back('%');
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower_char);
  return out;
}

bool equals_ignore_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower_char(x) == lower_char(y); });
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\v\f";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

void drop_line_ends(std::string& text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (const auto piece = trim(text.substr(0, end)); !piece.empty()) out.emplace_back(piece);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

bool is_utf8(std::string_view text) {
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  while (!text.empty()) {
    // Keys and names are ASCII nearly always: eight characters at a time.
    if (std::uint64_t eight = 0; text.size() >= sizeof eight) {
      std::memcpy(&eight, text.data(), sizeof eight);
      if ((eight & kHighBits) == 0) {
        text.remove_prefix(sizeof eight);
        continue;
      }
    }
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string escape_control(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = utf8_length(text.substr(i));
    // U+0080..U+009F are control characters too; terminals obey some of them.
    const bool c1 = length == 2 && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (length > 0 && byte >= 0x20 && byte != 0x7F && !c1) {
      out.append(text.substr(i, length));
      i += length;
    } else if (byte == '\n' || byte == '\r' || byte == '\t') {
      out.append(byte == '\n' ? "\\n" : byte == '\r' ? "\\r" : "\\t");
      ++i;
    } else {
      for (const std::size_t end = i + (c1 ? 2 : 1); i < end; ++i) {
        out.append("\\x").append(to_hex(text.substr(i, 1)));
      }
    }
  }
  return out;
}

Result<HostPort> parse_host_port(std::string_view text) {
  HostPort out;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return fail(Code::kInvalidArgument, "']' is missing");
    out.host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (!text.starts_with(':')) return fail(Code::kInvalidArgument, "':port' is missing");
    text.remove_prefix(1);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
      return fail(Code::kInvalidArgument, "':port' is missing");
    }
    if (text.find(':') != colon) {
      return fail(Code::kInvalidArgument, "an IPv6 address needs brackets");
    }
    out.host = text.substr(0, colon);
    text.remove_prefix(colon + 1);
  }
  NB_LET(out.port, parse_port(text));
  return out;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) {
    return fail(Code::kInvalidArgument, "not a URL: the scheme is missing");
  }
  url.scheme = lower(text.substr(0, scheme_end));
  text.remove_prefix(scheme_end + 3);
  const auto authority_end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  text.remove_prefix(authority_end);
  text = text.substr(0, text.find('#'));
  url.path = text.substr(0, text.find('?'));
  if (const auto query = text.find('?'); query != std::string_view::npos) {
    url.query = text.substr(query + 1);
  }
  // The last '@': a password may contain one unescaped.
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    const std::string_view info = authority.substr(0, at);
    authority.remove_prefix(at + 1);
    const auto colon = info.find(':');
    NB_LET(url.user, decoded_user_info(info.substr(0, colon)));
    if (colon != std::string_view::npos) {
      NB_LET(url.password, decoded_user_info(info.substr(colon + 1)));
    }
  }
  const bool bracket = authority.starts_with('[');
  const auto host_end = bracket ? authority.find(']') : authority.rfind(':');
  if (bracket && host_end == std::string_view::npos) {
    return fail(Code::kInvalidArgument, "URL: ']' is missing");
  }
  url.host = bracket ? authority.substr(1, host_end - 1) : authority.substr(0, host_end);
  std::string_view rest;
  if (host_end != std::string_view::npos) rest = authority.substr(host_end + (bracket ? 1 : 0));
  if (!rest.empty()) {
    if (!rest.starts_with(':')) return fail(Code::kInvalidArgument, "URL: bad host");
    NB_LET(url.port, parse_port(rest.substr(1)));
  }
  if (url.host.find(':') != std::string::npos && !bracket) {
    return fail(Code::kInvalidArgument, "URL: an IPv6 address needs brackets");
  }
  return url;
}

}  // namespace nb
