// Every command on an account's objects.
#pragma once

#include "management/store/edits/accounts.h"
#include "management/store/edits/dns.h"
#include "management/store/edits/exposures.h"
#include "management/store/edits/groups.h"
#include "management/store/edits/networks.h"
#include "management/store/edits/peers.h"
#include "management/store/edits/policies.h"
#include "management/store/edits/routes.h"
#include "management/store/edits/services.h"
#include "management/store/edits/setup_keys.h"
#include "management/store/edits/users.h"

namespace nb::management {

template <class... Commands>
struct CommandList {
  using Port = EditPort<Commands...>;
};

using AccountCommandList =
    CommandList<SaveGroup, DeleteGroup, ChangeGroupMember, ChangeGroupResource,  //
                SavePolicy, DeletePolicy, SavePostureCheck, DeletePostureCheck,  //
                SaveRoute, DeleteRoute,                                          //
                SaveNetwork, DeleteNetwork, SaveRouter, DeleteRouter, SaveResource,
                DeleteResource,  //
                SaveNameServerGroup, DeleteNameServerGroup, SaveDnsSettings, SaveZone, DeleteZone,
                SaveRecord, DeleteRecord,                        //
                CreateSetupKey, UpdateSetupKey, DeleteSetupKey,  //
                UpdatePeer, DeletePeer, CreateTemporaryPeer,     //
                CreateServiceUser, CheckNewUser, AddUser, UpdateUser, DeleteUser, ApproveUser,
                RejectUser,                                      //
                CreateToken, DeleteToken, ListTokens, GetToken,  //
                CreateInvite, RegenerateInvite, DeleteInvite, ListInvites, FindInvite,
                AcceptInvite,  //
                SaveService, DeleteService, ListServices, GetService, ListClusters, DeleteCluster,
                AddProxyDomain, DeleteProxyDomain, ConfirmProxyDomain, ListProxyDomains,
                GetProxyDomain, CreateProxyToken, ListProxyTokens, RevokeProxyToken,
                ListProxyAccess,              //
                ExposeService, StopExposing,  //
                GetAccount, UpdateSettings, DeleteAccount>;

/// The port: `edit(deadline, actor, Command{…})`.
using AccountEdits = AccountCommandList::Port;

}  // namespace nb::management
