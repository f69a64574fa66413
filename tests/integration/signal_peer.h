// An agent's half of the signal protocol on the official gRPC library, for tests.
#pragma once

#include "proto/signalexchange.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::test {

using signalexchange::EncryptedMessage;
using std::chrono::milliseconds;

/// A channel with a connection of its own; in clear text without credentials.
[[nodiscard]] std::shared_ptr<grpc::Channel> signal_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials = {},
    grpc::ChannelArguments arguments = {});

[[nodiscard]] EncryptedMessage message(const std::string& from, const std::string& to,
                                       const std::string& body);

/// Send with a deadline; took: how long it was.
struct SendResult {
  grpc::Status status;
  milliseconds took{};
  [[nodiscard]] bool ok() const { return status.ok(); }
};
SendResult send(const std::shared_ptr<grpc::Channel>& channel, const EncryptedMessage& message,
                milliseconds deadline = std::chrono::seconds(10));

/// One ConnectStream and what came over it. Thread-safe. Limits of waiting are made patient(), but
/// for ended(), which tests also use to see that a stream lasts.
class SignalPeer {
 public:
  struct Options {
    bool half_close = false;  // as the tests of the fork do
    bool paused = false;      // reads nothing until resume()
  };
  SignalPeer(const std::string& address, std::string id);
  SignalPeer(std::shared_ptr<grpc::Channel> channel, std::string id);
  SignalPeer(std::shared_ptr<grpc::Channel> channel, std::string id, Options options);
  ~SignalPeer();
  SignalPeer(const SignalPeer&) = delete;
  SignalPeer& operator=(const SignalPeer&) = delete;

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  /// Response headers with x-wiretrustee-peer-registered: 1 have come.
  [[nodiscard]] bool registered(milliseconds limit = std::chrono::seconds(10));
  /// At least `count` messages have come.
  [[nodiscard]] bool received(std::size_t count, milliseconds limit = std::chrono::seconds(10));
  [[nodiscard]] std::vector<EncryptedMessage> messages() const;
  [[nodiscard]] std::size_t count() const;
  /// When the newest message came.
  [[nodiscard]] std::chrono::steady_clock::time_point last_time() const;
  /// A message with this body has come.
  [[nodiscard]] bool got(const std::string& body, milliseconds limit = std::chrono::seconds(10));
  /// The stream has ended; its status.
  [[nodiscard]] std::optional<grpc::Status> ended(milliseconds limit);
  void resume();
  void cancel();
  /// cancel() and wait.
  void close();

 private:
  class Stream;
  std::string id_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace nb::test
