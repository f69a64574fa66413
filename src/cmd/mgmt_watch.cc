#include "cmd/mgmt_watch.h"

#include <chrono>
#include <utility>
#include <vector>

namespace nb::cmd {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kPing = 1s;  // readiness follows the database this fast
constexpr auto kPingDeadline = 3s;
constexpr auto kQuestion = 30s;

}  // namespace

void MgmtWatch::start(TaskGroup& tasks) {
  tasks.spawn(store());
  tasks.spawn(keys());
}

asio::awaitable<void> MgmtWatch::store() {
  MgmtCore& core = ports_.core;
  for (;;) {
    const auto alive = co_await core.store().ping(core.clock().now() + kPingDeadline);
    if (alive)
      ports_.store.set(HealthState::kOk);
    else
      ports_.store.set(HealthState::kDown, alive.error().text);
    co_await core.clock().sleep_for(kPing);
  }
}

asio::awaitable<void> MgmtWatch::keys() {
  MgmtCore& core = ports_.core;
  const auto interval = ports_.config.ha.server_key_look();
  for (;;) {
    co_await core.clock().sleep_for(interval);
    const auto known = ports_.keys.keys();
    management::ServerKeyPair current{known->front().public_text, known->front().secret.base64()};
    const auto stored =
        co_await core.store().server_keys(core.clock().now() + kQuestion, std::move(current));
    if (!stored || stored->current.public_key == known->front().public_text) continue;
    const auto fresh = crypto::PrivateKey::parse(stored->current.private_key.reveal());
    if (!fresh) continue;
    // Taken at once, told to agents only when every instance has looked and takes it, too.
    std::vector<crypto::PrivateKey> secrets{known->front().secret, *fresh};
    ignore(ports_.keys.set(std::move(secrets)), "not empty");
    co_await core.clock().sleep_for(interval);
    // What running streams were opened with stays good as the previous key.
    secrets = {*fresh, known->front().secret};
    ignore(ports_.keys.set(std::move(secrets)), "not empty");
    log_.info("server key was rotated");
  }
}

}  // namespace nb::cmd
