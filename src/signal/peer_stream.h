// One peer's ConnectStream and what waits for it.
#pragma once

#include "base/clock.h"
#include "net/grpc.h"
#include "signal/mail.h"

#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace nb::signal {

class Shard;

/// Lives on the loop of its connection, owned by its call. Idle it costs this object and no queue.
class PeerStream final : public net::GrpcStreamHandler {
 public:
  explicit PeerStream(Shard& shard) : shard_(shard) {}

  void on_start(net::GrpcCall& call) override;
  void on_message(net::GrpcCall& call, std::string_view message) override;
  void on_writable(net::GrpcCall& call) override;
  void on_end(net::GrpcCall& call) override;

  [[nodiscard]] const std::string& peer() const { return peer_; }
  [[nodiscard]] std::uint64_t number() const { return number_; }
  [[nodiscard]] Instant since() const { return since_; }
  [[nodiscard]] net::GrpcCall& call() { return *call_; }
  [[nodiscard]] Code end_code() const { return end_code_; }
  /// Whether a message can be handed to the transport now, in order.
  [[nodiscard]] bool open() const;
  void write(std::string_view message);
  /// Keeps the parcel until the peer reads; throws the oldest out when that is too much.
  void enqueue(Parcel parcel);
  /// The oldest waiting parcel is older than the send timeout.
  [[nodiscard]] bool stalled(Instant now) const;
  /// Ends the call; waiting parcels find another way or are settled with `outcome`.
  void finish(net::GrpcStatus status, bool at_once = false);
  /// Gives away what waits.
  [[nodiscard]] std::deque<Parcel> take_queue();

 private:
  friend class Shard;
  void drain();
  void drop_oldest();
  void count_queue(const Parcel& parcel, int sign);

  Shard& shard_;
  net::GrpcCall* call_ = nullptr;  // until on_end
  std::string peer_;
  std::uint64_t number_ = 0;  // 0: not accepted (yet)
  Instant since_{};
  Code end_code_ = Code::kOk;
  bool finished_ = false;
  bool registered_ = false;                           // it is the shard's stream of this peer
  bool counted_ = false;                              // towards peers_max
  std::shared_ptr<boost::asio::steady_timer> delay_;  // of a flapping key, until accepted
  struct Queue {
    std::deque<Parcel> parcels;
    std::size_t bytes = 0;
  };
  std::unique_ptr<Queue> queue_;  // null as long as the peer keeps up
};

}  // namespace nb::signal
