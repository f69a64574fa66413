// nghttp2 calls back through C functions; each finds its session and goes on there.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>

namespace nb::net {

class Http2Session;

struct Http2Callbacks {
  static const nghttp2_session_callbacks& table();
  static const nghttp2_option& options();
  /// Of the data provider of each response; its source is the Http2Stream.
  static ssize_t read(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length,
                      std::uint32_t* flags, nghttp2_data_source* source, void* user);

 private:
  static Http2Session& self(void* user);
  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* user);
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user);
  static int frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int data_chunk(nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                        std::size_t size, void* user);
  static int stream_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user);
  static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_header,
                       std::size_t length, nghttp2_data_source* source, void* user);
};

}  // namespace nb::net
