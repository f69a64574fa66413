// The second factor of local users: enrolment, codes, recovery codes (contract/auth-idp.md §3.5).
#include "base/text.h"
#include "crypto/totp.h"
#include "idp/core.h"

namespace nb::idp {
namespace {

constexpr std::size_t kSecretBytes = 20;
constexpr int kRecoveryCodes = 8;

Task<MfaView> view_of(Core& core, const AuthRequest& login) {
  MfaView view;
  view.request = login.id;
  const auto fresh = core.random.bytes<kSecretBytes>();
  NB_CO_LET(const Totp totp,
            co_await core.store.start_totp(
                core.deadline(), login.subject.user_id,
                std::string(reinterpret_cast<const char*>(fresh.data()), fresh.size())));
  if (totp.confirmed) co_return view;
  NB_CO_LET(const std::optional<Identity> who,
            co_await core.store.identity(core.deadline(), login.subject));
  if (!who) co_return fail(Code::kNotFound, "user is gone");
  view.secret = crypto::to_base32(totp.secret);
  view.url = fmt::format("otpauth://totp/NetBird:{}?secret={}&issuer=NetBird",
                         net::url_encode(who->email), view.secret);
  co_return view;
}

Answer show(Core& core, HttpRequest request, AuthRequest login, int status,
            std::string_view error) {
  auto view = co_await view_of(core, login);
  if (!view) co_return failure_page(core, request, view.error());
  view->error = error;
  co_return mfa_page(core.page(request), status, *view);
}

enum class Verdict : std::uint8_t { kWrong, kLocked, kRight, kEnrolled };

Task<Verdict> judge(Core& core, std::string user, std::string typed) {
  NB_CO_LET(const std::optional<TotpState> state, co_await core.store.totp(core.deadline(), user));
  if (!state) co_return Verdict::kWrong;
  if (state->locked_until > state->now) co_return Verdict::kLocked;
  std::string code;
  for (const char c : typed)
    if (c != ' ' && c != '-') code += c;
  const WallTime now{std::chrono::milliseconds(state->now)};
  if (const auto counter = crypto::match_totp(state->totp.secret, code, now)) {
    NB_CO_LET(const bool fresh, co_await core.store.accept_totp(core.deadline(), user, *counter));
    if (fresh) co_return state->totp.confirmed ? Verdict::kRight : Verdict::kEnrolled;
  } else if (state->totp.confirmed && code.size() > 6) {
    NB_CO_LET(const bool good,
              co_await core.store.accept_recovery(core.deadline(), user, hash_of(lower(code))));
    if (good) co_return Verdict::kRight;
  }
  NB_CO_TRY(co_await core.store.reject_totp(core.deadline(), user));
  co_return Verdict::kWrong;
}

std::vector<std::string> recovery_codes(Core& core) {
  constexpr std::string_view kLetters = "abcdefghjkmnpqrstuvwxyz23456789";
  std::vector<std::string> codes;
  for (int i = 0; i < kRecoveryCodes; ++i) {
    std::string code;
    for (int c = 0; c < 12; ++c) code += kLetters[core.random.below(kLetters.size())];
    codes.push_back(std::move(code));
  }
  return codes;
}

// The login goes on by itself: the session is there, so /auth answers with a code at once.
std::string resume_url(const Core& core, const AuthRequest& login) {
  if (!login.device_hash.empty()) return core.base + "/device/confirm?req=" + login.id;
  std::vector<std::pair<std::string, std::string>> query = {
      {"client_id", login.client_id},      {"redirect_uri", login.redirect_uri},
      {"response_type", "code"},           {"scope", login.scopes},
      {"code_challenge", login.challenge}, {"code_challenge_method", "S256"}};
  if (!login.nonce.empty()) query.emplace_back("nonce", login.nonce);
  if (login.has_state) query.emplace_back("state", login.state);
  return add_query(core.base + "/auth", query);
}

Answer enrolled(Core& core, HttpRequest request, AuthRequest login) {
  const std::vector<std::string> codes = recovery_codes(core);
  std::string hashes;
  for (const std::string& code : codes) hashes += (hashes.empty() ? "" : " ") + hash_of(code);
  const auto stored =
      co_await core.store.set_recovery(core.deadline(), login.subject.user_id, hashes);
  if (!stored) co_return failure_page(core, request, stored.error());
  const Passed passed{.subject = login.subject, .mfa = true, .remember = login.remember};
  auto completed =
      co_await finish_login(core, request, login, Stage::kMfa, passed, /*with_code=*/false);
  if (!completed) co_return failure_page(core, request, completed.error());
  if (!completed->done)
    co_return error_page(core, request, 400, core.page(request).texts.error_expired);
  HttpResponse response = recovery_page(core.page(request), codes, resume_url(core, login));
  for (auto& header : completed->response.headers) response.headers.push_back(std::move(header));
  co_return response;
}

}  // namespace

Answer mfa_get(Core& core, HttpRequest request) {
  const auto query = Fields::parse(request.query);
  const std::string id = query ? query->get("req") : "";
  PageRequest page = co_await page_request(core, request, id);
  if (!page.login) co_return page.refusal;
  if (page.login->stage != Stage::kMfa)
    co_return error_page(core, request, 400, core.page(request).texts.error_expired);
  co_return co_await show(core, std::move(request), *std::move(page.login), 200, "");
}

Answer mfa_post(Core& core, HttpRequest request) {
  const Texts& t = core.page(request).texts;
  const auto form = form_of(request);
  if (!form || cross_site(core, request))
    co_return error_page(core, request, 400, t.error_bad_request);
  PageRequest page = co_await page_request(core, request, form->get("req"));
  if (!page.login) co_return page.refusal;
  AuthRequest login = *std::move(page.login);
  if (login.stage != Stage::kMfa) co_return error_page(core, request, 400, t.error_expired);
  const auto verdict = co_await judge(core, login.subject.user_id, form->get("totp").substr(0, 64));
  if (!verdict) co_return failure_page(core, request, verdict.error());
  switch (*verdict) {
    case Verdict::kWrong:
      co_return co_await show(core, std::move(request), std::move(login), 401, t.mfa_wrong);
    case Verdict::kLocked:
      co_return co_await show(core, std::move(request), std::move(login), 429, t.mfa_locked);
    case Verdict::kEnrolled:
      co_return co_await enrolled(core, std::move(request), std::move(login));
    case Verdict::kRight:
      break;
  }
  const Passed passed{.subject = login.subject, .mfa = true, .remember = login.remember};
  co_return co_await complete_login(core, std::move(request), std::move(login), Stage::kMfa,
                                    passed);
}

}  // namespace nb::idp
