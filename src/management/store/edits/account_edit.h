// One write of an account's objects: what all commands share. Private to store/.
#pragma once

#include "management/domain/event.h"
#include "management/store/change_log.h"
#include "management/store/edits/edit.h"
#include "management/store/edits/object_sql.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management::work {

/// Names of groups by id; all of them exist until the transaction ends.
using HeldGroups = std::map<GroupId, std::string>;

/// A transaction in the making. Order of locks, as everywhere: the account's edit lock, user rows,
/// group rows, peer rows, the account's row (by the serial, last).
/// Life     begin(), the command's function, finish(); one session, one thread.
class AccountEdit {
 public:
  AccountEdit(Session& session, const Context& context, Actor actor)
      : session_(session),
        context_(context),
        actor_(std::move(actor)),
        now_(context.clock.wall()),
        changes_(actor_.account) {}

  /// Takes the edit lock: commands on one account run one after the other, whatever the instance.
  /// Registrations, sessions and expiry do not take it; rows that they delete are held by
  /// hold_…() and lock().
  Result<> begin();
  /// Writes events and change log, raises the serial if anything was touched.
  Result<Changed> finish();

  [[nodiscard]] Session& session() const { return session_; }
  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] const Actor& actor() const { return actor_; }
  [[nodiscard]] const AccountId& account_id() const { return actor_.account; }
  /// One moment for everything that the transaction writes.
  [[nodiscard]] WallTime now() const { return now_; }
  [[nodiscard]] std::string new_id() const { return context_.ids.next(); }
  [[nodiscard]] Changes& changes() { return changes_; }

  /// Read once.
  /// Errors   kNotFound.
  Result<const Account*> account();
  /// The peers' DNS domain: the account's or the server's.
  Result<std::string> dns_domain();

  /// Errors   kNotFound "<kind>: <id> not found".
  template <class T>
  Result<T> get(const decltype(T::id)& id);
  template <class T>
  Result<std::vector<T>> get_all();
  /// Those of the list that exist.
  template <class T>
  Result<std::vector<T>> get_some(const std::vector<decltype(T::id)>& ids);
  /// get() with the row locked against everybody until the end.
  template <class T>
  Result<T> lock(const decltype(T::id)& id);

  /// Account, and a fresh id and public id where `item` has no id; otherwise the public id of the
  /// stored one, which is the answer.
  template <class T>
  Result<std::optional<T>> identify(T& item);
  /// Writes the row and says that it changed. `fresh`: it is not there yet.
  template <class T>
  Result<> put(const T& item, bool fresh);
  [[nodiscard]] static bool same_values(const rows::Write& a, const rows::Write& b);
  /// Of an object that this edit has read: not all that is stored of it could be.
  template <class Id>
  [[nodiscard]] bool is_damaged(const Id& id) const {
    return damaged_.contains(id.value());
  }
  /// `item` is stored already, to the last column: nothing to write and nobody to tell. What is
  /// damaged is not, though it may be shown like that.
  template <class T>
  [[nodiscard]] bool is_stored(const std::optional<T>& stored, const T& item) const {
    return stored && !is_damaged(item.id) &&
           same_values(ObjectSql<T>::kUpdate(*stored), ObjectSql<T>::kUpdate(item));
  }
  template <class T>
  Result<> erase(const decltype(T::id)& id);

  /// Those of `ids` that exist, kept from being deleted.
  Result<HeldGroups> hold_groups(const std::vector<GroupId>& ids);
  /// The same when all have to exist.
  /// Errors   kInvalidArgument "group id <id> not found".
  Result<HeldGroups> require_groups(const std::vector<GroupId>& ids);
  /// Those of `ids` that exist, sorted, kept from being deleted.
  Result<std::vector<PeerId>> hold_peers(const std::vector<PeerId>& ids);

  void event(Activity activity, std::string target, EventMeta meta = {});
  /// With everything that events say about a peer, and `more`.
  Result<> peer_event(Activity activity, const Peer& peer, std::string target, EventMeta more = {});
  void end_peer(PeerEnd end) { ended_.push_back(std::move(end)); }
  void made_idle(const Peer& peer) { idle_.push_back(peer); }
  /// Proxies may serve no longer what they serve, though no map is different.
  void touched_proxies() { proxies_ = true; }

 private:
  template <class T>
  Result<std::vector<T>> read(ObjectReader::Ids ids);
  Result<> lock_row(std::string_view table, const std::string& id);
  Result<> write(const rows::Write& row);
  Result<> erase_row(std::string_view table, const std::string& id);
  [[nodiscard]] std::string initiator() const {
    return actor_.user.empty() ? kSystemInitiator : actor_.user.value();
  }

  Session& session_;
  const Context& context_;
  const Actor actor_;
  const WallTime now_;
  Changes changes_;
  std::optional<Account> account_;
  std::set<std::string> damaged_;
  std::vector<Event> events_;
  std::vector<PeerEnd> ended_;
  std::vector<Peer> idle_;
  bool proxies_ = false;
};

