#include "management/domain/event.h"

#include <algorithm>
#include <iterator>

namespace nb::management {
namespace {

struct Known {
  std::int32_t number;
  std::string_view code;
  std::string_view text;
};

// In the order of the numbers.
constexpr Known kKnown[] = {
    {0, "peer.user.add", "Peer added"},
    {1, "peer.setupkey.add", "Peer added"},
    {2, "user.join", "User joined"},
    {3, "user.invite", "User invited"},
    {4, "account.create", "Account created"},
    {5, "user.peer.delete", "Peer deleted"},
    {6, "rule.add", "Rule added"},
    {7, "rule.update", "Rule updated"},
    {8, "rule.delete", "Rule deleted"},
    {9, "policy.add", "Policy added"},
    {10, "policy.update", "Policy updated"},
    {11, "policy.delete", "Policy deleted"},
    {12, "setupkey.add", "Setup key created"},
    {13, "setupkey.update", "Setup key updated"},
    {14, "setupkey.revoke", "Setup key revoked"},
    {15, "setupkey.overuse", "Setup key overused"},
    {16, "group.add", "Group created"},
    {17, "group.update", "Group updated"},
    {18, "peer.group.add", "Group added to peer"},
    {19, "peer.group.delete", "Group removed from peer"},
    {20, "user.group.add", "Group added to user"},
    {21, "user.group.delete", "Group removed from user"},
    {22, "user.role.update", "User role updated"},
    {23, "setupkey.group.add", "Group added to setup key"},
    {24, "setupkey.group.delete", "Group removed from user setup key"},
    {25, "dns.setting.disabled.management.group.add",
     "Group added to disabled management DNS setting"},
    {26, "dns.setting.disabled.management.group.delete",
     "Group removed from disabled management DNS setting"},
    {27, "route.add", "Route created"},
    {28, "route.delete", "Route deleted"},
    {29, "route.update", "Route updated"},
    {30, "peer.ssh.enable", "Peer SSH server enabled"},
    {31, "peer.ssh.disable", "Peer SSH server disabled"},
    {32, "peer.rename", "Peer renamed"},
    {33, "peer.login.expiration.enable", "Peer login expiration enabled"},
    {34, "peer.login.expiration.disable", "Peer login expiration disabled"},
    {35, "nameserver.group.add", "Nameserver group created"},
    {36, "nameserver.group.delete", "Nameserver group deleted"},
    {37, "nameserver.group.update", "Nameserver group updated"},
    {38, "account.setting.peer.login.expiration.enable", "Account peer login expiration enabled"},
    {39, "account.setting.peer.login.expiration.disable", "Account peer login expiration disabled"},
    {40, "account.setting.peer.login.expiration.update",
     "Account peer login expiration duration updated"},
    {41, "personal.access.token.create", "Personal access token created"},
    {42, "personal.access.token.delete", "Personal access token deleted"},
    {43, "service.user.create", "Service user created"},
    {44, "service.user.delete", "Service user deleted"},
    {45, "user.block", "User blocked"},
    {46, "user.unblock", "User unblocked"},
    {47, "user.delete", "User deleted"},
    {48, "group.delete", "Group deleted"},
    {49, "user.peer.login", "User logged in peer"},
    {50, "peer.login.expire", "Peer login expired"},
    {51, "dashboard.login", "Dashboard login"},
    {52, "integration.create", "Integration created"},
    {53, "integration.update", "Integration updated"},
    {54, "integration.delete", "Integration deleted"},
    {55, "account.setting.peer.approval.enable", "Account peer approval enabled"},
    {56, "account.setting.peer.approval.disable", "Account peer approval disabled"},
    {57, "peer.approve", "Peer approved"},
    {58, "peer.approval.revoke", "Peer approval revoked"},
    {59, "transferred.owner.role", "Transferred owner role"},
    {60, "posture.check.create", "Posture check created"},
    {61, "posture.check.update", "Posture check updated"},
    {62, "posture.check.delete", "Posture check deleted"},
    {63, "peer.inactivity.expiration.enable", "Peer inactivity expiration enabled"},
    {64, "peer.inactivity.expiration.disable", "Peer inactivity expiration disabled"},
    {65, "account.peer.inactivity.expiration.enable", "Account peer inactivity expiration enabled"},
    {66, "account.peer.inactivity.expiration.disable",
     "Account peer inactivity expiration disabled"},
    {67, "account.peer.inactivity.expiration.update",
     "Account peer inactivity expiration duration updated"},
    {68, "setupkey.delete", "Setup key deleted"},
    {69, "account.setting.group.propagation.enable", "User group propagation enabled"},
    {70, "account.setting.group.propagation.disable", "User group propagation disabled"},
    {71, "account.setting.routing.peer.dns.resolution.enable",
     "Account routing peer DNS resolution enabled"},
    {72, "account.setting.routing.peer.dns.resolution.disable",
     "Account routing peer DNS resolution disabled"},
    {73, "network.create", "Network created"},
    {74, "network.update", "Network updated"},
    {75, "network.delete", "Network deleted"},
    {76, "network.resource.create", "Network resource created"},
    {77, "network.resource.update", "Network resource updated"},
    {78, "network.resource.delete", "Network resource deleted"},
    {79, "network.router.create", "Network router created"},
    {80, "network.router.update", "Network router updated"},
    {81, "network.router.delete", "Network router deleted"},
    {82, "resource.group.add", "Resource added to group"},
    {83, "resource.group.delete", "Resource removed from group"},
    {84, "account.dns.domain.update", "Account DNS domain updated"},
    {85, "account.setting.lazy.connection.enable", "Account lazy connection enabled"},
    {86, "account.setting.lazy.connection.disable", "Account lazy connection disabled"},
    {87, "account.network.range.update", "Account network range updated"},
    {88, "peer.ip.update", "Peer IP updated"},
    {89, "user.approve", "User approved"},
    {90, "user.reject", "User rejected"},
    {91, "user.create", "User created"},
    {92, "account.settings.auto.version.update", "Account AutoUpdate Version updated"},
    {93, "identityprovider.create", "Identity provider created"},
    {94, "identityprovider.update", "Identity provider updated"},
    {95, "identityprovider.delete", "Identity provider deleted"},
    {96, "dns.zone.create", "DNS zone created"},
    {97, "dns.zone.update", "DNS zone updated"},
    {98, "dns.zone.delete", "DNS zone deleted"},
    {99, "dns.zone.record.create", "DNS zone record created"},
    {100, "dns.zone.record.update", "DNS zone record updated"},
    {101, "dns.zone.record.delete", "DNS zone record deleted"},
    {102, "peer.job.create", "Create Job for peer"},
    {103, "user.password.change", "User password changed"},
    {104, "user.invite.link.create", "User invite link created"},
    {105, "user.invite.link.accept", "User invite link accepted"},
    {106, "user.invite.link.regenerate", "User invite link regenerated"},
    {107, "user.invite.link.delete", "User invite link deleted"},
    {108, "service.create", "Service created"},
    {109, "service.update", "Service updated"},
    {110, "service.delete", "Service deleted"},
    {111, "service.peer.expose", "Peer exposed service"},
    {112, "service.peer.unexpose", "Peer unexposed service"},
    {113, "service.peer.expose.expire", "Peer exposed service expired"},
    {114, "account.setting.peer.expose.enable", "Account peer expose enabled"},
    {115, "account.setting.peer.expose.disable", "Account peer expose disabled"},
    {116, "account.setting.auto.update.always.enable", "Account auto-update always enabled"},
    {117, "account.setting.auto.update.always.disable", "Account auto-update always disabled"},
    {118, "domain.add", "Domain added"},
    {119, "domain.delete", "Domain deleted"},
    {120, "domain.validate", "Domain validated"},
    {121, "account.setting.ipv6.enable", "Account IPv6 overlay enabled"},
    {122, "account.setting.ipv6.disable", "Account IPv6 overlay disabled"},
    {123, "account.setting.local.mfa.enable", "Account local MFA enabled"},
    {124, "account.setting.local.mfa.disable", "Account local MFA disabled"},
    {125, "user.peer.session.extend", "User extended peer session"},
    {126, "agent_network.provider.create", "Agent network provider created"},
    {127, "agent_network.provider.update", "Agent network provider updated"},
    {128, "agent_network.provider.delete", "Agent network provider deleted"},
    {129, "agent_network.policy.create", "Agent network policy created"},
    {130, "agent_network.policy.update", "Agent network policy updated"},
    {131, "agent_network.policy.delete", "Agent network policy deleted"},
    {132, "agent_network.guardrail.create", "Agent network guardrail created"},
    {133, "agent_network.guardrail.update", "Agent network guardrail updated"},
    {134, "agent_network.guardrail.delete", "Agent network guardrail deleted"},
    {135, "agent_network.budget_rule.create", "Agent network budget rule created"},
    {136, "agent_network.budget_rule.update", "Agent network budget rule updated"},
    {137, "agent_network.budget_rule.delete", "Agent network budget rule deleted"},
    {139, "agent_network.settings.update", "Agent network settings updated"},
    {140, "account.setting.metrics.push.enable", "Account metrics push enabled"},
    {141, "account.setting.metrics.push.disable", "Account metrics push disabled"},
    {142, "agent_network.settings.delete", "Agent network settings deleted"},
    {99999, "account.delete", "Account deleted"},
};

const Known* find(std::int32_t number) {
  const auto* it = std::lower_bound(
      std::begin(kKnown), std::end(kKnown), number,
      [](const Known& known, std::int32_t wanted) { return known.number < wanted; });
  return it != std::end(kKnown) && it->number == number ? it : nullptr;
}

}  // namespace

std::string_view activity_code(std::int32_t activity) {
  const Known* known = find(activity);
  return known != nullptr ? known->code : std::string_view{};
}

std::string_view activity_text(std::int32_t activity) {
  const Known* known = find(activity);
  return known != nullptr ? known->text : std::string_view{};
}

}  // namespace nb::management
