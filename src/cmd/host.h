// What the programs of this project have in common: a process with a log, metrics and health, the
// parts that it runs, and the listeners through which they are reached.
//
//   int run_host(options, warnings, [&](Host& host) -> Result<std::unique_ptr<Assembly>> {
//     auto out = std::make_unique<Assembly>(host, loops);
//     NB_LET(auto signal, SignalPart::make(config, host, out->loops()));
//     out->add(std::move(signal));
//     out->listen({.main = …, .ops = …, .sentence = "signal server listens"});
//     return out;
//   });
#pragma once

#include "base/clock.h"
#include "base/health.h"
#include "base/log.h"
#include "base/log_sinks.h"
#include "base/metrics.h"
#include "base/program.h"
#include "base/result.h"
#include "ha/instance_facts.h"
#include "net/grpc.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/server.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace nb::cmd {

/// One per process. Built before any thread: it takes over the signals.
struct Host {
  Host(std::shared_ptr<LogSink> sink, std::string name, std::string_view component,
       const ProgramLimits& limits);
  /// What every part of the process says of itself; peers and the like are the part's to add.
  [[nodiscard]] ha::InstanceFacts facts() const;
  const std::string name;  // of the program
  std::shared_ptr<LogSink> sink;
  Logger log;
  SystemClock clock;
  const WallTime started = clock.wall();
  std::shared_ptr<MetricRegistry> metrics = std::make_shared<MetricRegistry>();
  Health health;
  Program program;
};

/// Where parts put their routes. `ops` are those of the metrics and health ports.
struct Routes {
  std::shared_ptr<net::GrpcRouter> grpc = std::make_shared<net::GrpcRouter>();
  std::shared_ptr<net::HttpRouter> http = std::make_shared<net::HttpRouter>();
  std::shared_ptr<net::HttpRouter> ops = std::make_shared<net::HttpRouter>();
  /// gRPC services, for grpc.health.v1; none: the port speaks no gRPC.
  std::vector<std::string> services;
};

/// A service of a process: signal, relay, management.
class Part {
 public:
  Part() = default;
  virtual ~Part() = default;
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  virtual Result<> add_to(Routes& routes) = 0;
  /// The loops run; nobody can connect yet.
  virtual void loops_started() = 0;
  virtual void loops_stopped() {}
  /// Work in the background. start() is called before anybody can connect, stop() after the last
  /// connection is gone.
  virtual Result<> start() { return {}; }
  virtual void stop() {}
  /// The main listeners are bound to these ports; empty: they are about to be closed.
  virtual void listening(const std::vector<std::uint16_t>& /*ports*/) {}
  /// Ends calls that would last for ever, while the listeners drain. Blocks.
  virtual void end_streams() {}
};

struct ListenOptions {
  net::ServerConfig main{};
  net::ServerConfig ops{};
  std::string sentence{};  // logged when it listens
  LogField about{};        // one more field of that line
  /// How long connections have to end by themselves.
  std::chrono::milliseconds drain{2'500};
};

/// Loops, parts and listeners of one process, in the order of their dependence.
class Assembly {
 public:
  /// `guests`: how many loops the parts bring along to be served with the others.
  Assembly(Host& host, std::uint32_t loops, std::size_t guests = 0);
  ~Assembly();
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  [[nodiscard]] net::LoopPool& loops() { return loops_; }
  void add(std::unique_ptr<Part> part);
  /// Once, after the last part: takes their routes and hands everything to the program.
  Result<> listen(ListenOptions options);

 private:
  void add_to_program();
  Result<> open();
  /// Ends everybody's connections, once.
  void close();

  Host& host_;
  const Health::Part listening_;
  net::LoopPool loops_;
  net::LoopPool ops_loops_{1};  // the text of all metrics is long: nobody waits behind it
  std::vector<std::unique_ptr<Part>> parts_;
  ListenOptions options_;
  Routes routes_;
  std::unique_ptr<net::Server> server_;
  bool closed_ = false;               // on the program's thread of the moment
  prometheus::Registry ops_metrics_;  // the operator's own connections are not counted as traffic
  std::unique_ptr<net::Server> ops_;
};

struct HostOptions {
  std::string program;    // netbird-mgmt: in messages and in syslog
  std::string component;  // management: in nb_build_info
  LogConfig log;
  ProgramLimits limits;
};
/// Runs until SIGTERM. Returns the exit status.
int run_host(const HostOptions& options, const std::vector<std::string>& warnings,
             const std::function<Result<std::unique_ptr<Assembly>>(Host&)>& assemble);

/// Listeners of metrics and health: both are served by each, so one does where they are the same.
/// Shape    health.port 0: health is where the metrics are.
[[nodiscard]] net::ServerConfig ops_server(net::ListenerConfig metrics, net::ListenerConfig health);

}  // namespace nb::cmd
