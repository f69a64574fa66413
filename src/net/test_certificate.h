// For the tests of net/: a certificate that signs itself, and its key, in files of their own.
#pragma once

#include "net/server.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace nb::net::testing {

class TestCertificate {
 public:
  TestCertificate() {
    std::string name = (std::filesystem::temp_directory_path() / "net_certificate_XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~TestCertificate() { std::filesystem::remove_all(directory_); }
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;
  [[nodiscard]] TlsFiles pair() const {
    return {(directory_ / "cert.pem").string(), (directory_ / "key.pem").string()};
  }
  /// A fresh self-signed pair in the name of `common_name`.
  void issue(const std::string& common_name) const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME* name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    X509_sign(cert, key, EVP_sha256());
    write(pair().cert_file, [&](FILE* file) { PEM_write_X509(file, cert); });
    write(pair().key_file, [&](FILE* file) {
      PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
    X509_free(cert);
    EVP_PKEY_free(key);
  }

 private:
  /// As renewal tools do: a new file takes the place of the old one.
  template <class Write>
  static void write(const std::string& path, Write fill) {
    FILE* file = std::fopen((path + ".new").c_str(), "w");
    fill(file);
    std::fclose(file);
    std::filesystem::rename(path + ".new", path);
  }
  std::filesystem::path directory_;
};

}  // namespace nb::net::testing