/// What was added to and removed from a list, each in the order of its list.
template <class T>
struct ListDifference {
  std::vector<T> added;
  std::vector<T> removed;
};
template <class T>
ListDifference<T> difference(const std::vector<T>& before, const std::vector<T>& after);
/// Without repetitions, first ones kept in order.
template <class T>
std::vector<T> without_repetitions(const std::vector<T>& items);

template <class T>
bool contains(const std::vector<T>& items, const T& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

// --- templates --------------------------------------------------------------------------------

template <class T>
Result<std::vector<T>> AccountEdit::read(ObjectReader::Ids ids) {
  ObjectReader reader(session_, context_, account_id());
  auto out = (reader.*ObjectSql<T>::kRead)(ids);
  damaged_.insert(reader.damaged().begin(), reader.damaged().end());
  return out;
}

template <class T>
Result<std::vector<T>> AccountEdit::get_all() {
  return read<T>(nullptr);
}

template <class T>
Result<std::vector<T>> AccountEdit::get_some(const std::vector<decltype(T::id)>& ids) {
  if (ids.empty()) return std::vector<T>{};
  std::vector<std::string> texts;
  for (const auto& id : ids) texts.push_back(id.value());
  return read<T>(&texts);
}

template <class T>
Result<T> AccountEdit::get(const decltype(T::id)& id) {
  NB_LET(std::vector<T> found, get_some<T>({id}));
  if (found.empty())
    return fail(Code::kNotFound, "{}: {} not found", ObjectSql<T>::kKind, id.value());
  return std::move(found.front());
}

template <class T>
Result<T> AccountEdit::lock(const decltype(T::id)& id) {
  NB_TRY(lock_row(ObjectSql<T>::kTable, id.value()));
  return get<T>(id);
}

template <class T>
Result<std::optional<T>> AccountEdit::identify(T& item) {
  using Id = decltype(T::id);
  item.account_id = account_id();
  if (!item.id.empty()) {
    NB_LET(T stored, get<T>(item.id));
    if constexpr (HasPublicId<T>) item.public_id = stored.public_id;
    return std::optional<T>(std::move(stored));
  }
  item.id = Id(new_id());
  if constexpr (HasPublicId<T>) item.public_id = PublicId(new_id());
  return std::optional<T>();
}

template <class T>
Result<> AccountEdit::put(const T& item, bool fresh) {
  changes_.touched(item.id);
  return write(fresh ? ObjectSql<T>::kInsert(item) : ObjectSql<T>::kUpdate(item));
}

template <class T>
Result<> AccountEdit::erase(const decltype(T::id)& id) {
  changes_.touched(id);
  return erase_row(ObjectSql<T>::kTable, id.value());
}

template <class T>
ListDifference<T> difference(const std::vector<T>& before, const std::vector<T>& after) {
  const std::set<T> old(before.begin(), before.end());
  const std::set<T> now(after.begin(), after.end());
  ListDifference<T> out;
  for (const T& item : now)
    if (!old.contains(item)) out.added.push_back(item);
  for (const T& item : old)
    if (!now.contains(item)) out.removed.push_back(item);
  return out;
}

template <class T>
std::vector<T> without_repetitions(const std::vector<T>& items) {
  std::set<T> seen;
  std::vector<T> out;
  for (const T& item : items)
    if (seen.insert(item).second) out.push_back(item);
  return out;
}

}  // namespace nb::management::work
