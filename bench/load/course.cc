#include "load/course.h"

#include "load/waiting.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace nb::bench {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr auto kConnectLimit = milliseconds(120'000);
/// Reading smaps takes the server's map lock, so it is done rarely.
constexpr auto kSampleEvery = milliseconds(1'000);
/// Nothing has moved for so long: the rest is lost.
constexpr auto kStill = milliseconds(2'000);

double kib_per_peer(std::int64_t after, std::int64_t before, std::uint32_t peers) {
  return static_cast<double>(after - before) / 1024 / std::max(1U, peers);
}

}  // namespace

double LoadResult::rate() const {
  return seconds > 0 ? static_cast<double>(window_delivered) / seconds : 0;
}
double LoadResult::idle_kib_per_peer() const {
  return kib_per_peer(rss_idle, baseline.rss_bytes, peers);
}
double LoadResult::after_kib_per_peer() const {
  return kib_per_peer(rss_after, baseline.rss_bytes, peers);
}

bool Course::run(const std::function<void(std::uint32_t)>& work, LoadResult& out) {
  out.peers = plan_.peers;
  out.baseline = read_processes(plan_.pids);
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < plan_.threads; ++i) threads.emplace_back([&work, i] { work(i); });
  const bool all = wait_until_connected();
  if (all) measure(out);
  phase_ = Phase::kStop;
  for (std::thread& thread : threads) thread.join();
  return all;
}

bool Course::wait_until_connected() {
  const auto all = [this] { return load_.connected() >= plan_.peers; };
  wait_for(kConnectLimit, milliseconds(10), [&] { return load_.failed() || all(); });
  return all() && !load_.failed();
}

void Course::measure(LoadResult& out) {
  std::this_thread::sleep_for(plan_.settle);
  out.rss_idle = read_processes(plan_.pids).rss_bytes;
  out.rss_after = out.rss_idle;
  if (plan_.duration.count() > 0) traffic(out);
}

void Course::traffic(LoadResult& out) {
  phase_ = Phase::kTraffic;
  load_.traffic(true);
  std::this_thread::sleep_for(plan_.warm_up);
  const auto begin = Clock::now();
  const ProcessStat before = read_processes(plan_.pids);
  const std::int64_t own_before = own_cpu_ns();
  const std::uint64_t delivered_before = load_.delivered();
  load_.window(true);
  wait_for(plan_.duration, kSampleEvery, [&] {
    out.rss_peak = std::max(out.rss_peak, read_processes(plan_.pids).rss_bytes);
    return false;
  });
  load_.window(false);
  const ProcessStat after = read_processes(plan_.pids);
  out.window_delivered = load_.delivered() - delivered_before;
  const auto count = static_cast<double>(std::max<std::uint64_t>(1, out.window_delivered));
  const auto cpu_ns = static_cast<double>(after.cpu_ns - before.cpu_ns);
  out.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  out.cores = cpu_ns / 1e9 / out.seconds;
  out.cpu_us = cpu_ns / 1e3 / count;
  out.own_cpu_us = static_cast<double>(own_cpu_ns() - own_before) / 1e3 / count;
  out.switches = static_cast<double>(after.switches - before.switches) / count;
  phase_ = Phase::kIdle;
  load_.traffic(false);
  drain();
  std::this_thread::sleep_for(plan_.settle);
  out.rss_after = read_processes(plan_.pids).rss_bytes;
  out.sent = load_.sent();
  out.delivered = load_.delivered();
}

void Course::drain() {
  std::uint64_t moved = 0;
  auto since = Clock::now();
  wait_for(plan_.drain_max, milliseconds(10), [&] {
    const std::uint64_t now = load_.moved();
    if (std::exchange(moved, now) != now) since = Clock::now();
    return load_.all_there() || Clock::now() - since > kStill;
  });
}

}  // namespace nb::bench
