// One netbird-signal without Redis, as official clients see it (contract/signal-relay-ops.md §1).
#include "signal_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

class SignalSingle : public testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new SignalServer(); }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  static SignalServer& server() { return *server_; }

 private:
  static SignalServer* server_;
};
SignalServer* SignalSingle::server_ = nullptr;

TEST_F(SignalSingle, MessageReachesThePeerUnchanged) {
  SignalPeer alice(server().address(), "alice-1");
  SignalPeer bob(server().address(), "bob-1");
  ASSERT_TRUE(alice.registered() && bob.registered());
  const EncryptedMessage sent = message("alice-1", "bob-1", std::string("\0\xff sealed", 9));
  ASSERT_TRUE(send(alice.channel(), sent).ok());
  ASSERT_TRUE(bob.received(1));
  EXPECT_EQ(bob.messages()[0].SerializeAsString(), sent.SerializeAsString());
  EXPECT_EQ(alice.count(), 0U);
}

TEST_F(SignalSingle, HeadersComeBeforeAnyMessage) {
  SignalPeer peer(server().address(), "early");
  EXPECT_TRUE(peer.registered(2s));
}

TEST_F(SignalSingle, MissingIdIsAFailedPrecondition) {
  SignalPeer peer(server().address(), "");
  const auto status = peer.ended(patient(5s));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_GE(server().metric("registration_failures_total{error=\"missing_id\"}"), 1);
}

TEST_F(SignalSingle, HalfCloseDoesNotEndTheStream) {
  SignalPeer peer(signal_channel(server().address()), "half", {.half_close = true});
  ASSERT_TRUE(peer.registered());
  EXPECT_FALSE(peer.ended(300ms));
  ASSERT_TRUE(send(peer.channel(), message("x", "half", "still here")).ok());
  EXPECT_TRUE(peer.got("still here"));
}

TEST_F(SignalSingle, AbsentPeerIsAnsweredOkAtOnce) {
  const auto result = send(signal_channel(server().address()), message("x", "nobody", "m"));
  EXPECT_TRUE(result.ok());
  EXPECT_LT(result.took, patient(500ms));
}

TEST_F(SignalSingle, DummyProbeIsAnsweredOk) {
  const double before = server().metric("message_forward_failures_total{type=\"not_connected\"}");
  EXPECT_TRUE(send(signal_channel(server().address()), message("x", "dummy", "")).ok());
  EXPECT_EQ(server().metric("message_forward_failures_total{type=\"not_connected\"}"), before);
}

TEST_F(SignalSingle, SelfAddressedHeartbeatComesBack) {
  SignalPeer peer(server().address(), "self");
  ASSERT_TRUE(peer.registered());
  ASSERT_TRUE(send(peer.channel(), message("self", "self", "beat")).ok());
  EXPECT_TRUE(peer.got("beat"));
}

TEST_F(SignalSingle, NewerStreamEndsTheOlderWithUnknown) {
  SignalPeer old(server().address(), "twice");
  ASSERT_TRUE(old.registered());
  SignalPeer fresh(server().address(), "twice");
  ASSERT_TRUE(fresh.registered());
  const auto status = old.ended(patient(5s));
  ASSERT_TRUE(status);
  EXPECT_EQ(status->error_code(), grpc::StatusCode::UNKNOWN);
  ASSERT_TRUE(send(fresh.channel(), message("x", "twice", "to the new one")).ok());
  EXPECT_TRUE(fresh.got("to the new one"));
}

