#include "management/rest/http_extras.h"

#include "base/text.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

namespace nb::management::rest {
namespace {

constexpr std::size_t kCompressFrom = 1'400;  // less fits into one packet anyway
constexpr int kGzipLevel = 4;                 // most of the gain at a third of the usual cost
constexpr int kGzipWindow = 15 + 16;          // zlib: with a gzip header

/// Whether an If-None-Match names `etag`, which has its quotes.
bool names_tag(std::string_view if_none_match, std::string_view etag) {
  for (const std::string_view item : split(if_none_match, ',')) {
    if (item == "*") return true;
    const std::string_view strong = item.starts_with("W/") ? item.substr(2) : item;
    if (strong == etag) return true;
  }
  return false;
}

std::string gzip(std::string_view body) {
  z_stream stream{};
  if (deflateInit2(&stream, kGzipLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string out(deflateBound(&stream, body.size()), '\0');
  // zlib reads only, whatever its type says.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(body.data()));  // NOLINT
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(whole ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

}  // namespace

net::HttpResponse preflight(const net::HttpRequest& request) {
  constexpr std::array<std::string_view, 6> kMethods = {"HEAD", "GET",   "POST",
                                                        "PUT",  "PATCH", "DELETE"};
  net::HttpResponse out{.status = 204};
  out.headers = {{"vary", "Origin"},
                 {"vary", "Access-Control-Request-Method"},
                 {"vary", "Access-Control-Request-Headers"},
                 {"access-control-allow-origin", "*"}};
  const std::string_view method = request.header("access-control-request-method");
  if (std::find(kMethods.begin(), kMethods.end(), method) != kMethods.end())
    out.headers.emplace_back("access-control-allow-methods", method);
  const std::string_view wanted = request.header("access-control-request-headers");
  if (!wanted.empty()) out.headers.emplace_back("access-control-allow-headers", wanted);
  out.headers.emplace_back("access-control-max-age", "600");
  return out;
}

void add_cors(const net::HttpRequest& request, net::HttpResponse& response) {
  response.headers.emplace_back("vary", "Origin");
  if (request.header("origin").empty()) return;
  response.headers.emplace_back("access-control-allow-origin", "*");
  response.headers.emplace_back("access-control-expose-headers", "X-Request-Id");
}

std::string short_digest(std::string_view data) {
  const auto digest = crypto::sha256(data);
  return crypto::to_base64(crypto::as_text(digest).substr(0, 15), crypto::Base64::kUrlRaw);
}

void add_etag(const net::HttpRequest& request, net::HttpResponse& response, std::string etag) {
  if (etag.empty()) etag = fmt::format("\"{}\"", short_digest(response.body));
  response.headers.emplace_back("etag", "W/" + etag);
  // Kept by the browser, asked about with each use, and by this user only.
  response.headers.emplace_back("cache-control", "private, no-cache");
  response.headers.emplace_back("vary", "Authorization");
  if (!names_tag(request.header("if-none-match"), etag)) return;
  response.status = 304;
  response.body.clear();
}

bool accepts_gzip(std::string_view accept_encoding) {
  for (const std::string_view item : split(accept_encoding, ',')) {
    const auto semicolon = std::min(item.find(';'), item.size());
    const std::string_view name = trim(item.substr(0, semicolon));
    if (!equals_ignore_case(name, "gzip") && name != "*") continue;
    const std::string weight = lower(trim(item.substr(std::min(semicolon + 1, item.size()))));
    return !(weight.starts_with("q=0") && weight.find_first_not_of("q=0.") == weight.npos);
  }
  return false;
}

void compress(const net::HttpRequest& request, net::HttpResponse& response) {
  if (response.body.size() < kCompressFrom) return;
  response.headers.emplace_back("vary", "Accept-Encoding");
  if (!accepts_gzip(request.header("accept-encoding"))) return;
  std::string packed = gzip(response.body);
  if (packed.empty() || packed.size() >= response.body.size()) return;
  response.body = std::move(packed);
  response.headers.emplace_back("content-encoding", "gzip");
}

}  // namespace nb::management::rest
