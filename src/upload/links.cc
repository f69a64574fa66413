#include "upload/links.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

namespace nb::upload {
namespace {

constexpr std::size_t kUuidChars = 36;

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

bool is_safe(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '_';
}

bool safe_folder(std::string_view text) {
  return !text.empty() && text.size() <= kFolderMax &&
         std::all_of(text.begin(), text.end(), is_safe);
}

bool is_uuid(std::string_view text) {
  if (text.size() != kUuidChars) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex(text[i])) return false;
  }
  return true;
}

/// "exp=1&sig=2" in this order, which is the one we write.
struct Signed {
  std::int64_t ends = 0;
  std::string_view signature;
};
std::optional<Signed> parse_query(std::string_view query) {
  constexpr std::string_view kEnds = "exp=";
  constexpr std::string_view kSignature = "&sig=";
  if (!query.starts_with(kEnds)) return std::nullopt;
  query.remove_prefix(kEnds.size());
  Signed out;
  const auto [end, error] = std::from_chars(query.data(), query.data() + query.size(), out.ends);
  if (error != std::errc{}) return std::nullopt;
  query.remove_prefix(static_cast<std::size_t>(end - query.data()));
  if (!query.starts_with(kSignature)) return std::nullopt;
  out.signature = query.substr(kSignature.size());
  return out;
}

}  // namespace

std::string folder_of(std::string_view id) {
  if (safe_folder(id)) return std::string(id);
  return crypto::to_hex(crypto::sha256(id));
}

Result<BundleName> parse_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !safe_folder(text.substr(0, slash)) ||
      !is_uuid(text.substr(slash + 1)))
    return fail(Code::kInvalidArgument, "no name of a bundle");
  return BundleName{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

std::string Links::signature(const BundleName& name, std::int64_t ends) const {
  return crypto::to_hex(
      crypto::hmac_sha256(key_.reveal(), fmt::format("{}\n{}", name.key(), ends)));
}

std::string Links::sign(const BundleName& name, WallTime now) const {
  const auto ends =
      std::chrono::floor<std::chrono::seconds>(now + kLinkLife).time_since_epoch().count();
  return fmt::format("exp={}&sig={}", ends, signature(name, ends));
}

Result<> Links::check(const BundleName& name, std::string_view query, WallTime now) const {
  const auto given = parse_query(query);
  if (!given || !crypto::equal_secrets(given->signature, signature(name, given->ends)))
    return fail(Code::kPermissionDenied, "this URL was not given out");
  if (now >= WallTime(std::chrono::seconds(given->ends)))
    return fail(Code::kDeadlineExceeded, "this URL is too old");
  return {};
}

}  // namespace nb::upload
