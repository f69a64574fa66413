#include "relay/quic/listener.h"

#include "base/assert.h"
#include "base/log_keys.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "relay/quic/sessions.h"
#include "relay/quic/tls.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace nb::relay::quic {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBatch = 32;
constexpr std::size_t kDatagramMax = 2'048;  // of a peer on a network with larger frames
constexpr auto kLookAtFiles = 5s;
/// Of the kernel; bursts of many peers meet in one socket.
constexpr int kSocketBytes = 4 << 20;

std::string last_error() {
  return std::system_category().message(errno);
}

Result<int> open_socket(const Remote& address, std::uint16_t port) {
  const int family = address.storage.ss_family;
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Code::kUnavailable, "QUIC socket: {}", last_error());
  // What is larger than the path takes has to fail, or its size could not be found.
  const int probe = family == AF_INET6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE;
  if (family == AF_INET6) {
    const int off = 0;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof probe);
  }
  setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kSocketBytes, sizeof kSocketBytes);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof kSocketBytes);
  if (::bind(fd, address.get(), address.size) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return fail(error == EACCES ? Code::kPermissionDenied : Code::kUnavailable,
              "QUIC on UDP port {}: {}", port, std::system_category().message(error));
}

sockaddr_storage bound_to(int fd) {
  sockaddr_storage out{};
  socklen_t size = sizeof out;
  getsockname(fd, reinterpret_cast<sockaddr*>(&out), &size);
  return out;
}

}  // namespace

/// Lives on loop 0.
class Listener::Socket final : public net::Mortal, public net::IoHandler, public net::Timer {
 public:
  Socket(net::EventLoop& loop, int fd, Tls tls, const Options& options, const Serve& serve,
         Metrics& metrics, const Logger& log)
      : loop_(loop),
        fd_(fd),
        metrics_(metrics),
        slots_(kBatch),
        sessions_({.loop = loop,
                   .local = bound_to(fd),
                   .send = [this](const Remote& to,
                                  std::span<const std::uint8_t> packet) { send(to, packet); },
                   .serve = serve,
                   .metrics = metrics},
                  std::move(tls), options, log) {}
  ~Socket() override { ::close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  [[nodiscard]] net::EventLoop& loop() const { return loop_; }
  [[nodiscard]] Sessions& sessions() { return sessions_; }
  void begin() {
    loop_.watch(fd_, EPOLLIN, *this);
    watched_ = true;
    loop_.arm(*this, loop_.now() + kLookAtFiles);
  }
  void finish() {
    sessions_.finish();
    loop_.cancel(*this);
    if (std::exchange(watched_, false)) loop_.unwatch(fd_);
  }

  void on_io(std::uint32_t /*events*/) override {
    if (!watched_) return;
    std::array<mmsghdr, kBatch> headers{};
    for (std::size_t i = 0; i < kBatch; ++i) {
      slots_[i].part = {slots_[i].bytes.data(), slots_[i].bytes.size()};
      headers[i].msg_hdr = {.msg_name = &slots_[i].from.storage,
                            .msg_namelen = sizeof slots_[i].from.storage,
                            .msg_iov = &slots_[i].part,
                            .msg_iovlen = 1,
                            .msg_control = nullptr,
                            .msg_controllen = 0,
                            .msg_flags = 0};
    }
    const int received = recvmmsg(fd_, headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < received; ++i) {
      Slot& slot = slots_[static_cast<std::size_t>(i)];
      const mmsghdr& header = headers[static_cast<std::size_t>(i)];
      slot.from.size = header.msg_hdr.msg_namelen;
      if ((header.msg_hdr.msg_flags & MSG_TRUNC) != 0)
        metrics_.ignored.add();
      else
        sessions_.receive(slot.from, std::span(slot.bytes).first(header.msg_len));
    }
  }
  void on_timer(Instant now) override {
    sessions_.check_files();
    loop_.arm(*this, now + kLookAtFiles);
  }

 private:
  struct Slot {
    Remote from{};
    iovec part{};
    std::array<std::uint8_t, kDatagramMax> bytes;
  };

  void send(const Remote& to, std::span<const std::uint8_t> packet) {
    const ssize_t sent = ::sendto(fd_, packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                  reinterpret_cast<const sockaddr*>(&to.storage), to.size);
    // Lost, as on any link; larger than the path takes: that is what probes find out.
    if (sent < 0 && errno != EMSGSIZE) metrics_.unsent.add();
  }

  net::EventLoop& loop_;
  const int fd_;
  Metrics& metrics_;
  std::vector<Slot> slots_;
  Sessions sessions_;
  bool watched_ = false;
};

Listener::Listener(net::LoopPool& loops, Options options, Serve serve, Metrics& metrics, Logger log)
    : loops_(loops),
      options_(std::move(options)),
      serve_(std::move(serve)),
      metrics_(metrics),
      log_(std::move(log)) {}

Listener::~Listener() {
  stop();
}

Result<> Listener::start() {
  Tls tls(options_.cert_file, options_.key_file, log_);
  NB_TRY(tls.load());
  NB_LET(const Remote address, Remote::parse("QUIC", options_.address, options_.port));
  NB_LET(const int fd, open_socket(address, options_.port));
  auto& home = static_cast<net::EventLoop&>(loops_.at(0));
  socket_ = std::make_unique<Socket>(home, fd, std::move(tls), options_, serve_, metrics_, log_);
  port_ = net::PeerAddress::from(bound_to(fd)).port;
  log_.info("relay listens for QUIC", {log::f("port", port_)});
  home.post([socket = socket_.get()] { socket->begin(); });
  return {};
}

void Listener::drain(std::chrono::milliseconds limit) {
  if (!socket_ || !socket_->loop().alive()) return;
  const auto emptied = std::make_shared<std::promise<void>>();
  auto done = emptied->get_future();
  socket_->loop().post(
      [socket = socket_.get(), emptied] { socket->sessions().drain(std::move(*emptied)); });
  done.wait_for(limit);
}

void Listener::stop() {
  if (!socket_) return;
  net::EventLoop& home = socket_->loop();
  const auto end = [&home, socket = std::make_shared<std::unique_ptr<Socket>>(std::move(socket_))] {
    (*socket)->finish();
    home.bury(std::move(*socket));
  };
  if (!home.alive()) return end();
  NB_ASSERT(!home.running_here());
  std::promise<void> done;
  home.post([&] {
    end();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace nb::relay::quic
