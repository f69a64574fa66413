#include "management/app/ha_report.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

namespace nb::management::app {

namespace asio = boost::asio;

namespace {

constexpr std::string_view kManagement = "management";
constexpr std::size_t kPage = 1'000;

/// Peers of each signal server by the shared registry. Empty where it cannot be read.
asio::awaitable<std::optional<std::map<std::string, std::uint64_t>>> count_registered(
    ha::PeerDirectory& directory) {
  std::map<std::string, std::uint64_t> out;
  std::string cursor;
  do {
    const auto page = co_await directory.scan(cursor, kPage);
    if (!page) co_return std::nullopt;
    for (const ha::PeerHolder& entry : page->entries) ++out[entry.holder.instance.value()];
    cursor = page->next;
  } while (!cursor.empty());
  co_return out;
}

Task<std::vector<HaInstance>> read_board(ha::InstanceBoard& board, std::string service) {
  NB_CO_LET(auto entries, co_await board.list());
  std::vector<HaInstance> out;
  for (ha::BoardEntry& entry : entries) {
    HaInstance instance;
    instance.service = service;
    instance.id = entry.id.value();
    instance.alive = entry.alive;
    instance.alive_ms = entry.left.count();
    instance.peers = entry.facts.peers;
    instance.drain_ordered = entry.drain_ordered;
    instance.facts = std::move(entry.facts);
    out.push_back(std::move(instance));
  }
  co_return out;
}

Task<std::vector<HaInstance>> read_boards(const HaReportPorts& ports) {
  std::vector<HaInstance> out;
  bool count = false;
  for (const HaBoard& board : ports.boards) {
    NB_CO_LET(auto read, co_await read_board(*board.board, board.service));
    for (HaInstance& instance : read) {
      count |= instance.service == "signal" && instance.alive && !instance.peers;
      out.push_back(std::move(instance));
    }
  }
  if (!count || ports.signal == nullptr) co_return out;
  const auto registered = co_await count_registered(*ports.signal);
  if (!registered) co_return out;
  for (HaInstance& instance : out) {
    if (instance.service != "signal" || !instance.alive || instance.peers) continue;
    const auto known = registered->find(instance.id);
    instance.peers = known == registered->end() ? 0 : known->second;
  }
  co_return out;
}

Task<> order(ha::InstanceBoard& board, std::string id) {
  NB_CO_LET(const auto entries, co_await board.list());
  for (const ha::BoardEntry& entry : entries)
    if (entry.id.value() == id && entry.alive)
      co_return co_await board.order_drain(entry.id, entry.incarnation);
  co_return fail(Code::kNotFound, "instance {} is not alive any more", id);
}

}  // namespace

std::string HaInstance::state() const {
  if (!alive) return "gone";
  return facts.state.empty() ? "alive" : facts.state;
}

HaOverview::HaOverview(HaReportPorts ports, HaReportOptions options)
    : ports_(std::move(ports)), options_(std::move(options)) {}

Task<HaReport> HaOverview::report(Instant deadline) const {
  HaReport out;
  out.ha = options_.ha;
  out.engine = options_.engine;
  out.at = ports_.clock.wall();
  if (ports_.rows == nullptr) {
    out.database = {.up = false, .error = options_.database_error};
  } else {
    auto rows = co_await ports_.rows->list(deadline);
    if (!rows) out.database = {.up = false, .error = rows.error().text};
    if (rows) {
      out.waiting_events = rows->waiting_events;
      for (ListedInstance& row : rows->instances) {
        HaInstance instance;
        instance.service = kManagement;
        instance.id = row.id;
        instance.alive = row.alive();
        instance.alive_ms = std::max<std::int64_t>(row.lease_ms, 0);
        instance.peers = static_cast<std::uint64_t>(row.peers);
        instance.drain_ordered = row.drain_ordered;
        instance.facts = ha::parse_facts(row.facts);
        // What the database counts is what is true for everybody.
        instance.facts.peers = instance.peers;
        out.instances.push_back(std::move(instance));
      }
    }
  }
  if (!ports_.boards.empty()) {
    auto read = co_await asio::co_spawn(ports_.home, read_boards(ports_), asio::use_awaitable);
    if (!read) out.redis = {.up = false, .error = read.error().text};
    if (read)
      out.instances.insert(out.instances.end(), std::make_move_iterator(read->begin()),
                           std::make_move_iterator(read->end()));
  }
  std::stable_sort(out.instances.begin(), out.instances.end(),
                   [](const HaInstance& a, const HaInstance& b) {
                     return std::tie(a.service, a.id) < std::tie(b.service, b.id);
                   });
  co_return out;
}

Task<std::vector<HaInstance>> HaOverview::drain(Instant deadline, std::string id,
                                                std::string service) const {
  NB_CO_LET(const HaReport now, co_await report(deadline));
  std::vector<HaInstance> found;
  std::string services;
  for (const HaInstance& instance : now.instances) {
    if (!instance.alive || instance.id != id) continue;
    if (!service.empty() && instance.service != service) continue;
    found.push_back(instance);
    services += (services.empty() ? "" : ", ") + instance.service;
  }
  if (found.empty()) {
    const std::string of = service.empty() ? "" : fmt::format(" of the service {}", service);
    // It may well live where we cannot look.
    if (!now.database.up)
      co_return fail(Code::kUnavailable,
                     "no live instance{} is called '{}', and the database is "
                     "down: {}",
                     of, id, now.database.error);
    if (!now.redis.up)
      co_return fail(Code::kUnavailable, "no live instance{} is called '{}', and Redis is down: {}",
                     of, id, now.redis.error);
    co_return fail(Code::kNotFound, "no live instance{} is called '{}'; see ha status", of, id);
  }
  // Services of one process share its id and drain together; those of two programs do not.
  for (const HaInstance& instance : found) {
    if (instance.facts.program == found.front().facts.program &&
        instance.facts.started_ms == found.front().facts.started_ms)
      continue;
    co_return fail(Code::kFailedPrecondition,
                   "'{}' is the name of instances of {}: say of which service", id, services);
  }
  for (const HaInstance& instance : found) {
    if (instance.service == kManagement) {
      NB_CO_LET(const auto rows, co_await ports_.rows->list(deadline));
      for (const ListedInstance& row : rows.instances)
        if (row.id == id)
          NB_CO_TRY(co_await ports_.rows->order_drain(deadline, InstanceId(id), row.incarnation));
    }
    for (const HaBoard& board : ports_.boards)
      if (board.service == instance.service)
        NB_CO_TRY(
            co_await asio::co_spawn(ports_.home, order(*board.board, id), asio::use_awaitable));
  }
  co_return found;
}

}  // namespace nb::management::app
