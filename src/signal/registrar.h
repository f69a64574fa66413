// Keeps the directory saying that our peers are here, whatever happens to the directory.
#pragma once

#include "base/clock.h"
#include "base/task_group.h"
#include "ha/membership.h"
#include "ha/peer_directory.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace nb::signal {

/// The peers of this instance are the truth, the directory is a copy for others.
///
/// A peer's newest stream claims the entry at once, whoever had it. When that failed (Redis away),
/// or the entry is found missing, damaged or older, it is asserted again: then a newer claim of
/// another instance stands, and ours is a stream its client has left. Per peer one call is under
/// way at a time. Releases are fenced by the claim.
/// contract/signal-relay-ops.md §2.2 (S4, S7, S8, S9), §2.3, §2.4.
/// Limits   calls_max under way; one sample of the entries a second, all of them after a gap.
class Registrar {
 public:
  struct Options {
    std::chrono::milliseconds check_interval{1'000};  // digest and sample
    std::chrono::milliseconds full_interval{60'000};  // everything, unasked
    std::chrono::milliseconds full_pause{5'000};      // between full passes on mere suspicion
    std::size_t sample = 16;
    std::size_t chunk = 1'000;
    std::size_t calls_max = 512;
    bool steals_back = false;  // a flaw that simulations plant: asserts by claiming
  };
  struct Events {
    /// A stream of ours took the peer over, from `previous` if anybody had it.
    std::function<void(const std::string& peer, const ha::Claimed& claimed)> on_claimed;
    /// A newer registration of somebody else stands. The peer is forgotten here.
    std::function<void(const std::string& peer)> on_lost;
    /// An entry of ours was missing or damaged for a while.
    std::function<void(const std::string& peer)> on_restored;
  };

  Registrar(boost::asio::any_io_executor home, ha::PeerDirectory& directory,
            ha::Membership& membership, Clock& clock, Options options, Events events);
  Registrar(const Registrar&) = delete;
  Registrar& operator=(const Registrar&) = delete;

  void start();
  /// Our membership is known to the store: entries written before would be taken for a dead
  /// instance's and removed.
  void enable();
  /// A new stream of the peer, also when it was here already.
  void add(const std::string& peer);
  void remove(const std::string& peer);
  /// Like remove(), when the entry is known to be another instance's.
  void abandon(const std::string& peer);
  /// The claim of the newest stream, as the directory gave it; none while that has not claimed.
  [[nodiscard]] std::optional<ha::Claim> claim(const std::string& peer) const;
  /// The directory may have lost anything: look at everything now.
  void check_all();
  /// Releases what is ours, within the limit, and ends all work.
  boost::asio::awaitable<void> stop();
  /// Peers whose entry is believed to be right.
  [[nodiscard]] std::size_t held() const { return held_; }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    bool wanted = false;
    bool fresh = false;          // a stream that has not claimed yet
    bool busy = false;           // a call is under way
    bool uncertain = false;      // a call failed; what the directory says is unknown
    std::uint64_t since_us = 0;  // wall clock when the newest stream came
    std::uint64_t streams = 0;   // add() so far
    std::optional<ha::Claim> claim;
  };
  using Entries = std::map<std::string, Entry>;

  void work(const std::string& peer);
  void pump();
  void settle(const std::string& peer);
  void store_failed();
  void store_answered();
  [[nodiscard]] ha::Claim proposal(const Entry& entry) const;
  void set_claim(Entry& entry, std::optional<ha::Claim> claim);
  void failed(const std::string& peer);
  boost::asio::awaitable<void> claim_now(std::string peer);
  boost::asio::awaitable<void> assert_now(std::string peer);
  boost::asio::awaitable<void> release_now(std::string peer);
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> sample();
  boost::asio::awaitable<void> full_pass();
  /// How many were put right; nothing when the store did not answer.
  boost::asio::awaitable<std::optional<std::size_t>> assert_all(std::vector<std::string> peers);
  void lost(const std::string& peer, std::uint64_t streams,
            const std::optional<ha::Holder>& holder);
  boost::asio::awaitable<void> contest(std::string peer, std::uint64_t streams,
                                       std::optional<ha::Holder> holder);

  const boost::asio::any_io_executor home_;
  ha::PeerDirectory& directory_;
  ha::Membership& membership_;
  Clock& clock_;
  const Options options_;
  const Events events_;
  Entries entries_;
  std::set<std::string> todo_;  // something to claim or release
  std::size_t calls_ = 0;
  std::size_t held_ = 0;
  bool enabled_ = false;
  bool store_up_ = true;
  bool full_wanted_ = false;
  bool passing_ = false;
  bool stopping_ = false;
  std::string cursor_;  // of the sample
  std::size_t last_count_ = 0;
  std::size_t released_ = 0;
  Instant last_full_{};
  TaskGroup tasks_;
};

}  // namespace nb::signal
