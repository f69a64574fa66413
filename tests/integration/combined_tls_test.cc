// netbird-server with certificate files: gRPC, REST and the relay over its one TLS port, and
// certificates that are renewed while it serves.
#include "integration/combined_server.h"
#include "integration/headless_peer.h"
#include "support/certificate.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<HeadlessPeer> join(const CombinedServer& server, const std::string& key,
                                   const std::string& name, const std::string& ca_file) {
  client::PeerOptions options = HeadlessPeer::quick(server.target(), name);
  options.management.tls = true;
  options.management.ca_file = ca_file;
  options.relay.ca_file = ca_file;
  auto peer = std::make_unique<HeadlessPeer>(std::move(options));
  const auto joined = peer->join(key);
  return joined ? std::move(peer) : nullptr;
}

/// What curl says of GET `path`: the status; 0: no TLS connection that `ca_file` vouches for.
int status_of(const CombinedServer& server, const std::string& path, const std::string& ca_file) {
  const Finished done = run({.argv = {"curl", "-sS", "--noproxy", "*", "--cacert", ca_file, "-o",
                                      "/dev/null", "-w", "%{http_code}", server.url() + path}});
  return done.status == 0 ? std::stoi(done.output) : 0;
}

TEST(CombinedTls, EverythingGoesOverOnePortAndCertificatesAreRenewedLive) {
  CombinedServer server({.tls = true});
  server.start();
  const TempDir known;
  const std::string old_ca = known / "old.pem";
  std::filesystem::copy_file(server.cert_file(), old_ca);
  const std::string key = server.setup_key();

  // Management (login, Sync), signal (offers) and the relay (packets), all of them over TLS.
  const auto a = join(server, key, "a", old_ca);
  const auto b = join(server, key, "b", old_ca);
  ASSERT_TRUE(a && b) << server.process().output();
  ASSERT_TRUE(a->hears(*b) && b->hears(*a));
  EXPECT_EQ(a->relay_of(*b), "rels://" + server.target());
  EXPECT_EQ(status_of(server, "/api/peers", old_ca), 401);
  EXPECT_EQ(status_of(server, "/oauth2/.well-known/openid-configuration", old_ca), 200);

  // Clear text gets nowhere.
  EXPECT_EQ(http_get(server.port(), "/oauth2/.well-known/openid-configuration").status, 0);
  auto plain = std::make_unique<HeadlessPeer>(HeadlessPeer::quick(server.target(), "plain"));
  EXPECT_FALSE(plain->join(key));

  // Another certificate: whoever trusts only that one gets in, whoever is in stays.
  make_certificate(server.cert_file(), server.key_file());
  const std::string new_ca = server.cert_file();
  ASSERT_TRUE(eventually([&] { return status_of(server, "/api/peers", new_ca) == 401; }, 60s));
  EXPECT_EQ(status_of(server, "/api/peers", old_ca), 0);
  const auto c = join(server, key, "c", new_ca);
  ASSERT_TRUE(c) << server.process().output();
  ASSERT_TRUE(c->hears(*a) && a->hears(*c)) << "old connections work beside new ones";
  EXPECT_TRUE(a->hears(*b) && b->hears(*a));
  EXPECT_FALSE(join(server, key, "d", old_ca));

  // A key that does not fit, as in the middle of a careless renewal: the last good pair serves on.
  const TempDir other;
  make_certificate(other / "cert.pem", other / "key.pem");
  const std::string kept = known / "new.pem";
  std::filesystem::copy_file(server.cert_file(), kept);
  std::filesystem::copy_file(other / "cert.pem", known / "swapped.pem");
  std::filesystem::rename(known / "swapped.pem", server.cert_file());
  EXPECT_TRUE(server.process().wait_for_output("new TLS files cannot be used", 60s));
  EXPECT_EQ(status_of(server, "/api/peers", kept), 401);
  EXPECT_TRUE(a->hears(*c));
}

}  // namespace
}  // namespace nb::test
