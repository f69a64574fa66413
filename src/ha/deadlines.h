// Deadlines: things to do at a time, each done by one instance.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nb::ha {

/// Wall-clock time in ms since 1970, the resolution of the store.
using DueMs = std::int64_t;
[[nodiscard]] DueMs due_ms(WallTime time);

struct Deadline {
  std::string id;  // 1..256 bytes
  DueMs due = 0;
};

/// A due item in our hands until `lease_until`; then anybody may claim it again.
struct DueItem {
  std::string id;
  DueMs lease_until = 0;  // also the token of this claim
};

enum class AddMode : std::uint8_t {
  kReplace,   // a new deadline stands, whatever was there, a claim included
  kIfAbsent,  // rebuilding after a start or data loss: never moves what is there
};

/// Lives on its home executor. Every call is atomic per item.
/// Time     "now" is the store's clock, one for all instances.
/// Errors   kUnavailable from every call: the store is away.
class Deadlines {
 public:
  virtual ~Deadlines() = default;
  /// How many were new.
  virtual boost::asio::awaitable<Result<std::size_t>> add(std::vector<Deadline> items,
                                                          AddMode mode) = 0;
  /// How many were there.
  virtual boost::asio::awaitable<Result<std::size_t>> remove(std::vector<std::string> ids) = 0;
  /// Up to `limit` due items, earliest first, to this caller only until `lease` is over. Do the
  /// work, then ack(); an item that is not acknowledged becomes due again by itself.
  virtual boost::asio::awaitable<Result<std::vector<DueItem>>> claim_due(
      std::size_t limit, std::chrono::milliseconds lease) = 0;
  /// Done: removes the item unless it was added again or claimed by another since; true if removed.
  virtual boost::asio::awaitable<Result<bool>> ack(DueItem item) = 0;
  /// Not done: makes it due again now, if the claim is still ours; true if so.
  virtual boost::asio::awaitable<Result<bool>> give_back(DueItem item) = 0;
  /// When the earliest item is due; empty when there is none.
  virtual boost::asio::awaitable<Result<std::optional<DueMs>>> next() = 0;
  virtual boost::asio::awaitable<Result<std::size_t>> count() = 0;
};

}  // namespace nb::ha
