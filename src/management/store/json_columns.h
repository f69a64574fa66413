// Structured fields in text columns, in the form that upstream's tools read.
// Source   contract/schema/README.md "Encodings".
#pragma once

#include "management/domain/address.h"
#include "management/domain/dns.h"
#include "management/domain/event.h"
#include "management/domain/group.h"
#include "management/domain/peer_meta.h"
#include "management/domain/policy.h"
#include "management/domain/posture_check.h"

#include <string>
#include <string_view>
#include <vector>

namespace nb::management::columns {

/// Counts text that no official server could have written; such a field reads as empty. The readers
/// of rows then turn the whole object off, since empty often means "everybody" or "everything"
/// (decision 0130).
struct Damage {
  std::size_t fields = 0;
};

/// Whether any field that was read since it was made is damaged.
class DamageSince {
 public:
  explicit DamageSince(const Damage& damage) : damage_(damage), before_(damage.fields) {}
  [[nodiscard]] bool any() const { return damage_.fields != before_; }

 private:
  const Damage& damage_;
  const std::size_t before_;
};

std::string strings(const std::vector<std::string>& values);
std::vector<std::string> read_strings(std::string_view text, Damage& damage);

template <class Id>
std::string ids(const std::vector<Id>& values) {
  std::vector<std::string> texts;
  texts.reserve(values.size());
  for (const Id& id : values) texts.push_back(id.value());
  return strings(texts);
}
template <class Id>
std::vector<Id> read_ids(std::string_view text, Damage& damage) {
  std::vector<Id> out;
  for (std::string& value : read_strings(text, damage)) out.emplace_back(std::move(value));
  return out;
}

/// "100.72.45.111" with its quotes; unset: two quotes.
std::string address(const IpAddress& ip);
IpAddress read_address(std::string_view text, Damage& damage);
/// "172.16.0.0/24" with its quotes; unset: two quotes.
std::string prefix(const Prefix& prefix);
Prefix read_prefix(std::string_view text, Damage& damage);
/// {"IP":"100.72.0.0","Mask":"//8AAA=="}
std::string network(const Prefix& net);
Prefix read_network(std::string_view text, Damage& damage);
/// The same for columns of one family; a net of all addresses is nobody's.
Prefix read_network_v4(std::string_view text, Damage& damage);
Prefix read_network_v6(std::string_view text, Damage& damage);

std::string network_addresses(const std::vector<NetworkAddress>& addresses);
std::vector<NetworkAddress> read_network_addresses(std::string_view text, Damage& damage);
std::string environment(const PeerMeta& meta);
void read_environment(std::string_view text, PeerMeta& meta, Damage& damage);
std::string flags(const MetaFlags& flags);
MetaFlags read_flags(std::string_view text, Damage& damage);
std::string files(const std::vector<MetaFile>& files);
std::vector<MetaFile> read_files(std::string_view text, Damage& damage);
std::string integers(const std::vector<std::int32_t>& values);
std::vector<std::int32_t> read_integers(std::string_view text, Damage& damage);

std::string resource(const Resource& resource);
Resource read_resource(std::string_view text, Damage& damage);
std::string resources(const std::vector<Resource>& resources);
std::vector<Resource> read_resources(std::string_view text, Damage& damage);
std::string port_ranges(const std::vector<PortRange>& ranges);
std::vector<PortRange> read_port_ranges(std::string_view text, Damage& damage);
std::string authorized_groups(const std::map<GroupId, std::vector<std::string>>& groups);
std::map<GroupId, std::vector<std::string>> read_authorized_groups(std::string_view text,
                                                                   Damage& damage);

/// [{"IP":"1.1.1.1","NSType":1,"Port":53}]
std::string name_servers(const std::vector<NameServer>& servers);
std::vector<NameServer> read_name_servers(std::string_view text, Damage& damage);
/// {"NBVersionCheck":{"MinVersion":"0.50.0"}, …}; only configured kinds.
std::string posture_checks(const PostureChecks& checks);
PostureChecks read_posture_checks(std::string_view text, Damage& damage);

/// The meta object of an event.
std::string event_meta(const Event& event);
/// The whole event, for the outbox.
std::string event(const Event& event);
Event read_event(std::string_view text, Damage& damage);

}  // namespace nb::management::columns
