#include "base/config/option.h"
#include "base/ip.h"
#include "base/text.h"

#include <algorithm>

namespace nb::config {

namespace {
constexpr std::size_t kPrefixBytesMax = 128;
constexpr std::size_t kDomainBytesMax = 192;  // contract/signal-relay-ops.md §6.2
constexpr std::size_t kLabelBytesMax = 63;    // RFC 1035 §2.3.4

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
}  // namespace

Result<> check_cidr(std::string_view value) {
  if (!IpPrefix::parse(value)) {
    return fail(Code::kInvalidArgument, "not an IP address or prefix such as 10.0.0.0/8");
  }
  return {};
}

Result<> check_host_port(std::string_view value) {
  const auto parsed = parse_host_port(value);
  if (!parsed || parsed->host.empty()) {
    return fail(Code::kInvalidArgument, "not host:port");
  }
  return {};
}

Result<> check_listen_address(std::string_view value) {
  if (!parse_host_port(value)) return fail(Code::kInvalidArgument, "not [host]:port");
  return {};
}

Result<> check_redis_address(std::string_view value) {
  if (value.find("://") == std::string_view::npos) {
    const bool with_port = parse_host_port(value).has_value();
    const bool bare = value.find_first_of(":/@ ") == std::string_view::npos;
    if (with_port || bare) return {};
    return fail(Code::kInvalidArgument, "not host:port or redis[s]://…");
  }
  const auto url = parse_url(value);
  if (!url) return url.error();
  if (url->scheme != "redis" && url->scheme != "rediss") {
    return fail(Code::kInvalidArgument, "the scheme must be redis or rediss");
  }
  return {};
}

Result<> check_key_prefix(std::string_view value) {
  if (value.size() > kPrefixBytesMax) return fail(Code::kInvalidArgument, "longer than 128 bytes");
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7F; })) {
    return fail(Code::kInvalidArgument, "only printable ASCII without spaces");
  }
  return {};
}

Result<> check_domain(std::string_view value) {
  if (value.size() > kDomainBytesMax) {
    return fail(Code::kInvalidArgument, "longer than 192 characters");
  }
  for (;;) {
    const auto dot = value.find('.');
    const std::string_view label = value.substr(0, dot);
    const bool good =
        !label.empty() && label.size() <= kLabelBytesMax && alphanumeric(label.front()) &&
        alphanumeric(label.back()) &&
        std::all_of(label.begin(), label.end(), [](char c) { return alphanumeric(c) || c == '-'; });
    if (!good) return fail(Code::kInvalidArgument, "not a domain name");
    if (dot == std::string_view::npos) return {};
    value.remove_prefix(dot + 1);
  }
}

Result<> check_base64_key32(std::string_view value) {
  // 43 digits and a padding sign. Stray bits in the last digit are accepted, as upstream does.
  const auto digit = [](char c) { return alphanumeric(c) || c == '+' || c == '/'; };
  if (value.size() != 44 || value.back() != '=' ||
      !std::all_of(value.begin(), value.end() - 1, digit)) {
    return fail(Code::kInvalidArgument, "not the base64 form of 32 bytes");
  }
  return {};
}

std::string redact_address(std::string_view value) {
  if (value.find("://") == std::string_view::npos) {
    const bool plain = value.find_first_of("@= \t'\"") == std::string_view::npos;
    return plain ? std::string(value) : "(set)";
  }
  const auto url = parse_url(value);
  if (!url) return "(set)";
  std::string out = url->scheme + "://";
  if (!url->user.empty() || !url->password.empty()) out += "***@";
  out += url->host.find(':') == std::string::npos ? url->host : "[" + url->host + "]";
  if (url->port != 0) out += ":" + std::to_string(url->port);
  return escape_control(out + url->path);
}

}  // namespace nb::config
