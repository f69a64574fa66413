// A whole agent without a tunnel device, on a loop of its own; see client/peer.h. All calls from
// the test's thread.
#pragma once

#include "client/peer.h"
#include "relay_server.h"
#include "support/home_loop.h"

#include <memory>
#include <string>

namespace nb::test {

class HeadlessPeer {
 public:
  /// Short pauses, so that tests of moves need not wait for an agent's patience.
  static client::PeerOptions quick(const std::string& management, const std::string& name);

  explicit HeadlessPeer(client::PeerOptions options);
  ~HeadlessPeer();
  HeadlessPeer(const HeadlessPeer&) = delete;
  HeadlessPeer& operator=(const HeadlessPeer&) = delete;

  [[nodiscard]] const std::string& key() const { return key_; }
  Result<> join(const std::string& setup_key);
  [[nodiscard]] std::string address();
  [[nodiscard]] std::string home_relay();
  /// Relay through which `peer` is reached now; empty: not connected.
  [[nodiscard]] std::string relay_of(const HeadlessPeer& peer);
  [[nodiscard]] std::size_t peers();
  [[nodiscard]] bool reaches(const HeadlessPeer& peer,
                             std::chrono::milliseconds limit = std::chrono::seconds(30));
  bool send(const HeadlessPeer& to, const std::string& packet);
  /// Packets that came, "<sender's key> <packet>".
  [[nodiscard]] const Inbox& inbox() const { return *inbox_; }
  /// Whether packets from `peer` come here, proven by one with a text of its own, sent again until
  /// it is here: a link may change under it.
  [[nodiscard]] bool hears(HeadlessPeer& peer,
                           std::chrono::milliseconds limit = std::chrono::seconds(30));

 private:
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  HomeLoop loop_;
  std::unique_ptr<client::Peer> peer_;  // on loop_
  std::string key_;
  int probes_ = 0;
};

}  // namespace nb::test
