// Certificates for tests, made by openssl.
#pragma once

#include <string>

namespace nb::test {

/// A fresh self-signed certificate for localhost and 127.0.0.1, written to (over) these files, each
/// replaced in one step as an operator's tool does.
void make_certificate(const std::string& cert_file, const std::string& key_file);

}  // namespace nb::test
