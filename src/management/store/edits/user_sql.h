// Users as rows, for the commands about them. Private to store/.
#pragma once

#include "management/store/edits/account_edit.h"

#include <string>

namespace nb::management::work {

/// The acting user as stored; for the server itself a nameless owner.
/// Errors   kNotFound "user: <id> not found".
Result<User> initiator_of(AccountEdit& edit);
Result<> insert_new_user(AccountEdit& edit, const User& user);
/// What administrators decide: role, block, approval and auto groups. The rest is the logins'. The
/// row was locked before it was read.
Result<> update_user_row(AccountEdit& edit, const User& user);

/// What must hold of a human who is to be added or invited.
struct NewHuman {
  const std::string& name;
  const std::string& email;
  const std::string& role;
  const std::vector<GroupId>& auto_groups;
};
/// Answers the canonical role. `email_taken`: the text when a user has the mail.
Result<std::string> check_new_human(AccountEdit& edit, const NewHuman& human,
                                    std::string_view email_taken);

}  // namespace nb::management::work
