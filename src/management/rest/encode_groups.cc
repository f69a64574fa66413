#include "management/rest/encode_groups.h"

namespace nb::management::rest {
namespace {

void write_short(JsonWriter& json, const Group& group) {
  json.field("id", group.id);
  json.field("name", group.name);
  json.field("peers_count", group.peers.size());
  json.field("resources_count", group.resources.size());
  json.optional("issued", group.issued);
}

}  // namespace

GroupTexts::GroupTexts(const AccountSnapshot& account) {
  texts_.reserve(account.groups.size());
  for (const Group& group : account.groups) {
    JsonWriter json;
    json.object([&] { write_short(json, group); });
    texts_.emplace(group.id, std::move(json).take());
  }
}

std::string_view GroupTexts::find(const GroupId& id) const {
  const auto it = texts_.find(id);
  return it == texts_.end() ? std::string_view{} : std::string_view(it->second);
}

void GroupTexts::write(JsonWriter& json, std::string_view name,
                       const std::vector<GroupId>& ids) const {
  json.array(name, ids, [&](const GroupId& id) {
    if (const std::string_view text = find(id); !text.empty()) json.raw(text);
  });
}

std::vector<std::vector<std::string_view>> group_texts_of_peers(const AccountSnapshot& account,
                                                                const GroupTexts& texts) {
  std::unordered_map<std::string_view, std::size_t> positions;
  positions.reserve(account.peers.size());
  std::size_t position = 0;
  for (const Peer& peer : account.peers) positions.emplace(peer.id.value(), position++);
  std::vector<std::vector<std::string_view>> out(account.peers.size());
  for (const Group& group : account.groups) {
    const std::string_view text = texts.find(group.id);
    for (const PeerId& id : group.peers)
      if (const auto it = positions.find(id.value()); it != positions.end())
        out[it->second].push_back(text);
  }
  return out;
}

void write_resource(JsonWriter& json, const Resource& resource) {
  json.object([&] {
    json.field("id", resource.id);
    json.field("type", resource.type);
  });
}

MemberTexts::MemberTexts(const AccountSnapshot& account) {
  texts_.reserve(account.peers.size());
  for (const Peer& peer : account.peers) {
    if (peer.proxy_embedded) continue;
    JsonWriter json;
    json.object([&] {
      json.field("id", peer.id);
      json.field("name", peer.name);
    });
    texts_.emplace(peer.id.value(), std::move(json).take());
  }
}

std::string_view MemberTexts::find(const PeerId& id) const {
  const auto it = texts_.find(id.value());
  return it == texts_.end() ? std::string_view{} : std::string_view(it->second);
}

void write_group(JsonWriter& json, const Group& group, const MemberTexts& texts) {
  std::vector<std::string_view> members;
  members.reserve(group.peers.size());
  for (const PeerId& id : group.peers)
    if (const std::string_view text = texts.find(id); !text.empty()) members.push_back(text);
  json.object([&] {
    json.field("id", group.id);
    json.field("name", group.name);
    json.field("peers_count", members.size());
    json.field("resources_count", group.resources.size());
    json.optional("issued", group.issued);
    json.array("peers", members, [&](std::string_view member) { json.raw(member); });
    json.array("resources", group.resources,
               [&](const Resource& resource) { write_resource(json, resource); });
  });
}

}  // namespace nb::management::rest
