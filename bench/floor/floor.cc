// bench-floor PORT: what moving the bytes of signal traffic costs at the least.
//
// A bare epoll program for netbird-bench --floor: reads each ready socket once, writes each touched
// socket once per turn, answers with frames built beforehand, knows the receiver from the digits in
// its key. No HTTP/2 library, no HPACK, no registry, no limits, no time-outs: not a server, but the
// same system calls and the same bytes as one.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace std::string_view_literals;

constexpr std::size_t kFrameHeader = 9;
constexpr std::size_t kPrefaceBytes = 24;
constexpr std::size_t kPeersMax = 20'000;
constexpr std::uint32_t kWindowGiveBack = 32'768;
// The message as netbird-bench writes it: 5 bytes of gRPC, key and remoteKey with 2 bytes and 44
// characters each; a key is "bench" and 8 hexadecimal digits.
constexpr std::size_t kReceiverAt = 5 + 2 + 44 + 2 + 5;
constexpr std::size_t kDigits = 8;
constexpr std::size_t kKeyBytes = 44;

enum Type : std::uint8_t { kData = 0, kHeaders = 1, kSettings = 4, kPing = 6 };
constexpr char kEndStream = 1;
constexpr char kEndHeaders = 4;

std::string frame_head(std::size_t length, std::uint8_t type, char flags, std::uint32_t stream) {
  std::string out{static_cast<char>(length >> 16), static_cast<char>(length >> 8),
                  static_cast<char>(length), static_cast<char>(type), flags};
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(stream >> shift));
  return out;
}

std::string frame(std::uint8_t type, char flags, std::string_view payload) {
  return frame_head(payload.size(), type, flags, 0).append(payload);
}

/// The answer to Send: headers, empty message, trailers; only the stream ids are filled in.
class Answer {
 public:
  Answer(std::string_view headers, std::string_view trailers) {
    add(frame(kHeaders, kEndHeaders, headers));
    add(frame(kData, 0, std::string_view("\0\0\0\0\0", 5)));
    add(frame(kHeaders, kEndHeaders | kEndStream, trailers));
  }
  void append_to(std::string& out, std::uint32_t stream) {
    for (const std::size_t at : ids_) {
      for (std::size_t i = 0; i < 4; ++i)
        bytes_[at + i] = static_cast<char>(stream >> (24 - 8 * i));
    }
    out += bytes_;
  }

 private:
  void add(const std::string& part) {
    ids_.push_back(bytes_.size() + 5);
    bytes_ += part;
  }
  std::string bytes_;
  std::vector<std::size_t> ids_;
};

struct Connection {
  int fd = -1;
  bool touched = false;
  bool answered = false;  // the client's HPACK table has our two fields
  std::size_t preface_left = kPrefaceBytes;
  std::uint32_t received = 0;
  std::string in;
  std::string out;
};

struct Receiver {
  Connection* connection = nullptr;
  std::uint32_t stream = 0;
};