TEST_F(SignalSingle, OversizedMessageIsRefused) {
  const auto result =
      send(signal_channel(server().address()), message("x", "nobody", std::string(70'000, 'x')));
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(SignalSingle, TenThousandMessagesArriveOnceAndInOrder) {
  SignalPeer peer(server().address(), "counter");
  ASSERT_TRUE(peer.registered());
  const auto channel = signal_channel(server().address());
  constexpr std::size_t kMessages = 10'000;
  for (std::size_t i = 0; i < kMessages; ++i)
    ASSERT_TRUE(send(channel, message("x", "counter", std::to_string(i))).ok());
  ASSERT_TRUE(peer.received(kMessages));
  const auto messages = peer.messages();
  ASSERT_EQ(messages.size(), kMessages);
  for (std::size_t i = 0; i < kMessages; ++i) ASSERT_EQ(messages[i].body(), std::to_string(i));
}

TEST_F(SignalSingle, StalledPeerIsBoundedAndItsSendersAreTold) {
  SignalServer own({.instance = "stall", .env = {{"NB_SIGNAL_SEND_TIMEOUT", "2s"}}});
  SignalPeer slow(signal_channel(own.address()), "slow", {.paused = true});
  ASSERT_TRUE(slow.registered());
  const std::string body(60'000, 'x');
  int ok = 0;
  int told = 0;
  std::vector<std::thread> senders;
  std::mutex mutex;
  for (int t = 0; t < 64; ++t) {
    senders.emplace_back([&] {
      const auto channel = signal_channel(own.address());
      for (int i = 0; i < 3; ++i) {
        const auto result = send(channel, message("x", "slow", body), 15s);
        const std::lock_guard lock(mutex);
        ++(result.ok() ? ok : told);
        if (!result.ok()) {
          EXPECT_THAT(
              result.status.error_code(),
              testing::AnyOf(grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::UNAVAILABLE));
        }
      }
    });
  }
  for (auto& sender : senders) sender.join();
  EXPECT_GT(told, 0);
  EXPECT_GE(own.metric("message_forward_failures_total{type=\"timeout\"}") +
                own.metric("nb_signal_queue_dropped_total{queue=\"peer\"}"),
            1);
  EXPECT_TRUE(eventually([&] { return own.metric("nb_signal_queue_messages") == 0; }));
  const auto status = slow.ended(5s);
  slow.resume();
  EXPECT_TRUE(status || slow.ended(5s)) << "the slow peer has to reconnect";
}

TEST_F(SignalSingle, MetricsOfTheContractAreThere) {
  const std::string page = http_get(server().metrics_port(), "/metrics").body;
  for (const char* name : {"active_peers",
                           "peer_connection_duration_seconds_bucket",
                           "registrations_total",
                           "deregistrations_total",
                           "registration_failures_total",
                           "registration_delay_milliseconds_bucket",
                           "get_registration_delay_milliseconds_bucket",
                           "messages_forwarded_total",
                           "message_forward_failures_total",
                           "message_forward_latency_milliseconds_bucket",
                           "message_size_bytes_bucket",
                           "message_forward_cross_instance_total",
                           "redis_unavailable_errors_total",
                           "registry_hit_local_total",
                           "registry_miss_local_total",
                           "nb_build_info",
                           "nb_instance_peers",
                           "nb_registry_repairs_total",
                           "nb_signal_queue_dropped_total",
                           "rpc_server_duration_milliseconds_bucket",
                           "rpc_server_requests_per_rpc_bucket",
                           "wsproxy_active_connections"})
    EXPECT_NE(page.find(std::string("\n") + name), std::string::npos) << name;
}

TEST(SignalProcess, TermEndsStreamsUnavailableAndExitsInTime) {
  SignalServer server({.env = {{"NB_DRAIN_DELAY", "300ms"}}});
  std::vector<std::unique_ptr<SignalPeer>> peers;
  for (int i = 0; i < 20; ++i) {
    peers.push_back(std::make_unique<SignalPeer>(server.address(), "p" + std::to_string(i)));
    ASSERT_TRUE(peers.back()->registered());
  }
  server.process().signal(SIGTERM);
  EXPECT_TRUE(
      eventually([&] { return http_get(server.metrics_port(), "/readyz").status == 503; }, 2s));
  for (auto& peer : peers) {
    const auto status = peer->ended(patient(8s));
    ASSERT_TRUE(status);
    EXPECT_EQ(status->error_code(), grpc::StatusCode::UNAVAILABLE) << status->error_message();
  }
  EXPECT_EQ(server.process().wait(10s), 0);
}

TEST(SignalProcess, RestartServesWithinFiveSeconds) {
  SignalServer server;
  server.kill();
  const auto start = std::chrono::steady_clock::now();
  server.start();
  EXPECT_LT(std::chrono::steady_clock::now() - start, patient(5s));
  EXPECT_EQ(http_get(server.metrics_port(), "/metrics").status, 200);
}

}  // namespace
}  // namespace nb::test
