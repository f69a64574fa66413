#include "cmd/static_site.h"

#include "base/config/node.h"
#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <array>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

namespace nb::cmd {

namespace {
namespace fs = std::filesystem;

constexpr std::size_t kFilesMax = 20'000;
constexpr std::size_t kBytesMax = 256ULL * 1024 * 1024;

// What works for one origin; the hash is that of the theme library's inline script.
constexpr std::string_view kPolicy =
    "default-src 'none'; connect-src 'self' ws: wss: "
    "https://api.github.com/repos/netbirdio/netbird/releases/latest "
    "https://raw.githubusercontent.com/netbirdio/dashboard/; frame-src 'self'; frame-ancestors "
    "'self'; script-src 'self' 'wasm-unsafe-eval' "
    "'sha256-7knV6EIjKUvCpYWE2rCYx8dYV2WCNb2bpTuitFXzBcA='; style-src 'self' 'unsafe-inline'; "
    "font-src 'self'; img-src * data:; manifest-src 'self'; base-uri 'self'; form-action 'self'";

constexpr std::array<std::pair<std::string_view, std::string_view>, 18> kTypes = {{
    {".html", "text/html; charset=utf-8"},
    {".txt", "text/plain; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json; charset=utf-8"},
    {".map", "application/json; charset=utf-8"},
    {".wasm", "application/wasm"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".jpeg", "image/jpeg"},
    {".webp", "image/webp"},
    {".gif", "image/gif"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".woff", "font/woff"},
    {".ttf", "font/ttf"},
}};

std::string type_of(std::string_view path) {
  for (const auto& [ending, type] : kTypes)
    if (path.ends_with(ending)) return std::string(type);
  return path.ends_with(".webmanifest") ? "application/manifest+json" : "application/octet-stream";
}

/// Nothing for a broken escape or a NUL, which no file's name has.
std::optional<std::string> decoded(std::string_view path) {
  auto out = percent_decode(path);
  if (out && out->find('\0') != std::string::npos) return std::nullopt;
  return out;
}
}  // namespace

Result<std::shared_ptr<const StaticSite>> StaticSite::load(const std::string& directory) {
  auto site = std::make_shared<StaticSite>();
  std::error_code error;
  std::size_t bytes = 0;
  fs::recursive_directory_iterator entry(directory, error);
  if (error) return fail(Code::kNotFound, "{}: {}", directory, error.message());
  for (; entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    if (error) return fail(Code::kUnavailable, "{}: {}", directory, error.message());
    if (!entry->is_regular_file(error)) continue;
    NB_LET(std::string body, config::read_file(entry->path().string(), kBytesMax));
    bytes += body.size();
    if (bytes > kBytesMax || site->files_.size() >= kFilesMax)
      return fail(Code::kInvalidArgument, "{}: more than {} files or {} MiB", directory, kFilesMax,
                  kBytesMax >> 20U);
    const std::string path = "/" + fs::relative(entry->path(), directory, error).generic_string();
    File file;
    file.type = type_of(path);
    file.etag = "\"" +
                crypto::to_base64(crypto::sha256(body), crypto::Base64::kUrlRaw).substr(0, 22) +
                "\"";
    file.immutable = path.starts_with("/_next/static/") || path.starts_with("/assets/chunk.");
    file.body = std::move(body);
    site->files_.emplace(path, std::move(file));
  }
  if (!site->files_.contains("/index.html"))
    return fail(Code::kInvalidArgument, "{}: has no index.html", directory);
  return site;
}

const StaticSite::File* StaticSite::find(std::string name) const {
  for (const char* ending : {"", ".html", "/index.html"}) {
    if (const auto found = files_.find(name + ending); found != files_.end()) return &found->second;
    if (name.ends_with('/')) name.pop_back();
  }
  return nullptr;
}

net::HttpResponse StaticSite::answer(const net::HttpRequest& request) const {
  if (request.method != "GET" && request.method != "HEAD") {
    auto refused = net::HttpResponse::text(405, "method not allowed\n");
    refused.headers.emplace_back("allow", "GET, HEAD");
    return refused;
  }
  const auto path = decoded(request.path);
  if (!path) return net::HttpResponse::text(400, "malformed path\n");
  const File* file = find(*path);
  net::HttpResponse out{.status = 200};
  if (file == nullptr) {
    // It boots the application, whose router knows the path.
    out.status = 404;
    file = find("/404.html");
  }
  if (file == nullptr) return net::HttpResponse::text(404, "not found\n");
  out.headers = {
      {"content-type", file->type},
      {"etag", file->etag},
      {"cache-control", file->immutable ? "public, max-age=31536000, immutable" : "no-cache"},
      {"x-content-type-options", "nosniff"},
      {"x-frame-options", "SAMEORIGIN"},
      {"content-security-policy", std::string(kPolicy)}};
  if (request.tls) out.headers.emplace_back("strict-transport-security", "max-age=31536000");
  if (out.status == 200 && request.header("if-none-match") == file->etag) {
    out.status = 304;
    return out;
  }
  out.body = file->body;
  return out;
}

void add_static_site(net::HttpRouter& router, std::shared_ptr<const StaticSite> site) {
  router.prefix("/",
                [site = std::move(site)](
                    net::HttpRequest request) -> boost::asio::awaitable<net::HttpResponse> {
                  co_return site->answer(request);
                });
}

}  // namespace nb::cmd
