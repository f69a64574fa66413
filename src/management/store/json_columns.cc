#include "management/store/json_columns.h"

#include "crypto/encoding.h"
#include "management/store/json_read.h"

#include <boost/json.hpp>

#include <array>

namespace nb::management::columns {
namespace {

namespace json = boost::json;

std::string unquoted(std::string_view text, Damage& damage) {
  // By far the most frequent fields: no parser for "100.64.0.1".
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"' && text.find('\\') == text.npos)
    return std::string(text.substr(1, text.size() - 2));
  const json::value value = parsed(text, damage);
  if (value.is_string()) return std::string(value.get_string());
  if (!value.is_null()) ++damage.fields;
  return {};
}

std::string mask_of(const Prefix& net) {
  const auto bytes = static_cast<std::size_t>(net.address.bits() / 8);
  std::string mask(bytes, '\0');
  for (int bit = 0; bit < net.length; ++bit) {
    char& byte = mask.at(static_cast<std::size_t>(bit / 8));
    byte = static_cast<char>(static_cast<unsigned char>(byte) | (0x80U >> (bit % 8)));
  }
  return mask;
}

int length_of(std::string_view mask) {
  int length = 0;
  for (const char c : mask)
    for (unsigned bit = 0x80; bit != 0; bit >>= 1, ++length)
      if ((static_cast<unsigned char>(c) & bit) == 0) return length;
  return length;
}

json::object to_json(const Resource& resource) {
  return {{"ID", resource.id}, {"Type", resource.type}};
}

Prefix of_family(const Prefix& net, int bits, Damage& damage) {
  if (!net.is_set() || (net.address.bits() == bits && net.length > 0)) return net;
  ++damage.fields;
  return {};
}

Resource resource_of(const json::object& object, Damage& damage) {
  return {text_of(object, "ID", damage), text_of(object, "Type", damage)};
}

/// Zero, which stands for every port, only where that is written.
std::uint16_t port_of(const json::object& object, std::string_view key, Damage& damage) {
  const json::value* const value = member(object, key);
  json::error_code error;
  std::uint16_t port = 0;
  if (value != nullptr) port = value->to_number<std::uint16_t>(error);
  if (value == nullptr || error) {
    ++damage.fields;
    return 0;
  }
  return port;
}

struct FlagName {
  std::string_view name;
  bool MetaFlags::*member;
};
constexpr std::array kFlagNames = {
    FlagName{"RosenpassEnabled", &MetaFlags::rosenpass_enabled},
    FlagName{"RosenpassPermissive", &MetaFlags::rosenpass_permissive},
    FlagName{"ServerSSHAllowed", &MetaFlags::server_ssh_allowed},
    FlagName{"DisableClientRoutes", &MetaFlags::disable_client_routes},
    FlagName{"DisableServerRoutes", &MetaFlags::disable_server_routes},
    FlagName{"DisableDNS", &MetaFlags::disable_dns},
    FlagName{"DisableFirewall", &MetaFlags::disable_firewall},
    FlagName{"BlockLANAccess", &MetaFlags::block_lan_access},
    FlagName{"BlockInbound", &MetaFlags::block_inbound},
    FlagName{"DisableIPv6", &MetaFlags::disable_ipv6},
    FlagName{"LazyConnectionEnabled", &MetaFlags::lazy_connection_enabled},
};

json::object meta_object(const Event& event) {
  json::object out;
  for (const auto& [key, value] : event.meta)
    std::visit([&](const auto& v) { out[key] = json::value_from(v); }, value);
  return out;
}

std::vector<std::string> texts_of(const json::value& value, Damage& damage) {
  std::vector<std::string> out;
  for (const json::value& item : elements(value, damage)) {
    if (item.is_string())
      out.emplace_back(item.get_string());
    else
      ++damage.fields;
  }
  return out;
}

}  // namespace

std::string strings(const std::vector<std::string>& values) {
  json::array out;
  out.reserve(values.size());
  for (const std::string& value : values) out.emplace_back(value);
  return json::serialize(out);
}

std::vector<std::string> read_strings(std::string_view text, Damage& damage) {
  return texts_of(parsed(text, damage), damage);
}

std::string address(const IpAddress& ip) {
  return "\"" + ip.to_string() + "\"";
}

IpAddress read_address(std::string_view text, Damage& damage) {
  const std::string plain = unquoted(text, damage);
  if (plain.empty()) return {};
  const auto ip = IpAddress::parse(plain);
  if (!ip) ++damage.fields;
  return ip.value_or(IpAddress{});
}

std::string prefix(const Prefix& prefix) {
  return "\"" + prefix.to_string() + "\"";
}

Prefix read_prefix(std::string_view text, Damage& damage) {
  const std::string plain = unquoted(text, damage);
  if (plain.empty()) return {};
  const auto value = Prefix::parse(plain);
  if (!value) ++damage.fields;
  return value.value_or(Prefix{});
}

std::string network(const Prefix& net) {
  if (!net.is_set()) return R"({"IP":"","Mask":null})";
  return json::serialize(json::object{{"IP", net.masked().address.to_string()},
                                      {"Mask", crypto::to_base64(mask_of(net))}});
}

Prefix read_network(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  const json::object& object = members(value, damage);
  const std::string ip_text = text_of(object, "IP");
  if (ip_text.empty()) return {};
  const auto ip = IpAddress::parse(ip_text);
  const auto mask = crypto::from_base64(text_of(object, "Mask"));
  if (!ip || !mask || static_cast<int>(mask->size()) * 8 != ip->bits()) {
    ++damage.fields;
    return {};
  }
  return Prefix{*ip, length_of(*mask)}.masked();
}

Prefix read_network_v4(std::string_view text, Damage& damage) {
  return of_family(read_network(text, damage), 32, damage);
}

Prefix read_network_v6(std::string_view text, Damage& damage) {
  return of_family(read_network(text, damage), 128, damage);
}

std::string network_addresses(const std::vector<NetworkAddress>& addresses) {
  json::array out;
  for (const NetworkAddress& item : addresses)
    out.push_back(json::object{{"NetIP", item.net_ip.to_string()}, {"Mac", item.mac}});
  return json::serialize(out);
}

std::vector<NetworkAddress> read_network_addresses(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  std::vector<NetworkAddress> out;
  for (const json::value& item : elements(value, damage)) {
    const json::object& object = members(item, damage);
    const std::string net_ip = text_of(object, "NetIP");
    const auto net = Prefix::parse(net_ip);
    if (!net && !net_ip.empty()) {
      ++damage.fields;  // and no address at all, or checks would take it for a permitted one
      continue;
    }
    out.push_back({net.value_or(Prefix{}), text_of(object, "Mac")});
  }
  return out;
}

std::string environment(const PeerMeta& meta) {
  return json::serialize(
      json::object{{"Cloud", meta.environment_cloud}, {"Platform", meta.environment_platform}});
}

void read_environment(std::string_view text, PeerMeta& meta, Damage& damage) {
  const json::value value = parsed(text, damage);
  const json::object& object = members(value, damage);
  meta.environment_cloud = text_of(object, "Cloud");
  meta.environment_platform = text_of(object, "Platform");
}

std::string flags(const MetaFlags& flags) {
  json::object out;
  for (const FlagName& flag : kFlagNames) out[flag.name] = flags.*flag.member;
  return json::serialize(out);
}

MetaFlags read_flags(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  const json::object& object = members(value, damage);
  MetaFlags out;
  for (const FlagName& flag : kFlagNames) out.*flag.member = flag_of(object, flag.name);
  return out;
}

std::string files(const std::vector<MetaFile>& files) {
  json::array out;
  for (const MetaFile& file : files)
    out.push_back(json::object{{"Path", file.path},
                               {"Exist", file.exists},
                               {"ProcessIsRunning", file.process_is_running}});
  return json::serialize(out);
}

std::vector<MetaFile> read_files(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  std::vector<MetaFile> out;
  for (const json::value& item : elements(value, damage)) {
    const json::object& object = members(item, damage);
    out.push_back(
        {text_of(object, "Path"), flag_of(object, "Exist"), flag_of(object, "ProcessIsRunning")});
  }
  return out;
}

std::string integers(const std::vector<std::int32_t>& values) {
  json::array out(values.begin(), values.end());
  return json::serialize(out);
}

std::vector<std::int32_t> read_integers(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  std::vector<std::int32_t> out;
  for (const json::value& item : elements(value, damage))
    out.push_back(static_cast<std::int32_t>(number_of(item)));
  return out;
}

std::string resource(const Resource& resource) {
  return json::serialize(to_json(resource));
}

Resource read_resource(std::string_view text, Damage& damage) {
  if (text == R"({"ID":"","Type":""})") return {};
  const json::value value = parsed(text, damage);
  return resource_of(members(value, damage), damage);
}

std::string resources(const std::vector<Resource>& resources) {
  json::array out;
  for (const Resource& item : resources) out.push_back(to_json(item));
  return json::serialize(out);
}

std::vector<Resource> read_resources(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  std::vector<Resource> out;
  for (const json::value& item : elements(value, damage)) {
    const DamageSince damaged(damage);
    Resource resource = resource_of(members(item, damage), damage);
    if (!damaged.any()) out.push_back(std::move(resource));
  }
  return out;
}

std::string port_ranges(const std::vector<PortRange>& ranges) {
  json::array out;
  for (const PortRange& range : ranges)
    out.push_back(json::object{{"Start", range.start}, {"End", range.end}});
  return json::serialize(out);
}

std::vector<PortRange> read_port_ranges(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  std::vector<PortRange> out;
  for (const json::value& item : elements(value, damage)) {
    const json::object& object = members(item, damage);
    const std::uint16_t start = port_of(object, "Start", damage);
    out.push_back({start, port_of(object, "End", damage)});
  }
  return out;
}

std::string authorized_groups(const std::map<GroupId, std::vector<std::string>>& groups) {
  json::object out;
  for (const auto& [group, users] : groups)
    out[group.value()] = json::array(users.begin(), users.end());
  return json::serialize(out);
}

std::map<GroupId, std::vector<std::string>> read_authorized_groups(std::string_view text,
                                                                   Damage& damage) {
  const json::value value = parsed(text, damage);
  std::map<GroupId, std::vector<std::string>> out;
  for (const auto& [group, users] : members(value, damage)) {
    out[GroupId(std::string(group))] = texts_of(users, damage);
  }
  return out;
}

std::string name_servers(const std::vector<NameServer>& servers) {
  json::array out;
  for (const NameServer& server : servers)
    out.push_back(json::object{
        {"IP", server.ip.to_string()}, {"NSType", server.type}, {"Port", server.port}});
  return json::serialize(out);
}

std::vector<NameServer> read_name_servers(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  std::vector<NameServer> out;
  for (const json::value& item : elements(value, damage)) {
    const json::object& object = members(item, damage);
    const auto ip = IpAddress::parse(text_of(object, "IP"));
    if (!ip) {
      ++damage.fields;
      continue;
    }
    const auto* const type = member(object, "NSType");
    const auto* const port = member(object, "Port");
    out.push_back(
        {*ip, type == nullptr ? 0 : number_of(*type), port == nullptr ? 0 : number_of(*port)});
  }
  return out;
}

std::string event_meta(const Event& event) {
  return json::serialize(meta_object(event));
}

std::string event(const Event& event) {
  return json::serialize(json::object{{"at", event.at.time_since_epoch().count()},
                                      {"activity", static_cast<std::int32_t>(event.activity)},
                                      {"initiator", event.initiator_id},
                                      {"target", event.target_id},
                                      {"account", event.account_id.value()},
                                      {"meta", meta_object(event)}});
}

Event read_event(std::string_view text, Damage& damage) {
  const json::value value = parsed(text, damage);
  const json::object& object = members(value, damage);
  Event out;
  if (const auto* at = member(object, "at"))
    out.at = WallTime(std::chrono::nanoseconds(number_of(*at)));
  if (const auto* activity = member(object, "activity"))
    out.activity = static_cast<Activity>(number_of(*activity));
  out.initiator_id = text_of(object, "initiator");
  out.target_id = text_of(object, "target");
  out.account_id = AccountId(text_of(object, "account"));
  if (const auto* meta = member(object, "meta"))
    for (const auto& [key, item] : members(*meta, damage)) {
      EventValue field;
      if (item.is_bool())
        field = item.get_bool();
      else if (item.is_string())
        field = std::string(item.get_string());
      else if (item.is_array())
        field = texts_of(item, damage);
      else
        field = number_of(item);
      out.meta.emplace_back(std::string(key), std::move(field));
    }
  return out;
}

}  // namespace nb::management::columns
