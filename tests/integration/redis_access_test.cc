// Passwords, ACL users, databases and TLS against a real server.
#include "integration/redis_harness.h"
#include "support/servers.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace nb::redis {
namespace {
using namespace std::chrono_literals;
using test::eventually;
using test::free_port;
using test::RedisServer;
using test::TempDir;

constexpr std::string_view kSecret = "s3cr3t-hunter2";

void write(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::trunc) << text;
}

/// Why it cannot connect: a call fails, and the log says the rest.
std::string first_error(TestClient& redis) {
  EXPECT_FALSE(redis.command({"PING"}));
  EXPECT_TRUE(eventually([&] {
    return redis.counted.log->text().find("redis cannot be reached") != std::string::npos;
  }));
  return redis.counted.log->text();
}

TEST(RedisAccess, Password) {
  RedisServer server({.arguments = {"--requirepass", std::string(kSecret)}});
  Options options = quick_options(server.port());
  options.password = Secret(std::string(kSecret));
  TestClient good(options);
  EXPECT_TRUE(good.command({"PING"}));
  EXPECT_EQ(good.counted.log->text().find(kSecret), std::string::npos);
}

TEST(RedisAccess, WrongAndMissingPasswordAreReportedWithoutIt) {
  RedisServer server({.arguments = {"--requirepass", "another"}});
  Options options = quick_options(server.port());
  {
    TestClient none(options);
    const std::string error = first_error(none);
    EXPECT_NE(error.find("NOAUTH"), std::string::npos) << error;
  }
  options.password = Secret(std::string(kSecret));
  TestClient wrong(options);
  const std::string error = first_error(wrong);
  EXPECT_NE(error.find("AUTH refused: WRONGPASS"), std::string::npos) << error;
  EXPECT_EQ(error.find(kSecret), std::string::npos) << error;
}

TEST(RedisAccess, PasswordForAServerWithoutOneIsReported) {
  RedisServer server;
  Options options = quick_options(server.port());
  options.password = Secret(std::string(kSecret));
  TestClient redis(options);
  const std::string error = first_error(redis);
  EXPECT_NE(error.find("the server has no password, but we have one"), std::string::npos) << error;
  EXPECT_EQ(error.find(kSecret), std::string::npos) << error;
}

TEST(RedisAccess, AclUserOfTheOperatorsPageIsEnough) {
  RedisServer server;
  // docs/redis.md
  EXPECT_EQ(
      server.cli({"ACL", "SETUSER", "netbird", "on", ">" + std::string(kSecret), "resetkeys",
                  "~nb:*", "resetchannels", "&nb:*", "+@all", "-@dangerous", "+role", "+info"}),
      "OK");
  Options options = quick_options(server.port());
  options.user = "netbird";
  options.password = Secret(std::string(kSecret));
  options.client_name = "netbird";
  TestSubscriber pubsub(options);
  ASSERT_TRUE(pubsub.subscribe("nb:c"));
  pubsub.start();
  ASSERT_TRUE(pubsub.wait_confirmed("nb:c"));
  TestClient redis(options);
  ASSERT_TRUE(redis.command({"SET", "nb:k", "v"}));
  EXPECT_EQ(redis.reply({"EVAL", "return redis.call('GET', KEYS[1])", "1", "nb:k"}).text, "v");
  EXPECT_EQ(redis.reply({"PUBLISH", "nb:c", "x"}).integer, 1);
  const auto outside = redis.command({"SET", "other", "v"});
  ASSERT_FALSE(outside);
  EXPECT_EQ(outside.error().code, Code::kPermissionDenied);
}

TEST(RedisAccess, ForbiddenChannelIsReportedAndRetried) {
  RedisServer server;
  server.cli(
      {"ACL", "SETUSER", "netbird", "on", ">pw", "~nb:*", "resetchannels", "&nb:*", "+@all"});
  Options options = quick_options(server.port());
  options.user = "netbird";
  options.password = Secret("pw");
  TestSubscriber pubsub(options);
  ASSERT_TRUE(pubsub.subscribe("other"));
  pubsub.start();
  ASSERT_TRUE(eventually([&] {
    return pubsub.counted.log->text().find("SUBSCRIBE refused: NOPERM") != std::string::npos;
  })) << pubsub.counted.log->text();
  server.cli({"ACL", "SETUSER", "netbird", "&other"});
  EXPECT_TRUE(pubsub.wait_confirmed("other"));
}

TEST(RedisAccess, PasswordFileIsReadAgainAtEachConnect) {
  TempDir dir;
  RedisServer server({.arguments = {"--requirepass", "first"}});
  write(dir / "password", "first\n");
  Options options = quick_options(server.port());
  options.password_file = dir / "password";
  TestClient redis(options);
  ASSERT_TRUE(redis.command({"PING"}));
  ASSERT_TRUE(redis.command({"CONFIG", "SET", "requirepass", "second"}));
  write(dir / "password", "second\n");
  ASSERT_TRUE(redis.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}));
  server.kill();
  write(dir / "password", "first");
  server.start();
  EXPECT_TRUE(redis.heals());
}

TEST(RedisAccess, MissingPasswordFileIsReportedAndWaitedFor) {
  TempDir dir;
  RedisServer server({.arguments = {"--requirepass", "first"}});
  Options options = quick_options(server.port());
  options.password_file = dir / "password";
  TestClient redis(options);
  EXPECT_NE(first_error(redis).find("password file"), std::string::npos);
  write(dir / "password", "first\n");
  EXPECT_TRUE(redis.heals());
}

