// How a message reaches a peer that is not connected here: the rules, without any I/O.
#pragma once

#include "base/clock.h"
#include "base/lru_cache.h"
#include "base/result.h"
#include "ha/message_bus.h"
#include "ha/peer_directory.h"
#include "signal/bus_codec.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nb::signal {

/// A waiting Send of this process; 0: nobody waits any more.
using Ticket = std::uint64_t;

/// Whose message it is: `from` empty: of our own waiting sender; else of that instance.
struct Origin {
  std::string from;
  std::uint64_t id = 0;
};

/// Counts of the router, turned into metrics by its driver.
struct RouterCounts {
  std::uint64_t forwarded = 0;          // another instance accepted the message
  std::uint64_t not_connected = 0;      // nobody serves the peer
  std::uint64_t owner_dead = 0;         // its instance died, no new one in time
  std::uint64_t timeouts = 0;           // no answer within the budget
  std::uint64_t store_unavailable = 0;  // Redis did not answer; the sender got OK
  std::uint64_t overflow = 0;           // thrown out of a full queue, here or there
  std::uint64_t refused = 0;            // too many forwards under way
  std::uint64_t resent = 0;
  std::uint64_t duplicates = 0;  // received again, not delivered again
  std::uint64_t invalid = 0;     // payloads that are not ours
  std::uint64_t evictions_sent = 0;
  std::uint64_t evictions_received = 0;
};

/// What the router wants done. Answers come back as calls of the same name in past tense.
struct RouterEffects {
  struct Deliver {
    Origin origin;
    std::string peer;
    std::string message;
  };
  struct Reply {
    Ticket ticket = 0;
    Code code = Code::kOk;
    std::string_view text{};
  };
  struct Evict {
    std::string peer;
    std::string token;
  };
  std::vector<std::string> find;        // -> found()
  std::vector<ha::PeerHolder> forget;   // fenced delete, no answer
  std::vector<std::string> repair;      // the directory may name us for a peer we do not serve
  std::vector<ha::BusMessage> publish;  // -> published(); one batch at a time keeps order
  std::vector<Deliver> deliver;         // -> delivered()
  std::vector<Reply> reply;
  std::vector<Evict> evict;  // end this registration's stream if it is still ours
};

