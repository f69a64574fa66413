#include "cmd/host.h"

#include "base/build_info.h"
#include "base/log_keys.h"
#include "net/health.h"
#include "net/ops.h"

#include <fmt/format.h>

#include <cstdio>
#include <thread>
#include <utility>

namespace nb::cmd {

namespace {
using namespace std::chrono_literals;

/// Beyond the time that connections have, for the listeners to be gone.
constexpr auto kCloseMargin = 7'500ms;
}  // namespace

Host::Host(std::shared_ptr<LogSink> sink_in, std::string name_in, std::string_view component,
           const ProgramLimits& limits)
    : name(std::move(name_in)),
      sink(std::move(sink_in)),
      log(sink),
      health(clock),
      program(health, log, limits) {
  add_process_metrics(*metrics, component);
}

ha::InstanceFacts Host::facts() const {
  ha::InstanceFacts out;
  out.version = build_version();
  out.program = name;
  out.started_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(started.time_since_epoch()).count();
  out.state = program.drained()   ? ha::kDrained
              : health.draining() ? ha::kDraining
              : health.ready()    ? ha::kServing
                                  : ha::kNotReady;
  // Its listeners are down because they shall be.
  if (!health.draining()) out.trouble = health.trouble();
  out.redis = "off";
  return out;
}

Assembly::Assembly(Host& host, std::uint32_t loops, std::size_t guests)
    : host_(host), listening_(host.health.add("listeners")), loops_(loops, guests) {}
Assembly::~Assembly() = default;

void Assembly::add(std::unique_ptr<Part> part) {
  parts_.push_back(std::move(part));
}

Result<> Assembly::listen(ListenOptions options) {
  options_ = std::move(options);
  for (const auto& part : parts_) NB_TRY(part->add_to(routes_));
  if (!routes_.services.empty()) {
    const auto grpc_health = net::Health::make(routes_.services);
    grpc_health->add_routes(*routes_.grpc);
    host_.health.on_change([grpc_health](bool ready) { grpc_health->set_serving(ready); });
  }
  server_ = std::make_unique<net::Server>(loops_, routes_.services.empty() ? nullptr : routes_.grpc,
                                          routes_.http, options_.main, *host_.metrics, host_.log);
  net::add_ops_routes(*routes_.ops,
                      {.metrics = {host_.metrics}, .alive = {}, .ready = [&host = host_] {
                         return net::Readiness{.ready = host.health.ready(),
                                               .json = host.health.json(),
                                               .draining = host.health.draining()};
                       }});
  ops_ = std::make_unique<net::Server>(ops_loops_, nullptr, routes_.ops, options_.ops, ops_metrics_,
                                       host_.log);
  add_to_program();
  return {};
}

void Assembly::add_to_program() {
  Program& program = host_.program;
  program.add({.name = "loops",
               .start = [this]() -> Result<> {
                 loops_.start();
                 ops_loops_.start();
                 for (const auto& part : parts_) part->loops_started();
                 return {};
               },
               .stop =
                   [this] {
                     ops_loops_.stop();
                     loops_.stop();
                     for (auto part = parts_.rbegin(); part != parts_.rend(); ++part)
                       (*part)->loops_stopped();
                   }});
  program.add({.name = "metrics",
               .start = [this] { return ops_->start(); },
               .stop = [this] { ops_->stop(); }});
  for (const auto& part : parts_)
    program.add({.name = "tasks",
                 .start = [&part = *part] { return part.start(); },
                 .stop = [&part = *part] { part.stop(); }});
  program.add({.name = "server",
               .start = [this] { return open(); },
               .stop = [this] { close(); },
               .stop_limit = options_.drain + kCloseMargin,
               .drain = [this] { close(); }});
}

Result<> Assembly::open() {
  NB_TRY(server_->start());
  const auto ports = server_->ports();
  for (const auto& part : parts_) part->listening(ports);
  listening_.set(HealthState::kOk);
  const net::ListenerConfig& main = options_.main.listeners.front();
  host_.log.info(
      options_.sentence,
      {log::f(log::kAddress, fmt::format("{}:{}", main.address, ports.front())), options_.about});
  return {};
}

void Assembly::close() {
  if (std::exchange(closed_, true)) return;
  for (const auto& part : parts_) part->listening({});
  std::vector<std::thread> ending;
  ending.reserve(parts_.size());
  for (const auto& part : parts_) ending.emplace_back([&part = *part] { part.end_streams(); });
  server_->drain(options_.drain);
  for (std::thread& thread : ending) thread.join();
  server_->stop();
}

int run_host(const HostOptions& options, const std::vector<std::string>& warnings,
             const std::function<Result<std::unique_ptr<Assembly>>(Host&)>& assemble) {
  auto sink = make_log_sink(options.log, options.program);
  if (!sink) {
    fmt::print(stderr, "{}: {}\n", options.program, sink.error().text);
    return 1;
  }
  Host host(std::move(*sink), options.program, options.component, options.limits);
  for (const std::string& warning : warnings) host.log.warn(warning);
  const auto assembly = assemble(host);
  if (!assembly) {
    host.log.error("cannot start", {log::f(log::kError, assembly.error().text)});
    return 1;
  }
  return host.program.run();
}

net::ServerConfig ops_server(net::ListenerConfig metrics, net::ListenerConfig health) {
  const bool apart =
      health.port != 0 && (health.port != metrics.port || health.address != metrics.address);
  net::ServerConfig server;
  server.listeners.push_back(std::move(metrics));
  if (apart) server.listeners.push_back(std::move(health));
  return server;
}

}  // namespace nb::cmd
