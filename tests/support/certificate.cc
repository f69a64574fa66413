#include "support/certificate.h"

#include "support/process.h"

#include <filesystem>
#include <stdexcept>

namespace nb::test {

void make_certificate(const std::string& cert_file, const std::string& key_file) {
  const std::string cert = cert_file + ".new";
  const std::string key = key_file + ".new";
  const Finished made = run(
      {.argv = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:127.0.0.11,IP:127.0.0.12",
                "-out", cert, "-keyout", key}});
  if (made.status != 0) throw std::runtime_error("openssl: " + made.output);
  std::filesystem::rename(key, key_file);
  std::filesystem::rename(cert, cert_file);
}

}  // namespace nb::test
