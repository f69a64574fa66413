// Users, their tokens and invitations: contract/network-map.md §1.4, rest-api.md §7.3–§7.5.
#pragma once

#include "base/secret.h"
#include "management/domain/access_token.h"
#include "management/domain/user.h"
#include "management/store/edits/edit.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::management {

/// Errors   kInvalidArgument: role unknown or owner, group unknown or All.
struct CreateServiceUser {
  using Answer = User;
  std::string name{};
  std::string role{};
  std::vector<GroupId> auto_groups{};
};

/// Whether a human may be added or invited: what has to be known before the identity provider is
/// asked to make the login. AddUser and CreateInvite check again.
/// Errors   kInvalidArgument: name, mail, role, groups; kAlreadyExists: mail of a user.
struct CheckNewUser {
  using Answer = Nothing;
  std::string name{};
  std::string email{};
  std::string role{};
  std::vector<GroupId> auto_groups{};
};

/// A human whose login exists at the identity provider.
/// Errors   CheckNewUser's; kAlreadyExists: the id; kFailedPrecondition: the login is taken back.
struct AddUser {
  using Answer = User;
  UserId id{};
  std::string name{};
  std::string email{};
  std::string role{};
  std::vector<GroupId> auto_groups{};
  bool invited = false;       // by mail of an external provider: another event
  bool closes_login = false;  // which IdentityStore::open_login() announced
};

/// Role, auto groups and block in one; an owner who makes another user owner becomes admin. A
/// blocked user's peers expire.
/// Errors   kNotFound "user: <id> not found"; kInvalidArgument: role, groups; kPermissionDenied:
///          check_user_change()'s, each after "failed to process update for user <id>: ".
struct UpdateUser {
  using Answer = User;
  UserId id{};
  std::string role{};
  std::vector<GroupId> auto_groups{};
  bool blocked = false;
  /// If that blocks the user: note that his sessions at the identity provider are to end.
  bool ends_sessions = false;
};

/// With the user's peers and tokens. The answer is the user as it was, for the identity provider.
/// Errors   kNotFound; check_user_deletion()'s.
struct DeleteUser {
  using Answer = User;
  UserId id{};
  bool opens_login = false;  // IdentityStore::open_login() with the deletion
};

/// Errors   kNotFound; kInvalidArgument "user <id> is not pending approval".
struct ApproveUser {
  using Answer = User;
  UserId id{};
};

/// DeleteUser for one that waits for approval.
struct RejectUser {
  using Answer = User;
  UserId id{};
  bool opens_login = false;
};

struct NewToken {
  PersonalToken token;
  Secret plain;  // shown once
};

/// Errors   kInvalidArgument: name, days; kNotFound: user; kPermissionDenied:
/// check_token_access()'s.
struct CreateToken {
  using Answer = NewToken;
  UserId user{};
  std::string name{};
  std::int64_t days = 0;
};

/// Errors   kNotFound "pat: <id> not found"; as above.
struct DeleteToken {
  using Answer = Nothing;
  UserId user{};
  TokenId id{};
};

/// Oldest first.
struct ListTokens {
  using Answer = std::vector<PersonalToken>;
  static constexpr bool kReads = true;
  UserId user{};
};

struct GetToken {
  using Answer = PersonalToken;
  static constexpr bool kReads = true;
  UserId user{};
  TokenId id{};
};

struct NewInvite {
  UserInvite invite;
  Secret plain;  // shown once
};

/// Errors   CheckNewUser's; kAlreadyExists "invite already exists for this email";
///          kInvalidArgument: expiry under one hour. 0 or less: 72 hours.
struct CreateInvite {
  using Answer = NewInvite;
  std::string name{};
  std::string email{};
  std::string role{};
  std::vector<GroupId> auto_groups{};
  std::int64_t expires_in_seconds = 0;
};

/// A new token; the old one is dead.
/// Errors   kNotFound "user invite not found"; kInvalidArgument: expiry.
struct RegenerateInvite {
  using Answer = NewInvite;
  InviteId id{};
  std::int64_t expires_in_seconds = 0;
};

struct DeleteInvite {
  using Answer = Nothing;
  InviteId id{};
};

struct ListInvites {
  using Answer = std::vector<UserInvite>;
  static constexpr bool kReads = true;
};

struct FoundInvite {
  UserInvite invite;
  std::string invited_by;  // the creator's name
  bool valid = false;      // not expired
};

/// By the plain token, for anybody: the actor may be empty.
/// Errors   kInvalidArgument "invalid invite token: …"; kNotFound "user invite not found".
struct FindInvite {
  using Answer = FoundInvite;
  static constexpr bool kReads = true;
  std::string token{};
};

/// Turns the invitation into the user, once. The actor's account is the invitation's, its user the
/// new one, whose login exists at the identity provider.
/// Errors   kNotFound "user invite not found" (also when somebody else was first);
///          kInvalidArgument "invite has expired"; kAlreadyExists: the user.
struct AcceptInvite {
  using Answer = User;
  std::string token{};
  bool closes_login = false;
};

}  // namespace nb::management
