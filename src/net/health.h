// grpc.health.v1: what load balancers ask.
#pragma once

#include "net/grpc.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace nb::net {

/// State of each service, and the streams that watch it. Thread-safe; outlived by no stream, since
/// the routes share it.
class Health : public std::enable_shared_from_this<Health> {
 public:
  /// `services`: names that are known; the empty name (the whole server) always is.
  static std::shared_ptr<Health> make(std::vector<std::string> services);
  /// Adds Check and Watch.
  void add_routes(GrpcRouter& router);
  /// All services, the empty name included; watchers are told.
  void set_serving(bool serving);
  void set_serving(const std::string& service, bool serving);

 private:
  class Watcher;
  struct Watched;
  Health() = default;
  void change(const std::string& service, bool serving);
  /// -1: unknown service.
  [[nodiscard]] int state(const std::string& service) const;

  mutable std::mutex mutex_;
  std::map<std::string, bool> serving_;          // guarded by mutex_
  std::vector<std::weak_ptr<Watched>> watched_;  // guarded by mutex_
};

}  // namespace nb::net
