#include "management/domain/temporary_access.h"

#include <charconv>
#include <optional>

namespace nb::management {
namespace {

/// Where agents listen for SSH that the network itself authorises.
constexpr std::int64_t kSshPort = 22'022;

std::optional<std::int64_t> port_of(std::string_view text) {
  std::int64_t port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (ec != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65'535) return {};
  return port;
}

std::optional<PortRangeDraft> ports_of(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = port_of(text.substr(0, dash));
  const auto last = dash == text.npos ? first : port_of(text.substr(dash + 1));
  if (!first || !last || *first > *last) return {};
  return PortRangeDraft{*first, *last};
}

}  // namespace

Result<PolicyRuleDraft> temporary_rule(std::string_view word, const PeerId& peer,
                                       const PeerId& target, const UserId& user) {
  const auto slash = word.find('/');
  const std::string_view protocol = word.substr(0, slash);
  PolicyRuleDraft rule;
  rule.name = "Temporary access rule";
  rule.description = rule.name;
  rule.enabled = true;
  rule.action = kActionAccept;
  rule.source_resource = Resource{peer.value(), "peer"};
  rule.destination_resource = Resource{target.value(), "peer"};
  rule.protocol = protocol;
  if (slash == word.npos) {
    if (protocol == kProtocolAll || protocol == kProtocolIcmp) return rule;
    return fail(Code::kInvalidArgument, "invalid rule format: {}", word);
  }
  const auto ports = ports_of(word.substr(slash + 1));
  const bool ssh = protocol == kProtocolSsh;
  if (!ports || !(ssh || protocol == kProtocolTcp || protocol == kProtocolUdp))
    return fail(Code::kInvalidArgument, "invalid rule format: {}", word);
  rule.port_ranges = {ssh ? PortRangeDraft{kSshPort, kSshPort} : *ports};
  if (ssh) rule.authorized_user = user.value();
  return rule;
}

}  // namespace nb::management
