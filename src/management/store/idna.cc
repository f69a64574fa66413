#include "management/store/idna.h"

#include <idn2.h>

#include <memory>

namespace nb::management {

Result<std::string> idna_to_ascii(std::string_view label) {
  if (label.find('\0') != label.npos) return fail(Code::kInvalidArgument, "host name: NUL byte");
  const std::string input(label);
  char* raw = nullptr;
  // Non-transitional first, as browsers and Go do; transitional takes names the former refuses.
  int code = idn2_to_ascii_8z(input.c_str(), &raw, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
  if (code != IDN2_OK) code = idn2_to_ascii_8z(input.c_str(), &raw, IDN2_TRANSITIONAL);
  const std::unique_ptr<char, void (*)(void*)> out(raw, idn2_free);
  if (code != IDN2_OK)
    return fail(Code::kInvalidArgument, "host name can not be written in ASCII: {}",
                idn2_strerror(code));
  return std::string(out.get());
}

std::string idna_to_unicode(const std::string& domain) {
  if (domain.find("xn--") == std::string::npos) return domain;
  char* raw = nullptr;
  const int code = idn2_to_unicode_8z8z(domain.c_str(), &raw, 0);
  const std::unique_ptr<char, void (*)(void*)> out(raw, idn2_free);
  return code == IDN2_OK ? std::string(out.get()) : domain;
}

}  // namespace nb::management
