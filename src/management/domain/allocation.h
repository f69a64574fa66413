// Addresses and DNS labels of new peers.
// Source   contract/network-map.md §4.1–§4.3.
#pragma once

#include "base/result.h"
#include "management/domain/address.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management {

/// 64 random bits; the only source of chance in the domain.
using RandomFn = std::function<std::uint64_t()>;

/// Hosts a peer can get: without network and broadcast address. 0 for a /31 or /32.
[[nodiscard]] std::uint64_t host_count(const Prefix& net);

/// A uniformly random host of an IPv4 net; nothing when the net has none.
[[nodiscard]] std::optional<IpAddress> random_address(const Prefix& net, const RandomFn& random);

/// The lowest host of an IPv4 net that is not in `used` (any order); nothing when all are taken.
[[nodiscard]] std::optional<IpAddress> lowest_free_address(const Prefix& net,
                                                           std::vector<IpAddress> used);

/// Random host bits in an IPv6 net; an all-zero or all-one host part becomes ::1 of the net.
[[nodiscard]] IpAddress random_address_v6(const Prefix& net, const RandomFn& random);

/// To ASCII (IDNA): a port, so that the domain needs no library. Keeps plain ASCII as it is.
/// Errors   kInvalidArgument: not a name that IDNA can express.
using ToAsciiFn = std::function<Result<std::string>(std::string_view)>;

/// The label a host name gives: its first part, in ASCII, lower case, every run of other characters
/// as one '-', none of them at the ends, short enough for the suffix of suffixed_label().
/// Errors   kInvalidArgument: nothing usable remains.
[[nodiscard]] Result<std::string> label_of_hostname(std::string_view hostname,
                                                    const ToAsciiFn& to_ascii);

/// The name of a user's phone: "iPhone" and "iPad" (any case) are told apart by the local part of
/// the user's mail, when there is one.
[[nodiscard]] std::string display_hostname(std::string_view hostname, std::string_view email);

/// `<label>-<third octet>-<fourth octet>`: for ephemeral peers and after a collision.
[[nodiscard]] std::string suffixed_label(std::string_view label, const IpAddress& ip);

/// At most 32 labels, each a valid ASCII domain name with an optional leading "*.".
/// Errors   kInvalidArgument naming the label.
[[nodiscard]] Result<> validate_extra_labels(const std::vector<std::string>& labels);

}  // namespace nb::management
