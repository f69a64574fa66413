#include "load/client_loop.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <utility>

namespace nb::bench {
namespace {
constexpr std::size_t kEventsMax = 1024;
constexpr std::size_t kScratchBytes = std::size_t{1} << 20;
}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return fail(Code::kInvalidArgument, "address '{}': want 127.x.x.x:port", text);
  Endpoint out;
  out.host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  in_addr address{};
  if (ec != std::errc{} || end != port.data() + port.size() || out.port == 0 ||
      ::inet_pton(AF_INET, out.host.c_str(), &address) != 1)
    return fail(Code::kInvalidArgument, "address '{}': want 127.x.x.x:port", text);
  if ((ntohl(address.s_addr) >> 24) != 127)
    return fail(Code::kInvalidArgument, "address '{}': only loopback is loaded", text);
  return out;
}

ClientLoop::ClientLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), events_(kEventsMax), scratch_(kScratchBytes) {
  NB_ASSERT(epoll_ >= 0);
}

ClientLoop::~ClientLoop() {
  clients_.clear();
  ::close(epoll_);
}

Result<int> ClientLoop::dial(const Endpoint& to, std::chrono::milliseconds limit) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail(Code::kResourceExhausted, "socket: {}", std::strerror(errno));
  const auto give_up = [fd, &to](int error) {
    ::close(fd);
    return fail(Code::kUnavailable, "connect to {}: {}", to.text(), std::strerror(error));
  };
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to.port);
  ::inet_pton(AF_INET, to.host.c_str(), &address.sin_addr);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    if (errno != EINPROGRESS) return give_up(errno);
    pollfd ready{fd, POLLOUT, 0};
    if (::poll(&ready, 1, static_cast<int>(limit.count())) != 1) return give_up(ETIMEDOUT);
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return give_up(error);
  }
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

void ClientLoop::add(std::unique_ptr<SocketClient> client) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = client.get();
  NB_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, client->fd(), &event) == 0);
  touch(*client);
  clients_.push_back(std::move(client));
}

void ClientLoop::touch(SocketClient& client) {
  if (std::exchange(client.queued_, true)) return;
  touched_.push_back(&client);
}

void ClientLoop::watch(SocketClient& client, bool writing) {
  epoll_event event{};
  event.events = EPOLLIN | (writing ? EPOLLOUT : 0U);
  event.data.ptr = &client;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, client.fd(), &event);
}

void ClientLoop::flush_touched() {
  for (std::size_t i = 0; i < touched_.size(); ++i) {  // callbacks may touch more
    SocketClient& client = *touched_[i];
    client.queued_ = false;
    if (client.fd() < 0 || !client.flush()) continue;
    if (client.wants_write()) watch(client, true);
  }
  touched_.clear();
}

void ClientLoop::turn(std::chrono::nanoseconds wait) {
  flush_touched();
  const timespec limit{static_cast<time_t>(wait.count() / 1'000'000'000),
                       static_cast<long>(wait.count() % 1'000'000'000)};
  const int count =
      ::epoll_pwait2(epoll_, events_.data(), static_cast<int>(events_.size()), &limit, nullptr);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    auto& client = *static_cast<SocketClient*>(event.data.ptr);
    if (client.fd() < 0) continue;
    if ((event.events & EPOLLOUT) != 0) watch(client, false);
    if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 &&
        !client.on_readable(scratch_.data(), scratch_.size()))
      continue;
    if (client.wants_write()) touch(client);
  }
  flush_touched();
}

std::uint64_t ClientLoop::bytes_received() const {
  std::uint64_t sum = 0;
  for (const auto& client : clients_) sum += client->bytes_received();
  return sum;
}

}  // namespace nb::bench
