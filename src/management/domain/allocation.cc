#include "management/domain/allocation.h"

#include "base/assert.h"

#include <algorithm>
#include <array>

namespace nb::management {
namespace {

// 58 characters or fewer are kept whole, longer ones are cut at 59 by upstream. "-255-255" adds 8,
// and a DNS label has at most 63, so a label that gets a suffix is cut further (do better, §4.3).
constexpr std::size_t kLabelCutAbove = 58;
constexpr std::size_t kLabelKept = 59;
constexpr std::size_t kDnsLabelMax = 63;
constexpr std::size_t kDnsNameMax = 253;
constexpr std::size_t kExtraLabelsMax = 32;

bool is_ascii_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view stripped(std::string_view text) {
  while (text.starts_with('-')) text.remove_prefix(1);
  while (text.ends_with('-')) text.remove_suffix(1);
  return text;
}

// Uniform in [0, bound): the part of the range that would favour low values is drawn again.
std::uint64_t uniform(std::uint64_t bound, const RandomFn& random) {
  NB_ASSERT(bound > 0);
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (int i = 0; i < 64; ++i)
    if (const std::uint64_t value = random(); value < limit) return value % bound;
  return random() % bound;  // a broken source must not hang a login
}

bool valid_domain_label(std::string_view label) {
  if (label.empty() || label.size() > kDnsLabelMax) return false;
  if (label.front() == '-' || label.back() == '-') return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return is_ascii_alnum(c) || c == '-' || c == '_'; });
}

bool valid_domain_name(std::string_view name) {
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.empty() || name.size() > kDnsNameMax) return false;
  for (;;) {
    const auto dot = name.find('.');
    if (!valid_domain_label(name.substr(0, dot))) return false;
    if (dot == name.npos) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

std::uint64_t host_count(const Prefix& net) {
  if (!net.address.is_v4() || net.length > 30) return 0;
  return (std::uint64_t{1} << (32 - net.length)) - 2;
}

std::optional<IpAddress> random_address(const Prefix& net, const RandomFn& random) {
  const std::uint64_t hosts = host_count(net);
  if (hosts == 0) return {};
  const std::uint32_t base = net.masked().address.v4_value();
  return IpAddress::v4(base + static_cast<std::uint32_t>(1 + uniform(hosts, random)));
}

std::optional<IpAddress> lowest_free_address(const Prefix& net, std::vector<IpAddress> used) {
  const std::uint64_t hosts = host_count(net);
  if (hosts == 0) return {};
  std::sort(used.begin(), used.end());
  const std::uint32_t base = net.masked().address.v4_value();
  std::uint64_t offset = 1;
  for (const IpAddress& ip : used) {
    if (!ip.is_v4() || ip.v4_value() < base + offset) continue;
    if (ip.v4_value() != base + offset) break;
    ++offset;
  }
  if (offset > hosts) return {};
  return IpAddress::v4(base + static_cast<std::uint32_t>(offset));
}

IpAddress random_address_v6(const Prefix& net, const RandomFn& random) {
  NB_ASSERT(net.address.is_v6());
  std::array<std::uint8_t, 16> bytes = net.masked().address.bytes();
  bool zero = true;
  bool ones = true;
  std::uint64_t bits = 0;
  int left = 0;
  for (int bit = net.length; bit < 128; ++bit) {
    if (left-- == 0) {
      bits = random();
      left = 63;
    }
    const bool set = (bits & 1U) != 0;
    bits >>= 1;
    zero = zero && !set;
    ones = ones && set;
    if (set) {
      auto& byte = bytes.at(static_cast<std::size_t>(bit / 8));
      byte = static_cast<std::uint8_t>(byte | (0x80U >> (bit % 8)));
    }
  }
  if (zero || ones) {
    bytes = net.masked().address.bytes();
    bytes.at(15) = static_cast<std::uint8_t>(bytes.at(15) | 1U);
  }
  return IpAddress::v6(bytes);
}

Result<std::string> label_of_hostname(std::string_view hostname, const ToAsciiFn& to_ascii) {
  const std::string_view first = hostname.substr(0, hostname.find('.'));
  if (first.empty()) return fail(Code::kInvalidArgument, "peer host name is empty");
  const bool ascii = std::all_of(first.begin(), first.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 128; });
  std::string text(first);
  if (!ascii) {
    NB_LET(text, to_ascii(first));
  }
  std::string label;
  for (const char c : text) {
    if (is_ascii_alnum(c) || c == '-')
      label.push_back(lower(c));
    else if (label.empty() || label.back() != '-')
      label.push_back('-');
  }
  label = stripped(label);
  if (label.size() > kLabelCutAbove)
    label = stripped(std::string_view(label).substr(0, kLabelKept));
  if (label.empty())
    return fail(Code::kInvalidArgument, "peer host name has no character usable in a DNS label");
  return label;
}

std::string display_hostname(std::string_view hostname, std::string_view email) {
  std::string name(hostname);
  std::transform(name.begin(), name.end(), name.begin(), lower);
  const auto local = email.substr(0, email.find('@'));
  if ((name != "iphone" && name != "ipad") || local.empty()) return std::string(hostname);
  return std::string(hostname) + "-" + std::string(local);
}

std::string suffixed_label(std::string_view label, const IpAddress& ip) {
  const auto& bytes = ip.bytes();
  const std::string suffix = "-" + std::to_string(bytes.at(2)) + "-" + std::to_string(bytes.at(3));
  return std::string(stripped(label.substr(0, kDnsLabelMax - suffix.size()))) + suffix;
}

Result<> validate_extra_labels(const std::vector<std::string>& labels) {
  if (labels.size() > kExtraLabelsMax)
    return fail(Code::kInvalidArgument, "{} extra DNS labels: at most {} are allowed",
                labels.size(), kExtraLabelsMax);
  for (const std::string& label : labels)
    if (!valid_domain_name(label))
      return fail(Code::kInvalidArgument, "extra DNS label '{}' is not a valid domain name",
                  label.substr(0, kDnsLabelMax));
  return {};
}

}  // namespace nb::management
