#include "idp/metrics.h"

namespace nb::idp {
namespace {

prometheus::Counter& login_counter(prometheus::Registry& registry, const char* result) {
  return prometheus::BuildCounter()
      .Name("netbird_idp_logins_total")
      .Help("logins at the embedded identity provider")
      .Register(registry)
      .Add({{"result", result}});
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

IdpMetrics::IdpMetrics(prometheus::Registry& registry)
    : logins_passed(login_counter(registry, "passed")),
      logins_failed(login_counter(registry, "failed")),
      logins_locked(login_counter(registry, "locked")),
      tokens_total(counter(registry, "netbird_idp_tokens_total", "token sets issued")),
      replays_total(counter(registry, "netbird_idp_replays_total",
                            "authorization codes and refresh tokens used again")) {}

}  // namespace nb::idp