/// Forwarding core of one instance: look-up, forward, answer, retry, de-duplication, eviction.
///
/// A message is sent to one instance at a time and is never passed on by its receiver: whoever does
/// not serve the peer says so, and the sender looks again. An answer ends the sender's Send.
/// contract/signal-relay-ops.md §1.3, §2.2 (S3, S6, S9, S10, S13), §2.4.
/// Limits   Options; past them Send ends with RESOURCE_EXHAUSTED.
class Router {
 public:
  struct Options {
    std::string channel_prefix = "nb:signal:instance:";
    std::string arrivals_channel = "nb:signal:registry:arrivals";  // every instance listens
    std::chrono::milliseconds recheck{150};  // reconnect gap of an absent peer
    /// How long an absent peer is not looked up again, unless its arrival is heard of.
    std::chrono::milliseconds negative_ttl{1'000};
    std::chrono::milliseconds route_ttl{5'000};
    std::chrono::milliseconds store_patience{400};     // Redis silent this long: answer the sender
    std::chrono::milliseconds answer_patience{1'000};  // then look up and send once more
    std::chrono::milliseconds budget{2'500};
    std::chrono::milliseconds suspect_budget{
        500};  // the same for an instance that stopped answering
    std::chrono::milliseconds send_timeout{10'000};  // a slow peer on the other instance
    std::chrono::milliseconds evict_interval{1'000};
    unsigned evict_attempts_max = 10;
    std::size_t pending_max = 16'384;
    std::size_t pending_bytes_max = std::size_t{32} << 20U;
    std::size_t cache_max = 100'000;
    std::size_t seen_max = 100'000;
    std::chrono::milliseconds seen_ttl{15'000};
    bool answer_duplicates = true;  // off only in simulations that plant this flaw
  };
  /// Whether the instance of an entry lives, as membership knows.
  using Alive = std::function<bool(const ha::Holder&)>;

  /// `first_id` must be random: it keeps the numbers of two starts apart.
  Router(ha::InstanceId self, std::uint64_t first_id, Options options, Alive alive);

  /// One message for a peer that is not connected here.
  void send(Ticket ticket, std::string_view peer, std::string message, Instant now);
  /// This instance just took the peer over from `previous`.
  void displaced(std::string_view peer, const ha::Holder& previous, Instant now);
  /// This instance registered the peer: whoever knows it as absent, or elsewhere, hears of it.
  void arrived(std::string_view peer);
  void found(const std::string& peer, const Result<std::optional<ha::Holder>>& holder, Instant now);
  void published(const Result<std::vector<std::size_t>>& receivers, Instant now);
  /// While a batch is under way: something has come for the one after it.
  [[nodiscard]] bool next_batch_waits() const;
  void received(std::string_view payload, Instant now);
  /// From the channel of arrivals.
  void heard(std::string_view payload);
  /// Outcome of a Deliver effect. kWaiting may be followed by another one.
  void delivered(const Origin& origin, std::string_view peer, Outcome outcome, Instant now);
  /// Redis is known to be away: nobody waits for it any longer.
  void store_lost(Instant now);
  /// Redis is back: what was kept is sent once more.
  void store_back(Instant now);
  void tick(Instant now);
  /// When tick() has something to do.
  [[nodiscard]] std::optional<Instant> next_due() const;
  /// What accumulated, including at most one batch to publish.
  [[nodiscard]] RouterEffects take_effects();

  [[nodiscard]] const RouterCounts& counts() const { return counts_; }
  [[nodiscard]] std::size_t pending() const { return pending_.size(); }
  [[nodiscard]] std::size_t pending_bytes() const { return pending_bytes_; }

 private:
  enum class State : std::uint8_t {
    kFinding,     // waits for found()
    kPausing,     // absent; will look once more
    kQueued,      // waits for published()
    kSent,        // waits for the answer
    kWaiting,     // accepted by the other instance, the peer is slow
    kDelivering,  // turned out to be local
    kStranded,    // Redis failed; the sender was answered, kept for store_back()
  };
  struct Pending {
    Ticket ticket = 0;
    std::string peer;
    std::string message;
    Instant started{};
    Instant due{};
    State state = State::kFinding;
    ha::Holder owner;        // last tried
    bool had_owner = false;  // somebody was registered: absence now is a loss, not a fact
    std::uint8_t absences = 0;
    std::uint8_t refusals = 0;
    std::uint8_t sends = 0;
    std::uint8_t silences = 0;
  };
  using PendingMap = std::unordered_map<std::uint64_t, Pending>;
  /// Messages that wait for one look-up.
  struct Finding {
    std::vector<std::uint64_t> ids;
    bool arrived = false;  // the peer registered since: an answer of before says nothing
  };
  struct Absent {
    Instant until{};
    bool owner_dead = false;
  };
  struct Route {
    ha::Holder holder;
    Instant until{};
  };
  struct Outbox {
    explicit Outbox(std::string_view self) : writer(self) {}
    BusWriter writer;
    std::vector<std::uint64_t> ids;                                          // forwards in writer
    std::vector<std::pair<std::string, std::vector<std::uint64_t>>> closed;  // full payloads
  };
  struct Sent {
    std::string instance;
    std::vector<std::uint64_t> ids;
  };
  struct Eviction {
    std::string peer;
    ha::Holder previous;
    Instant due{};
    unsigned attempts = 0;
  };
  struct SeenKey {
    std::string from;
    std::uint64_t id = 0;
    bool operator==(const SeenKey&) const = default;
  };
  struct SeenHash {
    std::size_t operator()(const SeenKey& key) const {
      return std::hash<std::string>{}(key.from) ^ (key.id * 0x9e3779b97f4a7c15U);
    }
  };
  using Seen = std::unordered_map<SeenKey, std::optional<Outcome>, SeenHash>;

  void find(std::uint64_t id, Pending& pending, Instant now);
  void forward(std::uint64_t id, Pending& pending, const ha::Holder& holder, Instant now);
  void absent(std::uint64_t id, Instant now);
  void refused(std::uint64_t id, Instant now);
  void strand(std::uint64_t id, Instant now);
  void owner_silent(std::uint64_t id, Instant now);
  void answered(std::string_view from, std::uint64_t id, Outcome outcome, Instant now);
  void overdue(std::uint64_t id, Instant now);
  void finish(PendingMap::iterator at, Code code, std::string_view text);
  void reply(Pending& pending, Code code, std::string_view text);
  void wait(std::uint64_t id, Pending& pending, State state, Instant due);
  void deliver_forward(std::string_view from, const BusRecord& record, Instant now);
  void send_eviction(std::uint64_t id, Eviction& eviction, Instant now);
  void remember_absent(const std::string& peer, bool owner_dead, Instant now);
  void rotate_seen(Instant now);
  [[nodiscard]] std::optional<Outcome>* seen(const SeenKey& key);
  [[nodiscard]] Outbox& outbox(const std::string& instance);
  [[nodiscard]] Outbox& outbox_for(const std::string& instance, std::size_t bytes);
  static void make_room(Outbox& box, std::size_t bytes);
  void publish(const std::string& instance, const std::string& channel, Outbox& box);
  [[nodiscard]] bool suspected(const std::string& instance) const;

  const ha::InstanceId self_;
  const Options options_;
  const Alive alive_;
  std::uint64_t next_id_;

  PendingMap pending_;
  std::size_t pending_bytes_ = 0;
  using Due = std::pair<Instant, std::uint64_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> dues_;  // stale entries are skipped
  std::unordered_map<std::string, Finding, TextHash, std::equal_to<>> finding_;
  std::unordered_map<std::string, Absent, TextHash, std::equal_to<>> absent_;
  std::unordered_map<std::string, Route, TextHash, std::equal_to<>> routes_;
  std::map<std::string, Outbox, std::less<>> outboxes_;  // by instance
  Outbox arrivals_;
  std::map<std::string, Instant, std::less<>> suspects_;  // stopped answering
  std::unordered_map<std::uint64_t, Eviction> evictions_;
  std::array<Seen, 2> seen_;  // this generation, the one before
  Instant seen_rotated_{};
  bool publishing_ = false;
  std::vector<Sent> publishing_batch_;
  RouterEffects effects_;
  RouterCounts counts_;
};

}  // namespace nb::signal
