#include "relay_server.h"

#include "support/certificate.h"
#include "support/netbird.h"
#include "support/paths.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>
#include <thread>
#include <utility>

namespace nb::test {

using namespace std::chrono_literals;

RelayServer::RelayServer(RelayServerOptions options)
    : options_(std::move(options)), metrics_port_(free_port()), health_port_(free_port()) {
  at_.port = options_.port != 0 ? options_.port : free_port();
  const std::string address = "127.0.0.1:" + std::to_string(at_.port);
  at_.url =
      options_.exposed.empty() ? (options_.tls ? "rels://" : "rel://") + address : options_.exposed;
  std::vector<std::string> argv = {program_dir() + "/netbird-relay",
                                   "--listen-address",
                                   options_.any_address ? ":" + std::to_string(at_.port) : address,
                                   "--exposed-address",
                                   at_.url,
                                   "--metrics-port",
                                   std::to_string(metrics_port_),
                                   "--health-listen-address",
                                   "127.0.0.1:" + std::to_string(health_port_),
                                   "--log-file",
                                   "console",
                                   "--log-level",
                                   "debug"};
  if (options_.tls) {
    make_certificate(dir_ / "cert.pem", dir_ / "key.pem");
    argv.insert(argv.end(),
                {"--tls-cert-file", dir_ / "cert.pem", "--tls-key-file", dir_ / "key.pem"});
  }
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  std::map<std::string, std::string> env = options_.env;
  env.emplace("NB_AUTH_SECRET", relay::testing::kSecret);
  env.emplace("NB_DRAIN_DELAY", "100ms");
  env.merge(ha_environment(options_.redis, options_.instance));
  process_ = std::make_unique<Process>(Command{.argv = std::move(argv), .env = std::move(env)});
  if (options_.wait && !ready_within(15s))
    throw std::runtime_error("netbird-relay did not become ready:\n" + process_->output());
}

RelayServer::~RelayServer() {
  EXPECT_EQ(process_->sanitizer_report(), "");
  if (testing::Test::HasFailure())
    std::printf("---- output of %s\n%s\n", options_.instance.c_str(), process_->output().c_str());
}

double RelayServer::metric(const std::string& line) const {
  return metric_line(metrics_port_, line);
}

void Inbox::add(std::string_view payload) {
  const std::lock_guard lock(mutex_);
  payloads_.emplace_back(payload);
}

std::vector<std::string> Inbox::all() const {
  const std::lock_guard lock(mutex_);
  return payloads_;
}

std::size_t Inbox::count() const {
  const std::lock_guard lock(mutex_);
  return payloads_.size();
}

bool Inbox::receives(std::size_t wanted, std::chrono::milliseconds limit) const {
  return eventually([&] { return count() >= wanted; }, limit);
}

client::RelayOptions RelayUser::quick(std::string ca_file) {
  client::RelayOptions options;
  options.ca_file = std::move(ca_file);
  options.settle = 50ms;
  options.retry = {.first = 50ms, .most = 400ms};
  options.sweep = 200ms;
  options.unused = 100ms;
  return options;
}

RelayUser::RelayUser(std::string key, std::vector<std::string> relays, client::RelayOptions options)
    : key_(std::move(key)) {
  options.seed = std::hash<std::string>()(key_);
  loop_.run([&] {
    client_ = std::make_unique<client::RelayClient>(loop_.executor(), relay::testing::id(key_),
                                                    std::move(options), Logger());
  });
  use(std::move(relays));
}

RelayUser::~RelayUser() {
  loop_.await([this] { return client_->stop(); });
  loop_.run([this] {
    tunnels_.clear();
    client_.reset();
  });
}

std::string RelayUser::home() {
  return loop_.run([this] { return client_->instance_url(); });
}

bool RelayUser::gets_home(const std::string& url, std::chrono::milliseconds limit) {
  return eventually([&] { return home() == url; }, limit);
}

std::uint32_t RelayUser::refusals() {
  return loop_.run([this] { return client_->refusals(); });
}

void RelayUser::use(std::vector<std::string> relays, crypto::RelayToken token) {
  loop_.run([&] { client_->use({.urls = std::move(relays), .token = std::move(token)}); });
}

Result<> RelayUser::open(const std::string& peer, const std::string& url,
                         std::shared_ptr<Inbox> inbox) {
  loop_.run([&] {
    if (const auto old = tunnels_.find(peer); old != tunnels_.end()) {
      old->second->close();
      tunnels_.erase(old);
    }
  });
  const auto tunnel =
      loop_.await([&] { return client_->open(relay::testing::id(peer), url, std::string()); }, 60s);
  if (!tunnel) return tunnel.error();
  loop_.run([&] {
    (*tunnel)->on_packet([inbox](std::string_view payload) { inbox->add(payload); });
    tunnels_[peer] = *tunnel;
  });
  return {};
}

bool RelayUser::tunnel_open(const std::string& peer) {
  return loop_.run([&] {
    const auto found = tunnels_.find(peer);
    return found != tunnels_.end() && found->second->open();
  });
}

bool RelayUser::send(const std::string& peer, const std::string& payload) {
  return loop_.run([&] {
    const auto found = tunnels_.find(peer);
    return found != tunnels_.end() && found->second->send(payload);
  });
}

Result<> connect(RelayUser& a, RelayUser& b, const std::string& url, std::shared_ptr<Inbox> at_a,
                 std::shared_ptr<Inbox> at_b) {
  Result<> of_b;
  std::thread other([&] { of_b = b.open(a.key(), url, std::move(at_b)); });
  const Result<> of_a = a.open(b.key(), url, std::move(at_a));
  other.join();
  return of_a ? of_b : of_a;
}

void expect_packets(RelayUser& a, RelayUser& b, const std::string& url) {
  const auto at_a = std::make_shared<Inbox>();
  const auto at_b = std::make_shared<Inbox>();
  const auto connected = connect(a, b, url, at_a, at_b);
  ASSERT_TRUE(connected) << connected.error().text;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(a.send(b.key(), "from a " + std::to_string(i)));
    ASSERT_TRUE(b.send(a.key(), "from b " + std::to_string(i)));
  }
  EXPECT_TRUE(at_a->receives(50) && at_b->receives(50));
}

}  // namespace nb::test
