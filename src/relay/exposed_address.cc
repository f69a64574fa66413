#include "relay/exposed_address.h"

#include "base/text.h"

namespace nb::relay {

namespace {
constexpr std::size_t kUrlMax = 1024;
}

Result<std::string> instance_url(std::string_view exposed, bool tls) {
  if (exposed.empty()) return fail(Code::kInvalidArgument, "exposed address: empty");
  if (exposed.size() > kUrlMax)
    return fail(Code::kInvalidArgument, "exposed address: longer than {} bytes", kUrlMax);
  const std::size_t mark = exposed.find("://");
  const std::string_view scheme =
      mark == std::string_view::npos ? (tls ? "rels" : "rel") : exposed.substr(0, mark);
  const std::string_view rest = mark == std::string_view::npos ? exposed : exposed.substr(mark + 3);
  if (rest.find("://") != std::string_view::npos)
    return fail(Code::kInvalidArgument, "exposed address '{}': more than one scheme", exposed);
  if (scheme != "rel" && scheme != "rels")
    return fail(Code::kInvalidArgument, "exposed address '{}': the scheme must be rel or rels",
                exposed);
  if (scheme == "rel" && tls)
    return fail(Code::kInvalidArgument,
                "exposed address '{}': rel:// is plain, but this relay has a certificate; use "
                "rels://",
                exposed);
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f)
      return fail(Code::kInvalidArgument, "exposed address: not a printable host and port");
  }
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const bool with_port = authority.starts_with('[') ? authority.find("]:") != std::string_view::npos
                                                    : authority.find(':') != std::string_view::npos;
  if (authority.empty() || authority.starts_with(':'))
    return fail(Code::kInvalidArgument, "exposed address '{}': the host is missing", exposed);
  if (with_port) {
    const auto parsed = parse_host_port(authority);
    if (!parsed)
      return fail(Code::kInvalidArgument, "exposed address '{}': {}", exposed, parsed.error().text);
  }
  return std::string(scheme) + "://" + std::string(rest);
}

}  // namespace nb::relay
