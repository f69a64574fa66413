// What an agent's ICE does at a TURN server: a relayed address, and packets through it.
// Source   RFC 8489 §9.2 (long-term credentials), RFC 8656 §7, §9, §10
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace nb::test {

/// A UDP socket on 127.0.0.1, blocking with a limit.
class UdpSocket {
 public:
  UdpSocket();
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;
  [[nodiscard]] std::uint16_t port() const;
  void send(std::uint16_t to, std::string_view bytes) const;
  /// And the sender's port.
  [[nodiscard]] std::optional<std::pair<std::string, std::uint16_t>> receive(
      std::chrono::milliseconds limit = std::chrono::seconds(3)) const;

 private:
  int fd_;
};

class TurnClient {
 public:
  TurnClient(std::uint16_t server, std::string user, std::string password);

  /// Port of the relayed address on 127.0.0.1; nothing when refused, error() says with which code.
  [[nodiscard]] std::optional<std::uint16_t> allocate();
  /// Error code of the last answer; 0: none was an error; -1: no answer.
  [[nodiscard]] int error() const { return error_; }
  /// Lets packets from 127.0.0.1 in.
  [[nodiscard]] bool permit();
  /// `bytes` from the relayed address to a port of 127.0.0.1.
  void send(std::uint16_t to, std::string_view bytes);
  /// The next packet that came to the relayed address.
  [[nodiscard]] std::optional<std::string> receive();

 private:
  using Attributes = std::map<std::uint16_t, std::string>;
  struct Answer {
    std::uint16_t type = 0;
    Attributes attributes;
  };
  /// Once without credentials, and again with what the server asks for.
  std::optional<Answer> ask(std::uint16_t type, const Attributes& attributes);
  std::optional<Answer> exchange(std::uint16_t type, const Attributes& attributes);
  std::string seal(std::uint16_t type, const Attributes& attributes, const std::string& id) const;

  const std::uint16_t server_;
  const std::string user_;
  const std::string password_;
  std::string realm_;
  std::string nonce_;
  int error_ = 0;
  UdpSocket socket_;
};

}  // namespace nb::test
