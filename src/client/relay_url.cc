#include "client/relay_url.h"

#include "base/text.h"

#include <utility>

namespace nb::client {

Result<RelayUrl> parse_relay_url(std::string_view text) {
  auto url = parse_url(text);
  if (!url) return fail(Code::kInvalidArgument, "relay address: {}", url.error().text);
  RelayUrl out;
  out.tls = url->scheme == "rels";
  if (!out.tls && url->scheme != "rel")
    return fail(Code::kInvalidArgument, "relay address: scheme {}, not rel or rels", url->scheme);
  if (url->host.empty() || !url->user.empty() || !url->password.empty())
    return fail(Code::kInvalidArgument, "relay address: no host, or user information in it");
  out.host = std::move(url->host);
  out.port = url->port != 0 ? url->port : out.tls ? 443 : 80;
  return out;
}

}  // namespace nb::client
