// What browsers send to the identity provider: forms, cookies, credentials, redirect URIs, codes.
#include "base/assert.h"
#include "idp/forms.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace nb::idp;

void form(std::string_view text) {
  const auto fields = Fields::parse(text);
  if (!fields) return;
  const auto again = Fields::parse(fields->encode());
  // Three bytes for one: a form near the limit may not fit again.
  if (!again) return;
  NB_ASSERT(again->encode() == fields->encode() && again->size() == fields->size());
}

void redirect(std::string_view text) {
  static const std::vector<std::string> kRegistered = {"http://localhost:53000/",
                                                       "https://a.test/nb-auth"};
  if (is_registered(kRegistered, text)) NB_ASSERT(text == kRegistered[0] || text == kRegistered[1]);
  // Whatever a state holds, the redirect stays the registered one and gives it back unchanged.
  const std::string url = add_query(kRegistered[1], {{"state", std::string(text)}});
  NB_ASSERT(url.starts_with(kRegistered[1] + "?state="));
  NB_ASSERT(url.find_first_of("\r\n #<>\"'+") == std::string::npos);
  const auto back = Fields::parse(std::string_view(url).substr(url.find('?') + 1));
  if (back) NB_ASSERT(back->get("state") == text);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  form(text);
  redirect(text);
  if (const auto value = cookie(text, "netbird-session"))
    NB_ASSERT(value->find(';') == std::string::npos);
  if (const auto credentials = basic_credentials(text); credentials && *credentials)
    NB_ASSERT((*credentials)->id.size() <= size);
  if (const auto code = normalise_user_code(text))
    NB_ASSERT(code->size() == 8 && normalise_user_code(*code) == *code);
  const auto language = preferred_language(text);
  NB_ASSERT(language == "de" || language == "en");
  if (is_mailbox(text)) NB_ASSERT(clean(text) && text.find_first_of("<>\" ") == std::string::npos);
  return 0;
}
