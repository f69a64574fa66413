#include "cmd/golden/golden_maps.h"

#include <boost/json.hpp>
#include <zlib.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace nb::cmd::golden {
namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using management::grpc::EncoderSettings;
using management::grpc::JwtSettings;

constexpr std::size_t kFileBytesMax = std::size_t{256} << 20;

bool is_vector_name(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.ends_with(".json") || name.ends_with(".json.gz");
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string{};
}

/// contract/management-grpc.md §6.2; there is no device flow here that could name an issuer.
std::optional<JwtSettings> jwt_settings(const json::object& http) {
  JwtSettings out;
  const std::string own = text_of(http, "AuthAudience");
  const std::string cli = text_of(http, "CLIAuthAudience");
  out.issuer = trimmed(text_of(http, "AuthIssuer"));
  if (own.empty() || out.issuer.empty()) return std::nullopt;
  out.keys_location = trimmed(text_of(http, "AuthKeysLocation"));
  if (out.keys_location.empty()) {
    std::string base = out.issuer;
    if (base.ends_with('/')) base.pop_back();
    out.keys_location = base + "/.well-known/jwks.json";
  }
  out.audience = cli.empty() ? own : cli;
  out.audiences = {own};
  if (!cli.empty() && cli != own) out.audiences.push_back(cli);
  return out;
}

EncoderSettings encoder_settings(const json::object& vector) {
  EncoderSettings out;
  const json::value* const options = vector.if_contains("options");
  if (options == nullptr || !options->is_object()) return out;
  out.dns_domain = text_of(options->get_object(), "dns_domain");
  const json::value* const http = options->get_object().if_contains("http_config");
  if (http == nullptr || !http->is_object()) return out;
  if (auto claim = text_of(http->get_object(), "AuthUserIDClaim"); !claim.empty())
    out.user_id_claim = std::move(claim);
  out.jwt = jwt_settings(http->get_object());
  return out;
}

}  // namespace

Result<std::vector<fs::path>> vectors_in(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> out;
  const fs::directory_iterator top(folder, error);
  if (error) return fail(Code::kNotFound, "{}: {}", folder.string(), error.message());
  const auto add = [&](const fs::path& file) {
    if (is_vector_name(file)) out.push_back(file);
  };
  for (const auto& entry : top) {
    if (!entry.is_directory()) {
      add(entry.path());
      continue;
    }
    for (const auto& inner : fs::directory_iterator(entry.path(), error)) add(inner.path());
  }
  // Names may repeat in a subfolder: the folder's own vectors come last and so have the last word.
  std::ranges::sort(out, [&](const fs::path& left, const fs::path& right) {
    const bool left_inner = left.lexically_relative(folder).has_parent_path();
    const bool right_inner = right.lexically_relative(folder).has_parent_path();
    return left_inner == right_inner ? left < right : left_inner;
  });
  return out;
}

Result<std::string> read_text(const fs::path& file) {
  const gzFile in = gzopen(file.c_str(), "rb");  // reads plain files as they are
  if (in == nullptr) return fail(Code::kNotFound, "{}: cannot be opened", file.string());
  std::string text;
  char buffer[65536];
  int read = 0;
  while ((read = gzread(in, buffer, sizeof buffer)) > 0 && text.size() <= kFileBytesMax)
    text.append(buffer, static_cast<std::size_t>(read));
  const bool whole = gzclose(in) == Z_OK && read == 0;
  if (text.size() > kFileBytesMax)
    return fail(Code::kResourceExhausted, "{}: more than {} bytes", file.string(), kFileBytesMax);
  if (!whole) return fail(Code::kInvalidArgument, "{}: cannot be read or unpacked", file.string());
  return text;
}

Result<json::value> read_json(const fs::path& file) {
  NB_LET(const std::string text, read_text(file));
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) return fail(Code::kInvalidArgument, "{}: no JSON: {}", file.string(), error.message());
  return value;
}

Result<std::optional<Vector>> vector_of(const json::value& file) {
  if (!file.is_object()) return std::optional<Vector>{};
  const json::object& object = file.get_object();
  const json::value* const tables = object.if_contains("tables");
  if (tables == nullptr) return std::optional<Vector>{};
  Vector out;
  out.name = text_of(object, "name");
  if (out.name.empty() || out.name.find('/') != out.name.npos)
    return fail(Code::kInvalidArgument, "name: missing or no file name");
  if (!tables->is_object()) return fail(Code::kInvalidArgument, "tables: no object");
  for (const auto& [table, rows] : tables->get_object())
    if (!rows.is_array() || !std::ranges::all_of(rows.get_array(), &json::value::is_object))
      return fail(Code::kInvalidArgument, "tables.{}: no list of rows", std::string(table));
  out.tables = tables->get_object();
  out.encoder = encoder_settings(object);
  return std::optional<Vector>(std::move(out));
}

}  // namespace nb::cmd::golden
