// Certificates and TLS sessions of QUIC. Private to relay/quic.
#pragma once

#include "base/log.h"
#include "base/result.h"

#include <gnutls/gnutls.h>

#include <memory>
#include <string>

namespace nb::relay::quic {

struct SessionDeleter {
  void operator()(gnutls_session_int* session) const { gnutls_deinit(session); }
};
using TlsSession = std::unique_ptr<gnutls_session_int, SessionDeleter>;
using Credentials = std::shared_ptr<gnutls_certificate_credentials_st>;

/// The pair in use. Lives on one loop.
class Tls {
 public:
  Tls(std::string cert_file, std::string key_file, Logger log);
  /// Errors   kInvalidArgument: unreadable, malformed, or key and certificate do not fit.
  Result<> load();
  /// Looks at the files; a new and good pair is used from now on, a bad one is logged, once.
  /// True: there is a new one.
  bool check();
  /// For one connection; the credentials live as long as it.
  struct Made {
    Credentials credentials;
    TlsSession session;
  };
  [[nodiscard]] Result<Made> session() const;

 private:
  [[nodiscard]] std::string stamp() const;
  [[nodiscard]] Result<Credentials> read() const;

  const std::string cert_file_;
  const std::string key_file_;
  const Logger log_;
  Credentials credentials_;
  std::string seen_;
};

}  // namespace nb::relay::quic
