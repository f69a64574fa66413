// Envelopes of bus messages, pure: who sent it, when, which one it is, and proof of it.
//
// Layout   version 0x01 | flags (1: signed) | sender length u8 | sender | sent ms u64 |
//          boot u64 | counter u64 | payload | HMAC-SHA256, 32 bytes, if signed. Big endian.
// The MAC covers a fixed label, the channel and everything before it, so that a message cannot be
// carried over to another channel. Boot and counter name the message: boot is random per start.
// Source   contract/signal-relay-ops.md §2.2 S5, S14, S23
#pragma once

#include "base/clock.h"
#include "base/secret.h"
#include "ha/ids.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::ha {

/// Why a message was not taken.
enum class Refusal : std::uint8_t {
  kGarbage,       // no envelope at all: "ping", plain text, truncated
  kVersion,       // an envelope of a version we do not know
  kUnsigned,      // a secret is set and it bears no signature
  kBadSignature,  // by none of our secrets, or for another channel
  kStale,         // its time differs from ours by more than skew_max
  kReplayed,      // seen before, or too old to tell
};
inline constexpr std::size_t kRefusals = 6;
[[nodiscard]] std::string_view refusal_name(Refusal refusal);

struct Envelope {
  std::string sender;  // instance id, <= 255 bytes
  std::int64_t sent_ms = 0;
  std::uint64_t boot = 0;
  std::uint64_t counter = 0;
  std::string payload;

  friend bool operator==(const Envelope&, const Envelope&) = default;
};

/// `secret` empty: unsigned.
[[nodiscard]] std::string encode_envelope(const Envelope& envelope, std::string_view channel,
                                          const Secret& secret);

/// An envelope, or why not. Views into the message.
struct OpenedEnvelope {
  bool ok = false;
  Refusal refusal = Refusal::kGarbage;
  bool is_signed = false;
  std::string_view sender;
  std::int64_t sent_ms = 0;
  std::uint64_t boot = 0;
  std::uint64_t counter = 0;
  std::string_view payload;
};

/// Shape and signature only. With secrets, one of them must have signed; without, a signature is
/// not looked at.
[[nodiscard]] OpenedEnvelope open_envelope(std::string_view message, std::string_view channel,
                                           const std::vector<Secret>& secrets);

/// Remembers which counters of which boot were seen: a sliding window per sender.
/// Limits   senders_max; then the one that was silent longest is forgotten.
class ReplayGuard {
 public:
  static constexpr std::size_t kWindow = 65'536;  // messages of one sender that may be overtaken
  static constexpr std::size_t kSendersMax = 256;
  /// True when it is new. `idle`: senders silent for longer are forgotten.
  bool first_sight(std::uint64_t boot, std::uint64_t counter, Instant now,
                   std::chrono::seconds idle);
  [[nodiscard]] std::size_t senders() const { return windows_.size(); }

 private:
  struct Window {
    std::uint64_t highest = 0;
    std::vector<std::uint64_t> bits;
    Instant last;
  };
  std::map<std::uint64_t, Window> windows_;
};

struct SealOptions {
  /// Signs with the first, accepts all: two while rotating. Empty: unsigned, and all are accepted.
  std::vector<Secret> secrets;
  std::chrono::seconds skew_max{60};
};

/// Both directions with their state; lives wherever its owner lives.
class Sealer {
 public:
  Sealer(InstanceId self, std::uint64_t boot, SealOptions options);
  [[nodiscard]] std::string seal(std::string_view channel, std::string_view payload, WallTime wall);
  [[nodiscard]] OpenedEnvelope open(std::string_view channel, std::string_view message,
                                    WallTime wall, Instant now);
  /// For live rotation.
  void set_secrets(std::vector<Secret> secrets) { options_.secrets = std::move(secrets); }

 private:
  InstanceId self_;
  std::uint64_t boot_;
  std::uint64_t counter_ = 0;
  SealOptions options_;
  ReplayGuard guard_;
};

}  // namespace nb::ha
