#include "relay/quic/tls.h"

#include "base/log_keys.h"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sys/stat.h>

#include <array>
#include <utility>

namespace nb::relay::quic {
namespace {

constexpr const char* kAlpn = "nb-quic";  // contract/signal-relay-ops.md §3.7
// RFC 9001 §4.2, §8.4: TLS 1.3 only, without the compatibility mode of TLS over TCP.
constexpr const char* kPriorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "%DISABLE_TLS13_COMPAT_MODE";

Error gnutls_error(std::string_view what, int code) {
  return fail(Code::kInvalidArgument, "{}: {}", what, gnutls_strerror(code));
}

}  // namespace

Tls::Tls(std::string cert_file, std::string key_file, Logger log)
    : cert_file_(std::move(cert_file)), key_file_(std::move(key_file)), log_(std::move(log)) {}

Result<> Tls::load() {
  seen_ = stamp();
  NB_LET(credentials_, read());
  return {};
}

bool Tls::check() {
  std::string now = stamp();
  if (now == seen_) return false;
  seen_ = std::move(now);
  auto fresh = read();
  if (!fresh) {
    log_.error("new TLS files cannot be used; the last good ones serve on",
               {log::f(log::kError, fresh.error().text)});
    return false;
  }
  credentials_ = *std::move(fresh);
  return true;
}

std::string Tls::stamp() const {
  std::string out;
  for (const std::string& file : {cert_file_, key_file_}) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) continue;
    out += fmt::format("{}.{}.{}.{} ", info.st_ino, info.st_size, info.st_mtim.tv_sec,
                       info.st_mtim.tv_nsec);
  }
  return out;
}

Result<Credentials> Tls::read() const {
  gnutls_certificate_credentials_t made = nullptr;
  if (const int code = gnutls_certificate_allocate_credentials(&made); code != GNUTLS_E_SUCCESS)
    return gnutls_error("TLS credentials", code);
  Credentials out(made, [](gnutls_certificate_credentials_st* old) {
    gnutls_certificate_free_credentials(old);
  });
  const int code = gnutls_certificate_set_x509_key_file(made, cert_file_.c_str(), key_file_.c_str(),
                                                        GNUTLS_X509_FMT_PEM);
  if (code < 0) return gnutls_error(cert_file_ + ", " + key_file_, code);
  return out;
}

Result<Tls::Made> Tls::session() const {
  gnutls_session_t raw = nullptr;
  if (const int code = gnutls_init(&raw, GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET);
      code != GNUTLS_E_SUCCESS)
    return gnutls_error("TLS session", code);
  Made out{.credentials = credentials_, .session = TlsSession(raw)};
  std::string alpn = kAlpn;
  const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(alpn.data()),
                                static_cast<unsigned>(alpn.size())};
  const std::array steps = {gnutls_priority_set_direct(raw, kPriorities, nullptr),
                            ngtcp2_crypto_gnutls_configure_server_session(raw),
                            gnutls_credentials_set(raw, GNUTLS_CRD_CERTIFICATE, credentials_.get()),
                            gnutls_alpn_set_protocols(raw, &protocol, 1, GNUTLS_ALPN_MANDATORY)};
  for (const int code : steps)
    if (code != 0) return gnutls_error("TLS session", code);
  return out;
}

}  // namespace nb::relay::quic
