// ha status: who is alive, for operators who look from outside. It reads what the instances wrote
// about themselves: rows of the database (management), keys of Redis (signal, relay).
#include "base/metrics.h"
#include "base/text.h"
#include "cmd/common_config.h"
#include "cmd/mgmt_admin.h"
#include "cmd/mgmt_core.h"
#include "ha/redis/adapters.h"
#include "management/rest/json_writer.h"
#include "management/store/maintenance.h"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <memory>
#include <utility>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
using config::Option;
using namespace std::chrono_literals;

constexpr auto kStep = 30s;
constexpr std::size_t kPage = 1'000;
constexpr const char* kOwnId = "nb-ha-status";

struct StatusFlags {
  bool json = false;
};
constexpr Option<StatusFlags> kStatus[] = {
    {.flag = "json", .env = "-", .member = &StatusFlags::json, .help = "print one JSON object"},
};

struct Line {
  std::string service;
  std::string id;
  bool alive = false;
  std::int64_t alive_ms = 0;            // until it counts as dead
  std::optional<std::int64_t> peers{};  // nothing: not known here
  std::string info{};                   // version, address
};

struct Members {
  std::vector<Line> lines;
};

/// The living of one service. Only watches: nothing is written but keys of a wrong type.
asio::awaitable<Result<std::vector<Line>>> members(redis::Client& client, std::string service) {
  ha::RedisMemberStore store(client, service);
  ha::BeatRequest request;
  request.self = ha::InstanceId(kOwnId);
  request.watch = true;
  request.ttl = 1s;
  auto seen = co_await store.beat(std::move(request));
  if (!seen) co_return seen.error();
  std::vector<Line> out;
  for (const ha::SeenMember& member : seen->members)
    out.push_back({.service = service,
                   .id = member.id.value(),
                   .alive = member.nonce.has_value(),
                   .alive_ms = member.remaining.count(),
                   .info = member.metadata});
  co_return out;
}

/// Peers of each signal server by the shared registry.
asio::awaitable<Result<std::map<std::string, std::int64_t>>> signal_peers(redis::Client& client) {
  ha::RedisDirectory directory(client, {});
  std::map<std::string, std::int64_t> out;
  std::string cursor;
  do {
    auto page = co_await directory.scan(cursor, kPage);
    if (!page) co_return page.error();
    for (const ha::PeerHolder& entry : page->entries) ++out[entry.holder.instance.value()];
    cursor = page->next;
  } while (!cursor.empty());
  co_return out;
}

asio::awaitable<Result<Members>> ask(redis::Client& client) {
  Members out;
  auto signal = co_await members(client, "signal");
  if (!signal) co_return signal.error();
  auto peers = co_await signal_peers(client);
  if (!peers) co_return peers.error();
  for (Line& line : *signal) {
    const auto known = peers->find(line.id);
    line.peers = known == peers->end() ? 0 : known->second;
    out.lines.push_back(std::move(line));
  }
  auto relay = co_await members(client, "relay");
  if (!relay) co_return relay.error();
  for (Line& line : *relay) out.lines.push_back(std::move(line));
  co_return out;
}

management::Task<Members> redis_members(redis::Options options, Logger log) {
  MetricRegistry registry;
  redis::Metrics metrics(registry);
  const auto executor = co_await asio::this_coro::executor;
  redis::Client client(executor, std::move(options), metrics, std::move(log));
  client.start();
  auto found = co_await ask(client);
  co_await client.stop();
  co_return found;
}

void print_json(const MgmtCore& core, const MgmtConfig& config, const Result<Members>& redis,
                const std::vector<Line>& lines, std::int64_t waiting) {
  const bool ha = config.service.ha.enabled;
  management::rest::JsonWriter json;
  json.object([&] {
    json.field("ha", ha);
    json.object("database", [&] {
      json.field("engine", core.postgres() ? "postgres" : "sqlite");
      json.field("status", "ok");
    });
    json.object("redis", [&] {
      json.field("status", !ha ? "off" : redis ? "ok" : "away");
      if (!redis) json.field("error", redis.error().text);
    });
    json.field("waiting_events", waiting);
    json.array("instances", lines, [&](const Line& line) {
      json.object([&] {
        json.field("service", line.service);
        json.field("id", line.id);
        json.field("alive", line.alive);
        json.field("alive_ms", line.alive_ms);
        if (line.peers) json.field("peers", *line.peers);
        json.field("info", line.info);
      });
    });
  });
  fmt::print("{}\n", std::move(json).take());
}

void print_text(const MgmtCore& core, const MgmtConfig& config, const Result<Members>& redis,
                const std::vector<Line>& lines, std::int64_t waiting) {
  const bool ha = config.service.ha.enabled;
  fmt::print("Mode: {}\n", ha ? "active-active" : "single node (ha-enabled is off)");
  fmt::print("Database: {}, ok\n", core.postgres() ? "PostgreSQL" : "SQLite");
  fmt::print("Redis: {}\n", !ha     ? "not used"
                            : redis ? "ok"
                                    : "away: " + escape_control(redis.error().text));
  fmt::print("Events on their way: {}\n\n", waiting);
  fmt::print("SERVICE\tINSTANCE\tSTATE\tPEERS\tINFO\n");
  for (const Line& line : lines)
    fmt::print("{}\t{}\t{}\t{}\t{}\n", line.service, escape_control(line.id),
               line.alive ? "alive" : "gone",
               line.peers ? std::to_string(*line.peers) : std::string("-"),
               escape_control(line.info));
}

Result<> status(MgmtCore& core, const VerbCall& call, const StatusFlags& flags) {
  NB_LET(const management::InstanceList rows,
         management::list_instances(core.database(), core.clock().now() + kStep));
  std::vector<Line> lines;
  lines.reserve(rows.instances.size());
  for (const management::ListedInstance& row : rows.instances)
    lines.push_back({.service = "management",
                     .id = row.id,
                     .alive = row.alive(),
                     .alive_ms = std::max<std::int64_t>(row.lease_ms, 0),
                     .peers = row.peers});
  Result<Members> redis = Members{};
  if (call.config.service.ha.enabled) {
    NB_LET(redis::Options options,
           redis_options(call.config.service.ha.redis, "netbird-ha-status"));
    redis = MgmtCore::wait(redis_members(std::move(options), call.log));
    if (redis) lines.insert(lines.end(), redis->lines.begin(), redis->lines.end());
  }
  const auto print = flags.json ? print_json : print_text;
  print(core, call.config, redis, lines, rows.waiting_events);
  return {};
}

}  // namespace

std::vector<VerbPlan> ha_verbs() {
  const auto flags = std::make_shared<StatusFlags>();
  std::vector<VerbPlan> out;
  out.push_back(
      {.path = "ha status",
       .help = "which servers are alive, and who serves how many peers",
       .add_rows = [flags](config::Table& table) { table.section("Output").add(kStatus, *flags); },
       .run = with_core(
           [flags](MgmtCore& core, const VerbCall& call) { return status(core, call, *flags); })});
  return out;
}

}  // namespace nb::cmd
