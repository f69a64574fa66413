#include "signal/service.h"

#include "net/event_loop.h"

#include <algorithm>
#include <future>
#include <thread>
#include <utility>

namespace nb::signal {
namespace {

constexpr std::chrono::milliseconds kCheckInterval{1'000};
constexpr std::chrono::milliseconds kDrainStep{50};

/// Runs `work` on the loop and waits for its result; the loop must be running.
template <class Work>
auto on_loop(net::Loop& loop, Work work) {
  auto done = std::make_shared<std::promise<decltype(work())>>();
  auto result = done->get_future();
  loop.post([done, work = std::move(work)]() mutable { done->set_value(work()); });
  return result;
}

}  // namespace

class Service::Checker final : private net::Timer {
 public:
  Checker(net::EventLoop& loop, Shard& shard) : loop_(loop), shard_(shard) {}
  ~Checker() override { loop_.cancel(*this); }
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;
  void begin() { loop_.arm(*this, std::chrono::steady_clock::now() + kCheckInterval); }

 private:
  void on_timer(Instant now) override {
    shard_.check_stalled();
    loop_.arm(*this, now + kCheckInterval);
  }
  net::EventLoop& loop_;
  Shard& shard_;
};

Service::Service(net::LoopPool& loops, Options options, SignalMetrics& metrics, const Clock& clock,
                 Logger log)
    : loops_(loops), context_(options, metrics, clock, std::move(log)) {
  for (std::size_t i = 0; i < loops.size(); ++i) {
    context_.mail_bytes.push_back(std::make_unique<std::atomic<std::size_t>>(0));
    shards_.push_back(std::make_unique<Shard>(loops.at(i), context_));
  }
  context_.post_shard = [this](std::uint32_t loop, std::vector<ShardMail> mail) {
    loops_.at(loop).post([shard = shards_[loop].get(),
                          mail = std::make_shared<std::vector<ShardMail>>(std::move(mail))] {
      shard->receive(std::move(*mail));
    });
  };
}

Service::~Service() = default;

void Service::use_home(std::function<void(std::vector<HomeMail>)> receive) {
  const auto shared =
      std::make_shared<const std::function<void(std::vector<HomeMail>)>>(std::move(receive));
  context_.post_home = [this, shared](std::vector<HomeMail> mail) {
    net::Loop& home = loops_.at(0);
    if (home.running_here()) return (*shared)(std::move(mail));
    home.post([shared, mail = std::make_shared<std::vector<HomeMail>>(std::move(mail))] {
      (*shared)(std::move(*mail));
    });
  };
}

Shard& Service::shard_of(net::GrpcCall& call) {
  return *shards_[call.loop().index()];
}

void Service::flapped(std::string_view peer) {
  const std::lock_guard lock(context_.throttle_mutex);
  context_.throttle.replaced(peer, context_.clock.now());
}

void Service::add_to(net::GrpcRouter& router) {
  router.unary("/signalexchange.SignalExchange/Send",
               [this](net::GrpcCall& call, std::string_view request) {
                 shard_of(call).send(call, request);
               });
  router.stream("/signalexchange.SignalExchange/ConnectStream",
                [this](net::GrpcCall& call) { return shard_of(call).connect(call); });
}

void Service::start() {
  // All of them before any loop looks: the loops run already.
  for (std::size_t i = 0; i < shards_.size(); ++i)
    checkers_.push_back(
        std::make_unique<Checker>(static_cast<net::EventLoop&>(loops_.at(i)), *shards_[i]));
  for (std::size_t i = 0; i < shards_.size(); ++i)
    loops_.at(i).post([this, i] { checkers_[i]->begin(); });
}

void Service::drain(std::chrono::milliseconds time) {
  context_.draining.store(true);
  const std::size_t steps = std::max<std::size_t>(1, static_cast<std::size_t>(time / kDrainStep));
  const std::size_t per_step = context_.streams.load() / (steps * shards_.size()) + 1;
  for (std::size_t step = 0;; ++step) {
    const std::size_t count = step < steps ? per_step : std::size_t{1} << 20U;
    bool empty = true;
    for (std::size_t i = 0; i < shards_.size(); ++i)
      empty &= on_loop(loops_.at(i), [shard = shards_[i].get(), count] {
                 return shard->end_some(count);
               }).get();
    if (empty || step > steps) return;
    std::this_thread::sleep_for(kDrainStep);
  }
}

}  // namespace nb::signal
