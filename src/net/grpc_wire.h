// Text and byte rules of gRPC over HTTP/2 that need no connection.
// Source   PROTOCOL-HTTP2 of gRPC (Timeout, Status-Message, Binary-Header,
// Length-Prefixed-Message).
#pragma once

#include "base/result.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nb::net::grpc_wire {

inline constexpr std::size_t kPrefixBytes = 5;  // compressed flag and big-endian length

/// "250m", "5S": at most 8 digits and one unit of H M S m u n. Empty: malformed.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text);

/// Space to '~' except '%' stay, everything else becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view message);
[[nodiscard]] std::string percent_decode(std::string_view text);  // lenient

/// Values of "-bin" names: base64, sent without padding, accepted with and without.
[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);
/// HTTP2-Settings of an upgrade request (RFC 7540 §3.2.1).
[[nodiscard]] std::optional<std::string> base64url_decode(std::string_view text);

[[nodiscard]] inline bool is_binary_name(std::string_view name) {
  return name.ends_with("-bin");
}

/// "application/grpc", also followed by '+', ';' or ' '.
[[nodiscard]] bool is_grpc_content_type(std::string_view value);

/// True when `list` ("identity,gzip, deflate") names `token`.
[[nodiscard]] bool lists_token(std::string_view list, std::string_view token);

/// Writes the 5-byte prefix.
void put_prefix(std::uint8_t* to, bool compressed, std::size_t size);
[[nodiscard]] inline std::size_t prefix_size(const std::uint8_t* from) {
  return static_cast<std::size_t>(from[1]) << 24 | static_cast<std::size_t>(from[2]) << 16 |
         static_cast<std::size_t>(from[3]) << 8 | static_cast<std::size_t>(from[4]);
}

/// gzip, with one compressor and one decompressor kept per thread.
[[nodiscard]] std::string gzip(std::string_view bytes);
/// Errors   kResourceExhausted: larger than `limit` when unpacked; kInternal: not gzip.
[[nodiscard]] Result<std::string> gunzip(std::string_view bytes, std::size_t limit);

}  // namespace nb::net::grpc_wire
