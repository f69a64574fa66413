// netbird-mgmt processes and agents for integration tests. Agents speak through the official gRPC
// C++ library and do what official agents do: fetch the key, log in, sync.
#pragma once

#include "crypto/box.h"
#include "crypto/random.h"
#include "proto/management.grpc.pb.h"
#include "support/process.h"
#include "support/servers.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace nb::test {

namespace pb = ::management;

struct MgmtOptions {
  std::string instance = "mgmt-1";
  std::string postgres_dsn{};  // empty: SQLite
  std::string redis{};         // empty: HA off
  std::vector<std::string> flags{};
  std::map<std::string, std::string> env{};
  std::string json{};  // more members of management.json, with a comma at the end
  std::string signal = "127.0.0.1:10000";  // where agents are sent
  std::string signal_proto = "http";
  std::uint16_t port = 0;  // 0: a free one
  std::string listen = "127.0.0.1";
  bool legacy_port = false;  // also 33073, of which `listen` has one
};

/// The data-store key of all servers under test.
inline constexpr const char* kDataKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

class MgmtServer {
 public:
  explicit MgmtServer(MgmtOptions options);
  /// Starts it (again) and waits until it is ready.
  void start();
  void start_without_waiting();
  [[nodiscard]] bool ready() const {
    return http_get(metrics_port_, "/readyz", options_.listen).status == 200;
  }
  [[nodiscard]] std::string target() const { return options_.listen + ":" + std::to_string(port_); }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::uint16_t metrics_port() const { return metrics_port_; }
  Process& process() { return *process_; }
  /// Its data folder, with its configuration file.
  [[nodiscard]] const std::filesystem::path& folder() const { return dir_.path(); }
  /// The sum of all series of `name`, -1 when there is none.
  [[nodiscard]] double metric(std::string_view name) const;
  /// Runs a verb of the binary with this server's configuration.
  Finished verb(std::vector<std::string> words) const;
  /// A fresh setup key.
  std::string setup_key(std::vector<std::string> flags = {}) const;

 private:
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  MgmtOptions options_;
  std::uint16_t port_;
  std::uint16_t metrics_port_;
  TempDir dir_;
  Command command_;
  std::unique_ptr<Process> process_;
};

/// What an agent knows of itself; outlives servers and connections.
class Agent {
 public:
  explicit Agent(std::string hostname);
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] const std::string& hostname() const { return hostname_; }
  /// The newest form of maps that it says it understands, from the next call on.
  void offer_maps(std::int32_t version) { map_version_ = version; }

  /// A call on a connection of its own.
  template <class T>
  struct Answer {
    grpc::Status status;
    T value{};
    [[nodiscard]] bool ok() const { return status.ok(); }
  };
  Answer<std::string> server_key(const std::string& target) const;
  Answer<pb::LoginResponse> login(const std::string& target,
                                  const std::string& setup_key = {}) const;
  Answer<pb::LoginResponse> login(const std::string& target, const pb::LoginRequest& request) const;
  Answer<pb::Empty> logout(const std::string& target) const;
  Answer<pb::ExposeServiceResponse> expose(const std::string& target,
                                           const pb::ExposeServiceRequest& request) const;
  Answer<pb::RenewExposeResponse> renew_expose(const std::string& target,
                                               const std::string& domain) const;
  Answer<pb::StopExposeResponse> stop_expose(const std::string& target,
                                             const std::string& domain) const;
  Answer<pb::Empty> sync_meta(const std::string& target, const pb::PeerSystemMeta& meta) const;
  [[nodiscard]] pb::PeerSystemMeta meta() const;

  [[nodiscard]] pb::EncryptedMessage seal(const google::protobuf::Message& message,
                                          const std::string& server_key) const;
  template <class T>
  [[nodiscard]] std::optional<T> open(const pb::EncryptedMessage& message,
                                      const std::string& server_key) const {
    const auto plain = box(server_key).open(message.body());
    T out;
    if (!plain || !out.ParseFromString(*plain)) return std::nullopt;
    return out;
  }
  [[nodiscard]] crypto::BoxSession box(const std::string& server_key) const;

 private:
  /// A unary call with sealed messages both ways.
  template <class Response, class Request>
  Answer<Response> ask(const std::string& target, const Request& request,
                       grpc::Status (pb::ManagementService::Stub::*method)(
                           grpc::ClientContext*, const pb::EncryptedMessage&,
                           pb::EncryptedMessage*)) const;

  mutable crypto::SystemRandom random_;
  std::string hostname_;
  std::int32_t map_version_ = 0;
  crypto::PrivateKey secret_;
  std::string key_;
};

[[nodiscard]] std::unique_ptr<pb::ManagementService::Stub> stub(const std::string& target);

/// One Sync stream, read by a thread of its own.
class SyncStream {
 public:
  /// Fetches the key and opens the stream, each on a connection of its own.
  SyncStream(const Agent& agent, const std::string& target);
  ~SyncStream();
  SyncStream(const SyncStream&) = delete;
  SyncStream& operator=(const SyncStream&) = delete;

  /// Everything received so far.
  [[nodiscard]] std::vector<pb::SyncResponse> received() const;
  [[nodiscard]] std::optional<pb::SyncResponse> last() const;
  /// Until a message fulfils `wanted`; limits here are made patient().
  [[nodiscard]] bool wait_for(const std::function<bool(const pb::SyncResponse&)>& wanted,
                              std::chrono::milliseconds limit = std::chrono::seconds(10)) const;
  [[nodiscard]] bool wait_first(std::chrono::milliseconds limit = std::chrono::seconds(10)) const {
    return wait_for([](const pb::SyncResponse&) { return true; }, limit);
  }
  /// The end of the stream, or nothing within `limit`.
  [[nodiscard]] std::optional<grpc::Status> wait_end(std::chrono::milliseconds limit) const;
  void cancel() { context_.TryCancel(); }

 private:
  void read(const Agent* agent, std::string server_key);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<pb::SyncResponse> received_;
  std::optional<grpc::Status> end_;
  grpc::ClientContext context_;
  std::unique_ptr<pb::ManagementService::Stub> stub_;
  std::unique_ptr<grpc::ClientReader<pb::EncryptedMessage>> reader_;
  std::thread thread_;
};

/// Whether the map shows exactly these peers, by key.
[[nodiscard]] bool shows(const pb::SyncResponse& message, std::vector<std::string> keys);
[[nodiscard]] bool shows_peer(const pb::SyncResponse& message, const std::string& key);

}  // namespace nb::test
