// Test doubles of net's loop and call: a turn is run by hand, what was written is kept.
#pragma once

#include "net/grpc.h"
#include "net/loop.h"

#include <boost/asio/io_context.hpp>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::signal::test {

class FakeLoop final : public net::Loop {
 public:
  explicit FakeLoop(std::size_t index) : index_(index) {}
  [[nodiscard]] std::size_t index() const override { return index_; }
  [[nodiscard]] boost::asio::any_io_executor executor() const override {
    return context_.get_executor();
  }
  void post(std::function<void()> work) override { posted_.push_back(std::move(work)); }
  void at_turn_end(std::function<void()> work) override { turn_end_.push_back(std::move(work)); }
  [[nodiscard]] bool running_here() const override { return true; }

  /// True when there was something to do.
  bool turn() {
    context_.restart();
    bool busy = context_.poll() > 0;
    for (auto& work : std::exchange(posted_, {})) {
      work();
      busy = true;
    }
    for (auto& work : std::exchange(turn_end_, {})) {
      work();
      busy = true;
    }
    return busy;
  }

 private:
  std::size_t index_;
  mutable boost::asio::io_context context_;
  std::vector<std::function<void()>> posted_;
  std::vector<std::function<void()>> turn_end_;
};

class FakeCall final : public net::GrpcCall {
 public:
  explicit FakeCall(FakeLoop& loop, std::map<std::string, std::string, std::less<>> headers = {})
      : loop_(loop), headers_(std::move(headers)), self_(std::make_shared<net::GrpcCall*>(this)) {}

  [[nodiscard]] std::string_view path() const override { return "/fake"; }
  [[nodiscard]] std::string_view metadata(std::string_view name) const override {
    const auto at = headers_.find(name);
    return at == headers_.end() ? std::string_view() : std::string_view(at->second);
  }
  [[nodiscard]] net::ClientAddress client() const override {
    return {.ip = "192.0.2.1", .port = 1};
  }
  [[nodiscard]] std::optional<Instant> deadline() const override { return std::nullopt; }
  [[nodiscard]] net::Loop& loop() const override { return loop_; }
  void send_headers(const net::Metadata& initial) override { initial_headers = initial; }
  [[nodiscard]] bool message_was_compressed() const override { return false; }
  void use_gzip(bool /*on*/) override {}
  void write(std::string_view message) override {
    if (status) return;
    written.emplace_back(message);
    if (blocked) queued += message.size();
  }
  void finish(net::GrpcStatus end, const net::Metadata& /*trailers*/) override {
    if (!status) status = std::move(end);
  }
  void abort(net::GrpcStatus end) override {
    aborted = true;
    finish(std::move(end), {});
  }
  [[nodiscard]] std::size_t queued_bytes() const override { return queued; }
  [[nodiscard]] net::GrpcCallHandle handle() override { return make_handle(self_); }

  std::optional<net::Metadata> initial_headers;
  std::vector<std::string> written;
  std::optional<net::GrpcStatus> status;
  bool aborted = false;
  bool blocked = false;  // the peer does not read
  std::size_t queued = 0;

 private:
  FakeLoop& loop_;
  std::map<std::string, std::string, std::less<>> headers_;
  std::shared_ptr<net::GrpcCall*> self_;
};

}  // namespace nb::signal::test
