// Peers in answers.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/rest/encode_groups.h"
#include "management/rest/json_writer.h"

#include <string>
#include <vector>

namespace nb::management::rest {

struct PeerFrame {
  const Account& account;
  const GroupTexts& groups;
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
