#include "management/rest/encode_groups.h"
#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr Need kReads{Module::kPolicies, Operation::kRead};
constexpr Need kReadsGroups{Module::kGroups, Operation::kRead};

std::vector<Wanted> policies_and_groups(std::optional<std::vector<std::string>> only = {}) {
  return {{Part::kPolicies, std::move(only)}, {Part::kGroups}};
}

void write_side(JsonWriter& json, const GroupTexts& texts, std::string_view groups_name,
                std::string_view resource_name, const std::vector<GroupId>& groups,
                const Resource& resource) {
  if (resource.is_set()) {
    json.key(groups_name);
    json.null();
    json.key(resource_name);
    write_resource(json, resource);
  } else {
    texts.write(json, groups_name, groups);
  }
}

void write_rule(JsonWriter& json, const PolicyRule& rule, const GroupTexts& texts) {
  json.object([&] {
    json.field("id", rule.id);
    json.field("name", rule.name);
    json.field("description", rule.description);
    json.field("enabled", rule.enabled);
    json.field("action", rule.action);
    json.field("bidirectional", rule.bidirectional);
    json.field("protocol", rule.protocol);
    if (!rule.ports.empty()) json.list("ports", rule.ports);
    if (!rule.port_ranges.empty())
      json.array("port_ranges", rule.port_ranges, [&](const PortRange& range) {
        json.object([&] {
          json.field("start", range.start);
          json.field("end", range.end);
        });
      });
    if (!rule.authorized_groups.empty())
      json.object("authorized_groups", [&] {
        for (const auto& [group, users] : rule.authorized_groups) {
          json.key_text(group.value());
          json.array(users, [&](const std::string& user) { json.text(user); });
        }
      });
    write_side(json, texts, "sources", "sourceResource", rule.sources, rule.source_resource);
    write_side(json, texts, "destinations", "destinationResource", rule.destinations,
               rule.destination_resource);
  });
}

void write_policy(JsonWriter& json, const Policy& policy, const GroupTexts& texts) {
  json.object([&] {
    json.field("id", policy.id);
    json.field("name", policy.name);
    json.field("description", policy.description);
    json.field("enabled", policy.enabled);
    json.list("source_posture_checks", policy.source_posture_checks);
    json.array("rules", policy.rules,
               [&](const PolicyRule& rule) { write_rule(json, rule, texts); });
  });
}

Task<Reply> list(const Services& services, Call call) {
  return polled(services, std::move(call), policies_and_groups(),
                [](const Call& /*call*/, const AccountSnapshot& account) -> Result<Reply> {
                  const GroupTexts texts(account);
                  return list_reply(account.policies, [&](JsonWriter& json, const Policy& policy) {
                    write_policy(json, policy, texts);
                  });
                });
}

Task<Reply> show(const Services& services, const Call& call, PolicyId id) {
  auto account = co_await read(services, call, policies_and_groups(only(id.value())));
  if (!account) co_return std::move(account).error();
  const Policy* policy = (*account)->policies.find(id);
  if (policy == nullptr) co_return unknown("policy", id.value());
  const GroupTexts texts(**account);
  co_return reply_with([&](JsonWriter& json) { write_policy(json, *policy, texts); });
}

Task<Reply> get(const Services& services, Call call) {
  PolicyId id(call.params[0]);
  co_return co_await show(services, call, std::move(id));
}

std::optional<std::vector<GroupId>> decode_groups(const JsonObject& rule, std::string_view name) {
  if (!rule.has(name)) return {};
  return rule.ids<GroupId>(name);
}

std::optional<Resource> decode_resource(const JsonObject& rule, std::string_view name) {
  const auto object = rule.object(name);
  if (!object) return {};
  Resource resource{object->text("id"), object->text("type")};
  // Clients send an empty object where they mean none.
  if (resource.id.empty() && resource.type.empty()) return {};
  return resource;
}

PolicyRuleDraft decode_rule(const JsonObject& body) {
  PolicyRuleDraft rule;
  rule.id = RuleId(body.text("id"));
  rule.name = body.text("name");
  rule.description = body.text("description");
  rule.enabled = body.flag("enabled");
  rule.action = body.text("action");
  rule.bidirectional = body.flag("bidirectional");
  rule.protocol = body.text("protocol");
  rule.sources = decode_groups(body, "sources");
  rule.source_resource = decode_resource(body, "sourceResource");
  rule.destinations = decode_groups(body, "destinations");
  rule.destination_resource = decode_resource(body, "destinationResource");
  body.read("ports", rule.ports);
  for (const JsonObject& range : body.objects("port_ranges"))
    rule.port_ranges.push_back({range.integer("start"), range.integer("end")});
  body.each_list("authorized_groups", [&](std::string group, std::vector<std::string> users) {
    rule.authorized_groups.emplace(GroupId(std::move(group)), std::move(users));
  });
  return rule;
}

Result<SavePolicy> decode(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  SavePolicy command;
  PolicyDraft& draft = command.draft;
  draft.name = body.text("name");
  draft.description = body.text("description");
  draft.enabled = body.flag("enabled");
  draft.source_posture_checks = body.ids<PostureCheckId>("source_posture_checks");
  for (const JsonObject& rule : body.objects("rules")) draft.rules.push_back(decode_rule(rule));
  NB_TRY(body.done());
  return command;
}

Task<Reply> save(const Services& services, const Call& call, SavePolicy command) {
  auto saved = co_await execute(services, call, std::move(command));
  if (!saved) co_return std::move(saved).error();
  co_return co_await show(services, call, saved->id);
}

Task<Reply> create(const Services& services, Call call) {
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  for (PolicyRuleDraft& rule : command->draft.rules) rule.id = RuleId();  // given by us
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> replace(const Services& services, Call call) {
  auto command = decode(call);
  if (!command) co_return std::move(command).error();
  command->id = PolicyId(call.params[0]);
  co_return co_await save(services, call, *std::move(command));
}

Task<Reply> remove(const Services& services, Call call) {
  DeletePolicy command{PolicyId(call.params[0])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_policies(RouteTable& table, const Services& services) {
  constexpr auto kModule = Module::kPolicies;
  table.add("GET", "/api/policies", {kReads, kReadsGroups}, handled(services, list));
  table.add("POST", "/api/policies", {{kModule, Operation::kCreate}, kReadsGroups},
            handled(services, create));
  table.add("GET", "/api/policies/{policyId}", {kReads, kReadsGroups}, handled(services, get));
  table.add("PUT", "/api/policies/{policyId}",
            {kReads, {kModule, Operation::kUpdate}, kReadsGroups}, handled(services, replace));
  table.add("DELETE", "/api/policies/{policyId}", {{kModule, Operation::kDelete}},
            handled(services, remove));
}

}  // namespace nb::management::rest
