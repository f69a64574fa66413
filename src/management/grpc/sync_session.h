// One Sync stream: admission, first map, updates, fresh credentials, end.
// Source   contract/management-grpc.md §5.3–§5.6, §8.1.
#pragma once

#include "management/app/sync_sink.h"
#include "management/grpc/service_state.h"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace nb::management::grpc {

/// Lives on the loop of its connection; build() runs on map threads, one at a time.
/// Shared, because builds and messages to the loop may be under way when the call ends.
class SyncSession final : public app::SyncSink, public std::enable_shared_from_this<SyncSession> {
 public:
  SyncSession(std::shared_ptr<ServiceState> service, LoopState& loop, net::GrpcCallHandle call);
  ~SyncSession() override;

  void on_request(net::GrpcCall& call, std::string_view message);
  void on_writable();
  void on_end();
  /// Sends fresh credentials when they are due.
  void refresh_due(Instant now);
  /// When they are due next; max: never.
  [[nodiscard]] Instant refresh_at() const;
  /// Tells the hub once the transport has taken the map.
  void check_flushed();
  /// Its stream has ended, and its peer is not back: that is marked now.
  void depart_now();
  [[nodiscard]] Instant ended_at() const { return ended_at_; }
  void finish(net::GrpcStatus status);

  // SyncSink
  [[nodiscard]] bool at_hand(const netmap::MapViewPtr& view, netmap::PeerIndex peer) override;
  void build(const netmap::MapViewPtr& view, netmap::PeerIndex peer) override;
  void end(app::EndReason reason, const netmap::MapViewPtr& view) override;

 private:
  using Outcome = app::AdmissionPlace::Outcome;
  void begin();
  void on_admission(Outcome outcome);
  boost::asio::awaitable<void> start(std::string request, std::string client_ip);
  void open(app::SyncStarted started);
  [[nodiscard]] std::shared_ptr<PreparedMap> prepare(const RecentMaps::Source& source,
                                                     netmap::PeerIndex slot, WallTime now) const;
  void deliver(std::string sealed, std::optional<WallTime> changes_at);
  /// The session is over: its peer is marked disconnected when it is not back soon.
  void depart();
  /// It may have begun in vain, or is not succeeded: that is marked when its turn comes.
  [[nodiscard]] bool succeeded();
  void mark_disconnected();
  void refresh(std::string config, std::optional<std::chrono::seconds> after,
               std::optional<Instant>& due);
  [[nodiscard]] std::optional<Instant> next_refresh(std::optional<std::chrono::seconds> after);

  const std::shared_ptr<ServiceState> service_;
  LoopState& loop_;
  const net::GrpcCallHandle call_;
  const Instant began_;
  bool requested_ = false;
  std::string request_;        // while it waits for its turn
  std::string client_ip_;      // the same
  app::AdmissionPlace place_;  // until the first map
  app::AdmissionPlace departure_;
  app::Departures::Ptr departing_;
  Instant ended_at_{};
  bool opened_ = false;  // known to the hub
  bool ended_ = false;
  bool finishing_ = false;
  bool awaiting_flush_ = false;
  std::string checks_;                  // encoded, of the newest map
  std::optional<WallTime> changes_at_;  // of the map that waits to be flushed
  std::optional<Instant> turn_due_;
  std::optional<Instant> relay_due_;

  // Written before the hub knows the session, then constant.
  app::StreamNumber number_ = 0;
  app::SessionPeer peer_;
  std::int64_t epoch_ = 0;
  std::optional<app::SessionInDoubt> doubt_;  // instead of a session
  std::optional<Channel> channel_;

  [[nodiscard]] RecentMaps::Source source_of(const netmap::MapViewPtr& view,
                                             const std::shared_ptr<const LoginSettings>& login,
                                             netmap::PeerIndex slot) const;

  // Only in at_hand() and build(), which come one after the other.
  std::shared_ptr<const PreparedMap> at_hand_;
  bool sent_ = false;
  std::uint64_t digest_ = 0;
};

/// The handler that the transport owns.
[[nodiscard]] std::unique_ptr<net::GrpcStreamHandler> make_sync_handler(
    std::shared_ptr<ServiceState> service, net::GrpcCall& call);

}  // namespace nb::management::grpc
