#include "load/socket_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace nb::bench {

SocketClient::~SocketClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool SocketClient::broken(std::string_view reason) {
  if (fd_ < 0) return false;
  ::close(std::exchange(fd_, -1));
  on_broken(reason);
  return false;
}

bool SocketClient::flush() {
  while (fd_ >= 0 && out_at_ < out_.size()) {
    const ssize_t sent = ::send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EINTR) return true;
      return broken(std::strerror(errno));
    }
    out_at_ += static_cast<std::size_t>(sent);
  }
  out_.clear();
  out_at_ = 0;
  return fd_ >= 0;
}

bool SocketClient::on_readable(char* scratch, std::size_t size) {
  const ssize_t got = ::recv(fd_, scratch, size, 0);
  if (got == 0) return broken("closed by the server");
  if (got < 0) return errno == EAGAIN || errno == EINTR || broken(std::strerror(errno));
  const std::string_view data(scratch, static_cast<std::size_t>(got));
  bytes_received_ += data.size();
  if (in_.empty()) return parse(data);
  std::string joined = std::exchange(in_, {});
  joined += data;
  return parse(joined);
}

}  // namespace nb::bench
