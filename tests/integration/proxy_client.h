// A reverse proxy as the official gRPC library speaks for it: one stream of mappings, and calls.
#pragma once

#include "integration/mgmt_harness.h"
#include "proto/proxy_service.grpc.pb.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace nb::test {

inline constexpr const char* kCluster = "edge.example.net";

inline std::unique_ptr<pb::ProxyService::Stub> proxy_stub(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("grpc.use_local_subchannel_pool", 1);
  return pb::ProxyService::NewStub(
      grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments));
}

inline void authorize(grpc::ClientContext& context, const std::string& token) {
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
}

template <class Request, class Response>
grpc::Status ask(const std::string& target, const std::string& token,
                 grpc::Status (pb::ProxyService::Stub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                 const Request& request, Response& response) {
  const auto stub = proxy_stub(target);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patient(std::chrono::seconds(10)));
  authorize(context, token);
  return (stub.get()->*method)(&context, request, &response);
}

/// A connected proxy: what it serves, as its stream told it.
class Proxy {
 public:
  struct Options {
    std::string id = "proxy-1";
    std::string address = kCluster;
    bool acknowledge = true;
    bool custom_ports = false;
  };
  Proxy(const std::string& target, const std::string& token, Options options)
      : options_(std::move(options)), stub_(proxy_stub(target)) {
    authorize(context_, token);
    stream_ = stub_->SyncMappings(&context_);
    pb::SyncMappingsRequest hello;
    hello.mutable_init()->set_proxy_id(options_.id);
    hello.mutable_init()->set_address(options_.address);
    hello.mutable_init()->set_version("0.1.0");
    hello.mutable_init()->mutable_capabilities()->set_supports_custom_ports(options_.custom_ports);
    stream_->Write(hello);
    thread_ = std::thread([this] { read(); });
  }
  Proxy(const std::string& target, const std::string& token) : Proxy(target, token, Options{}) {}
  ~Proxy() {
    context_.TryCancel();
    thread_.join();
  }

  /// Until the first round is complete.
  [[nodiscard]] bool wait_synced() const {
    return wait([&] { return synced_; });
  }
  [[nodiscard]] std::optional<pb::ProxyMapping> wait_mapping(
      const std::string& domain, const std::function<bool(const pb::ProxyMapping&)>& wanted =
                                     [](const pb::ProxyMapping&) { return true; }) const {
    std::optional<pb::ProxyMapping> out;
    const bool found = wait([&] {
      for (const auto& [id, mapping] : mappings_)
        if (mapping.domain() == domain && wanted(mapping)) out = mapping;
      return out.has_value();
    });
    return found ? out : std::nullopt;
  }
  [[nodiscard]] bool wait_gone(const std::string& id) const {
    return wait([&] { return !mappings_.contains(id); });
  }
  [[nodiscard]] std::optional<grpc::Status> wait_end() const {
    const bool ended = wait([&] { return end_.has_value(); });
    return ended ? end_ : std::nullopt;
  }
  [[nodiscard]] bool ended() const {
    const std::lock_guard lock(mutex_);
    return end_.has_value();
  }

 private:
  bool wait(const std::function<bool()>& condition) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patient(std::chrono::seconds(15)), condition);
  }
  void read() {
    pb::SyncMappingsResponse message;
    while (stream_->Read(&message)) {
      {
        const std::lock_guard lock(mutex_);
        for (const auto& mapping : message.mapping()) {
          if (mapping.type() == pb::UPDATE_TYPE_REMOVED)
            mappings_.erase(mapping.id());
          else
            mappings_[mapping.id()] = mapping;
        }
        synced_ = synced_ || message.initial_sync_complete();
      }
      changed_.notify_all();
      pb::SyncMappingsRequest ack;
      ack.mutable_ack();
      if (options_.acknowledge) stream_->Write(ack);
    }
    const grpc::Status end = stream_->Finish();
    const std::lock_guard lock(mutex_);
    end_ = end;
    changed_.notify_all();
  }

  const Options options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, pb::ProxyMapping> mappings_;
  bool synced_ = false;
  std::optional<grpc::Status> end_;
  std::unique_ptr<pb::ProxyService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::SyncMappingsRequest, pb::SyncMappingsResponse>>
      stream_;
  std::thread thread_;
};

}  // namespace nb::test
