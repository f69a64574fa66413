#include "idp/pages.h"

#include "net/http_client.h"

#include <fmt/format.h>

namespace nb::idp {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--back:#f4f5f7;--card:#fff;--text:#1b1f24;--soft:#57606a;--line:#8c959f;
--main:#b8400a;--on:#fff;--bad:#b42318;--badback:#fef3f2}
@media(prefers-color-scheme:dark){:root{--back:#181a1d;--card:#23262b;--text:#f0f2f4;--soft:#aeb6bf;
--line:#6b737c;--main:#f68330;--on:#16181b;--bad:#ffb4a8;--badback:#3b1d1a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:flex;align-items:center;justify-content:center;
background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif;padding:1rem}
main{width:100%;max-width:26rem;background:var(--card);border-radius:12px;padding:2rem;
box-shadow:0 1px 3px rgb(0 0 0/.2)}
.brand{font-weight:700;color:var(--main);margin:0 0 1rem}
h1{font-size:1.4rem;line-height:1.3;margin:0 0 1rem}
p{margin:0 0 1rem}.soft{color:var(--soft)}
label{display:block;font-weight:600;margin:0 0 .25rem}
input[type=text],input[type=email],input[type=password]{width:100%;font:inherit;padding:.6rem .7rem;
margin:0 0 1rem;border:1px solid var(--line);border-radius:8px;background:var(--back);color:var(--text)}
.check{display:flex;gap:.5rem;align-items:center;margin:0 0 1rem}.check label{margin:0;font-weight:400}
.code{font-size:1.4rem;letter-spacing:.12em;text-transform:uppercase}
button,.button{display:block;width:100%;font:inherit;font-weight:600;padding:.65rem 1rem;margin:0 0 .6rem;
border:1px solid var(--main);border-radius:8px;background:var(--main);color:var(--on);text-align:center;
text-decoration:none;cursor:pointer;overflow-wrap:anywhere}
.plain{background:transparent;color:var(--text);border-color:var(--line)}
:focus-visible{outline:3px solid var(--main);outline-offset:2px}
.error{background:var(--badback);color:var(--bad);border-radius:8px;padding:.6rem .8rem;margin:0 0 1rem}
.or{text-align:center;color:var(--soft);margin:.4rem 0 1rem}
dl{margin:0 0 1rem}dt{color:var(--soft);font-size:.9rem}dd{margin:0 0 .6rem;font-weight:600;
overflow-wrap:anywhere}
.qr{display:block;width:100%;max-width:15rem;margin:0 auto 1rem;border-radius:8px}
code,li{font-family:ui-monospace,monospace;overflow-wrap:anywhere}
)css";

net::HttpResponse page(const PageContext& context, int status, std::string_view title,
                       const Html& body) {
  Html out;
  out << "<!doctype html>\n<html lang=\"";
  out.text(context.texts.lang);
  out << "\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><meta name=\"robots\" "
         "content=\"noindex\"><title>";
  out.text(title);
  out << " · NetBird</title><style nonce=\"";
  out.text(context.nonce);
  out << "\">";
  out.drawing(kStyle);
  out << "</style></head><body><main><p class=\"brand\">NetBird</p><h1>";
  out.text(title);
  out << "</h1>" << body << "</main></body></html>\n";
  net::HttpResponse response;
  response.status = status;
  response.body = out.str();
  response.headers = {
      {"Content-Type", "text/html; charset=utf-8"},
      // No form-action: browsers apply it to the redirect after a post, which leads to the
      // application (T14).
      {"Content-Security-Policy",
       fmt::format(
           "default-src 'none'; style-src 'nonce-{}'; img-src 'self' data:; frame-ancestors "
           "'none'; base-uri 'none'",
           context.nonce)},
      {"X-Frame-Options", "DENY"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Opener-Policy", "same-origin"},
      {"Permissions-Policy", "camera=(), microphone=(), geolocation=()"},
      {"Cache-Control", "no-store"}};
  return response;
}

Html error_box(std::string_view error) {
  Html out;
  if (error.empty()) return out;
  out << "<p class=\"error\" role=\"alert\" id=\"error\">";
  out.text(error);
  out << "</p>";
  return out;
}

Html form_to(const PageContext& context, Markup path, std::string_view request) {
  Html out;
  out << "<form method=\"post\" action=\"";
  out.text(context.base);
  out << path << "\"><input type=\"hidden\" name=\"req\" value=\"";
  out.text(request);
  out << "\">";
  return out;
}

Html local_form(const PageContext& context, const LoginView& view) {
  const Texts& t = context.texts;
  Html out;
  out << form_to(context, "/login", view.request);
  out << "<label for=\"login\">";
  out.text(t.email);
  out << "</label><input type=\"email\" id=\"login\" name=\"login\" autocomplete=\"username\" "
         "required "
         "maxlength=\"254\"";
  if (!view.error.empty()) out << " aria-describedby=\"error\"";
  if (view.login.empty()) out << " autofocus";
  out << " value=\"";
  out.text(view.login);
  out << "\"><label for=\"password\">";
  out.text(t.password);
  out << "</label><input type=\"password\" id=\"password\" name=\"password\" "
         "autocomplete=\"current-password\" required maxlength=\"256\"";
  if (!view.login.empty()) out << " autofocus";
  out << "><div class=\"check\"><input type=\"checkbox\" id=\"remember\" name=\"remember\" "
         "value=\"1\"";
  if (view.remember) out << " checked";
  out << "><label for=\"remember\">";
  out.text(t.remember);
  out << "</label></div><button type=\"submit\">";
  out.text(t.submit);
  out << "</button></form>";
  return out;
}

void description(Html& out, std::string_view term, std::string_view value) {
  if (value.empty()) return;
  out << "<dt>";
  out.text(term);
  out << "</dt><dd>";
  out.text(value);
  out << "</dd>";
}

}  // namespace

net::HttpResponse login_page(const PageContext& context, int status, const LoginView& view) {
  const Texts& t = context.texts;
  Html body;
  body << error_box(view.error);
  if (view.local) body << local_form(context, view);
  if (view.local && !view.connectors.empty()) {
    body << "<p class=\"or\">";
    body.text(t.or_else);
    body << "</p>";
  }
  for (const auto& [id, name] : view.connectors) {
    body << "<a class=\"button plain\" href=\"";
    body.text(context.base);
    body << "/auth/";
    body.text(net::url_encode(id));
    body << "?req=";
    body.text(view.request);
    body << "\">";
    body.text(t.continue_with);
    body << " ";
    body.text(name);
    body << "</a>";
  }
  if (!view.local && view.connectors.empty()) body << error_box(t.no_method);
  return page(context, status, t.sign_in, body);
}

net::HttpResponse mfa_page(const PageContext& context, int status, const MfaView& view) {
  const Texts& t = context.texts;
  const bool enrol = !view.secret.empty();
  Html body;
  body << error_box(view.error) << "<p class=\"soft\">";
  body.text(enrol ? t.mfa_enrol_text : t.mfa_text);
  body << "</p>";
  if (enrol) {
    body.drawing(qr_svg(view.url));
    body << "<p class=\"soft\">";
    body.text(t.mfa_secret);
    body << " <code>";
    body.text(view.secret);
    body << "</code></p>";
  }
  body << form_to(context, "/mfa", view.request) << "<label for=\"totp\">";
  body.text(t.mfa_code);
  body << "</label><input class=\"code\" type=\"text\" id=\"totp\" name=\"totp\" "
          "autocomplete=\"one-time-code\" required autofocus maxlength=\"32\"";
  if (!view.error.empty()) body << " aria-describedby=\"error\"";
  body << "><button type=\"submit\">";
  body.text(t.mfa_verify);
  body << "</button></form>";
  return page(context, status, enrol ? t.mfa_enrol_title : t.mfa_title, body);
}

net::HttpResponse recovery_page(const PageContext& context, const std::vector<std::string>& codes,
                                const std::string& next) {
  const Texts& t = context.texts;
  Html body;
  body << "<p class=\"soft\">";
  body.text(t.recovery_text);
  body << "</p><ul>";
  for (const std::string& code : codes) {
    body << "<li>";
    body.text(code);
    body << "</li>";
  }
  body << "</ul><a class=\"button\" href=\"";
  body.text(next);
  body << "\">";
  body.text(t.recovery_continue);
  body << "</a>";
  return page(context, 200, t.recovery_title, body);
}

net::HttpResponse device_page(const PageContext& context, int status, std::string_view user_code,
                              std::string_view login_hint, std::string_view error) {
  const Texts& t = context.texts;
  Html body;
  body << error_box(error) << "<p class=\"soft\">";
  body.text(t.device_text);
  body << "</p><form method=\"post\" action=\"";
  body.text(context.base);
  body << "/device/auth/verify_code\"><input type=\"hidden\" name=\"login_hint\" value=\"";
  body.text(login_hint);
  body << "\"><label for=\"user_code\">";
  body.text(t.device_code);
  body
      << "</label><input class=\"code\" type=\"text\" id=\"user_code\" name=\"user_code\" required "
         "autofocus autocomplete=\"off\" autocapitalize=\"characters\" spellcheck=\"false\" "
         "maxlength=\"20\"";
  if (!error.empty()) body << " aria-describedby=\"error\"";
  body << " value=\"";
  body.text(user_code);
  body << "\"><button type=\"submit\">";
  body.text(t.device_continue);
  body << "</button></form>";
  return page(context, status, t.device_title, body);
}

net::HttpResponse confirm_page(const PageContext& context, const ConfirmView& view) {
  const Texts& t = context.texts;
  Html body;
  body << "<p>";
  body.text(t.confirm_text);
  body << "</p><dl>";
  description(body, t.confirm_signed_in_as, view.who);
  description(body, t.confirm_code, view.user_code);
  description(body, t.confirm_address, view.address);
  description(body, t.confirm_program, view.program);
  body << "</dl><p class=\"soft\">";
  body.text(t.confirm_warning);
  body << "</p>" << form_to(context, "/device/confirm", view.request)
       << "<button type=\"submit\" name=\"answer\" value=\"allow\">";
  body.text(t.confirm_allow);
  body << "</button><button class=\"plain\" type=\"submit\" name=\"answer\" value=\"deny\">";
  body.text(t.confirm_deny);
  body << "</button></form>";
  return page(context, 200, t.confirm_title, body);
}

net::HttpResponse message_page(const PageContext& context, int status, std::string_view title,
                               std::string_view text, bool back) {
  Html body;
  body << "<p>";
  body.text(text);
  body << "</p>";
  if (back) {
    body << "<a class=\"button plain\" href=\"/\">";
    body.text(context.texts.logout_back);
    body << "</a>";
  }
  return page(context, status, title, body);
}

net::HttpResponse logout_question(const PageContext& context) {
  const Texts& t = context.texts;
  Html body;
  body << "<p>";
  body.text(t.logout_ask_text);
  body << "</p><form method=\"post\" action=\"";
  body.text(context.base);
  body << "/logout/confirm\"><button type=\"submit\">";
  body.text(t.logout_ask_button);
  body << "</button></form>";
  return page(context, 200, t.logout_ask_title, body);
}

}  // namespace nb::idp
