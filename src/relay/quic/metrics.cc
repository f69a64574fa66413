#include "relay/quic/quic.h"

#include <string_view>

namespace nb::relay::quic {
namespace {
FastCounter& datagrams(MetricRegistry& registry, std::string_view result) {
  return registry.counter("nb_relay_quic_datagrams_total",
                          "UDP datagrams that belong to no session",
                          {{"result", std::string(result)}});
}
}  // namespace

Metrics::Metrics(MetricRegistry& r)
    : sessions(r.gauge("nb_relay_quic_sessions", "QUIC connections, handshakes included")),
      retried(datagrams(r, "retry")),
      refused(datagrams(r, "refused")),
      ignored(datagrams(r, "ignored")),
      oversize(r.counter("nb_relay_quic_oversize_total",
                         "messages dropped because the path takes no such packets")),
      tls_reloads(r.counter("nb_relay_quic_tls_reloads_total", "renewed certificates taken over")),
      unsent(r.counter("nb_relay_quic_unsent_total", "packets that the socket did not take")) {}

}  // namespace nb::relay::quic
