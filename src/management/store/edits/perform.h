// The commands as functions on a transaction. Private to store/.
#pragma once

#include "management/store/edits/account_edit.h"
#include "management/store/edits/account_edits.h"

namespace nb::management::work {

// groups.cc
Result<Group> perform(AccountEdit& edit, const SaveGroup& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteGroup& command);
Result<Nothing> perform(AccountEdit& edit, const ChangeGroupMember& command);
Result<Nothing> perform(AccountEdit& edit, const ChangeGroupResource& command);

// policies.cc
Result<Policy> perform(AccountEdit& edit, const SavePolicy& command);
Result<Nothing> perform(AccountEdit& edit, const DeletePolicy& command);
Result<PostureCheck> perform(AccountEdit& edit, const SavePostureCheck& command);
Result<Nothing> perform(AccountEdit& edit, const DeletePostureCheck& command);

// routes.cc
Result<Route> perform(AccountEdit& edit, const SaveRoute& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteRoute& command);

// networks.cc
Result<Network> perform(AccountEdit& edit, const SaveNetwork& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteNetwork& command);
Result<NetworkRouter> perform(AccountEdit& edit, const SaveRouter& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteRouter& command);
Result<NetworkResource> perform(AccountEdit& edit, const SaveResource& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteResource& command);

// dns.cc
Result<NameServerGroup> perform(AccountEdit& edit, const SaveNameServerGroup& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteNameServerGroup& command);
Result<std::vector<GroupId>> perform(AccountEdit& edit, const SaveDnsSettings& command);
Result<DnsZone> perform(AccountEdit& edit, const SaveZone& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteZone& command);
Result<DnsZoneRecord> perform(AccountEdit& edit, const SaveRecord& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteRecord& command);

// setup_keys.cc
Result<NewSetupKey> perform(AccountEdit& edit, const CreateSetupKey& command);
Result<SetupKey> perform(AccountEdit& edit, const UpdateSetupKey& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteSetupKey& command);

// peers.cc
Result<Peer> perform(AccountEdit& edit, const UpdatePeer& command);
Result<Nothing> perform(AccountEdit& edit, const DeletePeer& command);
Result<Peer> perform(AccountEdit& edit, const CreateTemporaryPeer& command);

// users.cc, tokens.cc, invites.cc
Result<User> perform(AccountEdit& edit, const CreateServiceUser& command);
Result<Nothing> perform(AccountEdit& edit, const CheckNewUser& command);
Result<User> perform(AccountEdit& edit, const AddUser& command);
Result<User> perform(AccountEdit& edit, const UpdateUser& command);
Result<User> perform(AccountEdit& edit, const DeleteUser& command);
Result<User> perform(AccountEdit& edit, const ApproveUser& command);
Result<User> perform(AccountEdit& edit, const RejectUser& command);
Result<NewToken> perform(AccountEdit& edit, const CreateToken& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteToken& command);
Result<std::vector<PersonalToken>> perform(AccountEdit& edit, const ListTokens& command);
Result<PersonalToken> perform(AccountEdit& edit, const GetToken& command);
Result<NewInvite> perform(AccountEdit& edit, const CreateInvite& command);
Result<NewInvite> perform(AccountEdit& edit, const RegenerateInvite& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteInvite& command);
Result<std::vector<UserInvite>> perform(AccountEdit& edit, const ListInvites& command);
Result<FoundInvite> perform(AccountEdit& edit, const FindInvite& command);
Result<User> perform(AccountEdit& edit, const AcceptInvite& command);

// services.cc, proxies.cc
Result<Service> perform(AccountEdit& edit, const SaveService& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteService& command);
Result<std::vector<Service>> perform(AccountEdit& edit, const ListServices& command);
Result<Service> perform(AccountEdit& edit, const GetService& command);
Result<std::vector<ProxyCluster>> perform(AccountEdit& edit, const ListClusters& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteCluster& command);
Result<ListedDomain> perform(AccountEdit& edit, const AddProxyDomain& command);
Result<Nothing> perform(AccountEdit& edit, const DeleteProxyDomain& command);
Result<Nothing> perform(AccountEdit& edit, const ConfirmProxyDomain& command);
Result<std::vector<ListedDomain>> perform(AccountEdit& edit, const ListProxyDomains& command);
Result<ListedDomain> perform(AccountEdit& edit, const GetProxyDomain& command);
Result<NewProxyToken> perform(AccountEdit& edit, const CreateProxyToken& command);
Result<std::vector<ProxyToken>> perform(AccountEdit& edit, const ListProxyTokens& command);
Result<Nothing> perform(AccountEdit& edit, const RevokeProxyToken& command);
Result<ProxyAccessPage> perform(AccountEdit& edit, const ListProxyAccess& command);

// exposures.cc
Result<Service> perform(AccountEdit& edit, const ExposeService& command);
Result<Nothing> perform(AccountEdit& edit, const StopExposing& command);

// accounts.cc
Result<AccountState> perform(AccountEdit& edit, const GetAccount& command);
Result<AccountState> perform(AccountEdit& edit, const UpdateSettings& command);
Result<std::vector<UserId>> perform(AccountEdit& edit, const DeleteAccount& command);

}  // namespace nb::management::work
