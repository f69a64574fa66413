// The writes of an account's objects as a port: one command, one transaction.
//
// Purpose      AccountEdits (account_edits.h) is the list of all commands; a command is a plain
//              struct with what the caller chose and the type of its answer.
// Not here     permissions (domain/permissions.h), JSON (rest), who is told
// (app/account_commands.h). Start with   a command's header, such as groups.h; then its .cc for the
// transaction. Threads      any executor; the answer comes on the caller's. Limits       those of
// the drafts in domain/; lists of ids at most kIdsMax. Failure      Store's codes; kBadRequest
// (base/error_kinds.h) for what the API answers with 400. Decisions
// docs/decisions/0080-edits-as-commands.md
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "management/domain/actor.h"
#include "management/domain/peer.h"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace nb::management {

/// Ids in one list of a command; more is kInvalidArgument.
inline constexpr std::size_t kIdsMax = 100'000;

/// The answer of a command that has nothing to say.
struct Nothing {};

/// A peer whose streams have to end.
struct PeerEnd {
  PeerId peer;
  bool deleted = false;  // otherwise: expired or blocked
  bool ephemeral = false;
};

/// What others have to be told after the commit.
struct Changed {
  AccountId account;
  /// The network serial after the commit; 0: it was not raised, no map can be different.
  std::uint64_t serial = 0;
  std::vector<PeerEnd> ended;
  /// Ephemeral peers that were made and are not connected yet: their time runs.
  std::vector<Peer> idle;
  bool proxies = false;  // streams of proxies have to look, whatever the serial says
};

template <class T>
struct Edited {
  T value;
  Changed changed;
};

template <class Command>
class EditOf {
 public:
  virtual boost::asio::awaitable<Result<Edited<typename Command::Answer>>> edit(
      Instant deadline, Actor actor, Command command) = 0;

 protected:
  ~EditOf() = default;
};

/// Each command finds its function by its type.
template <class... Commands>
class EditPort : public EditOf<Commands>... {
 public:
  virtual ~EditPort() = default;
  using EditOf<Commands>::edit...;
};

}  // namespace nb::management
