// TLS of listeners: one context, renewed when its files change.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "net/net_metrics.h"
#include "net/server.h"

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace nb::net {

struct SslCtxDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslDeleter>;

/// The pair in use. Thread-safe.
class TlsContext {
 public:
  TlsContext(TlsFiles files, NetMetrics& metrics, Logger log);
  /// Errors   kInvalidArgument: unreadable, malformed, or key and certificate do not fit.
  Result<> load();
  /// Looks at the files; a new and good pair is used from now on, a bad one is logged, once.
  void check();
  /// A new server connection with the newest pair.
  [[nodiscard]] SslPtr connection() const;

 private:
  [[nodiscard]] std::string stamp() const;
  Result<std::shared_ptr<SSL_CTX>> make() const;

  const TlsFiles files_;
  NetMetrics& metrics_;
  Logger log_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> context_;  // guarded by mutex_
  std::string seen_;                  // guarded by mutex_: identity of the files looked at last
};

}  // namespace nb::net
