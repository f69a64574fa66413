#include "idp/forms.h"

#include "base/text.h"
#include "crypto/encoding.h"
#include "net/http_client.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace nb::idp {
namespace {

Result<std::string> decode(std::string_view text) {
  if (auto out = percent_decode(text, {.plus_is_blank = true})) return std::move(*out);
  return fail(Code::kInvalidArgument, "form: '%' without two digits");
}

}  // namespace

Result<Fields> Fields::parse(std::string_view text) {
  if (text.size() > kBytesMax) return fail(Code::kInvalidArgument, "form: longer than 64 KiB");
  Fields fields;
  while (!text.empty()) {
    const std::string_view piece = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), piece.size() + 1));
    if (piece.empty()) continue;
    if (fields.fields_.size() == kFieldsMax)
      return fail(Code::kInvalidArgument, "form: more than {} fields", kFieldsMax);
    const auto equals = piece.find('=');
    NB_LET(std::string name, decode(piece.substr(0, equals)));
    NB_LET(std::string value,
           decode(equals == std::string_view::npos ? "" : piece.substr(equals + 1)));
    fields.fields_.emplace_back(std::move(name), std::move(value));
  }
  return fields;
}

std::string Fields::get(std::string_view name) const {
  return find(name).value_or("");
}

std::optional<std::string> Fields::find(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (key == name) return value;
  return std::nullopt;
}

bool Fields::repeated(std::span<const std::string_view> names) const {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
    return std::count_if(fields_.begin(), fields_.end(),
                         [&](const auto& field) { return field.first == name; }) > 1;
  });
}

std::string Fields::encode() const {
  return net::form_encode(fields_);
}

bool clean(std::string_view text, std::size_t bytes_max) {
  return text.size() <= bytes_max && escape_control(text) == text;
}

bool is_mailbox(std::string_view text) {
  const auto at = text.find('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size() || text.size() > 254)
    return false;
  if (text.find('@', at + 1) != std::string_view::npos || !clean(text)) return false;
  if (text.find_first_of(" \t\"<>(),;:\\[]") != std::string_view::npos) return false;
  const std::string_view domain = text.substr(at + 1);
  return domain.front() != '.' && domain.back() != '.' &&
         domain.find("..") == std::string_view::npos;
}

std::optional<std::string> cookie(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    std::string_view pair = header.substr(0, header.find(';'));
    header.remove_prefix(std::min(header.size(), pair.size() + 1));
    pair = trim(pair);
    if (pair.size() > name.size() && pair[name.size()] == '=' && pair.starts_with(name))
      return std::string(pair.substr(name.size() + 1));
  }
  return std::nullopt;
}

Result<std::optional<Credentials>> basic_credentials(std::string_view authorization) {
  if (authorization.size() < 6 || !equals_ignore_case(authorization.substr(0, 6), "basic "))
    return std::optional<Credentials>();
  NB_LET(const std::string pair, crypto::from_base64(trim(authorization.substr(6))));
  const auto colon = pair.find(':');
  if (colon == std::string::npos) return fail(Code::kInvalidArgument, "Basic: no colon");
  Credentials credentials;
  NB_LET(credentials.id, decode(std::string_view(pair).substr(0, colon)));
  NB_LET(credentials.secret, decode(std::string_view(pair).substr(colon + 1)));
  return std::optional<Credentials>(std::move(credentials));
}

std::string_view bearer_token(std::string_view authorization) {
  if (authorization.size() < 7 || !equals_ignore_case(authorization.substr(0, 7), "bearer "))
    return {};
  return trim(authorization.substr(7));
}

bool is_registered(std::span<const std::string> registered, std::string_view uri) {
  return !uri.empty() && std::find(registered.begin(), registered.end(), uri) != registered.end();
}

std::string add_query(std::string_view uri,
                      const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string out(uri);
  char joint = out.find('?') == std::string::npos ? '?' : '&';
  for (const auto& [name, value] : parameters) {
    out += joint;
    out += net::url_encode(name) + "=" + net::url_encode(value);
    joint = '&';
  }
  return out;
}

std::optional<std::string> normalise_user_code(std::string_view text) {
  std::string code;
  for (char c : text) {
    if (c == '-' || c == ' ') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (kUserCodeAlphabet.find(c) == std::string_view::npos || code.size() == 8)
      return std::nullopt;
    code += c;
  }
  if (code.size() != 8) return std::nullopt;
  return code;
}

std::string_view preferred_language(std::string_view accept_language) {
  double german = 0;
  double english = 0;
  for (const std::string& range : split(accept_language.substr(0, 256), ',')) {
    const std::string_view tag = trim(std::string_view(range).substr(0, range.find(';')));
    double quality = 1;
    if (const auto q = range.find("q="); q != std::string::npos)
      std::from_chars(range.data() + q + 2, range.data() + range.size(), quality);
    const std::string primary = lower(tag.substr(0, tag.find('-')));
    if (primary == "de") german = std::max(german, quality);
    if (primary == "en") english = std::max(english, quality);
  }
  return german > english ? "de" : "en";
}

}  // namespace nb::idp
