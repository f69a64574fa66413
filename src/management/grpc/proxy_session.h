// One stream of mappings: all of them first, then what changes.
#pragma once

#include "management/grpc/proxy_mapping.h"
#include "management/grpc/proxy_state.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nb::management::grpc {

/// How a proxy opened its stream.
enum class MappingRpc : std::uint8_t {
  kGetMappingUpdate,  // one request, then messages down
  kSyncMappings,      // an acknowledgement comes up for each message of the first round
};

/// Lives on the loop of its connection. Shared, because its coroutine may be waiting for the
/// database when the call ends.
class ProxySession final : public std::enable_shared_from_this<ProxySession> {
 public:
  ProxySession(ProxyStatePtr service, ProxyLoop& loop, net::GrpcCallHandle call, MappingRpc rpc);

  void on_start(std::string authorization, std::string ip);
  void on_message(std::string_view message);
  void on_half_close();
  void on_writable() { wake(); }
  void on_end();
  /// There may be something new.
  void news();
  void finish(net::GrpcStatus status);

 private:
  boost::asio::awaitable<void> run(std::string authorization, std::string ip);
  Task<> serve(std::string authorization, std::string ip);
  /// Reads the first message.
  Task<> greeting();
  Result<> read_hello(std::string_view message);
  template <class Hello>
  Result<> take_hello(const Hello& hello);
  /// Asks the database what changed, and whether the stream may go on.
  Task<> look();
  void send_waiting();
  [[nodiscard]] bool may_send() const;
  boost::asio::awaitable<void> wait_until(Instant at);
  void wake();

  const ProxyStatePtr service_;
  ProxyLoop& loop_;
  const net::GrpcCallHandle call_;
  const MappingRpc rpc_;
  boost::asio::steady_timer timer_;

  std::optional<std::string> first_;  // message, until it was read
  ProxyGrant grant_;
  ProxyHello hello_;
  std::optional<MappingBook> book_;
  Instant heartbeat_due_{};
  Instant whole_due_{};
  bool greeted_ = false;
  bool looked_ = false;      // the book holds what there is
  bool first_round_ = true;  // the last message of it was not sent yet
  bool unanswered_ = false;  // a message of the first round waits for its acknowledgement
  bool news_ = false;
  bool finishing_ = false;
  bool ended_ = false;
};

[[nodiscard]] std::unique_ptr<net::GrpcStreamHandler> make_mapping_handler(ProxyStatePtr service,
                                                                           net::GrpcCall& call,
                                                                           MappingRpc rpc);

}  // namespace nb::management::grpc
