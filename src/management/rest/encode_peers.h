// Peers in answers.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/rest/encode_groups.h"
#include "management/rest/json_writer.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::rest {

/// "local_flags" of peers, which mostly have the same ones.
class FlagTexts {
 public:
  static constexpr std::size_t kFlags = 10;
  [[nodiscard]] std::string_view of(const MetaFlags& flags);

 private:
  std::vector<std::string> texts_ = std::vector<std::string>(std::size_t{1} << kFlags);
};

struct PeerFrame {
  const Account& account;
  const GroupTexts& groups;
  FlagTexts& flags;
  const std::string& dns_domain;  // the account's
  WallTime now{};
  bool show_groups = true;  // who may not read groups sees null
};

enum class PeerForm : bool { kSingle, kListed };
/// `groups` are the short forms of those it is in.
void write_peer(JsonWriter& json, const Peer& peer, const std::vector<std::string_view>& groups,
                const PeerFrame& frame, PeerForm form);
void write_accessible_peer(JsonWriter& json, const Peer& peer, const std::string& dns_domain);

}  // namespace nb::management::rest
