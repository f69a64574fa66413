// Health: what the process depends on and whether it should get traffic.
#pragma once

#include "base/clock.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace nb {

/// kDegraded: single-instance functions work, stay in the balancer. kDown: take us out.
enum class HealthState : std::uint8_t { kOk, kDegraded, kDown };

/// Dependencies report here; /healthz, /readyz and grpc.health.v1 read.
/// Threads  every function may be called from any thread.
/// Source   contract/signal-relay-ops.md §8.3
class Health {
 public:
  explicit Health(const Clock& clock);
  ~Health();
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  /// Handle of one dependency; copies share it. It must not outlive the Health.
  class Part {
   public:
    Part() = default;
    /// `detail`: for operators, no secrets; shown by /readyz.
    void set(HealthState state, std::string_view detail = {}) const;

   private:
    friend class Health;
    Part(Health* health, std::size_t index) : health_(health), index_(index) {}
    Health* health_ = nullptr;
    std::size_t index_ = 0;
  };
  /// A dependency that starts as kDown "starting". Names are unique: "store", "redis", "listeners".
  Part add(std::string name);
  Part add(std::string name, HealthState state, std::string_view detail = {});

  /// No dependency is down and no drain has begun. Always false before the first add().
  [[nodiscard]] bool ready() const;
  [[nodiscard]] bool draining() const;
  /// From here on /readyz answers 503, for ever.
  void start_draining();

  /// {"status":"ok|degraded|down|draining","ready":…,"dependencies":{"redis":{"status":…,
  /// "detail":…,"since":RFC 3339}}}
  [[nodiscard]] std::string json() const;
  /// "redis: not connected; store: …" of what is not well; empty: all is. For operators.
  [[nodiscard]] std::string trouble() const;
  /// Called with ready() whenever it changes, on the thread that caused it and without any lock.
  void on_change(std::function<void(bool ready)> callback);

 private:
  struct State;
  void set(std::size_t index, HealthState state, std::string_view detail);
  std::unique_ptr<State> state_;
};

}  // namespace nb
