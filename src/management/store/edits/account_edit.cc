#include "management/store/edits/account_edit.h"

namespace nb::management::work {

Result<> AccountEdit::begin() {
  return session_.lock(sql::lock_number("nb_edit:" + account_id().value()));
}

Result<Changed> AccountEdit::finish() {
  for (const Event& event : events_) NB_TRY(add_event(session_, context_, event));
  Changed out;
  out.account = account_id();
  out.ended = std::move(ended_);
  out.idle = std::move(idle_);
  out.proxies = proxies_;
  if (changes_.empty()) return out;
  NB_LET(out.serial, bump_serial(session_, context_, changes_));
  return out;
}

Result<const Account*> AccountEdit::account() {
  if (!account_) {
    columns::Damage damage;
    NB_LET(account_, read_account(session_, context_, account_id(), damage));
    if (damage.fields > 0) damaged_.insert(account_id().value());
  }
  return &*account_;
}

Result<std::string> AccountEdit::dns_domain() {
  NB_LET(const Account* owner, account());
  return owner->dns_domain(context_.options.dns_domain);
}

Result<> AccountEdit::lock_row(std::string_view table, const std::string& id) {
  if (!session_.postgres()) return {};  // one writer
  NB_TRY(session_.query(
      fmt::format("SELECT 1 FROM {} WHERE account_id = $1 AND id = $2 FOR UPDATE", table),
      {account_id().value(), id}));
  return {};
}

Result<> AccountEdit::write(const rows::Write& row) {
  NB_TRY(session_.query(row.statement, row.values));
  return {};
}

bool AccountEdit::same_values(const rows::Write& a, const rows::Write& b) {
  const auto same = [](const sql::Param& x, const sql::Param& y) {
    return x.kind() == y.kind() && x.integer() == y.integer() && x.real() == y.real() &&
           x.text() == y.text();
  };
  return std::equal(a.values.begin(), a.values.end(), b.values.begin(), b.values.end(), same);
}

Result<> AccountEdit::erase_row(std::string_view table, const std::string& id) {
  NB_TRY(session_.exec(fmt::format("DELETE FROM {} WHERE account_id = $1 AND id = $2", table),
                       {account_id().value(), id}));
  return {};
}

Result<HeldGroups> AccountEdit::hold_groups(const std::vector<GroupId>& ids) {
  if (ids.empty()) return HeldGroups{};
  if (ids.size() > kIdsMax) return fail(Code::kInvalidArgument, "more than {} group ids", kIdsMax);
  const std::string text =
      fmt::format("SELECT id, name FROM groups WHERE account_id = $1 AND id IN {} ORDER BY id{}",
                  json_list(session_, 2), locking(session_, "FOR KEY SHARE"));
  NB_LET(const sql::Rows rows, session_.query(text, {account_id().value(), columns::ids(ids)}));
  HeldGroups out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.emplace(GroupId(rows[i].string(0)), rows[i].string(1));
  return out;
}

Result<HeldGroups> AccountEdit::require_groups(const std::vector<GroupId>& ids) {
  NB_LET(HeldGroups held, hold_groups(ids));
  for (const GroupId& id : ids) {
    if (id.empty()) return fail(Code::kInvalidArgument, "group ID should not be empty string");
    if (!held.contains(id))
      return fail(Code::kInvalidArgument, "group id {} not found", id.value());
  }
  return held;
}

Result<std::vector<PeerId>> AccountEdit::hold_peers(const std::vector<PeerId>& ids) {
  if (ids.empty()) return std::vector<PeerId>{};
  if (ids.size() > kIdsMax) return fail(Code::kInvalidArgument, "more than {} peer ids", kIdsMax);
  const std::string text =
      fmt::format("SELECT id FROM peers WHERE account_id = $1 AND id IN {} ORDER BY id{}",
                  json_list(session_, 2), locking(session_, "FOR KEY SHARE"));
  NB_LET(const sql::Rows rows, session_.query(text, {account_id().value(), columns::ids(ids)}));
  std::vector<PeerId> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].string(0));
  std::sort(out.begin(), out.end());
  return out;
}

void AccountEdit::event(Activity activity, std::string target, EventMeta meta) {
  Event event;
  event.at = now();
  event.activity = activity;
  event.initiator_id = initiator();
  event.target_id = std::move(target);
  event.account_id = account_id();
  event.meta = std::move(meta);
  events_.push_back(std::move(event));
}

Result<> AccountEdit::peer_event(Activity activity, const Peer& peer, std::string target,
                                 EventMeta more) {
  NB_LET(const Account* owner, account());
  Event event = work::peer_event(context_, activity, initiator(), peer, owner->settings);
  event.target_id = std::move(target);
  for (auto& [key, value] : more) {
    const auto same = std::find_if(event.meta.begin(), event.meta.end(),
                                   [&key = key](const auto& item) { return item.first == key; });
    if (same != event.meta.end())
      same->second = std::move(value);
    else
      event.meta.emplace_back(key, std::move(value));
  }
  events_.push_back(std::move(event));
  return {};
}

}  // namespace nb::management::work
