// Which Sync stream must be given a newer map, and when: the rules, without clock, thread or I/O.
//
// What waits per stream is a serial, never a message: a map is asked for when its stream can take
// it, from the newest loaded snapshot. So memory stays flat in a storm, ten edits cost two or three
// rounds, and no stream ends on an old map (design.md §5, contract/network-map.md §3.5).
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace nb::management::app {

/// A stream of this process; never used twice.
using StreamNumber = std::uint64_t;

/// Account-wide network serial as stored in accounts.network_serial.
using Serial = std::uint64_t;

/// Why the server ends a stream (contract/management-grpc.md §5.6).
enum class EndReason : std::uint8_t {
  kSuperseded,  // a newer stream of the same peer exists, here or elsewhere
  kDeleted,     // the peer is gone: cleanup message first
  kRefused,     // login expired or user blocked
  kDraining,
};

struct FanOutOptions {
  std::chrono::nanoseconds window = std::chrono::seconds(1);  // between two rounds of an account
  std::chrono::nanoseconds load_retry = std::chrono::seconds(1);  // after a failed snapshot load
  std::size_t builds_max = 64;  // maps being made or waiting in a socket at one time
  std::chrono::nanoseconds slow_after = std::chrono::seconds(2);  // then a stream no longer counts
};

/// The rules. Feed events, perform what take_effects() returns, come back at next_wakeup().
/// Invariant  builds of one stream never overlap and never use an older snapshot than the last one.
class FanOut {
 public:
  struct Load {
    std::string account;
    Serial at_least;  // the snapshot must not be older
    friend bool operator==(const Load&, const Load&) = default;
  };
  struct Build {
    StreamNumber stream;
    std::string account;
    friend bool operator==(const Build&, const Build&) = default;
  };
  struct End {
    StreamNumber stream;
    std::string account;
    EndReason reason;
    friend bool operator==(const End&, const End&) = default;
  };
  /// No stream of the account is left: drop snapshot and subscription.
  struct Forget {
    std::string account;
    friend bool operator==(const Forget&, const Forget&) = default;
  };
  using Effect = std::variant<Load, Build, End, Forget>;

  /// nullopt: every peer of the account.
  using Affected = std::optional<std::vector<std::string>>;

  explicit FanOut(FanOutOptions options) : options_(options) {}

  /// A stream that has not seen anything yet. `serial` was read from the database after the
  /// stream's subscription was in place; its first map is never older, whatever instance served it
  /// before. Older streams of the same peer are ended.
  void opened(StreamNumber stream, std::string account, std::string peer, std::int64_t epoch,
              Serial serial, Instant now);
  /// Announced by the bus or by a change made here. A gap in the serials counts as everyone.
  void changed(const std::string& account, Serial serial, const Affected& affected, Instant now);
  /// The database's serial. A difference that two polls in a row see is repaired; `certain` repairs
  /// at once (messages are known to be lost).
  /// True when something was missed.
  bool polled(const std::string& account, Serial serial, bool certain, Instant now);
  void loaded(const std::string& account, Serial serial, Instant now);
  void load_failed(const std::string& account, Instant now);
  /// The stream took its map (or dropped it as unchanged) and can take another.
  void ready(StreamNumber stream, Instant now);
  void closed(StreamNumber stream, Instant now);
  /// A newer session of the peer exists: ends its streams with a lower epoch.
  void superseded(const std::string& account, const std::string& peer, std::int64_t epoch);
  void end_peer(const std::string& account, const std::string& peer, EndReason reason);
  void tick(Instant now);

  [[nodiscard]] std::vector<Effect> take_effects();
  [[nodiscard]] std::optional<Instant> next_wakeup() const;

  [[nodiscard]] std::size_t streams() const { return streams_.size(); }
  [[nodiscard]] std::vector<std::string> accounts() const;
  [[nodiscard]] bool has_account(const std::string& account) const {
    return accounts_.contains(account);
  }
  /// Only of a stream that was opened and not closed.
  [[nodiscard]] const std::string& peer_of(StreamNumber stream) const {
    return streams_.at(stream).peer;
  }
  /// Serial of the newest snapshot, 0 before the first.
  [[nodiscard]] Serial loaded_serial(const std::string& account) const;

 private:
  struct Stream {
    std::string account;
    std::string peer;
    std::int64_t epoch = 0;
    Serial sent = 0;    // snapshot of the last build
    Serial dirty = 0;   // changed, waits for the account's next round
    Serial owed = 0;    // released by a round, waits for snapshot and stream
    bool first = true;  // owed a map even at serial 0
    bool building = false;
    bool counted = false;  // in in_flight_
    bool queued = false;
    bool ending = false;
    Instant since{};
  };
  struct Account {
    std::map<std::string, std::vector<StreamNumber>> peers;
    Serial covered = 0;  // every change up to here is marked at its streams
    Serial loaded = 0;
    Serial suspect = 0;  // seen by one poll beyond `covered`
    bool known = false;  // `covered` has a base
    bool have_snapshot = false;
    bool loading = false;
    bool pending = false;  // dirty streams wait for next_round
    Instant next_round{};
    std::optional<Instant> retry_at;
  };

  void mark(Account& account, Stream& stream, Serial serial);
  void mark_all(Account& account, Serial serial);
  void start_round(const std::string& id, Account& account, Instant now);
  void serve(const std::string& id, Account& account, StreamNumber number, Stream& stream);
  void serve_all(const std::string& id, Account& account);
  void want_load(const std::string& id, Account& account, Serial at_least);
  void pump(Instant now);
  void end(StreamNumber number, Stream& stream, EndReason reason);
  void uncount(StreamNumber number, Stream& stream);
  [[nodiscard]] static bool owes(const Stream& stream) { return stream.first || stream.owed > 0; }

  FanOutOptions options_;
  std::unordered_map<StreamNumber, Stream> streams_;
  std::unordered_map<std::string, Account> accounts_;
  std::deque<StreamNumber> firsts_;  // can be built; first maps go before updates
  std::deque<StreamNumber> updates_;
  std::set<std::pair<Instant, StreamNumber>> in_flight_;  // counted builds, oldest first
  std::vector<Effect> effects_;
};

}  // namespace nb::management::app
