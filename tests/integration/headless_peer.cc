#include "headless_peer.h"

#include <algorithm>
#include <utility>

namespace nb::test {

using namespace std::chrono_literals;

client::PeerOptions HeadlessPeer::quick(const std::string& management, const std::string& name) {
  client::PeerOptions options;
  options.management.address = management;
  options.host.name = name;
  options.relay = RelayUser::quick();
  options.signal.retry = {.first = 100ms, .most = 500ms};
  options.sync_retry = {.first = 100ms, .most = 500ms};
  options.offer_retry = {.first = 200ms, .most = 1s};
  return options;
}

HeadlessPeer::HeadlessPeer(client::PeerOptions options) {
  crypto::SystemRandom random;
  const auto secret = crypto::PrivateKey::generate(random);
  key_ = secret.public_key().base64();
  loop_.run([&] {
    peer_ = std::make_unique<client::Peer>(loop_.executor(), secret, std::move(options), Logger());
    peer_->on_packet([inbox = inbox_](const std::string& from, std::string_view packet) {
      inbox->add(from + " " + std::string(packet));
    });
  });
}

HeadlessPeer::~HeadlessPeer() {
  loop_.await([this] { return peer_->stop(); });
  loop_.run([this] { peer_.reset(); });
}

Result<> HeadlessPeer::join(const std::string& setup_key) {
  return loop_.await([&] { return peer_->join(setup_key); });
}

std::string HeadlessPeer::address() {
  return loop_.run([this] { return peer_->address(); });
}

std::string HeadlessPeer::home_relay() {
  return loop_.run([this] { return peer_->home_relay(); });
}

std::string HeadlessPeer::relay_of(const HeadlessPeer& peer) {
  return loop_.run([&] { return peer_->relay_of(peer.key()); });
}

std::size_t HeadlessPeer::peers() {
  return loop_.run([this] { return peer_->peers().size(); });
}

bool HeadlessPeer::reaches(const HeadlessPeer& peer, std::chrono::milliseconds limit) {
  return eventually([&] { return !relay_of(peer).empty(); }, limit);
}

bool HeadlessPeer::send(const HeadlessPeer& to, const std::string& packet) {
  return loop_.run([&] { return peer_->send(to.key(), packet); });
}

bool HeadlessPeer::hears(HeadlessPeer& peer, std::chrono::milliseconds limit) {
  const std::string probe = "probe " + std::to_string(++probes_);
  const std::string wanted = peer.key() + " " + probe;
  return eventually(
      [&] {
        peer.send(*this, probe);
        const auto all = inbox_->all();
        return std::find(all.begin(), all.end(), wanted) != all.end();
      },
      limit);
}

}  // namespace nb::test
