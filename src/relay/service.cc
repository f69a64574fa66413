#include "relay/service.h"

#include "base/assert.h"
#include "net/event_loop.h"
#include "relay/peer_connection.h"
#include "relay/shard.h"
#include "relay/shared.h"

#include <utility>

namespace nb::relay {

namespace {
constexpr auto kSweepInterval = std::chrono::seconds(5);

net::EventLoop& event_loop(net::LoopPool& loops, std::size_t index) {
  return static_cast<net::EventLoop&>(loops.at(index));
}
}  // namespace

class Service::Sweeper final : private net::Timer {
 public:
  Sweeper(net::EventLoop& loop, Shard& shard) : loop_(loop), shard_(shard) {}
  ~Sweeper() override { loop_.cancel(*this); }
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;
  void begin() { loop_.arm(*this, std::chrono::steady_clock::now() + kSweepInterval); }

 private:
  void on_timer(Instant now) override {
    shard_.sweep(now);
    loop_.arm(*this, now + kSweepInterval);
  }
  net::EventLoop& loop_;
  Shard& shard_;
};

Service::Service(net::LoopPool& loops, Options options, crypto::RelayTokens tokens,
                 RelayMetrics& metrics, const Clock& clock, Logger log)
    : shared_(std::make_unique<Shared>(std::move(options), std::move(tokens), metrics, clock,
                                       std::move(log))),
      loops_(loops) {
  NB_ASSERT(!shared_->options.instance_url.empty());
  shared_->shards.resize(loops.size());
  for (std::size_t i = 0; i < loops.size(); ++i) {
    shards_.push_back(std::make_unique<Shard>(event_loop(loops, i), *shared_));
    shared_->shards[i] = shards_.back().get();
    sweepers_.push_back(std::make_unique<Sweeper>(event_loop(loops, i), *shards_.back()));
  }
}

Service::~Service() = default;

void Service::add_to(net::HttpRouter& router) {
  router.websocket(
      "/relay", {.message_bytes_max = kMessageMax, .make = [this](net::WebSocketChannel& channel) {
                   return serve(channel, Transport::kWebSocket);
                 }});
}

std::unique_ptr<net::WebSocketEndpoint> Service::serve(net::WebSocketChannel& channel,
                                                       Transport transport) {
  return std::make_unique<PeerConnection>(channel, *shards_[channel.loop().index()], transport);
}

void Service::start() {
  for (std::size_t i = 0; i < loops_.size(); ++i)
    loops_.at(i).post([this, i] { sweepers_[i]->begin(); });
}

std::size_t Service::peers() const {
  return shared_->peers.load();
}

}  // namespace nb::relay
