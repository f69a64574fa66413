#include "base/health.h"

#include "base/text.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/chrono.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <vector>

namespace nb {

struct Health::State {
  explicit State(const Clock& c) : clock(c) {}
  struct Dependency {
    std::string name;
    HealthState state;
    std::string detail;
    WallTime since;
  };
  const Clock& clock;
  mutable std::mutex mutex;
  std::vector<Dependency> parts;
  std::vector<std::function<void(bool)>> callbacks;
  bool draining = false;
  std::atomic<bool> ready{false};  // derived; read on every health check without the lock

  [[nodiscard]] bool compute() const {
    return !draining && !parts.empty() &&
           std::none_of(parts.begin(), parts.end(),
                        [](const auto& part) { return part.state == HealthState::kDown; });
  }
  /// Applies `change`, then tells the callbacks if readiness moved.
  template <class Change>
  void update(Change change) {
    std::vector<std::function<void(bool)>> told;
    bool now = false;
    {
      const std::lock_guard lock(mutex);
      change();
      now = compute();
      if (ready.exchange(now) != now) told = callbacks;
    }
    for (const auto& callback : told) callback(now);
  }
};

namespace {
constexpr std::array<std::string_view, 3> kNames = {"ok", "degraded", "down"};

std::string_view name_of(HealthState state) {
  return kNames.at(static_cast<std::size_t>(state));
}

std::string timestamp(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}Z", fmt::gmtime(seconds.time_since_epoch().count()));
}
}  // namespace

Health::Health(const Clock& clock) : state_(std::make_unique<State>(clock)) {}
Health::~Health() = default;

void Health::Part::set(HealthState state, std::string_view detail) const {
  if (health_ != nullptr) health_->set(index_, state, detail);
}

Health::Part Health::add(std::string name) {
  return add(std::move(name), HealthState::kDown, "starting");
}

Health::Part Health::add(std::string name, HealthState state, std::string_view detail) {
  std::size_t index = 0;
  state_->update([&] {
    index = state_->parts.size();
    state_->parts.push_back({std::move(name), state, std::string(detail), state_->clock.wall()});
  });
  return {this, index};
}

void Health::set(std::size_t index, HealthState state, std::string_view detail) {
  state_->update([&] {
    auto& part = state_->parts.at(index);
    if (part.state != state) part.since = state_->clock.wall();
    part.state = state;
    part.detail = detail;
  });
}

bool Health::ready() const {
  return state_->ready.load();
}

bool Health::draining() const {
  const std::lock_guard lock(state_->mutex);
  return state_->draining;
}

void Health::start_draining() {
  state_->update([this] { state_->draining = true; });
}

std::string Health::json() const {
  const std::lock_guard lock(state_->mutex);
  HealthState worst = state_->parts.empty() ? HealthState::kDown : HealthState::kOk;
  boost::json::object parts;
  for (const auto& part : state_->parts) {
    worst = std::max(worst, part.state);
    boost::json::object entry{{"status", name_of(part.state)}, {"since", timestamp(part.since)}};
    if (!part.detail.empty()) entry["detail"] = escape_control(part.detail);
    parts[part.name] = std::move(entry);
  }
  boost::json::object out;
  out["status"] = state_->draining ? "draining" : name_of(worst);
  out["ready"] = state_->compute();
  out["dependencies"] = std::move(parts);
  return boost::json::serialize(out);
}

std::string Health::trouble() const {
  const std::lock_guard lock(state_->mutex);
  std::string out;
  for (const auto& part : state_->parts) {
    if (part.state == HealthState::kOk) continue;
    if (!out.empty()) out += "; ";
    out +=
        part.name + ": " + (part.detail.empty() ? std::string(name_of(part.state)) : part.detail);
  }
  return out;
}

void Health::on_change(std::function<void(bool ready)> callback) {
  const std::lock_guard lock(state_->mutex);
  state_->callbacks.push_back(std::move(callback));
}

}  // namespace nb
