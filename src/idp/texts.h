// What pages say, in each language.
#pragma once

#include <string_view>

namespace nb::idp {

struct Texts {
  std::string_view lang;
  std::string_view sign_in, email, password, remember, submit, continue_with, or_else;
  std::string_view wrong_credentials, too_many_tries, busy;
  std::string_view no_method, provider_failed;
  std::string_view mfa_title, mfa_text, mfa_code, mfa_enrol_title, mfa_enrol_text, mfa_secret;
  std::string_view mfa_wrong, mfa_locked, mfa_verify;
  std::string_view recovery_title, recovery_text, recovery_continue;
  std::string_view device_title, device_text, device_code, device_continue, device_wrong;
  std::string_view confirm_title, confirm_text, confirm_signed_in_as, confirm_code, confirm_address;
  std::string_view confirm_program, confirm_warning, confirm_allow, confirm_deny;
  std::string_view device_done_title, device_done_text, device_denied_title, device_denied_text;
  std::string_view device_late_title, device_late_text;
  std::string_view error_title, error_bad_client, error_bad_redirect, error_bad_request;
  std::string_view error_expired, error_other_browser, error_unavailable, error_not_found;
  std::string_view error_bad_logout;
  std::string_view logout_title, logout_text, logout_back, logout_ask_title, logout_ask_text;
  std::string_view logout_ask_button;
};

/// "de" or "en"; anything else is English.
[[nodiscard]] const Texts& texts(std::string_view language);

}  // namespace nb::idp
