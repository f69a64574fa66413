// What signal instances say to each other over the bus: forward, answer, evict, arrived.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::signal {

/// How a forwarded message ended at the instance that was thought to serve its peer.
enum class Outcome : std::uint8_t {
  kAccepted = 0,  // handed to the peer's stream
  kNotHere = 1,   // the peer is not connected there; look it up again
  kWaiting = 2,   // in the queue of a slow peer; another answer follows
  kOverflow = 3,  // thrown out of a full queue
  kTimeout = 4,   // the peer did not read for the whole send timeout
  kGone = 5,      // the peer's stream ended while the message waited
};

enum class RecordKind : std::uint8_t { kForward = 1, kAnswer = 2, kEvict = 3, kArrived = 4 };

/// One thing said. Views end with the decoded payload.
struct BusRecord {
  RecordKind kind = RecordKind::kForward;
  std::uint64_t id = 0;        // the sender's number; answers repeat it; kArrived has none
  Outcome outcome{};           // kAnswer
  std::string_view message{};  // kForward: a serialized EncryptedMessage
  std::string_view peer{};     // kEvict, kArrived
  std::string_view token{};    // kEvict: the fencing token of the registration that is superseded
};

struct BusBatch {
  std::string_view from;  // instance id
  std::vector<BusRecord> records;
};

inline constexpr std::uint8_t kBusVersion = 1;
inline constexpr std::size_t kBusRecordsMax = 8'192;
inline constexpr std::size_t kBusBatchBytesMax = std::size_t{256} * 1024;

/// Builds one payload. Layout: version byte, sender, then records until the end; every text is a
/// varint length and its bytes, every number a varint.
class BusWriter {
 public:
  explicit BusWriter(std::string_view from);
  void forward(std::uint64_t id, std::string_view message);
  void answer(std::uint64_t id, Outcome outcome);
  void evict(std::uint64_t id, std::string_view peer, std::string_view token);
  void arrived(std::string_view peer);
  [[nodiscard]] bool empty() const { return records_ == 0; }
  [[nodiscard]] std::size_t bytes() const { return out_.size(); }
  /// True when another record of `bytes` should go into the next payload.
  [[nodiscard]] bool full(std::size_t bytes) const {
    return records_ == kBusRecordsMax || (records_ > 0 && out_.size() + bytes > kBusBatchBytesMax);
  }
  /// The payload; the writer starts over.
  [[nodiscard]] std::string take();

 private:
  void begin();
  std::string from_;
  std::string out_;
  std::size_t records_ = 0;
};

/// Reads a payload of any origin.
/// Errors   kInvalidArgument: not ours ("ping", garbage), cut, too many records; kUnimplemented:
///          another version. Unknown kinds are errors: instances of one version talk to each other.
[[nodiscard]] Result<BusBatch> decode_bus(std::string_view payload);

}  // namespace nb::signal
