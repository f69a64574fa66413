#include "ha/envelope.h"

#include "base/assert.h"
#include "crypto/hash.h"

#include <algorithm>
#include <cstdlib>

namespace nb::ha {
namespace {

constexpr char kVersion = 1;
constexpr unsigned char kSigned = 1;
constexpr std::size_t kMacBytes = 32;
constexpr std::size_t kFixedBytes = 3 + 8 + 8 + 8;
constexpr std::string_view kLabel = "netbird bus message 1";

void put(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint64_t take(std::string_view& in) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(in[std::size_t(i)]);
  in.remove_prefix(8);
  return value;
}

crypto::Digest32 mac_of(std::string_view body, std::string_view channel, const Secret& secret) {
  std::string text;
  text.reserve(kLabel.size() + 8 + channel.size() + body.size());
  text.append(kLabel);
  put(text, channel.size());
  text.append(channel).append(body);
  return crypto::hmac_sha256(secret.reveal(), text);
}

std::string_view bytes_of(const crypto::Digest32& mac) {
  return {reinterpret_cast<const char*>(mac.data()), mac.size()};
}

OpenedEnvelope refused(Refusal why) {
  OpenedEnvelope opened;
  opened.refusal = why;
  return opened;
}

}  // namespace

std::string_view refusal_name(Refusal refusal) {
  switch (refusal) {
    case Refusal::kGarbage:
      return "garbage";
    case Refusal::kVersion:
      return "version";
    case Refusal::kUnsigned:
      return "unsigned";
    case Refusal::kBadSignature:
      return "signature";
    case Refusal::kStale:
      return "stale";
    case Refusal::kReplayed:
      return "replayed";
  }
  return "unknown";
}

std::string encode_envelope(const Envelope& envelope, std::string_view channel,
                            const Secret& secret) {
  NB_ASSERT(envelope.sender.size() <= 255);
  std::string out;
  out.reserve(kFixedBytes + envelope.sender.size() + envelope.payload.size() + kMacBytes);
  out.push_back(kVersion);
  out.push_back(secret.empty() ? char{0} : static_cast<char>(kSigned));
  out.push_back(static_cast<char>(envelope.sender.size()));
  out.append(envelope.sender);
  put(out, static_cast<std::uint64_t>(envelope.sent_ms));
  put(out, envelope.boot);
  put(out, envelope.counter);
  out.append(envelope.payload);
  if (!secret.empty()) {
    out.append(bytes_of(mac_of(out, channel, secret)));
  }
  return out;
}

OpenedEnvelope open_envelope(std::string_view message, std::string_view channel,
                             const std::vector<Secret>& secrets) {
  if (message.size() < kFixedBytes) return refused(Refusal::kGarbage);
  // Text never starts with a control character, so what does is meant to be an envelope.
  if (message[0] != kVersion) {
    const bool later = message[0] > kVersion && message[0] < 9;
    return refused(later ? Refusal::kVersion : Refusal::kGarbage);
  }
  OpenedEnvelope opened;
  const auto flags = static_cast<unsigned char>(message[1]);
  const auto sender_bytes = static_cast<unsigned char>(message[2]);
  if (flags > kSigned) return refused(Refusal::kVersion);
  opened.is_signed = (flags & kSigned) != 0;
  const std::size_t tail = opened.is_signed ? kMacBytes : 0;
  if (message.size() < kFixedBytes + sender_bytes + tail) return refused(Refusal::kGarbage);

  const std::string_view body = message.substr(0, message.size() - tail);
  if (!secrets.empty()) {
    if (!opened.is_signed) return refused(Refusal::kUnsigned);
    const std::string_view given = message.substr(body.size());
    const bool known = std::any_of(secrets.begin(), secrets.end(), [&](const Secret& secret) {
      if (secret.empty()) return false;
      return crypto::equal_secrets(bytes_of(mac_of(body, channel, secret)), given);
    });
    if (!known) return refused(Refusal::kBadSignature);
  }
  std::string_view rest = body.substr(3);
  opened.sender = rest.substr(0, sender_bytes);
  rest.remove_prefix(sender_bytes);
  opened.sent_ms = static_cast<std::int64_t>(take(rest));
  opened.boot = take(rest);
  opened.counter = take(rest);
  opened.payload = rest;
  opened.ok = true;
  return opened;
}

bool ReplayGuard::first_sight(std::uint64_t boot, std::uint64_t counter, Instant now,
                              std::chrono::seconds idle) {
  auto it = windows_.find(boot);
  if (it == windows_.end()) {
    std::erase_if(windows_, [&](const auto& entry) { return now - entry.second.last > idle; });
    if (windows_.size() >= kSendersMax) {
      windows_.erase(std::min_element(
          windows_.begin(), windows_.end(),
          [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
    }
    it = windows_.emplace(boot, Window{counter, std::vector<std::uint64_t>(kWindow / 64), now})
             .first;
  }
  Window& window = it->second;
  window.last = now;
  const auto bit = [&](std::uint64_t at) -> std::pair<std::uint64_t&, std::uint64_t> {
    return {window.bits[at % kWindow / 64], std::uint64_t{1} << (at % 64)};
  };
  if (counter > window.highest) {
    if (counter - window.highest >= kWindow) {
      std::fill(window.bits.begin(), window.bits.end(), 0);
    } else {
      for (auto at = window.highest + 1; at < counter; ++at) {
        auto [word, mask] = bit(at);
        word &= ~mask;
      }
    }
    window.highest = counter;
    auto [word, mask] = bit(counter);
    word |= mask;
    return true;
  }
  if (window.highest - counter >= kWindow) return false;
  auto [word, mask] = bit(counter);
  if (word & mask) return false;
  word |= mask;
  return true;
}

Sealer::Sealer(InstanceId self, std::uint64_t boot, SealOptions options)
    : self_(std::move(self)), boot_(boot), options_(std::move(options)) {}

std::string Sealer::seal(std::string_view channel, std::string_view payload, WallTime wall) {
  static const Secret none;
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(wall).time_since_epoch().count();
  return encode_envelope({self_.value(), ms, boot_, ++counter_, std::string(payload)}, channel,
                         options_.secrets.empty() ? none : options_.secrets.front());
}

OpenedEnvelope Sealer::open(std::string_view channel, std::string_view message, WallTime wall,
                            Instant now) {
  OpenedEnvelope opened = open_envelope(message, channel, options_.secrets);
  if (!opened.ok) return opened;
  // Without a secret neither time nor boot prove anything; clocks may differ then.
  if (!options_.secrets.empty()) {
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(wall).time_since_epoch().count();
    const std::int64_t limit = std::chrono::milliseconds(options_.skew_max).count();
    // Compared without subtracting: the field is anybody's 64 bits.
    if (opened.sent_ms < ms - limit || opened.sent_ms > ms + limit) return refused(Refusal::kStale);
  }
  // Longer than a message can stay fresh, from the earliest to the latest clock.
  if (!guard_.first_sight(opened.boot, opened.counter, now, 3 * options_.skew_max)) {
    return refused(Refusal::kReplayed);
  }
  return opened;
}

}  // namespace nb::ha
