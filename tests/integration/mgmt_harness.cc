#include "integration/mgmt_harness.h"

#include "support/netbird.h"
#include "support/paths.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kCallDeadline = 10s;

void set_deadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + patient(kCallDeadline));
}

template <class Call>
auto call(const std::string& target, Call make) {
  const auto service = stub(target);
  grpc::ClientContext context;
  set_deadline(context);
  return make(*service, context);
}

}  // namespace

MgmtServer::MgmtServer(MgmtOptions options)
    : options_(std::move(options)),
      port_(options_.port != 0 ? options_.port : free_port()),
      metrics_port_(free_port()) {
  std::ofstream(dir_ / "management.json") << "{" << options_.json << R"(
    "Stuns": [{"Proto": "udp", "URI": "stun:127.0.0.1:3478"}],
    "Signal": {"Proto": ")" << options_.signal_proto
                                          << R"(", "URI": ")" << options_.signal << R"("}
  })";
  std::vector<std::string> argv = {program_dir() + "/netbird-mgmt",
                                   "management",
                                   "--config",
                                   dir_ / "management.json",
                                   "--datadir",
                                   dir_.path().string(),
                                   "--port",
                                   std::to_string(port_),
                                   "--metrics-port",
                                   std::to_string(metrics_port_),
                                   "--listen-address",
                                   options_.listen,
                                   "--log-file",
                                   "console",
                                   "--log-level",
                                   "debug"};
  if (!options_.legacy_port) argv.emplace_back("--disable-legacy-port");
  argv.insert(argv.end(), options_.flags.begin(), options_.flags.end());
  command_ = {.argv = std::move(argv), .env = environment()};
}

void MgmtServer::start_without_waiting() {
  if (process_)
    process_->start();
  else
    process_ = std::make_unique<Process>(command_);  // starts by itself
}

std::map<std::string, std::string> MgmtServer::environment() const {
  std::map<std::string, std::string> env = options_.env;
  env.emplace("NB_DATASTORE_ENCRYPTION_KEY", kDataKey);
  env.emplace("NB_DRAIN_DELAY", "0s");
  if (!options_.postgres_dsn.empty()) {
    env.emplace("NETBIRD_STORE_ENGINE", "postgres");
    env.emplace("NB_STORE_ENGINE_POSTGRES_DSN", options_.postgres_dsn);
  }
  env.merge(ha_environment(options_.redis, options_.instance));
  return env;
}

void MgmtServer::start() {
  start_without_waiting();
  if (!eventually([this] { return ready() || !process_->running(); }, 60s) || !ready())
    throw std::runtime_error("netbird-mgmt is not ready:\n" + process_->output());
}

double MgmtServer::metric(std::string_view name) const {
  std::istringstream page(http_get(metrics_port_, "/metrics", options_.listen).body);
  double sum = -1;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with(name) || line.size() <= name.size()) continue;
    if (line[name.size()] != ' ' && line[name.size()] != '{') continue;
    sum = std::max(sum, 0.0) + std::stod(line.substr(line.rfind(' ') + 1));
  }
  return sum;
}

Finished MgmtServer::verb(std::vector<std::string> words) const {
  std::vector<std::string> argv = {program_dir() + "/netbird-mgmt"};
  argv.insert(argv.end(), words.begin(), words.end());
  argv.insert(argv.end(),
              {"--config", dir_ / "management.json", "--datadir", dir_.path().string()});
  return run({.argv = std::move(argv), .env = environment()});
}

std::string MgmtServer::setup_key(std::vector<std::string> flags) const {
  flags.insert(flags.begin(), {"setup-key", "create"});
  return printed_setup_key(verb(std::move(flags)));
}

std::unique_ptr<pb::ManagementService::Stub> stub(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  arguments.SetMaxReceiveMessageSize(16 << 20);
  return pb::ManagementService::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
}

Agent::Agent(std::string hostname)
    : hostname_(std::move(hostname)),
      secret_(crypto::PrivateKey::generate(random_)),
      key_(secret_.public_key().base64()) {}

crypto::BoxSession Agent::box(const std::string& server_key) const {
  const auto theirs = crypto::PublicKey::parse(server_key);
  auto session = theirs ? crypto::BoxSession::create(secret_, *theirs)
                        : Result<crypto::BoxSession>(theirs.error());
  if (!session) throw std::runtime_error("server key: " + session.error().text);
  return std::move(*session);
}

pb::EncryptedMessage Agent::seal(const google::protobuf::Message& message,
                                 const std::string& server_key) const {
  pb::EncryptedMessage out;
  out.set_wgpubkey(key_);
  out.set_body(box(server_key).seal(message.SerializeAsString(), random_));
  return out;
}

pb::PeerSystemMeta Agent::meta() const {
  pb::PeerSystemMeta out;
  out.set_hostname(hostname_);
  out.set_goos("linux");
  out.set_kernel("Linux");
  out.set_platform("x86_64");
  out.set_os("Debian GNU/Linux");
  out.set_osversion("12");
  out.set_netbirdversion("0.70.0");
  out.add_capabilities(pb::PeerCapabilitySourcePrefixes);
  out.set_syncmessageversion(map_version_);
  return out;
}

Agent::Answer<std::string> Agent::server_key(const std::string& target) const {
  return call(target, [](auto& service, auto& context) {
    pb::ServerKeyResponse response;
    Answer<std::string> out;
    out.status = service.GetServerKey(&context, {}, &response);
    out.value = response.key();
    return out;
  });
}

