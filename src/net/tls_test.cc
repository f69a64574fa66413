// TLS with ALPN, and certificates renewed while the server runs.
#include "net/test_certificate.h"
#include "net/testing.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

namespace nb::net {
namespace {
using testing::eventually;
using testing::TestCertificate;
using testing::TestServer;

/// What a client sees of one connection.
struct Seen {
  std::string common_name;
  std::string protocol;
  std::string answer;
};

/// What a balancer writes before the client's first byte.
struct Before {
  std::string bytes{};
  bool one_by_one = false;  // otherwise in one segment with the ClientHello
};

void send_before(int fd, const Before& before) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, before.one_by_one ? TCP_NODELAY : TCP_CORK, &on, sizeof on);
  const std::size_t step = before.one_by_one ? 1 : before.bytes.size();
  for (std::size_t at = 0; at < before.bytes.size(); at += step)
    send(fd, before.bytes.data() + at, step, MSG_NOSIGNAL);
}

Seen visit(std::uint16_t port, const std::string& protocols, const Before& before = {}) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Seen seen;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    if (!before.bytes.empty()) send_before(fd, before);
    SSL_set_fd(ssl, fd);
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(protocols.data()),
                        static_cast<unsigned>(protocols.size()));
    if (SSL_connect(ssl) == 1) {
      const unsigned char* chosen = nullptr;
      unsigned size = 0;
      SSL_get0_alpn_selected(ssl, &chosen, &size);
      seen.protocol.assign(reinterpret_cast<const char*>(chosen), size);
      X509* cert = SSL_get1_peer_certificate(ssl);
      char name[100] = "";
      X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
      seen.common_name = name;
      X509_free(cert);
      const std::string request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
      SSL_write(ssl, request.data(), static_cast<int>(request.size()));
      char buffer[4096];
      for (int got = 0; (got = SSL_read(ssl, buffer, sizeof buffer)) > 0;) {
        seen.answer.append(buffer, static_cast<std::size_t>(got));
      }
    }
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  close(fd);
  return seen;
}

void hello(GrpcRouter&, HttpRouter& http) {
  http.exact("/", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(200, request.tls ? std::string(200'000, 's') : "clear");
  });
}

ServerConfig tls(const TestCertificate& files) {
  ServerConfig config;
  config.tls_files = files.pair();
  config.listeners = {{.address = "127.0.0.1", .tls = true}};
  return config;
}

constexpr const char* kBoth = "\x02h2\x08http/1.1";
constexpr const char* kHttp1 = "\x08http/1.1";

TEST(Tls, OffersHttp2FirstAndServesHttp1) {
  const TestCertificate files;
  files.issue("first");
  const TestServer server(hello, tls(files));
  EXPECT_EQ(visit(server.port(), kBoth).protocol, "h2");
  const Seen seen = visit(server.port(), kHttp1);
  EXPECT_EQ(seen.protocol, "http/1.1");
  EXPECT_THAT(seen.answer, ::testing::StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(seen.answer, ::testing::EndsWith(std::string(200'000, 's')));
}

TEST(Tls, ANewPairIsTakenOverAndABrokenOneIsNot) {
  const TestCertificate files;
  files.issue("first");
  const TestServer server(hello, tls(files));
  EXPECT_EQ(visit(server.port(), kHttp1).common_name, "first");
  files.issue("second");
  EXPECT_TRUE(eventually([&] { return visit(server.port(), kHttp1).common_name == "second"; }));
  std::ofstream(files.pair().cert_file) << "not a certificate";
  EXPECT_TRUE(eventually([&] { return server.metric("netbird_net_tls_reload_errors_total") > 0; }));
  EXPECT_EQ(visit(server.port(), kHttp1).common_name, "second");
  files.issue("third");
  EXPECT_TRUE(eventually([&] { return visit(server.port(), kHttp1).common_name == "third"; }));
}

TEST(Tls, ClearTextOnATlsPortIsClosed) {
  const TestCertificate files;
  files.issue("first");
  const TestServer server(hello, tls(files));
  testing::RawClient client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "tls"), 1);
}

/// 192.0.2.7:4711 to 198.51.100.1:443 (proxy-protocol.txt §2.2), with an extension of 200 bytes.
std::string proxy_header() {
  std::string out("\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\xd7", 16);
  out.append("\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x01\xbb", 12);
  return out.append("\x04\x00\xc8", 3).append(200, '\0');
}

ServerConfig tls_behind(const TestCertificate& files, const std::string& balancer) {
  ServerConfig config = tls(files);
  config.trusted_proxies = {balancer};
  return config;
}

void name_client(GrpcRouter&, HttpRouter& http) {
  http.exact("/", [](HttpRequest request) -> boost::asio::awaitable<HttpResponse> {
    co_return HttpResponse::text(
        200, fmt::format("<{} {} {}>", request.client.ip, request.client.port, request.tls));
  });
}

TEST(Tls, AProxyHeaderComesBeforeTheHandshake) {
  const TestCertificate files;
  files.issue("first");
  const TestServer server(name_client, tls_behind(files, "127.0.0.1/32"));
  for (const bool one_by_one : {false, true}) {
    const Seen seen = visit(server.port(), kHttp1, {proxy_header(), one_by_one});
    EXPECT_EQ(seen.common_name, "first");
    EXPECT_THAT(seen.answer, ::testing::EndsWith("<192.0.2.7 4711 true>")) << one_by_one;
    EXPECT_EQ(visit(server.port(), kBoth, {proxy_header(), one_by_one}).protocol, "h2");
  }
  // A balancer that writes none, and one that asks for itself.
  EXPECT_THAT(visit(server.port(), kHttp1).answer, ::testing::HasSubstr("<127.0.0.1 "));
  const std::string own("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16);
  EXPECT_THAT(visit(server.port(), kHttp1, {own}).answer, ::testing::HasSubstr("<127.0.0.1 "));
}

TEST(Tls, AProxyHeaderOfAStrangerIsNoHandshake) {
  const TestCertificate files;
  files.issue("first");
  const TestServer server(name_client, tls_behind(files, "10.0.0.0/8"));
  EXPECT_EQ(visit(server.port(), kHttp1, {proxy_header()}).answer, "");
  EXPECT_EQ(server.metric("netbird_net_connections_closed_total", "tls"), 1);
}

TEST(Tls, AMissingOrForeignKeyStopsTheStart) {
  const TestCertificate files;
  files.issue("first");
  const TestCertificate others;
  others.issue("other");
  LoopPool loops(1);
  prometheus::Registry registry;
  ServerConfig config = tls(files);
  config.tls_files.key_file = others.pair().key_file;
  EXPECT_EQ(Server(loops, nullptr, nullptr, config, registry, {}).start().error().code,
            Code::kInvalidArgument);
  config.tls_files.key_file = "/nonexistent";
  EXPECT_EQ(Server(loops, nullptr, nullptr, config, registry, {}).start().error().code,
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace nb::net
