// quic: the relay protocol in QUIC datagrams, beside the WebSocket and on the same port over UDP.
//
// Purpose      one protocol message is one DATAGRAM frame (RFC 9221); no streams. To the relay a
//              session looks like a WebSocket: PeerConnection serves both.
// Not here     the relay protocol (relay), QUIC and TLS themselves: ngtcp2 and GnuTLS, since the
//              OpenSSL of the distribution has no QUIC.
// Start with   Listener in listener.h, then session.h.
// Threads      all sessions live on loop 0: a client whose address changes keeps its connection,
//              which a socket for each loop would break.
// Limits       Options below; addresses are proven by a Retry once many handshakes are under way.
// Failure      a datagram that no longer fits the path is dropped and counted, as IP would.
// Decisions    docs/decisions/0127-quic-on-gnutls.md
// Source       contract/signal-relay-ops.md §3.7
#pragma once

#include "base/metrics.h"

#include <chrono>
#include <cstdint>
#include <string>

namespace nb::relay::quic {

struct Options {
  std::string address = "0.0.0.0";  // numeric
  std::uint16_t port = 0;
  std::string cert_file{};  // PEM; read again when it changes
  std::string key_file{};
  std::uint32_t sessions_max = 65'536;
  std::uint32_t handshakes_max = 4'096;  // under way at once
  std::uint32_t retry_from = 256;        // handshakes under way, from which addresses are proven
  // Half of upstream's: only silence tells clients that a relay was killed. Those of quic-go ask
  // for an answer after half of it.
  std::chrono::seconds idle{15};
};

struct Metrics {
  explicit Metrics(MetricRegistry& registry);
  FastGauge& sessions;    // nb_relay_quic_sessions
  FastCounter& retried;   // nb_relay_quic_datagrams_total{result=…}: an address was to be proven
  FastCounter& refused;   // … too many sessions or handshakes
  FastCounter& ignored;   // … no QUIC, no session of ours
  FastCounter& oversize;  // nb_relay_quic_oversize_total: messages larger than the path takes
  FastCounter& tls_reloads;  // nb_relay_quic_tls_reloads_total
  FastCounter& unsent;       // nb_relay_quic_unsent_total: packets that the socket did not take
};

}  // namespace nb::relay::quic
