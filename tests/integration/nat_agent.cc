#include "nat_agent.h"

#include "base/task_group.h"
#include "client/peer.h"
#include "net/address.h"
#include "stun/message.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <span>

namespace nb::test {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kTick = 50ms;

void say(const std::string& line) {
  std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
}

/// How the server sees this UDP socket.
std::string mapped_address(int fd, const std::string& server) {
  constexpr stun::TransactionId kId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const auto address = net::parse_ip(server);
  if (!address) return "none";
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address->port);
  std::copy_n(address->ip.s6_addr + 12, 4, reinterpret_cast<std::uint8_t*>(&to.sin_addr));
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto request = stun::make_request(kId);
    ::sendto(fd, request.data(), request.size(), 0, reinterpret_cast<const sockaddr*>(&to),
             sizeof to);
    pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, 500) <= 0) continue;
    std::array<std::uint8_t, 200> answer{};
    const ssize_t size = ::recv(fd, answer.data(), answer.size(), 0);
    if (size <= 0) continue;
    const auto mapped =
        stun::parse_response(std::span(answer).first(static_cast<std::size_t>(size)), kId);
    if (mapped) return mapped->text() + ":" + std::to_string(mapped->port);
  }
  return "none";
}

client::PeerOptions options(const std::string& management, const std::string& name) {
  client::PeerOptions out;
  out.management.address = management;
  out.host.name = name;
  // Short pauses, so that a move need not wait for an agent's patience.
  out.relay.settle = 50ms;
  out.relay.retry = {.first = 50ms, .most = 400ms};
  out.relay.seed = std::hash<std::string>()(name);
  out.signal.retry = {.first = 100ms, .most = 500ms};
  out.sync_retry = {.first = 100ms, .most = 500ms};
  out.offer_retry = {.first = 200ms, .most = 1s};
  return out;
}

asio::awaitable<int> live(client::Peer& peer, std::string setup_key) {
  const auto joined = co_await peer.join(std::move(setup_key));
  if (!joined) {
    std::fprintf(stderr, "join: %s\n", joined.error().text.c_str());
    co_return 1;
  }
  say("joined " + peer.key());
  std::map<std::string, std::string> links;
  asio::steady_timer tick(co_await asio::this_coro::executor);
  for (std::uint64_t number = 1;; ++number) {
    const std::vector<std::string> peers = peer.peers();
    for (const std::string& other : peers) {
      const std::string relay = peer.relay_of(other);
      std::string& before = links[other];
      if (relay != before) say("link " + other + " " + (relay.empty() ? "-" : relay));
      before = relay;
      peer.send(other, std::to_string(number));
    }
    tick.expires_after(kTick);
    co_await tick.async_wait(asio::use_awaitable);
  }
}

}  // namespace

int run_nat_agent(const std::vector<std::string>& arguments) {
  const char* const setup_key = std::getenv("NB_SETUP_KEY");
  if (arguments.size() < 2 || setup_key == nullptr) {
    std::fprintf(stderr, "want MANAGEMENT NAME [STUN]... and NB_SETUP_KEY\n");
    return 2;
  }
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  std::string seen = "stun";
  for (std::size_t i = 2; i < arguments.size(); ++i) seen += " " + mapped_address(fd, arguments[i]);
  ::close(fd);
  say(seen);

  asio::io_context home;
  crypto::SystemRandom random;
  client::Peer peer(home.get_executor(), crypto::PrivateKey::generate(random),
                    options(arguments[0], arguments[1]), Logger());
  peer.on_packet([](const std::string& from, std::string_view packet) {
    say("packet " + from + " " + std::string(packet));
  });
  int status = 1;
  asio::co_spawn(home, live(peer, setup_key), [&](const std::exception_ptr& thrown, int result) {
    status = thrown ? 1 : result;
    home.stop();
  });
  home.run();
  // The peer's tasks end with the process: nobody is left to await them.
  std::_Exit(status);
}

}  // namespace nb::test
