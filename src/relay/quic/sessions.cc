#include "relay/quic/sessions.h"

#include "base/assert.h"
#include "base/log_keys.h"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <chrono>
#include <utility>

namespace nb::relay::quic {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kInitialMin = 1'200;  // RFC 9000 §14.1
constexpr auto kRetryLife = 10s;

std::string key_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

Sessions::Sessions(Ports ports, Tls tls, const Options& options, const Logger& log)
    : ports_(std::move(ports)), tls_(std::move(tls)), options_(options), log_(log) {
  gnutls_rnd(GNUTLS_RND_KEY, secret_.data(), secret_.size());
}

Sessions::~Sessions() {
  NB_ASSERT(sessions_.empty());
}

void Sessions::check_files() {
  if (!tls_.check()) return;
  ports_.metrics.tls_reloads.add();
  log_.info("QUIC uses the renewed certificate");
}

// --- the end -----------------------------------------------------------------------------------

template <class Call>
void Sessions::each(Call call) {
  std::vector<Session*> all;
  for (const auto& [session, entry] : sessions_) all.push_back(session);
  for (Session* const session : all) call(*session);
}

void Sessions::drain(std::promise<void> emptied) {
  draining_ = true;
  emptied_ = std::move(emptied);
  each([](Session& session) { session.drain(); });
  tell_if_empty();
}

void Sessions::finish() {
  draining_ = true;
  each([](Session& session) { session.shut(); });
}

void Sessions::tell_if_empty() {
  if (!emptied_ || !sessions_.empty()) return;
  emptied_->set_value();
  emptied_.reset();
}

void Sessions::ended(Session& session) {
  auto entry = sessions_.extract(&session);
  for (const std::string& id : entry.mapped().ids)
    if (const auto known = by_id_.find(id); known != by_id_.end() && known->second == &session)
      by_id_.erase(known);
  ports_.metrics.sessions.sub();
  ports_.loop.bury(std::move(entry.mapped().session));
  tell_if_empty();
}

// --- ids ---------------------------------------------------------------------------------------

void Sessions::random(std::span<std::uint8_t> out) {
  gnutls_rnd(GNUTLS_RND_RANDOM, out.data(), out.size());
}

void Sessions::add_id(const ngtcp2_cid& id, Session& session) {
  std::string key = key_of(id.data, id.datalen);
  by_id_[key] = &session;
  sessions_[&session].ids.push_back(std::move(key));
}

void Sessions::remove_id(const ngtcp2_cid& id) {
  by_id_.erase(key_of(id.data, id.datalen));
}

// --- datagrams ---------------------------------------------------------------------------------

void Sessions::receive(const Remote& from, std::span<const std::uint8_t> datagram) {
  // ngtcp2 asserts that there is something, in release builds too.
  if (datagram.empty()) return ports_.metrics.ignored.add();
  ngtcp2_version_cid ids{};
  const int code = ngtcp2_pkt_decode_version_cid(&ids, datagram.data(), datagram.size(), kCidBytes);
  if (code == NGTCP2_ERR_VERSION_NEGOTIATION) return offer_versions(from, ids, datagram.size());
  if (code != 0) return ports_.metrics.ignored.add();
  const auto known = by_id_.find(key_of(ids.dcid, ids.dcidlen));
  if (known != by_id_.end()) return known->second->receive(from, datagram);
  accept(from, datagram);
}

void Sessions::offer_versions(const Remote& to, const ngtcp2_version_cid& ids, std::size_t size) {
  ports_.metrics.ignored.add();
  if (size < kInitialMin) return;  // never more than was sent
  std::array<std::uint8_t, 256> packet;
  std::array<std::uint32_t, 1> versions = {NGTCP2_PROTO_VER_V1};
  std::uint8_t noise = 0;
  random({&noise, 1});
  const ngtcp2_ssize made = ngtcp2_pkt_write_version_negotiation(
      packet.data(), packet.size(), noise, ids.scid, ids.scidlen, ids.dcid, ids.dcidlen,
      versions.data(), versions.size());
  if (made > 0) send(to, std::span(packet).first(static_cast<std::size_t>(made)));
}

void Sessions::accept(const Remote& from, std::span<const std::uint8_t> datagram) {
  Accepted accepted{.idle = options_.idle};
  if (datagram.size() < kInitialMin ||
      ngtcp2_accept(&accepted.head, datagram.data(), datagram.size()) != 0 ||
      accepted.head.type != NGTCP2_PKT_INITIAL)
    return ports_.metrics.ignored.add();
  if (draining_ || sessions_.size() >= options_.sessions_max ||
      handshakes_ >= options_.handshakes_max)
    return ports_.metrics.refused.add();
  accepted.original = accepted.head.dcid;
  if (accepted.head.token.len > 0) {
    accepted.retried = proves_address(from, accepted);
    if (!accepted.retried) return ports_.metrics.refused.add();
  } else if (handshakes_ >= options_.retry_from) {
    return ask_for_proof(from, accepted.head);
  }
  auto tls = tls_.session();
  if (!tls) {
    log_.limited().error("QUIC", {log::f(log::kError, tls.error().text)});
    return;
  }
  auto made = std::make_unique<Session>(*this, from);
  Session& session = *made;
  sessions_[&session].session = std::move(made);
  ports_.metrics.sessions.add();
  ++handshakes_;
  if (const auto begun = session.begin(accepted, *std::move(tls)); !begun) {
    log_.limited().error("QUIC", {log::f(log::kError, begun.error().text)});
    --handshakes_;
    return ended(session);
  }
  session.receive(from, datagram);
}

/// RFC 9000 §8.1.2. `accepted` learns which id the client chose first.
bool Sessions::proves_address(const Remote& from, Accepted& accepted) {
  return ngtcp2_crypto_verify_retry_token(
             &accepted.original, accepted.head.token.base, accepted.head.token.len, secret_.data(),
             secret_.size(), accepted.head.version,
             reinterpret_cast<const sockaddr*>(&from.storage), from.size, &accepted.head.dcid,
             std::chrono::nanoseconds(kRetryLife).count(), timestamp()) == 0;
}
void Sessions::ask_for_proof(const Remote& to, const ngtcp2_pkt_hd& head) {
  ports_.metrics.retried.add();
  ngtcp2_cid own{};
  own.datalen = kCidBytes;
  random({own.data, own.datalen});
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
  const ngtcp2_ssize size = ngtcp2_crypto_generate_retry_token(
      token.data(), secret_.data(), secret_.size(), head.version,
      reinterpret_cast<const sockaddr*>(&to.storage), to.size, &own, &head.dcid, timestamp());
  if (size < 0) return;
  std::array<std::uint8_t, 512> packet;
  const ngtcp2_ssize made =
      ngtcp2_crypto_write_retry(packet.data(), packet.size(), head.version, &head.scid, &own,
                                &head.dcid, token.data(), static_cast<std::size_t>(size));
  if (made > 0) send(to, std::span(packet).first(static_cast<std::size_t>(made)));
}

}  // namespace nb::relay::quic
