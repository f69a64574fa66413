#include "management/domain/event.h"
#include "management/rest/handlers.h"
#include "management/store/event_log.h"
#include "management/store/event_reader.h"

#include <set>

namespace nb::management::rest {
namespace {

constexpr std::size_t kMoveAtOnce = 500;
constexpr int kMoveRounds = 20;

/// `user.join` may be told by several first calls of one browser: the newest stands for all.
std::vector<const ListedEvent*> without_repetitions(const std::vector<ListedEvent>& events) {
  std::set<std::pair<std::string_view, std::string_view>> joined;
  std::vector<const ListedEvent*> out;
  out.reserve(events.size());
  for (const ListedEvent& event : events) {
    const bool join = event.activity == static_cast<std::int32_t>(Activity::kUserJoined);
    if (!join || joined.emplace(event.initiator_id, event.target_id).second) out.push_back(&event);
  }
  return out;
}

void write_event(JsonWriter& json, const ListedEvent& event) {
  json.object([&] {
    json.field("id", std::to_string(event.id));
    json.time("timestamp", event.at);
    json.field("activity", activity_text(event.activity));
    json.field("activity_code", activity_code(event.activity));
    json.field("initiator_id", event.initiator_id);
    json.field("initiator_name", event.initiator_name);
    json.field("initiator_email", event.initiator_email);
    json.field("target_id", event.target_id);
    json.object("meta", [&] {
      for (const auto& [key, value] : event.meta) {
        json.key_text(key);
        json.text(value);
      }
    });
  });
}

Task<Reply> list(const Services& services, Call call) {
  // What was committed a moment ago may still be on its way to the events' database. When it can
  // not be moved now, the list is that much older.
  for (int round = 0; round < kMoveRounds; ++round) {
    const auto moved = co_await services.event_log->move(call.deadline, kMoveAtOnce);
    if (!moved || *moved < kMoveAtOnce) break;
  }
  auto events = co_await services.events->list(call.deadline, call.account_id());
  if (!events) co_return std::move(events).error();
  co_return list_reply(
      without_repetitions(*events),
      [](JsonWriter& json, const ListedEvent* event) { write_event(json, *event); });
}

}  // namespace

void add_events(RouteTable& table, const Services& services) {
  const Need reads{Module::kEvents, Operation::kRead};
  table.add("GET", "/api/events/audit", {reads}, handled(services, list));
  table.add("GET", "/api/events", {reads}, handled(services, list));
}

}  // namespace nb::management::rest
