// STUN of netbird-relay as its clients see it: contract/signal-relay-ops.md §4.1, on a real
// process.
#include "net/address.h"
#include "relay_server.h"
#include "stun/message.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <span>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using stun::make_request;
using stun::TransactionId;

using Datagram = std::vector<std::uint8_t>;

constexpr TransactionId kId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

/// A UDP socket at a loopback address of its own that talks to one port of the same family.
class Client {
 public:
  Client(const std::string& own, std::uint16_t port)
      : fd_(socket(v6(own) ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const Address local = address(own, 0);
    const Address remote = address(v6(own) ? "::1" : "127.0.0.1", port);
    EXPECT_EQ(bind(fd_, local.get(), local.size), 0) << own;
    EXPECT_EQ(connect(fd_, remote.get(), remote.size), 0) << own;
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::span<const std::uint8_t> bytes) const {
    // A full queue of this host is a lost datagram, as on any way.
    ::send(fd_, bytes.data(), bytes.size(), 0);
  }
  [[nodiscard]] Datagram receive(std::chrono::milliseconds limit = 5s) const {
    pollfd waiting{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return {};
    Datagram bytes(2'000);
    const ssize_t size = recv(fd_, bytes.data(), bytes.size(), 0);
    bytes.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return bytes;
  }
  [[nodiscard]] net::PeerAddress own() const {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &size);
    return net::PeerAddress::from(storage);
  }
  /// Asks until it is answered: a datagram may be lost.
  [[nodiscard]] Result<net::PeerAddress> ask() const {
    for (int attempt = 0; attempt < 20; ++attempt) {
      send(make_request(kId));
      const Datagram answer = receive(1s);
      if (!answer.empty()) return stun::parse_response(answer, kId);
    }
    return fail(Code::kDeadlineExceeded, "no answer");
  }

 private:
  struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    [[nodiscard]] const sockaddr* get() const {
      return reinterpret_cast<const sockaddr*>(&storage);
    }
  };
  static bool v6(const std::string& ip) { return ip.find(':') != std::string::npos; }
  static Address address(const std::string& ip, std::uint16_t port) {
    Address out;
    if (v6(ip)) {
      auto& in = reinterpret_cast<sockaddr_in6&>(out.storage);
      in.sin6_family = AF_INET6;
      in.sin6_port = htons(port);
      inet_pton(AF_INET6, ip.c_str(), &in.sin6_addr);
      out.size = sizeof in;
    } else {
      auto& in = reinterpret_cast<sockaddr_in&>(out.storage);
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      inet_pton(AF_INET, ip.c_str(), &in.sin_addr);
      out.size = sizeof in;
    }
    return out;
  }

  const int fd_;
};

struct StunRelay {
  explicit StunRelay(std::vector<std::string> arguments = {})
      : first(free_port()), second(free_port()), server([&] {
          std::vector<std::string> all = {"--enable-stun", "--stun-ports",
                                          std::to_string(first) + "," + std::to_string(second)};
          all.insert(all.end(), arguments.begin(), arguments.end());
          return RelayServerOptions{.arguments = all, .any_address = true};
        }()) {}
  [[nodiscard]] double counted(const std::string& result) const {
    return std::max(0.0, server.metric("stun_requests_total{result=\"" + result + "\"}"));
  }
  std::uint16_t first;
  std::uint16_t second;
  RelayServer server;
};

TEST(RelayStun, EveryPortTellsClientsOfBothFamiliesTheirAddress) {
  const StunRelay relay;
  for (const std::uint16_t port : {relay.first, relay.second}) {
    for (const std::string own : {"127.0.0.1", "127.0.0.9", "::1"}) {
      const Client client(own, port);
      const auto mapped = client.ask();
      ASSERT_TRUE(mapped) << own << " at " << port << ": " << mapped.error().text;
      EXPECT_EQ(*mapped, client.own()) << own;
    }
  }
  EXPECT_GE(relay.counted("answered"), 6);
}

TEST(RelayStun, AFloodIsAnsweredAtItsRateAndOthersDoNotNotice) {
  constexpr int kRequests = 2'000;
  constexpr int kRate = 5;
  constexpr int kBurst = 20;
  const StunRelay relay({"--loops", "1", "--stun-source-rate", std::to_string(kRate),
                         "--stun-source-burst", std::to_string(kBurst)});
  ASSERT_TRUE(Client("127.0.0.3", relay.first).ask());
  const Client flood("127.0.0.4", relay.first);
  const auto begin = std::chrono::steady_clock::now();
  int answers = 0;
  for (int i = 0; i < kRequests; ++i) {
    flood.send(make_request(kId));
    if (i % 50 == 0) {
      while (!flood.receive(0ms).empty()) ++answers;
      EXPECT_TRUE(i % 500 != 0 || Client("127.0.0.5", relay.first).ask());
    }
  }
  // Everything that arrived has been judged once another one's request, sent later, is answered.
  EXPECT_TRUE(Client("127.0.0.6", relay.first).ask());
  while (!flood.receive(200ms).empty()) ++answers;
  const auto seconds =
      std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_GE(answers, kBurst / 2);
  EXPECT_LE(answers, kBurst + kRate * (seconds + 1)) << "in " << seconds << " s";
  EXPECT_GE(relay.counted("rate_limited"), 1);
}

TEST(RelayStun, NothingMakesItSendMoreThanItWasSent) {
  const StunRelay relay({"--stun-source-rate", "0"});
  const Client client("127.0.0.1", relay.first);
  const auto with_type = [](std::uint8_t high, std::uint8_t low) {
    const auto request = make_request(kId);
    Datagram out(request.begin(), request.end());
    out[0] = high;
    out[1] = low;
    return out;
  };
  Datagram wrong_cookie = with_type(0, 1);
  wrong_cookie[4] ^= 1;
  Datagram cut = with_type(0, 1);
  cut.pop_back();
  std::vector<Datagram> ignored = {{},
                                   {0},
                                   Datagram(1'400, 0xff),
                                   cut,
                                   wrong_cookie,
                                   with_type(0x01, 0x01),   // a response: two servers could play
                                   with_type(0x00, 0x11),   // indication
                                   with_type(0x00, 0x03),   // TURN allocate
                                   with_type(0x01, 0x11)};  // error response
  for (const Datagram& each : ignored) client.send(each);
  // Requests with something behind them: unknown attributes, a wrong length, the largest datagram.
  std::size_t sent = 0;
  std::size_t received = 0;
  for (const std::size_t extra : {0UL, 4UL, 40UL, 1'400UL}) {
    for (const std::uint8_t fill : {std::uint8_t{0}, std::uint8_t{0xff}}) {
      Datagram request = with_type(0, 1);
      request.resize(request.size() + extra, fill);
      client.send(request);
      const Datagram answer = client.receive();
      sent += request.size();
      received += answer.size();
      ASSERT_TRUE(stun::parse_response(answer, kId)) << "the first answer is to a request";
      EXPECT_LE(answer.size(), 2 * request.size()) << "IPv4: 40 bytes to 20 at most";
    }
  }
  EXPECT_TRUE(client.receive(100ms).empty()) << "one answer to each, none to the rest";
  EXPECT_LT(received, sent);
  EXPECT_TRUE(eventually([&] { return relay.counted("ignored") == 9; }))
      << relay.counted("ignored");
  const Client six("::1", relay.first);
  six.send(make_request(kId));
  const Datagram answer = six.receive();
  EXPECT_TRUE(stun::parse_response(answer, kId));
  EXPECT_LE(answer.size(), stun::kResponseBytesMax);
}

}  // namespace
}  // namespace nb::test
