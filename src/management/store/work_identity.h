// The transactions of the identity store. Private to store/.
#pragma once

#include "management/store/identity_store.h"
#include "management/store/store_work.h"

namespace nb::management::work {

/// All rows and the event of a new account; the caller made sure that there may be one.
Result<> store_account(Session& session, const Context& context, const NewAccount& fresh);

Result<KnownUser> known_user(Session& session, const Context& context, const UserId& id);
Result<TokenHolder> token_holder(Session& session, const Context& context, const std::string& hash);
/// Nothing if something has to be written.
Result<std::optional<Enrolled>> enrolled_already(Session& session, const Context& context,
                                                 const Enrolment& person);
Result<Enrolled> enrol(Session& session, const Context& context, const Enrolment& person);
/// Nothing if something has to be written.
Result<std::optional<GroupSync>> token_groups_same(Session& session, const Context& context,
                                                   const UserId& user,
                                                   const std::vector<std::string>& names);
Result<GroupSync> sync_token_groups(Session& session, const Context& context, const UserId& user,
                                    const std::vector<std::string>& names);
Result<> login_seen(Session& session, const Context& context, const LoginSeen& seen);

}  // namespace nb::management::work
