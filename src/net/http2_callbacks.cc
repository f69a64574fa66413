#include "net/http2_callbacks.h"

#include "base/assert.h"
#include "net/http2_session.h"

#include <memory>
#include <string_view>

namespace nb::net {

namespace {
/// Our table of header compression: three fields of ours fit. Each entry costs some 170 bytes in
/// memory. The peer's is the matter of HeaderTableLimit.
constexpr std::size_t kResponseTableBytes = 256;

std::string_view text(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

struct OptionDeleter {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};
struct CallbacksDeleter {
  void operator()(nghttp2_session_callbacks* callbacks) const {
    nghttp2_session_callbacks_del(callbacks);
  }
};
}  // namespace

Http2Session& Http2Callbacks::self(void* user) {
  return *static_cast<Http2Session*>(user);
}

int Http2Callbacks::begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  return self(user).on_begin_headers(*frame);
}

int Http2Callbacks::begin_frame(nghttp2_session*, const nghttp2_frame_hd* header, void* user) {
  self(user).on_begin_frame(*header);
  return 0;
}

int Http2Callbacks::header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                           std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                           std::uint8_t, void* user) {
  return self(user).on_header(*frame, text(name, name_size), text(value, value_size));
}

int Http2Callbacks::frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  return self(user).on_frame(*frame);
}

int Http2Callbacks::data_chunk(nghttp2_session*, std::uint8_t, std::int32_t id,
                               const std::uint8_t* data, std::size_t size, void* user) {
  return self(user).on_data(id, {data, size});
}

int Http2Callbacks::stream_close(nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
  self(user).on_stream_close(id);
  return 0;
}

int Http2Callbacks::frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  self(user).on_sent(*frame);
  return 0;
}

ssize_t Http2Callbacks::read(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t length,
                             std::uint32_t* flags, nghttp2_data_source* source, void* user) {
  return self(user).on_read(*static_cast<Http2Stream*>(source->ptr), length, flags);
}

int Http2Callbacks::send_data(nghttp2_session*, nghttp2_frame*, const std::uint8_t* frame_header,
                              std::size_t length, nghttp2_data_source* source, void* user) {
  self(user).on_send_data(*static_cast<Http2Stream*>(source->ptr), frame_header, length);
  return 0;
}

const nghttp2_session_callbacks& Http2Callbacks::table() {
  static const std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter> callbacks = [] {
    nghttp2_session_callbacks* made = nullptr;
    NB_ASSERT(nghttp2_session_callbacks_new(&made) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, begin_headers);
    nghttp2_session_callbacks_set_on_begin_frame_callback(made, begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(made, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(made, frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(made, send_data);
    return std::unique_ptr<nghttp2_session_callbacks, CallbacksDeleter>(made);
  }();
  return *callbacks;
}

const nghttp2_option& Http2Callbacks::options() {
  static const std::unique_ptr<nghttp2_option, OptionDeleter> option = [] {
    nghttp2_option* made = nullptr;
    NB_ASSERT(nghttp2_option_new(&made) == 0);
    // Windows are given back by hand, so that a congested stream holds its peer back.
    nghttp2_option_set_no_auto_window_update(made, 1);
    nghttp2_option_set_no_closed_streams(made, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(made, kResponseTableBytes);
    // Our own counter (resets_max) decides; nghttp2's stands behind it.
    nghttp2_option_set_stream_reset_rate_limit(made, 100'000, 10'000);
    return std::unique_ptr<nghttp2_option, OptionDeleter>(made);
  }();
  return *option;
}

}  // namespace nb::net
