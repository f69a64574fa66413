// What an instance says of itself to operators, in the metadata of its membership record.
//
// Shape    one line of "name=value", blanks between: version=1.2.0 state=serving … address=rel://…
//          Blanks, controls, commas and % of values are %XX. The address is last: relays of older
//          versions take everything after " address=" for it. At most 1.5 KiB.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::ha {

/// Times are of the reporter's wall clock, in ms since 1970; 0: never, unknown.
struct InstanceFacts {
  std::string version;
  std::string program;  // netbird-mgmt, netbird-server, …
  std::int64_t started_ms = 0;
  std::string state;                       // kServing and the like; empty: an older version
  std::string trouble;                     // what is not well and why; empty: all is
  std::string redis;                       // up, down, off
  std::optional<std::uint64_t> peers;      // connected to it
  std::optional<std::int64_t> bus_lag_us;  // of a message of its own over the bus
  std::uint64_t repairs = 0;               // since its start: what anti-entropy found wrong
  std::uint64_t reclaimed = 0;             // since its start: what dead instances had left
  std::int64_t repaired_ms = 0;            // the last of either
  std::vector<std::string> leases;
  std::string address;  // where clients reach it, if it is to be reached by itself

  friend bool operator==(const InstanceFacts&, const InstanceFacts&) = default;
};

inline constexpr std::string_view kServing = "serving";
inline constexpr std::string_view kNotReady = "not_ready";
inline constexpr std::string_view kDraining = "draining";
inline constexpr std::string_view kDrained = "drained";  // nobody is connected any more

[[nodiscard]] std::string facts_text(const InstanceFacts& facts);
/// Of whatever somebody wrote there: unknown names are skipped, what is not understood stays at its
/// default, texts are cut.
[[nodiscard]] InstanceFacts parse_facts(std::string_view text);

/// Remembers what was told, to know what is new and when the last repair was.
class FactsTeller {
 public:
  /// `now` tells the present, but for repaired_ms.
  struct Told {
    std::string text;
    bool news = false;  // worth telling at once: another state, trouble or repair
  };
  Told tell(InstanceFacts now, std::int64_t now_ms);

 private:
  InstanceFacts last_;
  bool told_ = false;
};

}  // namespace nb::ha
