#include "management/store/event_log.h"

#include "base/log_keys.h"
#include "management/store/json_columns.h"
#include "management/store/migrations.h"

#include <boost/asio/this_coro.hpp>

namespace nb::management {
namespace {

struct Entry {
  std::int64_t id = 0;
  std::string key;
  Event event;
};
using Entries = std::vector<Entry>;

Result<Entries> read_outbox(sql::Session& session, std::size_t limit) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, key, event FROM nb_event_outbox ORDER BY id LIMIT $1",
                       {static_cast<std::int64_t>(limit)}));
  Entries out;
  columns::Damage damage;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back(
        {rows[i].integer(0), rows[i].string(1), columns::read_event(rows[i].text(2), damage)});
  return out;
}

/// Name and mail of a deleted user, sealed by whoever deleted the user, go to the archive and not
/// into the log. Source: contract/schema/README.md "Events database".
Result<> archive_user(sql::Session& session, Event& event) {
  std::string name;
  std::string email;
  std::erase_if(event.meta, [&](auto& item) {
    auto* text = std::get_if<std::string>(&item.second);
    if (text == nullptr || (item.first != "name" && item.first != "email")) return false;
    (item.first == "name" ? name : email) = std::move(*text);
    return true;
  });
  NB_TRY(session.exec(
      "INSERT INTO deleted_users (id, name, email, enc_algo) VALUES ($1, $2, $3, 'GCM') ON "
      "CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email",
      {event.target_id, name, email}));
  return {};
}

Result<> store_events(sql::Session& session, const Entries& entries) {
  for (const Entry& entry : entries) {
    Event event = entry.event;
    if (event.activity == Activity::kUserDeleted) NB_TRY(archive_user(session, event));
    NB_TRY(session.exec(
        "INSERT INTO events (timestamp, activity, initiator_id, target_id, account_id, meta, "
        "nb_key) VALUES "
        "($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (nb_key) DO NOTHING",
        {event.at, static_cast<std::int32_t>(event.activity), event.initiator_id, event.target_id,
         event.account_id.value(), columns::event_meta(event), entry.key}));
  }
  return {};
}

Result<> clear_outbox(sql::Session& session, const Entries& entries) {
  for (const Entry& entry : entries)
    NB_TRY(session.exec("DELETE FROM nb_event_outbox WHERE id = $1", {entry.id}));
  return {};
}

}  // namespace

EventLog::EventLog(sql::Database& main, sql::Database& events, Logger log)
    : main_(main), events_(events), log_(std::move(log)) {}

Result<> EventLog::prepare(Instant deadline) {
  NB_TRY(sql::migrate(events_, event_migrations(), deadline, log_));
  return {};
}

Task<std::size_t> EventLog::move(Instant deadline, std::size_t limit) {
  std::function<Result<Entries>(sql::Session&)> read = [limit](sql::Session& session) {
    return read_outbox(session, limit);
  };
  auto found = co_await main_.run<Entries>(deadline, {.read_only = true}, std::move(read));
  if (!found) co_return std::move(found).error();
  if (found->empty()) co_return std::size_t{0};
  const auto entries = std::make_shared<const Entries>(*std::move(found));
  std::function<Result<>(sql::Session&)> store = [entries](sql::Session& session) {
    return store_events(session, *entries);
  };
  auto stored = co_await events_.run<void>(deadline, {}, std::move(store));
  if (!stored) co_return std::move(stored).error();
  std::function<Result<>(sql::Session&)> clear = [entries](sql::Session& session) {
    return clear_outbox(session, *entries);
  };
  auto cleared = co_await main_.run<void>(deadline, {}, std::move(clear));
  if (!cleared) co_return std::move(cleared).error();
  co_return entries->size();
}

boost::asio::awaitable<void> EventLog::run(Clock& clock, std::chrono::milliseconds interval) {
  constexpr std::size_t kBatch = 500;
  constexpr std::chrono::seconds kDeadline{30};
  bool failing = false;
  for (;;) {
    const auto moved = co_await move(clock.now() + kDeadline, kBatch);
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
    if (!moved && !std::exchange(failing, true))
      log_.warn("activity events wait in the main database until theirs is back",
                {log::f(log::kError, moved.error().text)});
    if (moved && std::exchange(failing, false)) log_.info("activity events are moved on again");
    if (!moved || *moved < kBatch) co_await clock.sleep_for(interval);
  }
}

}  // namespace nb::management
