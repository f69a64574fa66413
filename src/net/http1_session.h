// Server side of one HTTP/1.1 connection; no sockets. Upgrades to h2c and to WebSockets.
//
// Source   RFC 9112, RFC 9110; RFC 7540 §3.2 (Upgrade: h2c); RFC 6455 §4.2.
// The message parser is Boost.Beast's, behind Parser in the .cc file.
#pragma once

#include "net/context.h"
#include "net/http.h"
#include "net/session.h"
#include "net/tasks.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace nb::net {

class Http1Session final : public Session {
 public:
  Http1Session(Carrier& carrier, ServerContext& context);
  ~Http1Session() override;
  Http1Session(const Http1Session&) = delete;
  Http1Session& operator=(const Http1Session&) = delete;

  void receive(std::span<const std::uint8_t> bytes) override;
  void produce(OutputBuffer& out) override;
  [[nodiscard]] bool finished() const override { return closing_ && output_.empty(); }
  [[nodiscard]] bool has_more() const override { return !output_.empty(); }
  void on_end_of_input() override;
  Instant on_timer(Instant now) override;
  void drain() override;
  void shut() override;

 private:
  class Parser;

  void parse();
  void header_done();
  bool feed(std::string_view& input);
  /// Begins to answer an upload; false: it was refused.
  bool begin_upload(const UploadRoute& route);
  /// What came of a body: to its sink, or held against the limit. False: answered already.
  bool take_body();
  void end_upload();
  bool upgrade(const HttpRequest& request, std::string_view rest);
  bool upgrade_h2c(const HttpRequest& request, std::string_view rest);
  bool upgrade_websocket(const HttpRequest& request, std::string_view rest);
  void dispatch(HttpRequest request);
  void respond(HttpResponse response);
  void append_body(std::string body);
  void refuse(int status, std::string text);

  Carrier& carrier_;
  ServerContext& context_;
  std::unique_ptr<Parser> parser_;  // of the request being read
  std::string input_;               // received, not yet parsed
  std::string output_;
  std::size_t output_sent_ = 0;
  std::unique_ptr<HttpTask> task_;
  std::unique_ptr<BodySink> sink_;  // of the request being read, if it is an upload
  std::uint64_t upload_left_ = 0;   // bytes that it may still take
  Instant waiting_since_;
  bool head_ = false;        // the request being answered is a HEAD
  bool keep_alive_ = false;  // … and the connection stays after it
  bool http10_ = false;
  bool busy_ = false;  // a request is being answered; the next one waits in input_
  bool in_body_ = false;
  bool closing_ = false;
  bool draining_ = false;
  bool ended_ = false;  // the peer will send nothing more
  bool replaced_ = false;
};

}  // namespace nb::net
