// The pages: server-rendered, no script, light and dark, in the browser's language.
#pragma once

#include "idp/html.h"
#include "idp/texts.h"
#include "net/http.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::idp {

struct PageContext {
  const Texts& texts;
  std::string base;   // path of the issuer: "/oauth2"
  std::string nonce;  // of the style sheet
};

struct LoginView {
  std::string request;
  std::string login;
  std::string_view error;
  bool local = true;
  bool remember = false;
  std::vector<std::pair<std::string, std::string>> connectors;  // id, name
};
struct MfaView {
  std::string request;
  std::string_view error;
  std::string secret;  // base32; not empty: enrolment
  std::string url;     // otpauth://
};
struct ConfirmView {
  std::string request;
  std::string who;
  std::string user_code;  // with dash
  std::string address;
  std::string program;
};

net::HttpResponse login_page(const PageContext& context, int status, const LoginView& view);
net::HttpResponse mfa_page(const PageContext& context, int status, const MfaView& view);
net::HttpResponse recovery_page(const PageContext& context, const std::vector<std::string>& codes,
                                const std::string& next);
net::HttpResponse device_page(const PageContext& context, int status, std::string_view user_code,
                              std::string_view login_hint, std::string_view error);
net::HttpResponse confirm_page(const PageContext& context, const ConfirmView& view);
net::HttpResponse message_page(const PageContext& context, int status, std::string_view title,
                               std::string_view text, bool back = false);
net::HttpResponse logout_question(const PageContext& context);

}  // namespace nb::idp
