// Makes the parts of a MapView, from scratch or from the view before.
#pragma once

#include "management/netmap/map_view.h"

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nb::netmap {

class ViewBuilder {
 public:
  ViewBuilder(const MapView* before, management::AccountSnapshotPtr next,
              const MapViewOptions& options);
  [[nodiscard]] std::shared_ptr<const MapView> build();

 private:
  using GroupList = std::vector<management::GroupId>;

  void build_slots();
  void build_groups();
  void build_peers();
  /// Puts the record of the peer at `position` where it belongs.
  void build_peer(std::size_t position, const PeerContext& context);
  void build_chunks();
  void build_checks();
  void build_rules();
  void build_checked_policies();
  void build_routes();
  void build_resources();
  void build_names();
  void build_globals();

  [[nodiscard]] const GroupRecord* group(const management::GroupId& id) const;
  [[nodiscard]] Bits members(const GroupList& groups) const;
  [[nodiscard]] Bits failing(const management::Policy& policy) const;
  [[nodiscard]] PeerIndex slot(const management::PeerId& id) const;
  [[nodiscard]] Bits group_members(const management::Group& group) const;
  [[nodiscard]] std::shared_ptr<const GroupRecord> group_record(std::size_t position) const;
  /// Validated members of a list in which `All` or a sole entry stands for exactly its own.
  [[nodiscard]] Bits side(const GroupList& groups) const;
  [[nodiscard]] std::vector<std::shared_ptr<const management::Policy>> ordered_policies();
  void add_rule(const std::shared_ptr<const management::Policy>& policy, std::size_t rule_index,
                bool shares_id);
  void note_irregular(const management::Policy& policy, const management::PolicyRule& rule,
                      const CompiledRule& compiled);
  [[nodiscard]] std::vector<ResourceAccess> access_to(
      const management::NetworkResource& resource,
      const std::map<std::string, std::vector<std::size_t>>& by_resource,
      const std::map<management::GroupId, std::vector<std::size_t>>& by_group) const;
  void add_service_records();

  const MapView* before_;
  std::shared_ptr<MapView> view_;
  const management::AccountSnapshot& account_;
  std::shared_ptr<PeerPart> peers_ = std::make_shared<PeerPart>();
  std::shared_ptr<GroupPart> groups_ = std::make_shared<GroupPart>();
  std::shared_ptr<CheckPart> checks_ = std::make_shared<CheckPart>();
  std::shared_ptr<RulePart> rules_ = std::make_shared<RulePart>();
  std::shared_ptr<RoutePart> routes_ = std::make_shared<RoutePart>();
  std::shared_ptr<ResourcePart> resources_ = std::make_shared<ResourcePart>();
  std::shared_ptr<NamePart> names_ = std::make_shared<NamePart>();
  std::vector<std::size_t> old_position_;           // of each position; kNowhere for a new peer
  std::vector<std::size_t> added_;                  // positions
  std::vector<std::size_t> replaced_;               // positions of peers that are other objects now
  std::map<PeerIndex, PeerRecordPtr> new_records_;  // where they differ from those before
  Bits removed_;                                    // slots of the view before
  Bits changed_looks_;  // slots whose record others see differently than before
  std::map<std::pair<const management::Policy*, std::size_t>, CompiledRulePtr> old_rules_;
  /// Injected policies may share an id.
  std::multimap<management::PolicyId, std::shared_ptr<const management::Policy>> old_policies_;
  std::map<std::string, std::vector<std::size_t>> groups_of_resource_;  // positions
};

}  // namespace nb::netmap
