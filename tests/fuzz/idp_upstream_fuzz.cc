// What other identity providers send: discovery documents, claims of ID tokens; and what an import
// finds: connector configurations, otpauth URLs, subjects.
#include "base/assert.h"
#include "idp/connector_config.h"
#include "idp/dex_import.h"
#include "idp/upstream.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using namespace nb::idp;

ConnectorConfig config() {
  ConnectorConfig c;
  c.id = "corp";
  c.type = "oidc";
  c.issuer = "https://sso.test";
  c.client_id = "me";
  c.groups = true;
  return c;
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto found = parse_discovery(text, "https://sso.test"))
    NB_ASSERT(found->issuer == "https://sso.test" && !found->token_endpoint.empty());
  const nb::WallTime now{std::chrono::seconds(1'000'000)};
  if (const auto identity = identity_of(config(), text, "nonce", now)) {
    NB_ASSERT(!identity->subject.user_id.empty() && identity->subject.connector_id == "corp");
    const auto encoded = nb::management::encode_subject(identity->subject);
    NB_ASSERT(nb::management::decode_subject(encoded.value()) == identity->subject);
  }
  Connector row;
  row.id = "corp";
  row.type = "oidc";
  row.config = text;
  if (const auto parsed = ConnectorConfig::parse(row)) NB_ASSERT(!parsed->client_id.empty());
  if (const auto secret = otpauth_secret(text)) NB_ASSERT(!secret->empty());
  if (const auto subject = nb::management::decode_subject(text))
    NB_ASSERT(!subject->user_id.empty() && !subject->connector_id.empty());
  return 0;
}
