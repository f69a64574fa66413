// The signal message of the load: EncryptedMessage (contract/signal-relay-ops.md §1.1) whose body
// begins with a stamp, so that the receiver knows which message came and how old it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nb::bench {

struct Stamp {
  std::uint32_t run = 0;       // traffic of an earlier phase is not counted
  std::uint32_t receiver = 0;  // peer number
  std::uint64_t message = 0;   // number in the ledger
  std::uint64_t time_ns = 0;   // monotonic, when it was due to be sent
};

/// 44 characters that look like a WireGuard public key; the floor server reads the number from it.
[[nodiscard]] std::string peer_key(std::uint32_t peer);

/// `out` is replaced. body_bytes >= 64.
void write_message(std::string& out, std::string_view from, std::string_view to,
                   std::size_t body_bytes, const Stamp& stamp);
[[nodiscard]] std::optional<Stamp> read_message(std::string_view message);

}  // namespace nb::bench
