// Rows of services and their targets, whole. Private to store/.
#pragma once

#include "management/domain/service.h"
#include "management/store/store_work.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace nb::management::work {

/// {"name":"value"}
std::string text_map(const std::map<std::string, std::string>& values);

/// Where a service is read from: a condition on `v` (services), with parameters.
struct ServiceFilter {
  std::string condition;
  std::vector<sql::Param> values;
};

// The structured columns of a service and its targets.
ServiceAuth read_auth(std::string_view text, columns::Damage& damage);
AccessRestrictions read_restrictions(std::string_view text, columns::Damage& damage);
std::map<std::string, std::string> read_headers(std::string_view text, columns::Damage& damage);

/// With targets; `auth` holds hashes. Oldest first.
Result<std::vector<Service>> read_services(Session& session, const ServiceFilter& filter);
/// The hosts of the services' targets as they are now; all of one account.
Result<> fill_hosts(Session& session, const Context& context, const AccountId& account,
                    std::vector<Service>& services);
/// A fresh row with the keys of its sessions, or everything that a caller may change.
Result<> insert_service(Session& session, const Context& context, const AccountId& account,
                        const Service& service);
Result<> update_service(Session& session, const AccountId& account, const Service& service);
/// With its targets. kNotFound: another transaction has ended it meanwhile.
Result<> erase_service(Session& session, const AccountId& account, const ServiceId& id);
/// What events say about a service.
EventMeta service_meta(const Service& service);

}  // namespace nb::management::work
