// Agents behind routers that translate addresses, each in a network namespace of its own: what they
// send each other goes through relays, whatever the router does to UDP, and goes on while each
// server is killed. Issue 6 §4.
//
// This process is the internet: it moves into a fresh namespace, where the servers run.
//
//   servers 198.51.100.1 ── 203.0.113.x router 10.0.0.1 ── 10.0.0.2 agent     (twice, the same
//   10/24)
#include "integration/mgmt_harness.h"
#include "nat_agent.h"
#include "relay_server.h"
#include "signal_server.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <sstream>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

constexpr auto kServers = "198.51.100.1";

enum class Router : std::uint8_t { kCone, kSymmetric, kNoUdp };

void shell(const std::string& script) {
  const Finished done = run({.argv = {"/bin/sh", "-ec", script}});
  ASSERT_EQ(done.status, 0) << script << "\n" << done.output;
}

/// A network namespace without a name, held by a process in it.
class Namespace {
 public:
  Namespace() {
    const auto own = std::filesystem::read_symlink("/proc/self/ns/net");
    const std::string link = "/proc/" + pid() + "/ns/net";
    EXPECT_TRUE(eventually([&] {
      std::error_code gone;
      const auto theirs = std::filesystem::read_symlink(link, gone);
      return !gone && theirs != own;
    }));
  }
  [[nodiscard]] std::string pid() const { return std::to_string(holder_.pid()); }
  void shell(const std::string& script) const {
    const Finished done = run({.argv = {"nsenter", "-t", pid(), "-n", "/bin/sh", "-ec", script}});
    ASSERT_EQ(done.status, 0) << script << "\n" << done.output;
  }

 private:
  Process holder_{Command{.argv = {"unshare", "-n", "sleep", "infinity"}}};
};

/// A router and the agent behind it.
class Site {
 public:
  Site(int number, Router kind) : number_(number) {
    const std::string net = "203.0.113.";
    const int base = 4 * number;
    const std::string cable = "site" + std::to_string(number);
    test::shell("ip link add " + cable + " type veth peer name wan netns " + router_.pid() +
                "\nip addr add " + net + std::to_string(base + 1) + "/30 dev " + cable +
                "\nip link set " + cable + " up\nip link add lan netns " + router_.pid() +
                " type veth peer name eth0 netns " + inside_.pid());
    std::string rules =
        "ip link set lo up; ip link set wan up; ip link set lan up\n"
        "ip addr add " +
        address() +
        "/30 dev wan; ip addr add 10.0.0.1/24 dev lan\n"
        "ip route add default via " +
        net + std::to_string(base + 1) +
        "\nsysctl -qw net.ipv4.ip_forward=1\n"
        "iptables -A FORWARD -i wan -m conntrack --ctstate NEW,INVALID -j DROP\n"
        "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE";
    if (kind == Router::kSymmetric) rules += " --random-fully";
    if (kind == Router::kNoUdp) rules += "\niptables -A FORWARD -p udp -j DROP";
    router_.shell(rules);
    inside_.shell(
        "ip link set lo up; ip link set eth0 up; ip addr add 10.0.0.2/24 dev eth0\n"
        "ip route add default via 10.0.0.1");
  }
  /// Of the router, as the internet sees it.
  [[nodiscard]] std::string address() const {
    return "203.0.113." + std::to_string(4 * number_ + 2);
  }
  void start(const std::string& setup_key, const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {
        "nsenter", "-t", inside_.pid(), "-n", std::filesystem::read_symlink("/proc/self/exe"),
        "agent"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    agent_ = std::make_unique<Process>(
        Command{.argv = std::move(argv), .env = {{"NB_SETUP_KEY", setup_key}}});
    ASSERT_TRUE(agent_->wait_for_output("joined ", patient(60s))) << agent_->output();
    key_ = word_after("joined ");
  }
  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] std::string output() const { return agent_->output(); }
  [[nodiscard]] std::string stun() const { return word_after("stun ", '\n'); }
  /// Instance URL; "-": none now.
  [[nodiscard]] std::string relay_to(const Site& other) const {
    return word_after("link " + other.key_ + " ");
  }
  /// Numbers of the packets that came.
  [[nodiscard]] std::vector<std::uint64_t> from(const Site& other) const {
    std::vector<std::uint64_t> out;
    std::istringstream lines(agent_->output());
    const std::string head = "packet " + other.key_ + " ";
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(head)) out.push_back(std::stoull(line.substr(head.size())));
    return out;
  }

 private:
  /// What stands behind the last `head`.
  [[nodiscard]] std::string word_after(const std::string& head, char end = '\n') const {
    const std::string all = agent_->output();
    const auto at = all.rfind(head);
    if (at == std::string::npos) return {};
    return all.substr(at + head.size(), all.find(end, at) - at - head.size());
  }

  const int number_;
  Namespace router_;
  Namespace inside_;
  std::unique_ptr<Process> agent_;
  std::string key_;
};