class Floor {
 public:
  explicit Floor(std::uint16_t port) : epoll_(::epoll_create1(0)), receivers_(kPeersMax) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int one = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 4096) != 0) {
      std::perror("bench-floor: listen");
      std::exit(1);
    }
    watch(listener_, nullptr);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, 1024> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
        if (connection == nullptr)
          accept_all();
        else if (connection->fd >= 0)
          read_once(*connection);
      }
      for (Connection* connection : std::exchange(touched_, {})) write_once(*connection);
    }
  }

 private:
  void watch(int fd, Connection* connection) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connection;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (fd < 0) return;
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      connections_.push_back(std::make_unique<Connection>());
      Connection& c = *connections_.back();
      c.fd = fd;
      // SETTINGS_MAX_CONCURRENT_STREAMS 10,000
      c.out = frame(kSettings, 0, std::string_view("\0\3\0\0\x27\x10", 6));
      touch(c);
      watch(fd, &c);
    }
  }

  void touch(Connection& c) {
    if (!std::exchange(c.touched, true)) touched_.push_back(&c);
  }

  void read_once(Connection& c) {
    const ssize_t got = ::recv(c.fd, scratch_.data(), scratch_.size(), 0);
    if (got <= 0) {
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) end(c);
      return;
    }
    std::string_view data(scratch_.data(), static_cast<std::size_t>(got));
    const std::size_t skip = std::min(c.preface_left, data.size());
    c.preface_left -= skip;
    data.remove_prefix(skip);
    if (c.in.empty()) return parse(c, data);
    std::string joined = std::exchange(c.in, {});
    joined += data;
    parse(c, joined);
  }

  void end(Connection& c) {
    ::close(std::exchange(c.fd, -1));
    for (Receiver& r : receivers_)
      if (r.connection == &c) r.connection = nullptr;
  }

  void parse(Connection& c, std::string_view data) {
    const auto at = [&data](std::size_t i) {
      return static_cast<std::uint32_t>(static_cast<unsigned char>(data[i]));
    };
    while (data.size() >= kFrameHeader) {
      const std::size_t length = at(0) << 16 | at(1) << 8 | at(2);
      if (data.size() < kFrameHeader + length) break;
      const std::uint32_t stream = at(5) << 24 | at(6) << 16 | at(7) << 8 | at(8);
      on_frame(c, static_cast<std::uint8_t>(data[3]), data[4], stream,
               data.substr(kFrameHeader, length));
      data.remove_prefix(kFrameHeader + length);
    }
    c.in.assign(data);
  }

  void on_frame(Connection& c, std::uint8_t type, char flags, std::uint32_t stream,
                std::string_view payload) {
    if (type == kPing && flags == 0) {
      c.out += ping_ack_;
      c.out += payload;
      touch(c);
    } else if (type == kSettings && flags == 0) {
      c.out += settings_ack_;
      touch(c);
    } else if (type == kHeaders && payload.size() > kKeyBytes) {
      connect(c, stream, payload);  // only the signal stream names a peer in its headers
    } else if (type == kData && payload.size() > kReceiverAt + kDigits) {
      deliver(c, stream, payload);
    }
  }

  void connect(Connection& c, std::uint32_t stream, std::string_view headers) {
    const std::size_t key = headers.rfind("bench");
    if (key == headers.npos || key + 5 + kDigits > headers.size()) return;
    Receiver* receiver = find(headers.substr(key + 5, kDigits));
    if (receiver == nullptr) return;
    *receiver = {&c, stream};
    // :status 200, content-type (static name 31), x-wiretrustee-peer-registered, without indexing.
    static constexpr std::string_view kBlock =
        "\x88\x0f\x10\x10"
        "application/grpc"
        "\0\x1d"
        "x-wiretrustee-peer-registered"
        "\x01"
        "1"sv;
    c.out += frame_head(kBlock.size(), kHeaders, kEndHeaders, stream);
    c.out += kBlock;
    touch(c);
  }

  void deliver(Connection& c, std::uint32_t stream, std::string_view payload) {
    const Receiver* to = find(payload.substr(kReceiverAt, kDigits));
    if (to != nullptr && to->connection != nullptr) {
      to->connection->out += frame_head(payload.size(), kData, 0, to->stream);
      to->connection->out += payload;
      touch(*to->connection);
    }
    (std::exchange(c.answered, true) ? next_ : first_).append_to(c.out, stream);
    c.received += static_cast<std::uint32_t>(payload.size());
    if (c.received > kWindowGiveBack) {
      const std::uint32_t give = htonl(std::exchange(c.received, 0));
      c.out += window_update_;
      c.out.append(reinterpret_cast<const char*>(&give), 4);
    }
    touch(c);
  }

  Receiver* find(std::string_view digits) {
    std::uint32_t peer = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), peer, 16);
    return peer < receivers_.size() ? &receivers_[peer] : nullptr;
  }

  void write_once(Connection& c) {
    c.touched = false;
    if (c.fd < 0) return;
    const ssize_t sent = ::send(c.fd, c.out.data(), c.out.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return end(c);
    c.out.erase(0, static_cast<std::size_t>(std::max<ssize_t>(0, sent)));
    if (!c.out.empty()) touch(c);  // rare: the next turn tries again
  }

  int epoll_;
  int listener_ = -1;
  std::vector<Receiver> receivers_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> touched_;
  std::array<char, 1 << 18> scratch_{};
  const std::string ping_ack_ = frame_head(8, kPing, 1, 0);
  const std::string settings_ack_ = frame_head(0, kSettings, 1, 0);
  const std::string window_update_ = frame_head(4, 8, 0, 0);
  // First answer: the two fields go into the table; then they are two indexes.
  Answer first_{
      "\x88\x5f\x10"
      "application/grpc"sv,
      "\x40\x0b"
      "grpc-status"
      "\x01"
      "0"sv};
  Answer next_{"\x88\xbf"sv, "\xbe"sv};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: bench-floor PORT   (for netbird-bench signal --floor)\n", stderr);
    return 2;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  static Floor server(static_cast<std::uint16_t>(std::atoi(argv[1])));
  server.run();
}
