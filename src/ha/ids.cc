#include "ha/ids.h"

#include "crypto/random.h"
#include "ha/deadlines.h"
#include "ha/membership.h"
#include "ha/peer_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <chrono>

namespace nb::ha {
namespace {
using namespace std::chrono_literals;

constexpr std::size_t kNameMax = 128;
constexpr std::uint64_t kSeqEnd = std::uint64_t{1} << 53;

bool plain(std::string_view text) {
  return !text.empty() && text.size() <= kNameMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}
}  // namespace

Random system_random() {
  return [source = crypto::SystemRandom()]() mutable {
    return std::bit_cast<std::uint64_t>(source.bytes<sizeof(std::uint64_t)>());
  };
}

Incarnation make_incarnation(WallTime started, std::uint64_t random) {
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(started.time_since_epoch()).count();
  return Incarnation{fmt::format("{:016x}{:016x}", static_cast<std::uint64_t>(us), random)};
}

Result<InstanceId> choose_instance_id(std::string_view configured, std::string_view environment,
                                      std::string_view host_name, std::string_view uuid) {
  for (const std::string_view id : {configured, environment, host_name, uuid}) {
    if (id.empty()) continue;
    if (!plain(id)) {
      return fail(Code::kInvalidArgument,
                  "instance id '{}': must be 1..128 printable ASCII characters without blanks", id);
    }
    return InstanceId{std::string(id)};
  }
  return fail(Code::kInvalidArgument, "instance id: none given");
}

Result<> check_key(std::string_view setting, std::string_view key) {
  if (plain(key)) return {};
  return fail(Code::kInvalidArgument,
              "{} '{}': must be 1..128 printable ASCII characters without blanks", setting, key);
}

Result<> check(const MembershipConfig& config) {
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (config.service.empty() || config.service.size() > 32 ||
      !std::all_of(config.service.begin(), config.service.end(), word)) {
    return fail(Code::kInvalidArgument, "service '{}': must be [a-z0-9-]{{1,32}}", config.service);
  }
  if (config.ttl < 100ms || config.ttl > 1h) {
    return fail(Code::kInvalidArgument, "peer TTL {} ms: outside 100 ms..1 h", config.ttl.count());
  }
  // contract/signal-relay-ops.md §2.2 S21.
  if (config.interval <= 0ms || config.interval > config.ttl / 2) {
    return fail(Code::kInvalidArgument,
                "heartbeat interval {} ms: must be positive and at most half the peer TTL of {} ms",
                config.interval.count(), config.ttl.count());
  }
  if (config.metadata.size() > 1024) {
    return fail(Code::kInvalidArgument, "instance metadata: {} bytes, at most 1024",
                config.metadata.size());
  }
  return {};
}

Result<> check(const DirectoryConfig& config) {
  NB_TRY(check_key("registry key", config.registry_key));
  if (config.peer_ttl < 100ms || config.peer_ttl > 24h) {
    return fail(Code::kInvalidArgument, "peer TTL {} ms: outside 100 ms..24 h",
                config.peer_ttl.count());
  }
  return {};
}

DueMs due_ms(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
}

std::string token(const Claim& claim) {
  return fmt::format("{}/{}/{}", claim.instance.value(), claim.incarnation.value(), claim.seq);
}

std::optional<Claim> parse_token(std::string_view text) {
  // From the right: an instance id may contain '/'.
  const auto last = text.rfind('/');
  if (last == std::string_view::npos || last == 0) return std::nullopt;
  const auto middle = text.rfind('/', last - 1);
  if (middle == std::string_view::npos) return std::nullopt;
  const std::string_view instance = text.substr(0, middle);
  const std::string_view boot = text.substr(middle + 1, last - middle - 1);
  const std::string_view digits = text.substr(last + 1);
  if (!plain(instance) || !plain(boot) || digits.empty() || (digits[0] == '0' && digits.size() > 1))
    return std::nullopt;
  Claim claim{InstanceId{std::string(instance)}, Incarnation{std::string(boot)}, 0};
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), claim.seq);
  if (error != std::errc{} || end != digits.data() + digits.size() || claim.seq >= kSeqEnd)
    return std::nullopt;
  return claim;
}

}  // namespace nb::ha
