#include "net/http2_fields.h"

#include "net/http_rules.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace nb::net::http2 {

namespace {
/// RFC 9110 §5.6.2, without the capital letters (RFC 9113 §8.2.1).
constexpr std::array<bool, 256> make_name_characters() {
  std::array<bool, 256> made{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"))
    made[static_cast<unsigned char>(c)] = true;
  return made;
}
constexpr auto kNameCharacters = make_name_characters();

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

/// RFC 9113 §8.2.2.
bool of_the_connection(const HeaderField& field) {
  switch (field.name.size()) {
    case 2:
      return field.name == "te" && lower(field.value) != "trailers";
    case 7:
      return field.name == "upgrade";
    case 10:
      return field.name == "connection" || field.name == "keep-alive";
    case 16:
      return field.name == "proxy-connection";
    case 17:
      return field.name == "transfer-encoding";
    default:
      return false;
  }
}

bool read_length(std::string_view text, std::int64_t& into) {
  if (into >= 0 || text.empty() || text[0] == '-') return false;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, into);
  return error == std::errc() && rest == end;
}

/// RFC 9113 §8.3.1: each at most once, and none but these.
struct PseudoFields {
  std::string_view method;
  std::string_view scheme;
  std::string_view path;
  std::string_view authority;
  bool has_authority = false;

  bool take(const HeaderField& field) {
    if (field.name == ":authority") {
      if (has_authority) return false;
      has_authority = true;
      authority = field.value;
      return true;
    }
    std::string_view* const into = field.name == ":method"   ? &method
                                   : field.name == ":scheme" ? &scheme
                                   : field.name == ":path"   ? &path
                                                             : nullptr;
    if (into == nullptr || !into->empty() || field.value.empty()) return false;
    *into = field.value;
    return true;
  }
  [[nodiscard]] bool complete() const {
    if (method == "CONNECT") return !authority.empty() && scheme.empty() && path.empty();
    if (method.empty() || scheme.empty() || path.empty()) return false;
    return path.front() == '/' || (path == "*" && method == "OPTIONS") ||
           (scheme != "http" && scheme != "https");
  }
};
}  // namespace

bool well_formed_name(std::string_view name) {
  if (name.starts_with(':')) name.remove_prefix(1);
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return kNameCharacters[static_cast<unsigned char>(c)];
  });
}

bool well_formed_value(std::string_view value) {
  return std::ranges::none_of(value, is_control);
}

RequestRules check_request(const HeaderBlock& headers) {
  RequestRules rules;
  if (headers.malformed) return rules;
  PseudoFields pseudo;
  bool regular = false;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const HeaderField field = headers.at(i);
    if (field.name.starts_with(':')) {
      if (regular || !pseudo.take(field)) return rules;
      continue;
    }
    regular = true;
    if (of_the_connection(field)) return rules;
    if (field.name == "content-length" && !read_length(field.value, rules.content_length))
      return rules;
  }
  rules.well_formed = pseudo.complete();
  return rules;
}

bool well_formed_trailers(const HeaderBlock& trailers) {
  if (trailers.malformed) return false;
  for (std::size_t i = 0; i < trailers.size(); ++i) {
    const HeaderField field = trailers.at(i);
    if (field.name.starts_with(':') || of_the_connection(field)) return false;
  }
  return true;
}

}  // namespace nb::net::http2
