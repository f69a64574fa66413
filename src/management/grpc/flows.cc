#include "management/grpc/flows.h"

#include "proto/management.pb.h"

#include <algorithm>
#include <cctype>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

void fill_common(pb::ProviderConfig& out, const FlowSettings& flow) {
  out.set_clientid(flow.client_id);
  out.set_clientsecret(flow.client_secret);
  out.set_audience(flow.audience);
  out.set_tokenendpoint(flow.token_endpoint);
  out.set_scope(flow.scope);
  out.set_useidtoken(flow.use_id_token);
}

}  // namespace

Result<std::string> encode_device_flow(const std::optional<FlowSettings>& flow) {
  if (!flow || flow->provider == "none" || flow->provider.empty())
    return fail(Code::kNotFound, "no device authorization flow information available");
  if (upper(flow->provider) != "HOSTED")
    return fail(Code::kInvalidArgument, "no provider found in the protocol for {}", flow->provider);
  pb::DeviceAuthorizationFlow out;
  out.set_provider(pb::DeviceAuthorizationFlow::HOSTED);
  auto& config = *out.mutable_providerconfig();
  fill_common(config, *flow);
  config.set_domain(flow->domain);
  config.set_deviceauthendpoint(flow->device_auth_endpoint);
  return out.SerializeAsString();
}

Result<std::string> encode_pkce_flow(const std::optional<FlowSettings>& flow) {
  if (!flow) return fail(Code::kNotFound, "no pkce authorization flow information available");
  pb::PKCEAuthorizationFlow out;
  auto& config = *out.mutable_providerconfig();
  fill_common(config, *flow);
  config.set_authorizationendpoint(flow->authorization_endpoint);
  for (const std::string& url : flow->redirect_urls) config.add_redirecturls(url);
  config.set_disablepromptlogin(flow->disable_prompt_login);
  config.set_loginflag(flow->login_flag);
  return out.SerializeAsString();
}

}  // namespace nb::management::grpc
