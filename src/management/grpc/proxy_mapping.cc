#include "management/grpc/proxy_mapping.h"

#include "proto/proxy_service.pb.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <set>

namespace nb::management::grpc {
namespace {

namespace pb = ::management;

constexpr std::size_t kMappingsMax = 500;  // in one message, as upstream's batches
constexpr std::size_t kBytesMax = 1'000'000;
constexpr std::int64_t kSessionSeconds = 24 * 3600;

void set(google::protobuf::Duration& out, std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  out.set_seconds(seconds.count());
  out.set_nanos(static_cast<std::int32_t>((time - seconds).count()));
}

std::string bracketed(const std::string& host) {
  const bool v6 = host.find(':') != std::string::npos && !host.starts_with('[');
  return v6 ? "[" + host + "]" : host;
}

bool is_default_port(const FullTarget& target) {
  return target.port == 0 || (target.protocol == "https" && target.port == 443) ||
         (target.protocol == "http" && target.port == 80);
}

bool has_options(const TargetOptions& options) {
  return options.skip_tls_verify || options.request_timeout.count() != 0 ||
         options.session_idle_timeout.count() != 0 || !options.path_rewrite.empty() ||
         !options.custom_headers.empty() || options.direct_upstream || options.proxy_protocol;
}

void set(pb::PathTargetOptions& out, const TargetOptions& options) {
  out.set_skip_tls_verify(options.skip_tls_verify);
  if (options.request_timeout.count() != 0)
    set(*out.mutable_request_timeout(), options.request_timeout);
  if (options.path_rewrite == "preserve") out.set_path_rewrite(pb::PATH_REWRITE_PRESERVE);
  for (const auto& [name, value] : options.custom_headers)
    (*out.mutable_custom_headers())[name] = value;
  out.set_proxy_protocol(options.proxy_protocol);
  if (options.session_idle_timeout.count() != 0)
    set(*out.mutable_session_idle_timeout(), options.session_idle_timeout);
  out.set_direct_upstream(options.direct_upstream);
}

void add_target(pb::ProxyMapping& out, const Service& service, const FullTarget& target) {
  if (!target.enabled) return;
  pb::PathMapping& path = *out.add_path();
  const std::string host = bracketed(target.host);
  if (service.layer4()) {
    path.set_target(host + ":" + std::to_string(target.port));
  } else {
    const std::string port = is_default_port(target) ? "" : ":" + std::to_string(target.port);
    path.set_path(target.path.value_or("/"));
    path.set_target(target.protocol + "://" + host + port + "/");
  }
  if (has_options(target.options)) set(*path.mutable_options(), target.options);
}

void set(pb::Authentication& out, const Service& service) {
  out.set_session_key(service.session_public_key);
  out.set_max_session_age_seconds(kSessionSeconds);
  out.set_password(service.auth.password && service.auth.password->enabled);
  out.set_pin(service.auth.pin && service.auth.pin->enabled);
  out.set_oidc(service.auth.bearer && service.auth.bearer->enabled);
  for (const HeaderAuth& header : service.auth.headers) {
    if (!header.enabled) continue;
    pb::HeaderAuth& added = *out.add_header_auths();
    added.set_header(header.header);
    added.set_hashed_value(header.secret);
  }
}

void set(pb::AccessRestrictions& out, const AccessRestrictions& limits) {
  for (const auto& text : limits.allowed_cidrs) out.add_allowed_cidrs(text);
  for (const auto& text : limits.blocked_cidrs) out.add_blocked_cidrs(text);
  for (const auto& text : limits.allowed_countries) out.add_allowed_countries(text);
  for (const auto& text : limits.blocked_countries) out.add_blocked_countries(text);
  out.set_crowdsec_mode(limits.crowdsec_mode);
}

/// Equal messages give equal bytes.
std::string encoded(const pb::ProxyMapping& mapping) {
  std::string out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    mapping.SerializeToCodedStream(&coded);
  }
  return out;
}

}  // namespace

pb::ProxyMapping mapping_of(const Service& service) {
  pb::ProxyMapping out;
  out.set_id(service.id.value());
  out.set_account_id(service.account_id.value());
  out.set_domain(service.domain);
  for (const FullTarget& target : service.targets) add_target(out, service, target);
  set(*out.mutable_auth(), service);
  out.set_pass_host_header(service.pass_host_header);
  out.set_rewrite_redirects(service.rewrite_redirects);
  out.set_mode(service.mode);
  out.set_listen_port(static_cast<std::int32_t>(service.listen_port));
  if (!service.restrictions.empty()) set(*out.mutable_access_restrictions(), service.restrictions);
  out.set_private_(service.is_private);
  return out;
}

bool accepts(const ProxyAbilities& abilities, const Service& service) {
  if (service.is_private && !abilities.private_services) return false;
  return service.listen_port == 0 || service.mode == kModeTls || abilities.custom_ports_known;
}

std::vector<AccountId> MappingBook::behind(const std::vector<AccountMark>& marks) const {
  std::set<std::string> out;
  std::set<std::string> there;
  for (const AccountMark& mark : marks) {
    there.insert(mark.account.value());
    const auto known = serials_.find(mark.account.value());
    if (known == serials_.end() || known->second != mark.serial) out.insert(mark.account.value());
  }
  for (const auto& [account, serial] : serials_)
    if (!there.contains(account)) out.insert(account);
  return {out.begin(), out.end()};
}

void MappingBook::apply(const std::vector<AccountId>& accounts,
                        const std::vector<Service>& services,
                        const std::vector<AccountMark>& marks) {
  std::set<std::string> asked;
  for (const AccountId& account : accounts) {
    asked.insert(account.value());
    serials_.erase(account.value());
  }
  for (const AccountMark& mark : marks)
    if (asked.contains(mark.account.value())) serials_[mark.account.value()] = mark.serial;
  std::map<std::string, std::pair<std::string, std::string>> now;  // account, encoded
  for (const Service& service : services)
    if (asked.contains(service.account_id.value()) && accepts(abilities_, service))
      now[service.id.value()] = {service.account_id.value(), encoded(mapping_of(service))};
  for (auto& [id, known] : services_)
    if (asked.contains(known.account) && !now.contains(id)) known.wanted.clear();
  for (auto& [id, wanted] : now) {
    Known& known = services_[id];
    known.account = wanted.first;
    known.wanted = std::move(wanted.second);
  }
  for (auto it = services_.begin(); it != services_.end();) {
    if (it->second.told == it->second.wanted) {
      waiting_.erase(it->first);
      it = it->second.told.empty() ? services_.erase(it) : std::next(it);
    } else {
      waiting_.insert(it->first);
      ++it;
    }
  }
}

std::vector<pb::ProxyMapping> MappingBook::take(const Stamp& stamp) {
  std::vector<pb::ProxyMapping> out;
  std::size_t bytes = 0;
  while (!waiting_.empty() && out.size() < kMappingsMax && bytes < kBytesMax) {
    const std::string id = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    Known& known = services_[id];
    const bool gone = known.wanted.empty();
    pb::ProxyMapping& mapping = out.emplace_back();
    mapping.ParseFromString(gone ? known.told : known.wanted);
    bytes += mapping.ByteSizeLong();
    if (gone) {
      mapping.set_type(pb::UPDATE_TYPE_REMOVED);
      services_.erase(id);
      continue;
    }
    mapping.set_type(known.told.empty() ? pb::UPDATE_TYPE_CREATED : pb::UPDATE_TYPE_MODIFIED);
    mapping.set_auth_token(stamp(known.account, id));
    known.told = known.wanted;
  }
  return out;
}

}  // namespace nb::management::grpc
