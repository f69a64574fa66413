// The reverse proxy as its administrator sees it: services, clusters, domains, tokens of proxies
// and the log of accesses.
// Source   contract/rest-api.md §7.13, §7.16.
#pragma once

#include "base/secret.h"
#include "management/domain/service.h"
#include "management/store/edits/edit.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nb::management {

/// Creates where `service.id` is empty. Secrets in `service.auth` are plain; an empty one keeps
/// what is stored. Status, times, source and cluster are the server's.
/// Errors   check_service()'s; kInvalidArgument: group, target or port, a changed mode, a missing
///          secret; kNotFound "service not found"; kAlreadyExists: domain or port;
///          kFailedPrecondition: no cluster serves the domain; kPermissionDenied: terminated.
struct SaveService {
  using Answer = Service;
  Service service{};
};

struct DeleteService {
  using Answer = Nothing;
  ServiceId id{};
};

/// Without secrets, with the hosts of their targets; oldest first.
struct ListServices {
  using Answer = std::vector<Service>;
  static constexpr bool kReads = true;
};

/// Errors   kNotFound "service not found".
struct GetService {
  using Answer = Service;
  static constexpr bool kReads = true;
  ServiceId id{};
};

/// By address; those of the account and those for everybody.
struct ListClusters {
  using Answer = std::vector<ProxyCluster>;
  static constexpr bool kReads = true;
};

/// Forgets the account's own proxies of a cluster.
/// Errors   kNotFound "cluster not found".
struct DeleteCluster {
  using Answer = Nothing;
  std::string address{};
};

struct ListedDomain {
  ProxyDomainId id{};  // empty: a cluster's own domain, free for all
  std::string domain{};
  bool validated = false;
  std::string target_cluster{};
  std::optional<ProxyCluster> cluster{};  // that serves it, if one is connected
};

/// Free ones first.
struct ListProxyDomains {
  using Answer = std::vector<ListedDomain>;
  static constexpr bool kReads = true;
};

/// Not validated yet.
/// Errors   kInvalidArgument: domain, cluster; kAlreadyExists.
struct AddProxyDomain {
  using Answer = ListedDomain;
  std::string domain{};
  std::string target_cluster{};
};

/// Errors   kNotFound "custom domain not found".
struct DeleteProxyDomain {
  using Answer = Nothing;
  ProxyDomainId id{};
};

struct GetProxyDomain {
  using Answer = ListedDomain;
  static constexpr bool kReads = true;
  ProxyDomainId id{};
};

/// The domain was seen to point to its cluster.
struct ConfirmProxyDomain {
  using Answer = Nothing;
  ProxyDomainId id{};
};

struct ProxyToken {
  ProxyTokenId id{};
  std::string name{};
  std::optional<WallTime> expires_at{};  // nothing: never
  std::optional<WallTime> created_at{};
  std::optional<WallTime> last_used{};
  bool revoked = false;
};

struct NewProxyToken {
  ProxyToken token;
  Secret plain;  // shown once
};

/// Errors   kBadRequest: name, expiry.
struct CreateProxyToken {
  using Answer = NewProxyToken;
  std::string name{};
  std::int64_t expires_in_seconds = 0;  // 0: never
};

/// Those of the account, oldest first.
struct ListProxyTokens {
  using Answer = std::vector<ProxyToken>;
  static constexpr bool kReads = true;
};

/// The row stays.
/// Errors   kNotFound "token not found".
struct RevokeProxyToken {
  using Answer = Nothing;
  ProxyTokenId id{};
};

struct ProxyAccess {
  std::string id{};
  std::string service_id{};
  std::optional<WallTime> at{};
  std::string method{};
  std::string host{};
  std::string path{};
  std::int64_t duration_ms = 0;
  std::int64_t status_code = 0;
  std::string source_ip{};
  std::string reason{};
  std::string user_id{};
  std::string auth_method{};
  std::string country_code{};
  std::string city_name{};
  std::string subdivision_code{};
  std::int64_t bytes_upload = 0;
  std::int64_t bytes_download = 0;
  std::string protocol{};
  std::map<std::string, std::string> metadata{};
};

struct ProxyAccessPage {
  std::vector<ProxyAccess> entries{};
  std::int64_t total = 0;  // entries that fit, on all pages
};

/// One page of the log of accesses; texts that are empty do not filter.
struct ListProxyAccess {
  using Answer = ProxyAccessPage;
  static constexpr bool kReads = true;
  std::int64_t page = 1;  // from 1
  std::int64_t page_size = 50;
  std::string sort_by{};  // unknown: "timestamp"
  bool ascending = false;
  std::string search{};  // in id, host, path, address
  std::string source_ip{};
  std::string host{};
  std::string path{};  // a part of it
  std::string user_id{};
  std::string method{};
  std::string status{};  // "success": 2xx and 3xx; "failed": the others
  std::int64_t status_code = 0;
  std::string user_email{};  // a part of it, in any case
  std::string user_name{};   // likewise
  std::string from{};        // RFC 3339; anything else does not filter
  std::string to{};
};

}  // namespace nb::management
