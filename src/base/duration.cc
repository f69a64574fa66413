#include "base/duration.h"

#include <array>
#include <cstdint>
#include <limits>

namespace nb {

namespace {
struct Unit {
  std::string_view name;
  std::uint64_t nanoseconds;
};
constexpr std::array<Unit, 8> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"\xC2\xB5s", 1'000},  // U+00B5
                                         {"\xCE\xBCs", 1'000},  // U+03BC
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};
constexpr std::uint64_t kMax = 1ULL << 63U;  // the magnitude of the smallest value

bool digit(char c) {
  return c >= '0' && c <= '9';
}

Error bad() {
  return fail(Code::kInvalidArgument, "not a duration (a number with h, m, s, ms, us or ns)");
}

/// One "1.5h" at the front of `text`, which it consumes.
Result<std::uint64_t> take_part(std::string_view& text) {
  unsigned __int128 whole = 0;
  std::size_t digits = 0;
  for (; !text.empty() && digit(text.front()); text.remove_prefix(1), ++digits) {
    whole = whole * 10 + static_cast<unsigned>(text.front() - '0');
    if (whole > kMax) return fail(Code::kInvalidArgument, "duration out of range");
  }
  std::uint64_t fraction = 0;
  std::uint64_t scale = 1;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    for (; !text.empty() && digit(text.front()); text.remove_prefix(1), ++digits) {
      if (scale >= 1'000'000'000'000'000) continue;  // finer than a nanosecond of an hour
      fraction = fraction * 10 + static_cast<unsigned>(text.front() - '0');
      scale *= 10;
    }
  }
  if (digits == 0) return bad();
  std::size_t end = 0;
  while (end < text.size() && text[end] != '.' && !digit(text[end])) ++end;
  for (const Unit& unit : kUnits) {
    if (text.substr(0, end) != unit.name) continue;
    text.remove_prefix(end);
    const unsigned __int128 total =
        whole * unit.nanoseconds +
        static_cast<unsigned __int128>(fraction) * unit.nanoseconds / scale;
    if (total > kMax) return fail(Code::kInvalidArgument, "duration out of range");
    return static_cast<std::uint64_t>(total);
  }
  return bad();
}
}  // namespace

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return bad();
  std::uint64_t total = 0;
  while (!text.empty()) {
    NB_LET(const std::uint64_t part, take_part(text));
    if (total + part < total || total + part > kMax) {
      return fail(Code::kInvalidArgument, "duration out of range");
    }
    total += part;
  }
  if (!negative && total == kMax) return fail(Code::kInvalidArgument, "duration out of range");
  return std::chrono::nanoseconds(static_cast<std::int64_t>(negative ? 0 - total : total));
}

namespace {
/// `value` / 10^places without trailing zeros: "1.5", "2".
std::string decimal(std::uint64_t value, unsigned places) {
  std::uint64_t unit = 1;
  for (unsigned i = 0; i < places; ++i) unit *= 10;
  std::string out = std::to_string(value / unit);
  std::string fraction = std::to_string(unit + value % unit).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  if (places > 0 && !fraction.empty()) out.append(".").append(fraction);
  return out;
}
}  // namespace

std::string format_duration(std::chrono::nanoseconds time) {
  const auto count = static_cast<std::uint64_t>(time.count());
  const bool negative = time.count() < 0;
  const std::uint64_t ns = negative ? 0 - count : count;
  const std::string sign = negative ? "-" : "";
  if (ns == 0) return "0s";
  if (ns < 1'000) return sign + std::to_string(ns) + "ns";
  if (ns < 1'000'000) return sign + decimal(ns, 3) + "\xC2\xB5s";
  if (ns < 1'000'000'000) return sign + decimal(ns, 6) + "ms";
  const std::uint64_t minutes = ns / 60'000'000'000;
  std::string out = sign;
  if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
  if (minutes > 0) out += std::to_string(minutes % 60) + "m";
  return out + decimal(ns % 60'000'000'000, 9) + "s";
}

}  // namespace nb
