// What the network map needs of the reverse proxy: services with their targets, custom domains.
// Everything else of these rows stays in the database.
// Source   contract/network-map.md §1.13, §2.11.
#pragma once

#include "management/domain/ids.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

struct ServiceTarget {
  std::int64_t id = 0;
  std::string path;
  std::int64_t port = 0;  // 0: the protocol's own
  std::string protocol;   // "http", "https", "tcp", "tls", "udp"
  std::string target_id;
  std::string target_type;  // "peer", "host", "subnet", "domain", "cluster"
  bool enabled = false;
};

struct ProxyService {
  ServiceId id;
  AccountId account_id;
  std::string name;
  std::string domain;
  std::string proxy_cluster;
  bool enabled = false;
  bool terminated = false;
  std::string mode;  // "http", "tcp", "udp", "tls"
  bool is_private = false;
  std::vector<GroupId> access_groups;
  std::vector<ServiceTarget> targets;  // by id
};

struct ProxyDomain {
  ProxyDomainId id;
  AccountId account_id;
  std::string domain;
  std::string target_cluster;
  bool validated = false;
};

}  // namespace nb::management
