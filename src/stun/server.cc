#include "stun/server.h"

#include "base/assert.h"
#include "net/address.h"
#include "net/event_loop.h"
#include "net/socket_address.h"
#include "stun/message.h"
#include "stun/source_limit.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <future>
#include <system_error>
#include <utility>

namespace nb::stun {

namespace {
constexpr std::size_t kBatch = 32;
constexpr std::size_t kDatagramMax = 1500;
/// Enough for where a datagram was sent to (struct in6_pktinfo or in_pktinfo).
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo));

std::string last_error() {
  return std::system_category().message(errno);
}

/// A bound socket that says for each datagram where it was sent to.
Result<int> open_socket(const net::SocketAddress& address, std::uint16_t port, bool shared) {
  const int family = address.storage.ss_family;
  const int fd = ::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Code::kUnavailable, "STUN socket: {}", last_error());
  const int on = 1;
  const int off = 0;
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (family == AF_INET6) {
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
  } else {
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
  }
  if (::bind(fd, address.get(), address.size) != 0) {
    const int error = errno;
    ::close(fd);
    return fail(error == EACCES ? Code::kPermissionDenied : Code::kUnavailable,
                "STUN on UDP port {}: {}", port, std::system_category().message(error));
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return net::PeerAddress::from(address).port;
}

/// Of all that came with a request only the address it was sent to goes back: the answer leaves
/// from there, by whatever interface leads to the client.
void keep_local_address(msghdr& message) {
  cmsghdr* const control = CMSG_FIRSTHDR(&message);
  if (control == nullptr) {
    message.msg_controllen = 0;
    return;
  }
  if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
    in6_pktinfo info;
    std::memcpy(&info, CMSG_DATA(control), sizeof info);
    if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = 0;
    std::memcpy(CMSG_DATA(control), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
    in_pktinfo info;
    std::memcpy(&info, CMSG_DATA(control), sizeof info);
    info.ipi_spec_dst = info.ipi_addr;
    info.ipi_ifindex = 0;
    std::memcpy(CMSG_DATA(control), &info, sizeof info);
    message.msg_controllen = CMSG_SPACE(sizeof info);
  } else {
    message.msg_controllen = 0;
  }
}
}  // namespace

