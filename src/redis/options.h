// How to reach Redis: one server or Sentinels, TLS, who we are, and the limits on what we accept.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nb::redis {

struct Address {
  std::string host;
  std::uint16_t port = 6379;
  friend bool operator==(const Address&, const Address&) = default;
};

struct TlsOptions {
  bool enabled = false;
  std::string ca_file;    // PEM; empty: the system's certificates
  std::string cert_file;  // PEM, with key_file: our own certificate, if the server wants one
  std::string key_file;
  std::string server_name;  // empty: the host that is dialled
};

struct Options {
  Address address{"localhost", 6379};
  /// Not empty: `address` is unused, the master called sentinel_master is asked of these, in order.
  std::vector<Address> sentinels;
  std::string sentinel_master = "mymaster";
  std::string sentinel_user;
  Secret sentinel_password;

  std::string user;  // ACL user; empty: "default"
  Secret password;
  std::string password_file;  // read at every connect, so a rotated password needs no restart
  int db = 0;
  TlsOptions tls;           // for Redis and for Sentinels
  std::string client_name;  // CLIENT SETNAME; empty: none

  std::chrono::milliseconds dial_timeout{5'000};  // name, TCP, TLS and greeting together
  std::chrono::milliseconds read_timeout{
      3'000};  // silence with a command outstanding ends the connection
  std::chrono::milliseconds write_timeout{3'000};
  /// Silence with a command outstanding for this long: new commands fail at once until it answers.
  std::chrono::milliseconds stall_after{500};
  /// An idle connection is probed this often, so that a dead one is known before it is needed.
  std::chrono::milliseconds ping_interval{2'000};
  std::chrono::milliseconds backoff_min{50};
  std::chrono::milliseconds backoff_max{1'000};  // bounds how late we notice that Redis is back

  std::size_t pending_commands_max = 65'536;  // queued or unanswered, then kResourceExhausted
  std::size_t pending_bytes_max = 64 * 1024 * 1024;  // bytes not yet written
  std::size_t reply_bytes_max = 64 * 1024 * 1024;    // one reply
  std::size_t reply_items_max = 1'000'000;           // elements in one reply, nested ones included
};

/// Fills the address part of `options` from "host", "host:port", "[v6]:port" or
/// "redis[s]://[[user]:password@]host[:port][/db]" (user and password percent-encoded;
/// query db=N is accepted too).
/// Errors   kInvalidArgument; the text never shows the password.
/// Source   contract/signal-relay-ops.md §6.4
Result<> apply_url(Options& options, std::string_view text);

/// "host:port,host:port,…" (default port 26379).
Result<std::vector<Address>> parse_sentinels(std::string_view text);

}  // namespace nb::redis
