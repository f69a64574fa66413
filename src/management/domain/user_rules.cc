#include "management/domain/user_rules.h"

#include "management/domain/group.h"

namespace nb::management {
namespace {

Error denied(const char* text) {
  return fail(Code::kPermissionDenied, std::string(text));
}

bool is_admin(const User& user) {
  return user.role == kRoleOwner || user.role == kRoleAdmin;
}

}  // namespace

Result<> check_user_change(const User& initiator, const User& target, const UserChange& change) {
  if (!is_admin(initiator)) return denied("only admins and owners can update users");
  const bool self = initiator.id == target.id;
  if (self && target.blocked != change.blocked)
    return denied("admins can't block or unblock themselves");
  if (self && change.role != initiator.role) return denied("admins can't change their role");
  const bool by_owner = initiator.role == kRoleOwner;
  if (!by_owner && target.role == kRoleOwner && change.role != target.role)
    return denied("only owners can remove owner role from their user");
  if (target.role == kRoleOwner && change.blocked && !target.blocked)
    return denied("unable to block owner user");
  if (!by_owner && change.role == kRoleOwner && target.role != kRoleOwner)
    return denied("only owners can add owner role to other users");
  if (target.is_service_user && change.role == kRoleOwner)
    return denied("can't update a service user with owner role");
  return {};
}

Result<> check_user_deletion(const User& initiator, const User& target) {
  if (initiator.id == target.id)
    return fail(Code::kInvalidArgument, "self deletion is not allowed");
  if (target.role == kRoleOwner) return denied("can't delete a user with the owner role");
  if (target.issued == kIssuedIntegration && !initiator.is_service_user)
    return denied("only integration service user can delete this user");
  if (target.is_service_user && target.non_deletable)
    return denied("service user is marked as non-deletable");
  return {};
}

Result<> check_token_access(const User& initiator, const User& target) {
  if (initiator.account_id != target.account_id) return denied("permission denied");
  if (initiator.id == target.id || (is_admin(initiator) && target.is_service_user)) return {};
  return denied("admin role required to perform this action");
}

bool transfers_ownership(const User& initiator, const User& target, const UserChange& change) {
  return initiator.role == kRoleOwner && initiator.id != target.id && change.role == kRoleOwner &&
         target.role != kRoleOwner;
}

}  // namespace nb::management
