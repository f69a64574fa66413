// Where each connected peer is, written for others to read (nb:mgmt:peers).
#pragma once

#include "base/clock.h"
#include "base/task_group.h"
#include "ha/peer_directory.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace nb::management::app {

struct PresenceOptions {
  ha::InstanceId instance;
  ha::Incarnation incarnation;
  std::chrono::milliseconds interval{10'000};  // between two refreshes of everything
  std::size_t batch = 1'000;
};

/// Keeps the directory's entries of this instance's peers. Nothing depends on them: sessions live
/// in the database. Outsiders may delete them, and Redis may forget them; refresh() heals that.
/// Threads  on_open() and on_close() from anywhere, the rest on home.
class Presence : public std::enable_shared_from_this<Presence> {
 public:
  Presence(boost::asio::any_io_executor home, ha::PeerDirectory& directory, Clock& clock,
           PresenceOptions options);
  void start();
  boost::asio::awaitable<void> stop();

  /// `epoch` tells the sessions of one peer apart.
  void on_open(std::string peer, std::int64_t epoch);
  void on_close(std::string peer, std::int64_t epoch);
  /// Redis is back: do not wait for the next turn.
  void refresh();
  /// A peer whose instance died without a word.
  boost::asio::awaitable<void> forget(std::string peer);
  [[nodiscard]] std::size_t size() const { return peers_.size(); }

 private:
  struct Entry {
    std::int64_t epoch = 0;  // of the open session, 0: none
    ha::Claim claim;
    bool claimed = false;  // the directory may hold `claim`
    bool busy = false;     // one call per peer at a time
    bool again = false;
  };
  void poke(const std::string& peer);
  boost::asio::awaitable<void> settle(std::string peer);
  boost::asio::awaitable<void> run();
  boost::asio::awaitable<void> reassert();

  const boost::asio::any_io_executor home_;
  ha::PeerDirectory& directory_;
  Clock& clock_;
  const PresenceOptions options_;
  TaskGroup tasks_;
  std::unordered_map<std::string, Entry> peers_;
  bool stopped_ = false;
};

}  // namespace nb::management::app
