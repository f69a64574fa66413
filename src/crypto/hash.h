// Digests, keyed digests, checksums and comparison without a timing hint.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace nb::crypto {

using Digest16 = std::array<std::uint8_t, 16>;
using Digest20 = std::array<std::uint8_t, 20>;
using Digest32 = std::array<std::uint8_t, 32>;

[[nodiscard]] Digest32 sha256(std::string_view data);
/// Standard base64 of SHA-256, 44 characters: the form of every stored secret hash.
/// Source   contract/schema/README.md "Encodings"
[[nodiscard]] std::string sha256_base64(std::string_view data);

[[nodiscard]] Digest32 hmac_sha256(std::string_view key, std::string_view data);
/// For coturn only (contract/signal-relay-ops.md §4.2).
[[nodiscard]] Digest20 hmac_sha1(std::string_view key, std::string_view data);

/// HKDF (RFC 5869) without salt: one key per purpose out of one secret.
[[nodiscard]] Digest32 hkdf_sha256(std::string_view secret, std::string_view purpose);

/// Unkeyed BLAKE2b with a 16-byte digest over a user id: SSHAuth.AuthorizedUsers.
/// Source   contract/network-map.md §1.1
[[nodiscard]] Digest16 ssh_user_hash(std::string_view user_id);

/// CRC-32 of IEEE 802.3.
[[nodiscard]] std::uint32_t crc32(std::string_view data);

/// Time depends on the lengths only. Different lengths are unequal.
[[nodiscard]] bool equal_secrets(std::string_view a, std::string_view b);
[[nodiscard]] bool equal_secrets(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);

}  // namespace nb::crypto