/// One socket on one loop. Level-triggered and one batch a turn, so that a flood leaves the loop's
/// other work its share.
class Server::Port final : public net::Mortal, public net::IoHandler {
 public:
  Port(net::EventLoop& loop, int fd, const Options& options, StunMetrics& metrics)
      : loop_(loop),
        fd_(fd),
        limit_(options.source_per_second, options.source_burst),
        metrics_(metrics),
        slots_(kBatch) {}
  ~Port() override { ::close(fd_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  void begin() {
    loop_.watch(fd_, EPOLLIN, *this);
    watched_ = true;
  }
  void end() {
    if (std::exchange(watched_, false)) loop_.unwatch(fd_);
  }
  [[nodiscard]] net::EventLoop& loop() const { return loop_; }

  void on_io(std::uint32_t /*events*/) override {
    if (!watched_) return;
    std::array<mmsghdr, kBatch> headers{};
    for (std::size_t i = 0; i < kBatch; ++i) {
      Slot& slot = slots_[i];
      slot.part = {slot.bytes.data(), slot.bytes.size()};
      headers[i].msg_hdr = {.msg_name = &slot.from,
                            .msg_namelen = sizeof slot.from,
                            .msg_iov = &slot.part,
                            .msg_iovlen = 1,
                            .msg_control = slot.control.data(),
                            .msg_controllen = slot.control.size(),
                            .msg_flags = 0};
    }
    const int received = recvmmsg(fd_, headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (received <= 0) return;
    std::size_t answers = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(received); ++i) {
      if (!answer(slots_[i], headers[i])) continue;
      if (i != answers) headers[answers] = headers[i];
      ++answers;
    }
    send(std::span(headers).first(answers));
  }

 private:
  struct Slot {
    sockaddr_storage from{};
    iovec part{};
    alignas(cmsghdr) std::array<std::uint8_t, kControlBytes> control{};
    std::array<std::uint8_t, kDatagramMax> bytes;
  };

  /// Turns a request into its answer, in place; false: nothing is sent.
  bool answer(Slot& slot, mmsghdr& header) {
    const auto id = parse_request(std::span(slot.bytes).first(header.msg_len));
    const net::PeerAddress from = net::PeerAddress::from(slot.from);
    // Port 0 cannot be answered.
    if (!id || from.port == 0 || (header.msg_hdr.msg_flags & MSG_TRUNC) != 0) {
      metrics_.ignored.add();
      return false;
    }
    if (!limit_.take(from.ip, loop_.now())) {
      metrics_.limited.add();
      return false;
    }
    slot.part.iov_len = write_response(std::span(slot.bytes).first<kResponseBytesMax>(), *id, from);
    header.msg_hdr.msg_flags = 0;
    keep_local_address(header.msg_hdr);
    return true;
  }

  void send(std::span<mmsghdr> answers) {
    while (!answers.empty()) {
      const int sent =
          sendmmsg(fd_, answers.data(), static_cast<unsigned>(answers.size()), MSG_DONTWAIT);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) {
        metrics_.unsent.add();
        // A full socket takes none of the others either; anything else concerns this one only.
        if (errno == EAGAIN || errno == ENOBUFS) return metrics_.unsent.add(answers.size() - 1);
        answers = answers.subspan(1);
        continue;
      }
      metrics_.answered.add(static_cast<std::uint64_t>(sent));
      answers = answers.subspan(static_cast<std::size_t>(sent));
    }
  }

  net::EventLoop& loop_;
  const int fd_;
  bool watched_ = false;
  SourceLimit limit_;
  StunMetrics& metrics_;
  std::vector<Slot> slots_;
};

StunMetrics::StunMetrics(MetricRegistry& registry)
    : answered(
          registry.counter("stun_requests_total", "datagrams received", {{"result", "answered"}})),
      ignored(
          registry.counter("stun_requests_total", "datagrams received", {{"result", "ignored"}})),
      limited(registry.counter("stun_requests_total", "datagrams received",
                               {{"result", "rate_limited"}})),
      unsent(
          registry.counter("stun_requests_total", "datagrams received", {{"result", "unsent"}})) {}

Server::Server(net::LoopPool& loops, Options options, StunMetrics& metrics, Logger log)
    : loops_(loops), options_(std::move(options)), metrics_(metrics), log_(std::move(log)) {}

Server::~Server() {
  stop();
}

Result<> Server::start() {
  if (options_.ports.empty()) return fail(Code::kInvalidArgument, "STUN: no port is given");
  sockets_.resize(loops_.size());
  for (const std::uint16_t wanted : options_.ports) {
    NB_LET(auto address, net::SocketAddress::parse("STUN", options_.listen_address, wanted));
    // SO_REUSEPORT would share the port with another process silently: ask without it first.
    NB_LET(const int probe, open_socket(address, wanted, false));
    const std::uint16_t port = port_of(probe);
    ::close(probe);
    NB_LET(address, net::SocketAddress::parse("STUN", options_.listen_address, port));
    for (std::size_t i = 0; i < loops_.size(); ++i) {
      NB_LET(const int fd, open_socket(address, port, true));
      sockets_[i].push_back(std::make_unique<Port>(static_cast<net::EventLoop&>(loops_.at(i)), fd,
                                                   options_, metrics_));
    }
    ports_.push_back(port);
    log_.info("STUN server listens", {log::f("port", port)});
  }
  for (const auto& ports : sockets_) {
    for (const auto& port : ports) port->loop().post([each = port.get()] { each->begin(); });
  }
  return {};
}

void Server::stop() {
  std::vector<std::future<void>> done;
  for (auto& ports : sockets_) {
    if (ports.empty()) continue;
    net::EventLoop& home = ports.front()->loop();
    const auto end = [moved = std::make_shared<std::vector<std::unique_ptr<Port>>>(
                          std::move(ports))](net::EventLoop& loop) {
      for (auto& port : *moved) {
        port->end();
        loop.bury(std::move(port));
      }
    };
    if (!home.alive()) {
      end(home);
      continue;
    }
    NB_ASSERT(!home.running_here());
    const auto promise = std::make_shared<std::promise<void>>();
    done.push_back(promise->get_future());
    home.post([end, promise, &home] {
      end(home);
      promise->set_value();
    });
  }
  for (auto& each : done) each.wait();
  sockets_.clear();
}

}  // namespace nb::stun
