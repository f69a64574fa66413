// All QUIC sessions of one socket: who a datagram is for, and who gets in. Private to relay/quic.
#pragma once

#include "base/log.h"
#include "net/event_loop.h"
#include "net/websocket_endpoint.h"
#include "relay/quic/quic.h"
#include "relay/quic/session.h"
#include "relay/quic/tls.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace nb::relay::quic {

/// Lives on `loop`.
class Sessions final : public SessionHost {
 public:
  struct Ports {
    net::EventLoop& loop;
    /// Where the socket is bound.
    sockaddr_storage local{};
    std::function<void(const Remote& to, std::span<const std::uint8_t> packet)> send;
    std::function<std::unique_ptr<net::WebSocketEndpoint>(net::WebSocketChannel& channel)> serve;
    Metrics& metrics;
  };
  Sessions(Ports ports, Tls tls, const Options& options, const Logger& log);
  /// After finish().
  ~Sessions();
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  void receive(const Remote& from, std::span<const std::uint8_t> datagram);
  /// Takes a renewed certificate over.
  void check_files();
  /// Nobody new gets in, everybody is sent away in time; `emptied` is kept when they are gone.
  void drain(std::promise<void> emptied);
  /// Ends all that are left, now.
  void finish();

  // SessionHost
  [[nodiscard]] net::EventLoop& loop() const override { return ports_.loop; }
  [[nodiscard]] const sockaddr_storage& local() const override { return ports_.local; }
  void send(const Remote& to, std::span<const std::uint8_t> packet) override {
    ports_.send(to, packet);
  }
  void random(std::span<std::uint8_t> out) override;
  void add_id(const ngtcp2_cid& id, Session& session) override;
  void remove_id(const ngtcp2_cid& id) override;
  void proven() override { --handshakes_; }
  std::unique_ptr<net::WebSocketEndpoint> serve(Session& session) override {
    return ports_.serve(session);
  }
  void oversize() override { ports_.metrics.oversize.add(); }
  void ended(Session& session) override;

 private:
  struct Entry {
    std::unique_ptr<Session> session;
    std::vector<std::string> ids;
  };
  template <class Call>
  void each(Call call);
  void tell_if_empty();
  void offer_versions(const Remote& to, const ngtcp2_version_cid& ids, std::size_t size);
  void accept(const Remote& from, std::span<const std::uint8_t> datagram);
  bool proves_address(const Remote& from, Accepted& accepted);
  void ask_for_proof(const Remote& to, const ngtcp2_pkt_hd& head);

  const Ports ports_;
  Tls tls_;
  const Options options_;
  const Logger log_;
  std::array<std::uint8_t, 32> secret_{};  // of Retry tokens
  std::unordered_map<std::string, Session*> by_id_;
  std::unordered_map<Session*, Entry> sessions_;
  std::size_t handshakes_ = 0;
  bool draining_ = false;
  std::optional<std::promise<void>> emptied_;  // draining, and somebody waits
};

}  // namespace nb::relay::quic
