// Which Sync stream must be given a newer map, and when: the rules, without clock, thread or I/O.
//
// A change is known by its serial only. It makes the account load; what the new snapshot changes
// against the old one says which streams are affected, so nothing depends on what the writer knew
// or on which messages arrived. What waits per stream is a mark, never a message: a map is asked
// for when its stream can take it, from the newest snapshot. So memory stays flat in a storm, ten
// edits cost two or three rounds, and no stream ends on an old map (design.md §5,
// contract/network-map.md §3).
#pragma once

#include "base/clock.h"
#include "management/app/changes.h"
#include "management/app/newest_epochs.h"

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

struct FanOutOptions {
  std::chrono::nanoseconds window = std::chrono::seconds(1);  // between two rounds of an account
  std::chrono::nanoseconds startup_window = std::chrono::seconds(1);  // the same, at first
  Instant startup_until{};                                            // so long
  std::chrono::nanoseconds gather{0};  // a load waits so long for others that ask for one, too
  std::chrono::nanoseconds load_retry = std::chrono::seconds(1);  // after a failed snapshot load
  std::size_t builds_max = 64;  // maps being made or waiting in a socket at one time
  std::chrono::nanoseconds slow_after = std::chrono::seconds(2);  // then a stream no longer counts
};

/// The rules. Feed events, perform what take_effects() returns, come back at next_wakeup().
/// Invariant  a stream without a mark has got the map of the newest snapshot, or one of equal
///            content; builds of one stream never overlap and never use an older snapshot than the
///            last one.
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

  /// Peers whose map may differ between two snapshots; nullopt: every peer of the account.
  using Affected = std::optional<std::vector<std::string>>;

  explicit FanOut(FanOutOptions options) : options_(options) {}

  /// A stream that has not seen anything yet. `serial` was read from the database after the
  /// stream's subscription was in place; its first map is never older, whatever instance served it
  /// before. Older streams of the same peer are ended, and so is this one if a newer session is
  /// known: openings overtake each other, and messages overtake openings.
  void opened(StreamNumber stream, std::string account, std::string peer, std::int64_t epoch,
              Serial serial, Instant now);
  /// Announced by the bus, found by a poll, or committed here. True: it was news.
  bool changed(const std::string& account, Serial serial, Instant now);
  /// The account's snapshot is now of `serial`; `affected` against the one before.
  void loaded(const std::string& account, Serial serial, const Affected& affected, Instant now);
  void load_failed(const std::string& account, Instant now);
  /// The stream took its map (or dropped it as unchanged) and can take another. `changes_at`: when
  /// that map changes by time alone.
  void ready(StreamNumber stream, std::optional<Instant> changes_at, Instant now);
  void closed(StreamNumber stream, Instant now);
  /// A session of the peer exists: ends its streams with a lower epoch, also those that open later.
  void superseded(const std::string& account, const std::string& peer, std::int64_t epoch,
                  Instant now);
  void end_peer(const std::string& account, const std::string& peer, EndReason reason);
  /// Nothing if it is closed meanwhile.
  void end_stream(StreamNumber stream, EndReason reason);
  void tick(Instant now);

  [[nodiscard]] std::vector<Effect> take_effects();
  [[nodiscard]] std::optional<Instant> next_wakeup() const;

  [[nodiscard]] std::size_t streams() const { return streams_.size(); }
  /// The sessions of all streams that are not about to end.
  struct OpenStream {
    StreamNumber stream;
    std::string peer;
    std::int64_t epoch;
  };
  [[nodiscard]] std::vector<OpenStream> open_streams() const;
  /// The same of one peer.
  [[nodiscard]] std::vector<OpenStream> open_streams(const std::string& account,
                                                     const std::string& peer) const;
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
    Serial floor = 0;    // of the first map
    Serial sent = 0;     // snapshot of the last build
    bool first = true;   // owed its first map
    bool dirty = false;  // affected, waits for the account's next round
    bool owed = false;   // released by a round, waits until the stream can take it
    bool building = false;
    bool counted = false;  // in in_flight_
    bool queued = false;
    bool ending = false;
    Instant since{};
    std::optional<Instant> changes_at;
  };
  struct Account {
    std::map<std::string, std::vector<StreamNumber>> peers;
    Serial wanted = 0;  // the newest serial heard of
    Serial loaded = 0;
    Serial asked = 0;  // of the load under way
    bool have_snapshot = false;
    bool loading = false;
    bool pending = false;  // a load or dirty streams wait for next_round
    Instant next_round{};
    std::optional<Instant> retry_at;
    std::optional<Instant> load_at;  // loading, but not begun
    std::optional<Instant> due;      // as in due_
  };

  void mark(Account& account, const std::vector<StreamNumber>& numbers);
  void mark_affected(Account& account, const Affected& affected);
  /// Loads what is wanted, or lets go what is marked, if the window allows; else later.
  void advance(const std::string& id, Account& account, Instant now);
  void release(const std::string& id, Account& account, Instant now);
  void serve(const std::string& id, Account& account, StreamNumber number, Stream& stream,
             Instant now);
  void serve_all(const std::string& id, Account& account, Instant now);
  void want_load(const std::string& id, Account& account, Serial at_least, Instant now);
  void begin_load(const std::string& id, Account& account);
  void schedule(const std::string& id, Account& account);
  void pump(Instant now);
  void end(StreamNumber number, Stream& stream, EndReason reason);
  void end_older(const Account& account, const std::string& peer, std::int64_t epoch);
  [[nodiscard]] std::int64_t newest_epoch(const Account& account, const std::string& peer) const;
  void uncount(StreamNumber number, Stream& stream);
  void forget_time(StreamNumber number, Stream& stream);

  FanOutOptions options_;
  std::unordered_map<StreamNumber, Stream> streams_;
  std::unordered_map<std::string, Account> accounts_;
  std::deque<StreamNumber> firsts_;  // can be built; first maps go before updates
  std::deque<StreamNumber> updates_;
  std::set<std::pair<Instant, StreamNumber>> in_flight_;  // counted builds, oldest first
  std::set<std::pair<Instant, StreamNumber>> timed_;      // maps that change by themselves
  std::set<std::pair<Instant, std::string>> due_;         // accounts that wait
  std::vector<Effect> effects_;
  NewestEpochs known_;  // of peers whose streams are not or no longer open here
};

}  // namespace nb::management::app
