// The use cases of an account's objects: a command is carried out, and whoever has to know is told.
#pragma once

#include "management/app/changes.h"
#include "management/store/edits/account_edits.h"
#include "management/store/store.h"

#include <functional>
#include <utility>

namespace nb::management::app {

/// Permissions were checked by the caller (domain/permissions.h); the rules about persons are in
/// the commands.
/// Threads  any executor; finishes on the caller's.
class AccountCommands {
 public:
  /// Told about ephemeral peers that are not connected; may be empty.
  using OnIdle = std::function<void(const Peer&)>;

  /// Both outlive this.
  AccountCommands(AccountEdits& edits, Changes& changes, OnIdle on_idle = {})
      : edits_(edits), changes_(changes), on_idle_(std::move(on_idle)) {}

  /// `co_await commands.execute(deadline, actor, SaveGroup{.name = "servers"})`
  template <class Command>
  Task<typename Command::Answer> execute(Instant deadline, Actor actor, Command command) {
    auto done = co_await edits_.edit(deadline, std::move(actor), std::move(command));
    if (!done) co_return std::move(done).error();
    tell(done->changed);
    co_return std::move(done->value);
  }

 private:
  void tell(const Changed& changed) const;

  AccountEdits& edits_;
  Changes& changes_;
  const OnIdle on_idle_;
};

}  // namespace nb::management::app
