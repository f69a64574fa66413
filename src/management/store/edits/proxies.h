// Which clusters of reverse proxies an account may use. Private to store/.
#pragma once

#include "management/domain/service.h"
#include "management/store/edits/account_edit.h"

#include <string>
#include <vector>

namespace nb::management::work {

/// Those of the account and those for everybody, by address.
Result<std::vector<ProxyCluster>> proxy_clusters(AccountEdit& edit);
/// The connected cluster whose domain it is, or the target of the account's custom domain.
/// Errors   kFailedPrecondition.
Result<std::string> cluster_for(AccountEdit& edit, const std::vector<ProxyCluster>& clusters,
                                const std::string& domain);

}  // namespace nb::management::work
