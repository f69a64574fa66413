// The directory's rules, pure: two maps and what each call does to them. local and sim run this;
// redis/directory.cc says the same in Lua and is compared with it by a property test.
#pragma once

#include "ha/peer_directory.h"

#include <cstddef>
#include <map>
#include <optional>
#include <string>

namespace nb::ha {

/// seq of a new claim after one of `previous`; never leaves the range a token can carry.
inline constexpr std::uint64_t kClaimSeqEnd = std::uint64_t{1} << 53;

/// A holder from the two fields as stored; `epoch` is null when absent. A token counts only beside
/// a field of the same instance: otherwise an outsider wrote the field.
[[nodiscard]] Holder make_holder(const std::string& instance, const std::string* epoch);

class DirectoryTable {
 public:
  Claimed claim(const PeerKey& peer, Claim claim);
  bool release(const PeerKey& peer, const Claim& claim);
  [[nodiscard]] std::optional<Holder> find(const PeerKey& peer) const;
  Reasserted reassert(const PeerKey& peer, const Claim& claim);
  bool forget(const PeerKey& peer, const Holder& seen);
  [[nodiscard]] DirectoryPage scan(const std::string& cursor, std::size_t limit) const;
  [[nodiscard]] std::size_t count() const { return registry.size(); }

  /// The store's two hashes; outsiders write here directly.
  std::map<std::string, std::string> registry;
  std::map<std::string, std::string> epochs;

 private:
  void set(const PeerKey& peer, const Claim& claim);
};

}  // namespace nb::ha