class BehindRouters : public ::testing::TestWithParam<Router> {
 protected:
  static void SetUpTestSuite() {
    // Before anything here has started a thread: namespaces belong to threads.
    if (::unshare(CLONE_NEWNET) != 0) return;
    moved_ = true;
    // The servers of the harness listen on 127.0.0.1; from outside they are at a public address.
    shell("ip link set lo up; ip addr add " + std::string(kServers) +
          "/32 dev lo\n"
          "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1\n"
          "iptables -t nat -A PREROUTING -p tcp -d " +
          kServers + " -j DNAT --to-destination 127.0.0.1");
  }
  void SetUp() override {
    if (!moved_) GTEST_SKIP() << "network namespaces need root";
  }
  static bool moved_;
};
bool BehindRouters::moved_ = false;

std::string public_url(std::uint16_t port) {
  return "rel://" + std::string(kServers) + ":" + std::to_string(port);
}

/// Packets sent after now arrive, both ways, and nothing arrives twice or out of order.
void expect_traffic(const Site& a, const Site& b) {
  constexpr std::size_t kMore = 10;
  const std::size_t at_a = a.from(b).size();
  const std::size_t at_b = b.from(a).size();
  EXPECT_TRUE(eventually(
      [&] { return a.from(b).size() >= at_a + kMore && b.from(a).size() >= at_b + kMore; }, 60s))
      << a.output().substr(0, 3'000) << "\n----\n"
      << b.output().substr(0, 3'000);
  for (const auto& numbers : {a.from(b), b.from(a)})
    EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal<>()),
              numbers.end());
}

TEST_P(BehindRouters, PacketsGoThroughRelaysWhileEachServerIsKilled) {
  const std::array stun_ports = {free_port(), free_port()};
  const auto relay = [&](std::uint16_t port, std::vector<std::string> arguments) {
    return RelayServerOptions{.exposed = public_url(port),
                              .arguments = std::move(arguments),
                              .any_address = true,
                              .port = port};
  };
  RelayServer one(
      relay(free_port(), {"--enable-stun", "--stun-ports",
                          std::to_string(stun_ports[0]) + "," + std::to_string(stun_ports[1])}));
  RelayServer two(relay(free_port(), {}));
  SignalServer signal;
  MgmtServer management({.json = R"("Relay": {"Addresses": [")" + one.url() + R"(", ")" +
                                 two.url() + R"("], "Secret": "relay-secret"},)",
                         .signal = std::string(kServers) + ":" + std::to_string(signal.port())});
  management.start();
  const std::string setup_key = management.setup_key({"--type", "reusable"});

  Site a(1, GetParam());
  Site b(2, GetParam());
  const std::string at = std::string(kServers) + ":";
  for (Site* site : {&a, &b})
    site->start(setup_key,
                {at + std::to_string(management.port()), "agent",
                 at + std::to_string(stun_ports[0]), at + std::to_string(stun_ports[1])});

  // The routers do what the test says they do.
  for (const Site* site : {&a, &b}) {
    std::istringstream words(site->stun());
    std::string first;
    std::string second;
    words >> first >> second;
    if (GetParam() == Router::kNoUdp) {
      EXPECT_EQ(site->stun(), "none none");
      continue;
    }
    EXPECT_TRUE(first.starts_with(site->address() + ":")) << site->stun();
    if (GetParam() == Router::kSymmetric)
      EXPECT_NE(first, second) << "a port for each destination";
    else
      EXPECT_EQ(first, second);
  }

  expect_traffic(a, b);
  RelayServer& used = a.relay_to(b) == one.url() ? one : two;
  const std::string other = &used == &one ? two.url() : one.url();
  EXPECT_EQ(a.relay_to(b), used.url());
  used.process().kill();
  EXPECT_TRUE(eventually([&] { return a.relay_to(b) == other && b.relay_to(a) == other; }, 60s));
  expect_traffic(a, b);
  used.process().start();
  ASSERT_TRUE(used.ready_within(15s));

  signal.kill();
  expect_traffic(a, b);
  signal.restart();
  management.process().kill();
  expect_traffic(a, b);
  management.start();

  // And the relay they are on now, after all the others have been away.
  (&used == &one ? two : one).process().kill();
  EXPECT_TRUE(
      eventually([&] { return a.relay_to(b) == used.url() && b.relay_to(a) == used.url(); }, 60s));
  expect_traffic(a, b);
}

std::string name_of(const ::testing::TestParamInfo<Router>& router) {
  switch (router.param) {
    case Router::kCone:
      return "Cone";
    case Router::kSymmetric:
      return "Symmetric";
    case Router::kNoUdp:
      return "NoUdp";
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(Routers, BehindRouters,
                         ::testing::Values(Router::kCone, Router::kSymmetric, Router::kNoUdp),
                         name_of);

}  // namespace
}  // namespace nb::test

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "agent")
    return nb::test::run_nat_agent({argv + 2, argv + argc});
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
