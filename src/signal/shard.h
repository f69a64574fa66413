// One loop's half of the signal service: its streams, its Send calls, its mail.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "net/grpc.h"
#include "net/loop.h"
#include "signal/local_registry.h"
#include "signal/mail.h"
#include "signal/metrics.h"
#include "signal/peer_stream.h"
#include "signal/signal.h"
#include "signal/throttle.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace nb::signal {

/// What shards of one service share.
struct ShardContext {
  Options options;
  SignalMetrics& metrics;
  const Clock& clock;
  Logger log;
  LocalRegistry registry{};
  FlapThrottle throttle;  // guarded by throttle_mutex
  std::mutex throttle_mutex{};
  std::atomic<std::uint64_t> last_stream{0};
  std::atomic<std::size_t> streams{0};
  std::atomic<std::size_t> queued_bytes{0};
  std::atomic<bool> draining{false};
  /// Mail for another shard or for the exchange, posted once per turn. Null: HA is off.
  std::function<void(std::uint32_t loop, std::vector<ShardMail> mail)> post_shard{};
  std::function<void(std::vector<HomeMail> mail)> post_home{};
  /// Bytes of parcels on their way to each loop.
  std::vector<std::unique_ptr<std::atomic<std::size_t>>> mail_bytes{};

  ShardContext(Options options, SignalMetrics& metrics, const Clock& clock, Logger log);
};

/// Lives on its loop; made before and destroyed after the loop runs.
class Shard {
 public:
  Shard(net::Loop& loop, ShardContext& context);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  /// Send: the path that matters. A peer of this loop costs two map look-ups and one copy.
  void send(net::GrpcCall& call, std::string_view bytes);
  std::unique_ptr<net::GrpcStreamHandler> connect(net::GrpcCall& call);
  void receive(std::vector<ShardMail> mail);
  /// Ends up to `count` streams with UNAVAILABLE; true when none are left.
  bool end_some(std::size_t count);
  /// Cuts off peers that read nothing for the send timeout. About once a second.
  void check_stalled();

  // For the exchange, which lives on this shard's loop:
  void mail_to(std::uint32_t loop, ShardMail mail);
  /// mail_to(), but at once when it is for this loop.
  void hand(std::uint32_t loop, ShardMail mail);
  [[nodiscard]] static std::uint32_t loop_of(Ticket ticket);

  // For PeerStream:
  [[nodiscard]] ShardContext& context() { return context_; }
  [[nodiscard]] net::Loop& loop() { return loop_; }
  void start(PeerStream& stream);
  void ended(PeerStream& stream);
  void settle(const Sender& sender, std::string_view peer, Outcome outcome);
  void reroute(Parcel parcel);
  void written(const Parcel& parcel);
  void congested(PeerStream& stream, bool is);

 private:
  void accept(PeerStream& stream);
  void accept_later(PeerStream& stream, std::chrono::milliseconds delay);
  void refuse(PeerStream& stream, net::GrpcStatus status);
  void end_stream(PeerStream& stream, EndReason reason);
  void forget(PeerStream& stream);
  void deliver(Parcel parcel);
  void take(ShardMail mail);
  void hold(PeerStream& stream, Parcel parcel);
  void pass_on(std::uint32_t loop, Parcel parcel);
  void mail_home(HomeMail mail);
  void flush_mail();
  void need_flush();
  void answer(net::GrpcCall& call, Instant since, Code code, std::string_view text = {});
  void on_reply(const ReplyMail& reply);
  void on_end(const EndMail& end);
  void replaced(PeerStream& stream, EndReason reason);
  [[nodiscard]] Ticket ticket_for(net::GrpcCall& call, Instant since);
  [[nodiscard]] PeerStream* find(std::string_view peer) const;

  struct Waiting {
    net::GrpcCallHandle call;
    Instant since{};
  };

  net::Loop& loop_;
  ShardContext& context_;
  const std::uint32_t index_;
  std::unordered_map<std::string_view, PeerStream*> streams_;  // views of PeerStream::peer()
  std::unordered_set<PeerStream*> delayed_;                    // flapping keys, not accepted yet
  std::unordered_set<PeerStream*> congested_;
  std::unordered_map<Ticket, Waiting> tickets_;
  std::uint64_t last_ticket_ = 0;
  std::vector<std::vector<ShardMail>> out_;  // by loop
  std::vector<HomeMail> out_home_;
  bool flush_queued_ = false;
  KeyedRateLimit connects_;
  KeyedRateLimit sends_;
};

}  // namespace nb::signal
