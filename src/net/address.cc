#include "net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace nb::net {

namespace {
in6_addr mapped(const in_addr& v4) {
  in6_addr ip{};
  ip.s6_addr[10] = 0xff;
  ip.s6_addr[11] = 0xff;
  std::memcpy(&ip.s6_addr[12], &v4, 4);
  return ip;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<in6_addr> bare_ip(std::string_view text) {
  if (text.empty() || text.size() > INET6_ADDRSTRLEN) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN + 1> zero_ended{};
  std::copy(text.begin(), text.end(), zero_ended.begin());
  in_addr v4{};
  if (inet_pton(AF_INET, zero_ended.data(), &v4) == 1) return mapped(v4);
  in6_addr v6{};
  if (inet_pton(AF_INET6, zero_ended.data(), &v6) == 1) return v6;
  return std::nullopt;
}

bool in_any(const std::vector<AddressRange>& ranges, const in6_addr& ip, bool with_everything) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const AddressRange& range) {
    return (with_everything || !range.everything()) && range.contains(ip);
  });
}
}  // namespace

PeerAddress PeerAddress::from(const sockaddr_storage& address) {
  PeerAddress peer;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    peer.ip = mapped(v4.sin_addr);
    peer.port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    peer.ip = v6.sin6_addr;
    peer.port = ntohs(v6.sin6_port);
  }
  return peer;
}

std::string PeerAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (IN6_IS_ADDR_V4MAPPED(&ip)) {
    inet_ntop(AF_INET, &ip.s6_addr[12], buffer.data(), buffer.size());
  } else {
    inet_ntop(AF_INET6, &ip, buffer.data(), buffer.size());
  }
  return buffer.data();
}

bool operator==(const PeerAddress& a, const PeerAddress& b) {
  return a.port == b.port && std::memcmp(&a.ip, &b.ip, sizeof a.ip) == 0;
}

Result<PeerAddress> parse_ip(std::string_view text) {
  text = trimmed(text);
  PeerAddress result;
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return fail(Code::kInvalidArgument, "address: no ']'");
    host = text.substr(1, end - 1);
    if (text.substr(end + 1).starts_with(':')) port = text.substr(end + 2);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':') + 1);
  }
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (error != std::errc{} || end != port.data() + port.size()) {
      return fail(Code::kInvalidArgument, "address: not a port after ':'");
    }
  }
  const auto ip = bare_ip(host);
  if (!ip) return fail(Code::kInvalidArgument, "not an IP address");
  result.ip = *ip;
  return result;
}

Result<AddressRange> AddressRange::parse(std::string_view text) {
  text = trimmed(text);
  const std::size_t slash = text.find('/');
  const auto ip = bare_ip(text.substr(0, slash));
  if (!ip) return fail(Code::kInvalidArgument, "'{}': not an address or CIDR", text);
  const bool v4 = IN6_IS_ADDR_V4MAPPED(&*ip);
  unsigned bits = v4 ? 32 : 128;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    unsigned given = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), given);
    if (number.empty() || error != std::errc{} || end != number.data() + number.size() ||
        given > bits) {
      return fail(Code::kInvalidArgument, "'{}': prefix length outside 0..{}", text, bits);
    }
    bits = given;
  }
  AddressRange range;
  range.base_ = *ip;
  range.everything_ = bits == 0;
  range.bits_ = v4 ? bits + 96 : bits;
  return range;
}

bool AddressRange::contains(const in6_addr& ip) const {
  const unsigned whole = bits_ / 8;
  if (std::memcmp(&ip, &base_, whole) != 0) return false;
  if (bits_ % 8 == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - bits_ % 8));
  return (ip.s6_addr[whole] & mask) == (base_.s6_addr[whole] & mask);
}

bool ProxyRules::trusts(const PeerAddress& peer) const {
  return in_any(trusted_peers, peer.ip, true);
}

ClientAddress ProxyRules::resolve(const PeerAddress& peer, std::string_view forwarded_for,
                                  std::string_view real_ip) const {
  const ClientAddress socket{.ip = peer.text(), .port = peer.port};
  if ((forwarded_for.empty() && real_ip.empty()) || !trusts(peer)) return socket;
  std::vector<std::string_view> hops;
  for (std::string_view rest = forwarded_for; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    hops.push_back(trimmed(rest.substr(0, comma)));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  if (count > 0 && !hops.empty()) {
    if (hops.size() >= count) {
      if (const auto ip = parse_ip(hops[hops.size() - count])) return {ip->text(), ip->port};
    }
    return socket;
  }
  std::optional<PeerAddress> furthest;
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    const auto ip = parse_ip(*hop);
    if (!ip) break;  // what stands left of garbage was not written by a proxy of ours
    furthest = *ip;
    if (!in_any(trusted_proxies, ip->ip, true) && !in_any(trusted_peers, ip->ip, false)) break;
  }
  if (furthest) return {furthest->text(), furthest->port};
  if (const auto ip = parse_ip(real_ip)) return {ip->text(), ip->port};
  return socket;
}

}  // namespace nb::net
