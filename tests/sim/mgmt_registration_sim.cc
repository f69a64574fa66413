// First logins over several instances, with everything that goes wrong: answers are lost and tried
// again elsewhere, one machine asks two instances at once, several come with one setup key or one
// token. Nothing is registered twice, no key or token is used more often than it may be, and in the
// end everybody whom one of them is for is in. PeerSessions and hub are the production ones;
// database, machines and the provider of tokens are simulated.
#include "base/task_group.h"
#include "ha/local/adapters.h"
#include "management/app/peer_sessions.h"
#include "sim/registration_database.h"
#include "sim/seeds.h"
#include "sim/sim_agents.h"
#include "sim/sim_map_workers.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::sim {
namespace {

namespace asio = boost::asio;
namespace app = management::app;
using namespace std::chrono_literals;

constexpr auto kPatience = 5s;  // of a machine, before it asks again

enum class State : std::uint8_t { kTrying, kIn, kRefused };

struct Machine {
  std::string key{};
  std::string setup_key{};
  std::string token{};
  Instant next_try{};
  State state = State::kTrying;
};

struct Cluster {
  LoginDatabase database;
  std::vector<Machine> machines;
  std::map<std::string, std::string> token_of;  // token to the machine that it let in
  std::string alarm{};
};

/// Every token is good for an hour; who has used it is not its business.
class Provider final : public app::TokenValidator {
 public:
  explicit Provider(NodeEnv& env) : env_(env) {}
  management::Task<app::TokenUser> identify(Instant, Secret) override {
    co_await env_.clock.sleep_for(std::chrono::microseconds(env_.random() % 20'000));
    app::TokenUser out;
    out.account = management::AccountId(kLoginAccount);
    out.user = management::UserId("user");
    out.expires_at = env_.clock.wall() + 1h;
    co_return out;
  }

 private:
  NodeEnv& env_;
};

class Instance final : public Process {
 public:
  Instance(NodeEnv& env, std::shared_ptr<Cluster> cluster)
      : cluster_(std::move(cluster)),
        env_(env),
        store_(env, cluster_->database),
        claims_(store_, cluster_->database),
        provider_(env),
        workers_(env),
        tasks_(env.home),
        filter_(env.store, "nb:mgmt:loginfilter", {}),
        hub_(std::make_shared<app::SyncHub>(env.home, store_, &env.bus, workers_, env.clock,
                                            hub_options(env), Logger{})),
        sessions_({.store = store_,
                   .agents = claims_,
                   .hub = *hub_,
                   .tokens = &provider_,
                   .filter = &filter_,
                   .clock = env.clock},
                  options(env), Logger{}) {
    hub_->start();
  }
  asio::awaitable<void> stop() override {
    stopped_ = true;
    co_await hub_->stop();
    co_await tasks_.stop();
    co_await workers_.stop();
  }

  void login(std::size_t machine) { tasks_.spawn(login_task(machine)); }

 private:
  static app::SyncHubOptions hub_options(NodeEnv& env) {
    app::SyncHubOptions out;
    out.self = env.name + "/" + env.incarnation.value();
    out.instance = env.name;
    return out;
  }
  static app::PeerSessionsOptions options(NodeEnv& env) {
    app::PeerSessionsOptions out;
    out.instance = management::InstanceId(env.name);
    out.hash_setup_key = [](std::string_view secret) { return std::string(secret); };
    return out;
  }
  asio::awaitable<void> login_task(std::size_t index) {
    const Machine& machine = cluster_->machines[index];
    app::LoginCommand command;
    command.key = management::PeerKey(machine.key);
    command.meta.emplace();
    command.meta->hostname = machine.key;
    command.setup_key = machine.setup_key;
    command.jwt = machine.token;
    command.deadline = env_.clock.now() + 10s;
    const auto done = co_await sessions_.login(std::move(command));
    if (stopped_) co_return;
    if (done) let_in(cluster_->machines[index], *done);
    // Some answers are lost on their way.
    const bool lost = env_.random() % 5 == 0;
    if (!lost) answer(cluster_->machines[index], done);
  }
  void let_in(const Machine& machine, const app::LoggedIn& done) {
    const LoginDatabase::Row* const row = cluster_->database.find(machine.key);
    if (row == nullptr || row->id != done.peer.id.value())
      cluster_->alarm = machine.key + " was told of a peer that is not there";
    if (machine.token.empty()) return;
    const auto [first, is_first] = cluster_->token_of.emplace(machine.token, machine.key);
    if (!is_first && first->second != machine.key)
      cluster_->alarm = machine.token + " let in two machines";
  }
  static void answer(Machine& machine, const Result<app::LoggedIn>& done) {
    if (done) {
      machine.state = State::kIn;
      return;
    }
    // Whoever asked two instances hears from one of them that the other was faster.
    const Error& error = done.error();
    const bool again = error.code == Code::kUnavailable ||
                       error.text.find("already registered") != std::string::npos;
    if (!again && machine.state == State::kTrying) machine.state = State::kRefused;
  }

  const std::shared_ptr<Cluster> cluster_;
  NodeEnv& env_;
  LoginStore store_;
  LoginClaims claims_;
  Provider provider_;
  SimMapWorkers workers_;
  TaskGroup tasks_;
  ha::LocalLoginFilter filter_;
  std::shared_ptr<app::SyncHub> hub_;
  app::PeerSessions sessions_;
  bool stopped_ = false;
};

void machines_act(World& world, Cluster& cluster) {
  for (std::size_t i = 0; i < cluster.machines.size(); ++i) {
    Machine& machine = cluster.machines[i];
    if (machine.state == State::kRefused || world.now() < machine.next_try) continue;
    if (machine.state == State::kIn && !world.chance(0.02)) continue;  // logs in once more
    machine.next_try = world.now() + kPatience;
    const int calls = world.chance(0.3) ? 2 : 1;
    // One that is paused does what it was asked when it goes on, however late that is.
    for (int call = 0; call < calls; ++call)
      if (auto* const at = world.nodes()[world.pick(world.nodes().size())]->as<Instance>())
        at->login(i);
  }
}

void boot(World& world, const std::shared_ptr<Cluster>& shared) {
  Cluster& cluster = *shared;
  cluster.database.keys = {{"one-off", {.limit = 1}},
                           {"own", {.limit = 1}},
                           {"two", {.limit = 2}},
                           {"any", {.limit = 0}}};
  const auto add = [&](std::string setup_key, std::string token, Instant from) {
    Machine machine;
    machine.key = "wg" + std::to_string(cluster.machines.size());
    machine.setup_key = std::move(setup_key);
    machine.token = std::move(token);
    machine.next_try = from;
    cluster.machines.push_back(std::move(machine));
  };
  for (const char* key : {"one-off", "one-off", "two", "two", "two", "two", "any", "any", "own"})
    add(key, "", world.now());
  add("", "alone", world.now());
  for (const char* token : {"one", "two"}) {
    add("", token, world.now());
    add("", token, world.now() + world.between(0s, 30s));
  }
  add_instances<Instance>(world, shared, 2 + world.pick(2));
}

/// Everybody has an answer, and as many are in as the keys and tokens are for.
std::string unfair(const Cluster& cluster) {
  std::map<std::string, std::int64_t> wanted, in;
  for (const Machine& machine : cluster.machines) {
    if (machine.state == State::kTrying) return machine.key + " still tries";
    const bool has_row = cluster.database.find(machine.key) != nullptr;
    if (has_row != (machine.state == State::kIn))
      return fmt::format("{} is registered: {}, and was told otherwise", machine.key, has_row);
    const std::string what = machine.setup_key + "/" + machine.token;
    ++wanted[what];
    if (machine.state != State::kIn) continue;
    ++in[what];
  }
  for (const auto& [what, count] : wanted) {
    const auto key = cluster.database.keys.find(what.substr(0, what.find('/')));
    const std::int64_t limit = key == cluster.database.keys.end() ? 1 : key->second.limit;
    const std::int64_t expected = limit == 0 ? count : std::min(limit, count);
    if (in[what] != expected)
      return fmt::format("{} of {} are in with {}", in[what], expected, what);
  }
  return {};
}

Faults everything() {
  return {.drop = 0.02,
          .lose = 0.2,
          .duplicate = 0.1,
          .delay_max = 300ms,
          .reorder = true,
          .pause = 0.02,
          .pause_max = 60s,
          .crash = 0.01,
          .downtime_max = 10s,
          .cut = 0.02,
          .cut_max = 10s,
          .store_down = 0.02,
          .store_down_max = 10s,
          .store_forgets = true,
          .flush = 0.1};
}

std::string first_alarm(const Cluster& cluster) {
  return cluster.alarm.empty() ? cluster.database.wrong() : cluster.alarm;
}

struct Seen {
  std::uint64_t rivals = 0;
  std::uint64_t again = 0;
};

/// Runs one seed; what went wrong, or nothing.
std::string run(World& world, const LoginFlaws& flaws, Duration storm, Seen* seen = nullptr) {
  const auto shared = std::make_shared<Cluster>();
  Cluster& cluster = *shared;
  cluster.database.flaws = flaws;
  boot(world, shared);
  world.faults = everything();
  const Instant calm_at = world.now() + storm;
  while (world.now() < calm_at) {
    machines_act(world, cluster);
    cluster.database.down = cluster.database.down ? !world.chance(0.1) : world.chance(0.02);
    world.run_for(world.between(1ms, 400ms));
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
  }
  cluster.database.down = false;
  cluster.database.cut_one_in = 0;
  world.heal();
  std::string left = "never looked";
  for (int round = 0; round < 60 && !left.empty(); ++round) {
    machines_act(world, cluster);
    world.run_for(1s);
    if (auto alarm = first_alarm(cluster); !alarm.empty()) return alarm;
    left = unfair(cluster);
  }
  if (seen != nullptr) {
    seen->rivals += cluster.database.token_rivals;
    seen->again += cluster.database.again;
  }
  return left;
}

constexpr Duration kStorm = 40s;

bool alarms(World& world, const LoginFlaws& flaws) {
  return !run(world, flaws, kStorm).empty();
}

TEST(MgmtRegistrationSim, NothingIsRegisteredTwiceAndEverybodyGetsHisAnswer) {
  Seen seen;
  for_seeds(2000, [&](World& world) {
    const std::string what = run(world, {}, kStorm, &seen);
    EXPECT_EQ(what, "") << world.replay();
  });
  if (std::getenv("NB_SIM_SEED") == nullptr) {
    EXPECT_GT(seen.rivals, 0U);
    EXPECT_GT(seen.again, 0U);
  }
}

TEST(MgmtRegistrationSim, OneSeedRunsTheSameTwice) {
  std::uint64_t prints[2];
  for (auto& print : prints) {
    World world(7);
    static_cast<void>(run(world, {}, 20s));
    print = world.fingerprint();
  }
  EXPECT_EQ(prints[0], prints[1]);
}

TEST(MgmtRegistrationSim, HearsASetupKeyThatIsUsedAsItWasRead) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.trusts_reads = true}); }), 0U);
}

TEST(MgmtRegistrationSim, HearsTwoPeersOfOneMachine) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.many_rows = true}); }), 0U);
}

TEST(MgmtRegistrationSim, HearsATokenThatRedisForgot) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.claims_in_redis = true}); }), 0U);
}

TEST(MgmtRegistrationSim, HearsATokenLostWithAnAnswer) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.claims_once = true}); }), 0U);
}

TEST(MgmtRegistrationSim, HearsAKeyThatIsUsedByNobody) {
  EXPECT_GT(count_alarms(60, [](World& w) { return alarms(w, {.keeps_half = true}); }), 0U);
}

}  // namespace
}  // namespace nb::sim
