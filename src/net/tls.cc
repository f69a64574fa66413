#include "net/tls.h"

#include "base/log_keys.h"

#include <openssl/err.h>
#include <sys/stat.h>

#include <array>
#include <string_view>
#include <utility>

namespace nb::net {

namespace {
std::string openssl_error() {
  std::array<char, 256> text{};
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  // RFC 7301: our order of preference. Nothing in common: the connection goes on as HTTP/1.1 would,
  // since old clients offer names we do not know.
  static constexpr std::array<unsigned char, 12> kOurs{2,   'h', '2', 8,   'h', 't',
                                                       't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kOurs.data(), kOurs.size(), offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}
}  // namespace

TlsContext::TlsContext(TlsFiles files, NetMetrics& metrics, Logger log)
    : files_(std::move(files)), metrics_(metrics), log_(std::move(log)) {}

std::string TlsContext::stamp() const {
  std::string text;
  for (const std::string& file : {files_.cert_file, files_.key_file}) {
    struct stat status {};
    if (stat(file.c_str(), &status) != 0) {
      text += "absent;";
    } else {
      text += fmt::format("{}:{}:{}.{};", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                          status.st_mtim.tv_nsec);
    }
  }
  return text;
}

Result<std::shared_ptr<SSL_CTX>> TlsContext::make() const {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SslCtxDeleter{});
  if (!context) return fail(Code::kInternal, "TLS: {}", openssl_error());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // RFC 9113 §9.2.2: HTTP/2 over TLS 1.2 wants ephemeral keys and AEAD.
  SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20");
  SSL_CTX_set_alpn_select_cb(context.get(), select_protocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files_.cert_file.c_str()) != 1) {
    return fail(Code::kInvalidArgument, "TLS certificate '{}': {}", files_.cert_file,
                openssl_error());
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files_.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(Code::kInvalidArgument, "TLS key '{}': {}", files_.key_file, openssl_error());
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) {
    return fail(Code::kInvalidArgument, "TLS key '{}' does not belong to certificate '{}'",
                files_.key_file, files_.cert_file);
  }
  return context;
}

Result<> TlsContext::load() {
  const std::string now = stamp();
  NB_LET(auto context, make());
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  seen_ = now;
  return {};
}

void TlsContext::check() {
  const std::string now = stamp();
  {
    const std::lock_guard lock(mutex_);
    if (now == seen_) return;
    seen_ = now;
  }
  auto context = make();
  if (!context) {
    metrics_.tls_reload_errors_total.Increment();
    log_.error("new TLS files cannot be used; the previous certificate stays",
               {log::f(log::kError, context.error().text)});
    return;
  }
  metrics_.tls_reloads_total.Increment();
  log_.info("TLS certificate taken over", {log::f(log::kPath, files_.cert_file)});
  const std::lock_guard lock(mutex_);
  context_ = std::move(*context);
}

SslPtr TlsContext::connection() const {
  const std::lock_guard lock(mutex_);
  return SslPtr(SSL_new(context_.get()));
}

}  // namespace nb::net
