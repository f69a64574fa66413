// Services as reverse proxies are told of them.
// Source   the public definition of ProxyService (proto/proxy_service.proto).
#pragma once

#include "management/domain/service.h"
#include "management/store/proxy_store.h"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace management {
class ProxyMapping;
}  // namespace management

namespace nb::management::grpc {

/// Without type and one-time token. Hosts of targets are filled in.
[[nodiscard]] ::management::ProxyMapping mapping_of(const Service& service);

/// What a proxy said it can do.
struct ProxyAbilities {
  bool custom_ports_known = false;  // it says yes or no: it knows of ports at all
  bool private_services = false;
};
/// A proxy that would serve it wrongly does not get it: open to all, or on no port.
[[nodiscard]] bool accepts(const ProxyAbilities& abilities, const Service& service);

/// What one stream was told, and what it has to be told to know what there is now.
class MappingBook {
 public:
  /// Gives an encoded ProxyMapping its one-time token.
  using Stamp = std::function<std::string(const std::string& account, const std::string& service)>;

  explicit MappingBook(ProxyAbilities abilities) : abilities_(abilities) {}

  /// Accounts whose serial is not the one that was applied last, and those that have gone.
  [[nodiscard]] std::vector<AccountId> behind(const std::vector<AccountMark>& marks) const;
  /// From now on behind() names every account: not every change raises a serial.
  void distrust() {
    for (auto& [account, serial] : serials_) serial = ~std::uint64_t{0};
  }
  /// `services` are all that those accounts have in the cluster; `marks` was read before them.
  void apply(const std::vector<AccountId>& accounts, const std::vector<Service>& services,
             const std::vector<AccountMark>& marks);
  /// Mappings that wait, as many as one message should hold; each is asked for once.
  [[nodiscard]] std::vector<::management::ProxyMapping> take(const Stamp& stamp);
  [[nodiscard]] bool empty() const { return waiting_.empty(); }

 private:
  struct Known {
    std::string account;
    std::string told;    // encoded mapping that the stream has; empty: none yet
    std::string wanted;  // empty: none any more
  };
  ProxyAbilities abilities_;
  std::map<std::string, std::uint64_t> serials_;  // by account
  std::map<std::string, Known> services_;
  std::set<std::string> waiting_;  // ids of services
};

}  // namespace nb::management::grpc
