// bench-transport PORT [LOOPS]: the signal service at its barest on our own transport.
//
// Between bench-floor and netbird-signal: what net/ costs without registry, limits, metrics and
// cluster. Peers are found in one hash table per process; a message for another loop is posted.
#include "load/protobuf_scan.h"
#include "net/server.h"

#include <fmt/format.h>
#include <prometheus/registry.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace {

using nb::net::GrpcCall;
using nb::net::GrpcCallHandle;

struct Receiver {
  nb::net::Loop* loop = nullptr;
  GrpcCallHandle call;
};

class Peers {
 public:
  void set(const std::string& id, Receiver receiver) {
    const std::unique_lock lock(mutex_);
    receivers_[id] = std::move(receiver);
  }
  Receiver find(const std::string& id) const {
    const std::shared_lock lock(mutex_);
    const auto it = receivers_.find(id);
    return it == receivers_.end() ? Receiver{} : it->second;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Receiver> receivers_;
};

class PeerStream final : public nb::net::GrpcStreamHandler {
 public:
  explicit PeerStream(Peers& peers) : peers_(peers) {}
  void on_start(GrpcCall& call) override {
    peers_.set(std::string(call.metadata("x-wiretrustee-peer-id")), {&call.loop(), call.handle()});
    call.send_headers({{"x-wiretrustee-peer-registered", "1"}});
  }
  void on_message(GrpcCall& /*call*/, std::string_view /*message*/) override {}
  void on_end(GrpcCall& /*call*/) override {}

 private:
  Peers& peers_;
};

void send(const Peers& peers, GrpcCall& call, std::string_view request) {
  std::string to;
  std::string_view rest = request;
  while (const auto field = nb::bench::take_field(rest))
    if (field->number == 3) to = field->bytes;
  const Receiver receiver = peers.find(to);
  if (receiver.loop == &call.loop()) {
    if (GrpcCall* stream = receiver.call.get()) stream->write(request);
  } else if (receiver.loop != nullptr) {
    receiver.loop->post([handle = receiver.call, message = std::string(request)] {
      if (GrpcCall* stream = handle.get()) stream->write(message);
    });
  }
  call.write({});
  call.finish({});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: bench-transport PORT [LOOPS]\n", stderr);
    return 2;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);

  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGTERM);
  ::sigaddset(&stop, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  Peers peers;
  auto grpc = std::make_shared<nb::net::GrpcRouter>();
  grpc->unary("/signalexchange.SignalExchange/Send",
              [&peers](GrpcCall& call, std::string_view request) { send(peers, call, request); });
  grpc->stream("/signalexchange.SignalExchange/ConnectStream",
               [&peers](GrpcCall&) { return std::make_unique<PeerStream>(peers); });

  nb::net::LoopPool loops(argc > 2 ? static_cast<std::size_t>(std::atoi(argv[2])) : 1);
  nb::net::ServerConfig config;
  config.listeners = {
      {.address = "127.0.0.1", .port = static_cast<std::uint16_t>(std::atoi(argv[1]))}};
  prometheus::Registry registry;
  nb::net::Server server(loops, grpc, std::make_shared<nb::net::HttpRouter>(), config, registry,
                         {});
  loops.start();
  if (const auto started = server.start(); !started) {
    fmt::print(stderr, "bench-transport: {}\n", started.error().text);
    return 1;
  }
  int signal = 0;
  ::sigwait(&stop, &signal);
  server.stop();
  loops.stop();
  return 0;
}
