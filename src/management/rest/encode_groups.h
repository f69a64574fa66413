// Groups and their members in answers.
#pragma once

#include "management/domain/account_snapshot.h"
#include "management/rest/json_writer.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nb::management::rest {

/// The short form of every group, made once and copied into each place that shows it.
class GroupTexts {
 public:
  explicit GroupTexts(const AccountSnapshot& account);
  /// Empty for an id without a group (any more).
  [[nodiscard]] std::string_view find(const GroupId& id) const;
  /// A list of short forms; ids without a group are left out.
  void write(JsonWriter& json, std::string_view name, const std::vector<GroupId>& ids) const;

 private:
  std::unordered_map<GroupId, std::string, IdHash> texts_;
};

/// The short forms of the groups each peer is in, by the peer's position in the table; needs peers
/// and groups. They live as long as `texts`.
[[nodiscard]] std::vector<std::vector<std::string_view>> group_texts_of_peers(
    const AccountSnapshot& account, const GroupTexts& texts);

/// The short form of every peer that the API shows, made once: a group of everybody and some more
/// show each several times. Needs peers; lives as long as the account.
class MemberTexts {
 public:
  explicit MemberTexts(const AccountSnapshot& account);
  /// Empty for a peer that is not shown.
  [[nodiscard]] std::string_view find(const PeerId& id) const;

 private:
  std::unordered_map<std::string_view, std::string> texts_;  // by id
};

/// The whole form; members are those peers that the API shows.
void write_group(JsonWriter& json, const Group& group, const MemberTexts& texts);
void write_resource(JsonWriter& json, const Resource& resource);

}  // namespace nb::management::rest
