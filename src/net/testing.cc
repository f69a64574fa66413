#include "net/testing.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace nb::net::testing {

namespace {
using Clock = std::chrono::steady_clock;

std::uint32_t number(std::string_view bytes) {
  std::uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}
}  // namespace

TestServer::TestServer(std::function<void(GrpcRouter&, HttpRouter&)> routes, ServerConfig config,
                       std::size_t loops)
    : loops_(loops) {
  auto grpc = std::make_shared<GrpcRouter>();
  auto http = std::make_shared<HttpRouter>();
  routes(*grpc, *http);
  if (config.listeners.empty()) config.listeners.push_back({.address = "127.0.0.1"});
  loops_.start();
  server_ = std::make_unique<Server>(loops_, grpc, http, std::move(config), registry_, Logger());
  const auto started = server_->start();
  NB_ASSERT(started.has_value());
}

TestServer::~TestServer() {
  server_.reset();
  loops_.stop();
}

std::uint16_t TestServer::port(std::size_t listener) const {
  return server_->ports().at(listener);
}

std::string TestServer::target() const {
  return fmt::format("127.0.0.1:{}", port());
}

double TestServer::metric(const std::string& name, const std::string& label) const {
  for (const auto& family : registry_.Collect()) {
    if (family.name != name) continue;
    for (const auto& metric : family.metric) {
      const bool fits = label.empty() ? metric.label.empty()
                                      : !metric.label.empty() && metric.label[0].value == label;
      if (fits) return metric.counter.value + metric.gauge.value;
    }
  }
  return -1;
}

RawClient::RawClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  NB_ASSERT(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

RawClient::~RawClient() {
  close(fd_);
}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawClient::receive_until(const std::function<bool(const std::string&)>& enough,
                                     std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (!enough(received)) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
    char buffer[16 * 1024];
    const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) break;
    received.append(buffer, static_cast<std::size_t>(size));
  }
  return received;
}

bool RawClient::closed_by_peer(std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
    char buffer[16 * 1024];
    const ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
    if (size <= 0) return true;
    received.append(buffer, static_cast<std::size_t>(size));
  }
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto end = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                  std::string_view payload) {
  std::string out;
  const auto size = payload.size();
  for (const unsigned shift : {16U, 8U, 0U}) out.push_back(static_cast<char>(size >> shift & 0xff));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const unsigned shift : {24U, 16U, 8U, 0U}) {
    out.push_back(static_cast<char>(stream >> shift & 0xff));
  }
  return out.append(payload);
}

std::string hello() {
  return std::string(kPreface) + frame(4, 0, 0);
}

std::string headers(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string out;
  const auto put = [&](const std::string& text) {
    // RFC 7541 §5.1: 7-bit prefix, then groups of seven.
    std::size_t size = text.size();
    if (size < 127) {
      out.push_back(static_cast<char>(size));
    } else {
      out.push_back(127);
      for (size -= 127; size >= 128; size /= 128)
        out.push_back(static_cast<char>(size % 128 + 128));
      out.push_back(static_cast<char>(size));
    }
    out += text;
  };
  for (const auto& [name, value] : fields) {
    out.push_back(0);
    put(name);
    put(value);
  }
  return out;
}

std::vector<Frame> frames(std::string_view bytes) {
  std::vector<Frame> all;
  while (bytes.size() >= 9) {
    const std::size_t size = number(bytes.substr(0, 3));
    if (bytes.size() < 9 + size) break;
    all.push_back({.type = static_cast<std::uint8_t>(bytes[3]),
                   .flags = static_cast<std::uint8_t>(bytes[4]),
                   .stream = number(bytes.substr(5, 4)) & 0x7fff'ffff,
                   .payload = std::string(bytes.substr(9, size))});
    bytes.remove_prefix(9 + size);
  }
  return all;
}

std::string h2::number(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

std::optional<std::uint32_t> goaway(std::string_view bytes) {
  std::optional<std::uint32_t> code;
  for (const Frame& each : frames(bytes)) {
    if (each.type == 7 && each.payload.size() >= 8) {
      code = number(std::string_view(each.payload).substr(4, 4));
    }
  }
  return code;
}

std::string client_frame(std::uint8_t opcode, std::string_view payload, bool final) {
  constexpr std::string_view kMask = "\x12\x34\x56\x78";
  std::string out;
  out.push_back(static_cast<char>((final ? 0x80U : 0U) | opcode));
  const std::size_t size = payload.size();
  const auto put = [&](unsigned bytes) {
    for (unsigned i = bytes; i-- > 0;) out.push_back(static_cast<char>(size >> (8 * i) & 0xff));
  };
  if (size < 126) {
    out.push_back(static_cast<char>(0x80U | size));
  } else if (size <= 0xffff) {
    out.push_back(static_cast<char>(0x80 | 126));
    put(2);
  } else {
    out.push_back(static_cast<char>(0x80 | 127));
    put(8);
  }
  out += kMask;
  for (std::size_t i = 0; i < size; ++i)
    out.push_back(static_cast<char>(payload[i] ^ kMask[i % 4]));
  return out;
}

}  // namespace nb::net::testing