Agent::Answer<pb::LoginResponse> Agent::login(const std::string& target,
                                              const std::string& setup_key) const {
  pb::LoginRequest request;
  *request.mutable_meta() = meta();
  request.set_setupkey(setup_key);
  return login(target, request);
}

template <class Response, class Request>
Agent::Answer<Response> Agent::ask(const std::string& target, const Request& request,
                                   grpc::Status (pb::ManagementService::Stub::*method)(
                                       grpc::ClientContext*, const pb::EncryptedMessage&,
                                       pb::EncryptedMessage*)) const {
  Answer<Response> out;
  const auto server = server_key(target);
  if (!server.ok()) {
    out.status = server.status;
    return out;
  }
  return call(target, [&](auto& service, auto& context) {
    pb::EncryptedMessage response;
    out.status = (service.*method)(&context, seal(request, server.value), &response);
    if (out.ok()) out.value = open<Response>(response, server.value).value();
    return out;
  });
}

Agent::Answer<pb::LoginResponse> Agent::login(const std::string& target,
                                              const pb::LoginRequest& request) const {
  return ask<pb::LoginResponse>(target, request, &pb::ManagementService::Stub::Login);
}

Agent::Answer<pb::ExposeServiceResponse> Agent::expose(
    const std::string& target, const pb::ExposeServiceRequest& request) const {
  return ask<pb::ExposeServiceResponse>(target, request,
                                        &pb::ManagementService::Stub::CreateExpose);
}

Agent::Answer<pb::RenewExposeResponse> Agent::renew_expose(const std::string& target,
                                                           const std::string& domain) const {
  pb::RenewExposeRequest request;
  request.set_domain(domain);
  return ask<pb::RenewExposeResponse>(target, request, &pb::ManagementService::Stub::RenewExpose);
}

Agent::Answer<pb::StopExposeResponse> Agent::stop_expose(const std::string& target,
                                                         const std::string& domain) const {
  pb::StopExposeRequest request;
  request.set_domain(domain);
  return ask<pb::StopExposeResponse>(target, request, &pb::ManagementService::Stub::StopExpose);
}

Agent::Answer<pb::Empty> Agent::logout(const std::string& target) const {
  const auto server = server_key(target);
  Answer<pb::Empty> out;
  out.status = server.status;
  if (!server.ok()) return out;
  return call(target, [&](auto& service, auto& context) {
    out.status = service.Logout(&context, seal(pb::Empty{}, server.value), &out.value);
    return out;
  });
}

Agent::Answer<pb::Empty> Agent::sync_meta(const std::string& target,
                                          const pb::PeerSystemMeta& meta) const {
  const auto server = server_key(target);
  Answer<pb::Empty> out;
  out.status = server.status;
  if (!server.ok()) return out;
  return call(target, [&](auto& service, auto& context) {
    pb::SyncMetaRequest request;
    *request.mutable_meta() = meta;
    out.status = service.SyncMeta(&context, seal(request, server.value), &out.value);
    return out;
  });
}

SyncStream::SyncStream(const Agent& agent, const std::string& target) : stub_(stub(target)) {
  const auto server = agent.server_key(target);
  if (!server.ok()) {
    end_ = server.status;
    return;
  }
  pb::SyncRequest request;
  *request.mutable_meta() = agent.meta();
  reader_ = stub_->Sync(&context_, agent.seal(request, server.value));
  thread_ = std::thread([this, agent = &agent, key = server.value] { read(agent, key); });
}

SyncStream::~SyncStream() {
  context_.TryCancel();
  if (thread_.joinable()) thread_.join();
}

void SyncStream::read(const Agent* agent, std::string server_key) {
  pb::EncryptedMessage message;
  while (reader_->Read(&message)) {
    auto opened = agent->open<pb::SyncResponse>(message, server_key);
    const std::lock_guard lock(mutex_);
    if (opened) received_.push_back(std::move(*opened));
    changed_.notify_all();
  }
  grpc::Status status = reader_->Finish();
  const std::lock_guard lock(mutex_);
  end_ = std::move(status);
  changed_.notify_all();
}

std::vector<pb::SyncResponse> SyncStream::received() const {
  const std::lock_guard lock(mutex_);
  return received_;
}

std::optional<pb::SyncResponse> SyncStream::last() const {
  const std::lock_guard lock(mutex_);
  if (received_.empty()) return std::nullopt;
  return received_.back();
}

bool SyncStream::wait_for(const std::function<bool(const pb::SyncResponse&)>& wanted,
                          std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, patient(limit), [&] {
    return std::ranges::any_of(received_, wanted) || end_;
  }) && std::ranges::any_of(received_, wanted);
}

std::optional<grpc::Status> SyncStream::wait_end(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, patient(limit), [&] { return end_.has_value(); });
  return end_;
}

bool shows_peer(const pb::SyncResponse& message, const std::string& key) {
  return std::ranges::any_of(message.networkmap().remotepeers(),
                             [&](const auto& peer) { return peer.wgpubkey() == key; });
}

bool shows(const pb::SyncResponse& message, std::vector<std::string> keys) {
  std::vector<std::string> shown;
  for (const auto& peer : message.networkmap().remotepeers()) shown.push_back(peer.wgpubkey());
  std::ranges::sort(shown);
  std::ranges::sort(keys);
  return shown == keys;
}

}  // namespace nb::test
