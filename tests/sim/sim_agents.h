// Agents of simulated management instances: they want a stream each, on whatever instance.
#pragma once

#include "ha/sim/world.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace nb::sim {

struct SimAgent {
  std::string peer{};
  std::uint64_t stream_token = 0;  // of the stream it reads now; 0: none
  std::size_t node = 0;
  bool gone = false;  // for good
};

/// Their hosts' clocks differ, the first two by thirty seconds; the database has its own.
template <class Instance, class Cluster>
void add_instances(World& world, const std::shared_ptr<Cluster>& cluster, std::size_t count) {
  constexpr std::chrono::seconds kSkews[] = {std::chrono::seconds(15), std::chrono::seconds(-15),
                                             std::chrono::seconds(30), std::chrono::seconds(-30)};
  for (std::size_t i = 0; i < count; ++i)
    world
        .add_node("m" + std::to_string(i),
                  [cluster](NodeEnv& env) { return std::make_unique<Instance>(env, cluster); })
        .set_skew(kSkews[i % std::size(kSkews)]);
}

/// Agents that have no stream connect somewhere; some of the others wander off, and whoever
/// `leaves` never comes back. An instance has connect(index of the agent, token) and drop(token):
/// the old connection is found dead sooner or later.
template <class Instance, class Cluster>
void agents_act(World& world, Cluster& cluster, double wander,
                const std::function<bool()>& leaves = {}) {
  using namespace std::chrono_literals;
  for (std::size_t i = 0; i < cluster.agents.size(); ++i) {
    SimAgent& agent = cluster.agents[i];
    if (agent.gone || (agent.stream_token != 0 && !world.chance(wander))) continue;
    const std::uint64_t old = agent.stream_token;
    const std::size_t old_node = agent.node;
    const auto leave_old = [&] {
      if (old == 0) return;
      world.after(world.between(1ms, 20s), [&world, old_node, old] {
        if (auto* const before = world.nodes()[old_node]->template as<Instance>())
          before->drop(old);
      });
    };
    if (leaves && leaves()) {
      agent.gone = true;
      agent.stream_token = 0;
      leave_old();
      continue;
    }
    const std::size_t at = world.pick(world.nodes().size());
    auto* const instance = world.nodes()[at]->template as<Instance>();
    if (instance == nullptr || world.nodes()[at]->paused()) continue;
    agent.stream_token = ++cluster.last_token;
    agent.node = at;
    instance->connect(i, agent.stream_token);
    leave_old();
  }
}

}  // namespace nb::sim
