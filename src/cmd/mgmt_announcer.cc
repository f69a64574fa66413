#include "cmd/mgmt_announcer.h"

#include <utility>

namespace nb::cmd {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {
constexpr auto kQuestion = 5s;         // to the database
constexpr auto kTellEvery = 10'000ms;  // without news
}  // namespace

MgmtAnnouncer::MgmtAnnouncer(Ports ports, management::InstanceId instance, std::int64_t incarnation)
    : ports_(ports), instance_(std::move(instance)), incarnation_(incarnation) {}

asio::awaitable<void> MgmtAnnouncer::run() {
  if (ports_.cluster != nullptr)
    probe_ = std::make_unique<ha::BusProbe>(ports_.cluster->bus(), ports_.host.clock,
                                            "nb:mgmt:probe:" + instance_.value());
  ha::Announcer announcer(
      {.facts = [this] { return facts(); },
       .tell = [this](ha::FactsTeller::Told told) { return tell(std::move(told)); },
       .drain_ordered =
           [this] {
             return ports_.rows.drain_ordered(ports_.host.clock.now() + kQuestion, instance_,
                                              incarnation_);
           },
       .drain = [this] { ports_.host.program.request_drain(); },
       .probe = probe_.get()},
      ports_.host.clock);
  co_await announcer.run();
}

ha::InstanceFacts MgmtAnnouncer::facts() const {
  ha::InstanceFacts out = ports_.host.facts();
  if (ports_.cluster != nullptr) out.redis = ports_.cluster->redis_up() ? "up" : "down";
  out.peers = ports_.hub.streams();
  out.repairs = ports_.hub.counters().repairs.load(std::memory_order_relaxed);
  out.reclaimed = ports_.keeper.reaped();
  if (ports_.keeper.holds()) out.leases.emplace_back("instance");
  if (ports_.cluster != nullptr)
    for (std::string& lease : ports_.cluster->held_leases()) out.leases.push_back(std::move(lease));
  return out;
}

asio::awaitable<void> MgmtAnnouncer::tell(ha::FactsTeller::Told told) {
  Clock& clock = ports_.host.clock;
  if (!told.news && clock.now() < told_until_) co_return;
  const Instant asked = clock.now();
  const auto done =
      co_await ports_.rows.tell(asked + kQuestion, instance_, incarnation_, std::move(told.text));
  // A failed one is repeated at the next look.
  told_until_ = done ? asked + kTellEvery : asked;
}

}  // namespace nb::cmd
