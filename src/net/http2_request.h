// A plain HTTP request on an HTTP/2 stream: REST, health, and gRPC calls made wrongly.
#pragma once

#include "net/http.h"
#include "net/http2_session.h"
#include "net/http2_stream.h"
#include "net/tasks.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace nb::net {

class Http2Request final : public Http2Stream {
 public:
  Http2Request(Http2Session& session, std::int32_t id);
  ~Http2Request() override;
  Http2Request(const Http2Request&) = delete;
  Http2Request& operator=(const Http2Request&) = delete;

  void start(const HeaderBlock& headers);

  void on_data(std::span<const std::uint8_t> bytes) override;
  void on_half_close() override;
  void on_closed() override;
  void on_shut() override;
  Offer offer(std::size_t limit) override;
  void take(OutputBuffer& out, std::size_t bytes) override;

 private:
  void begin_upload(const UploadRoute& route);
  void take_upload(std::span<const std::uint8_t> bytes);
  void join_cookies(std::string_view more);
  void respond(HttpResponse response);

  HttpRequest request_;
  const HttpHandler* handler_ = nullptr;
  std::unique_ptr<BodySink> sink_;  // an upload's
  std::uint64_t upload_bytes_max_ = 0;
  std::uint64_t uploaded_ = 0;
  std::unique_ptr<HttpTask> task_;
  std::string body_;  // of the response
  std::size_t sent_ = 0;
  std::size_t held_ = 0;
  bool answered_ = false;
};

}  // namespace nb::net
