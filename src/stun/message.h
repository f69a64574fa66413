// The bytes of STUN Binding requests and responses.
// Source   RFC 8489 §5, §14.2, §14.7; contract/signal-relay-ops.md §4.1
#pragma once

#include "base/result.h"
#include "net/address.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace nb::stun {

using TransactionId = std::array<std::uint8_t, 12>;

inline constexpr std::size_t kHeaderBytes = 20;
/// Header, XOR-MAPPED-ADDRESS of IPv6, FINGERPRINT.
inline constexpr std::size_t kResponseBytesMax = kHeaderBytes + 24 + 8;

/// The id of a Binding request; nothing for every other datagram. Attributes are not looked at.
[[nodiscard]] std::optional<TransactionId> parse_request(std::span<const std::uint8_t> datagram);
[[nodiscard]] std::array<std::uint8_t, kHeaderBytes> make_request(const TransactionId& id);

/// Writes the success response with XOR-MAPPED-ADDRESS and FINGERPRINT; returns its size. An
/// IPv4-mapped address is written as IPv4.
std::size_t write_response(std::span<std::uint8_t, kResponseBytesMax> out, const TransactionId& id,
                           const net::PeerAddress& mapped);
/// The mapped address of the success response to `id`.
/// Errors   kInvalidArgument: another message, another id, wrong fingerprint, no such attribute.
[[nodiscard]] Result<net::PeerAddress> parse_response(std::span<const std::uint8_t> datagram,
                                                      const TransactionId& id);

}  // namespace nb::stun
