// One HTTP/2 connection of a Go gRPC client, without its machinery: frames are written and parsed
// here, so that thousands of clients fit into one thread of the load generator.
//
// What matters for the server's work is done as the Go client does it: an empty SETTINGS frame, the
// header fields and their indexing (hpack_encoder.h), a WINDOW_UPDATE and a PING after a received
// DATA frame while none is outstanding (the bandwidth estimator, which also enlarges the windows),
// WINDOW_UPDATE after a quarter of a window, PING and SETTINGS acknowledged.
#pragma once

#include "load/hpack_encoder.h"
#include "load/socket_client.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

struct nghttp2_hd_inflater;

namespace nb::bench {

struct CallEnd {
  int grpc_status = -1;  // -1: the stream or connection was lost
  std::string text;
};

class H2Client final : public SocketClient {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Response headers; `registered`: x-wiretrustee-peer-registered was among them.
    virtual void on_headers(H2Client& client, std::uint64_t tag, bool registered) = 0;
    virtual void on_message(H2Client& client, std::uint64_t tag, std::string_view message) = 0;
    virtual void on_end(H2Client& client, std::uint64_t tag, const CallEnd& end) = 0;
    /// The connection is gone; every open call has been ended before.
    virtual void on_closed(H2Client& client, std::string_view reason) = 0;
  };

  /// Takes over the connected or connecting, non-blocking `fd`.
  H2Client(int fd, std::string_view authority, bool plain_headers, Owner& owner);
  ~H2Client() override;

  /// Starts a call with one request message. `half_close`: no more will follow. Waits in memory
  /// while the server's stream limit or window forbids it.
  void call(const EncodedCall& call, std::uint64_t tag, std::string_view message, bool half_close);
  /// Starts a call without any message (the signal stream).
  void open(const EncodedCall& call, std::uint64_t tag);

  /// Ends the connection without ceremony.
  void close(std::string_view reason);

  [[nodiscard]] std::size_t open_calls() const { return streams_.size() + waiting_.size(); }
  std::uint64_t owner_index = 0;

 private:
  struct Stream {
    std::uint64_t tag = 0;
    std::string partial;  // of a message that spans DATA frames
    std::uint32_t unacknowledged = 0;
    bool headers_seen = false;
  };
  struct Waiting {
    const EncodedCall* call;
    std::uint64_t tag;
    std::string body;
    bool has_body;
    bool half_close;
  };
  struct Block {  // header block being received
    std::uint32_t stream = 0;
    bool end_stream = false;
    bool open = false;
    std::string bytes;
  };

  void start(const Waiting& call);
  void start_waiting();
  bool may_start(std::size_t body_bytes) const;
  bool parse(std::string_view data) override;
  bool frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, std::string_view payload);
  bool on_data(std::uint8_t flags, std::uint32_t stream, std::string_view payload);
  bool on_block(std::string_view bytes);
  bool on_settings(std::string_view payload);
  void on_ping_ack();
  void messages(std::uint32_t id, std::string_view data);
  void end_stream(std::uint32_t id, CallEnd end);
  void put_frame(std::size_t length, std::uint8_t type, std::uint8_t flags, std::uint32_t stream);
  void put_window_update(std::uint32_t stream, std::uint32_t bytes);
  void on_broken(std::string_view reason) override;

  Owner& owner_;
  HpackEncoder encoder_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  Block block_;
  std::unordered_map<std::uint32_t, Stream> streams_;
  std::deque<Waiting> waiting_;
  std::uint32_t next_stream_ = 1;
  std::uint32_t streams_max_ = 100;  // until SETTINGS says more, as the Go client
  std::int64_t send_window_ = 65'535;
  std::uint32_t frame_max_ = 16'384;
  std::uint32_t timeout_jitter_ = 0;
  // Receiving side: windows and the bandwidth estimator.
  std::uint32_t window_ = 65'535;
  std::uint32_t unacknowledged_ = 0;
  std::uint32_t sample_ = 0;
  bool ping_sent_ = false;
};

}  // namespace nb::bench
