// Exposed services outside of an account's commands: their time runs, and runs out. Private to
// store/.
#pragma once

#include "management/store/proxy_store.h"
#include "management/store/store_work.h"

namespace nb::management::work {

/// Errors   kPermissionDenied with upstream's texts, or those of a Sync that is refused.
Result<> check_may_expose(Session& session, const Context& context, const AccountId& account,
                          const PeerId& peer);
/// Its time begins anew, by the database's clock.
Result<> touch_exposure(Session& session, const ServiceId& id);
/// service_meta() and who exposes it, if that peer still exists.
Result<EventMeta> exposure_meta(Session& session, const Service& service);

Result<> renew_exposure(Session& session, const Context& context, const AccountId& account,
                        const PeerId& peer, const std::string& domain);
Result<EndedExposures> end_exposures(Session& session, const Context& context,
                                     std::chrono::seconds silence, std::size_t limit);

}  // namespace nb::management::work
