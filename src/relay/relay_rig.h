// For the tests of relay/: a relay on loopback in this process.
#pragma once

#include "base/clock.h"
#include "net/server.h"
#include "relay/raw_peer.h"
#include "relay/service.h"

#include <cstddef>
#include <memory>
#include <string_view>

namespace nb::relay::testing {

inline constexpr std::string_view kUrl = "rel://relay.test:1";

struct Rig : RelayAt {
  explicit Rig(Options options = {}, std::size_t loops = 2);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  SystemClock clock;
  MetricRegistry registry;
  RelayMetrics metrics{registry};
  net::LoopPool loops;
  Service service;
  std::unique_ptr<net::Server> server;
};

}  // namespace nb::relay::testing
