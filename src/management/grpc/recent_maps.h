// Maps of peers that come back again and again while their account stays as it is.
//
// An agent whose link flaps asks for the same map each time. So the first map of a stream is kept
// when the peer had one before from the same view, or from any within a minute: peers that come
// once cost a mark, and a crowd that comes once leaves nothing behind.
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"
#include "management/grpc/map_encoder.h"
#include "management/grpc/service.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nb::management::grpc {

/// A made map with what is worked out from its bytes.
struct PreparedMap {
  explicit PreparedMap(MadeMap made);
  EncodedMap map;
  std::optional<WallTime> changes_at;  // by time alone
  std::uint64_t digest = 0;
  std::string checks{};     // of `map`; the maker's to fill in
  std::size_t objects = 0;  // peers, routes and rules; 0 in the component form

  [[nodiscard]] std::size_t size() const {
    return map.head.size() + map.map.size() + checks.size() +
           (map.network ? map.network->size() : 0);
  }
};

/// Thread-safe.
class RecentMaps {
 public:
  struct Limits {
    std::size_t bytes_max = std::size_t{16} << 20;  // of all maps that are kept
    std::size_t map_bytes_max = std::size_t{1} << 20;
    std::size_t peers_max = 8'192;
    std::chrono::seconds often{60};  // who asks again so soon will do so after a change as well
  };
  RecentMaps() : RecentMaps(Limits{}) {}
  explicit RecentMaps(Limits limits) : limits_(limits) {}

  /// What a map is made of, besides the time.
  struct Source {
    const PeerId& peer;
    const netmap::MapViewPtr& view;
    const std::shared_ptr<const LoginSettings>& login;
    MapForm form = MapForm::kLegacy;
  };
  /// Null: make it, and tell made().
  [[nodiscard]] std::shared_ptr<const PreparedMap> find(const Source& source, WallTime now);
  /// True: `map` is kept.
  bool made(const Source& source, WallTime now, const std::shared_ptr<const PreparedMap>& map);

  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Entry {
    std::string peer;
    std::weak_ptr<const netmap::MapView> view{};  // a map must not keep an old account in memory
    std::weak_ptr<const LoginSettings> login{};
    MapForm form = MapForm::kLegacy;
    WallTime made_at{};
    std::shared_ptr<const PreparedMap> map{};  // null: asked for once
  };
  [[nodiscard]] static bool same(const Entry& entry, const Source& source);
  void drop_oldest();

  const Limits limits_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // asked for last first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_peer_;
  std::size_t bytes_ = 0;
};

}  // namespace nb::management::grpc