TEST(RedisAccess, DatabaseAndClientName) {
  RedisServer server;
  Options options = quick_options(server.port());
  options.db = 5;
  options.client_name = "netbird-signal";
  TestClient redis(options);
  ASSERT_TRUE(redis.command({"SET", "k", "v"}));
  EXPECT_EQ(server.cli({"-n", "5", "GET", "k"}), "v");
  EXPECT_NE(server.cli({"CLIENT", "LIST"}).find("name=netbird-signal"), std::string::npos);
  options.db = 99;
  TestClient beyond(options);
  EXPECT_NE(first_error(beyond).find("SELECT refused"), std::string::npos);
}

/// A CA, a server certificate for 127.0.0.1 and "redis.test", and a client certificate.
struct Certificates {
  Certificates() {
    const auto openssl = [&](std::vector<std::string> args) {
      args.insert(args.begin(), "openssl");
      const auto done = test::run({.argv = args});
      if (done.status != 0) throw std::runtime_error(done.output);
    };
    for (const char* name : {"ca", "other-ca"}) {
      openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
               "-nodes", "-days", "2", "-subj", std::string("/CN=") + name, "-keyout",
               dir / (std::string(name) + ".key"), "-out", dir / (std::string(name) + ".pem")});
    }
    write(dir / "ext", "subjectAltName=IP:127.0.0.1,DNS:redis.test");
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
             "/CN=server", "-keyout", dir / "server.key", "-out", dir / "server.csr"});
    openssl({"x509", "-req", "-in", dir / "server.csr", "-CA", dir / "ca.pem", "-CAkey",
             dir / "ca.key", "-CAcreateserial", "-days", "2", "-extfile", dir / "ext", "-out",
             dir / "server.pem"});
  }
  TempDir dir;
};

class RedisTls : public testing::Test {
 protected:
  RedisTls() {
    std::vector<std::string> arguments = {"--tls-port",         std::to_string(port),
                                          "--tls-cert-file",    certificates.dir / "server.pem",
                                          "--tls-key-file",     certificates.dir / "server.key",
                                          "--tls-ca-cert-file", certificates.dir / "ca.pem",
                                          "--requirepass",      std::string(kSecret),
                                          "--tls-auth-clients", "optional"};
    server = std::make_unique<RedisServer>(test::RedisOptions{.arguments = arguments});
  }
  Options options() {
    Options made = quick_options(port);
    made.dial_timeout = 5s;
    made.stall_after = 4s;
    made.tls.enabled = true;
    made.tls.ca_file = certificates.dir / "ca.pem";
    made.password = Secret(std::string(kSecret));
    return made;
  }
  Certificates certificates;
  std::uint16_t port = free_port();
  std::unique_ptr<RedisServer> server;
};

TEST_F(RedisTls, CommandsAndBigRepliesTravelEncrypted) {
  TestClient redis(options());
  ASSERT_TRUE(redis.command({"SET", "k", std::string(3'000'000, 'x')}))
      << redis.counted.log->text();
  EXPECT_EQ(redis.reply({"GET", "k"}).text.size(), 3'000'000U);
  server->kill();
  ASSERT_TRUE(eventually([&] { return redis.down == 1; }));
  server->start();
  EXPECT_TRUE(redis.heals());
}

TEST_F(RedisTls, SubscriberTravelsEncrypted) {
  TestSubscriber pubsub(options());
  ASSERT_TRUE(pubsub.subscribe("c"));
  pubsub.start();
  ASSERT_TRUE(pubsub.wait_confirmed("c"));
  TestClient redis(options());
  EXPECT_EQ(redis.reply({"PUBLISH", "c", "hello"}).integer, 1);
  EXPECT_TRUE(pubsub.wait_message({"c", "hello"}));
}

TEST_F(RedisTls, CertificateOfAnUnknownCaIsRefused) {
  Options wrong = options();
  wrong.tls.ca_file = certificates.dir / "other-ca.pem";
  TestClient redis(wrong);
  EXPECT_NE(first_error(redis).find("TLS handshake"), std::string::npos);
  EXPECT_FALSE(redis.connected());
}

TEST_F(RedisTls, CertificateForAnotherNameIsRefused) {
  Options wrong = options();
  wrong.tls.server_name = "elsewhere.test";
  TestClient redis(wrong);
  EXPECT_NE(first_error(redis).find("TLS handshake"), std::string::npos);
  Options right = options();
  right.tls.server_name = "redis.test";
  TestClient named(right);
  EXPECT_TRUE(named.command({"PING"}));
}

TEST_F(RedisTls, UnreadableCaFileIsReported) {
  Options wrong = options();
  wrong.tls.ca_file = certificates.dir / "absent.pem";
  TestClient redis(wrong);
  EXPECT_NE(first_error(redis).find("absent.pem"), std::string::npos);
}

TEST_F(RedisTls, PlainServerBehindATlsClientFails) {
  Options wrong = options();
  wrong.address.port = server->port();
  wrong.dial_timeout = 500ms;
  TestClient redis(wrong);
  EXPECT_FALSE(redis.command({"PING"}));
}

}  // namespace
}  // namespace nb::redis
