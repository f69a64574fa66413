#include "management/app/stream_rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace nb::management::app {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Peer peer(const std::string& id, const std::string& user = {}) {
  Peer out;
  out.id = PeerId(id);
  out.user_id = UserId(user);
  return out;
}

User user(const std::string& id, bool blocked = false) {
  User out;
  out.id = UserId(id);
  out.blocked = blocked;
  return out;
}

AccountSnapshot account(std::vector<Peer> peers, std::vector<User> users = {}) {
  AccountSnapshot out;
  out.peers = EntityTable<Peer>(std::move(peers));
  out.users = EntityTable<User>(std::move(users));
  return out;
}

TEST(StreamRights, AreLostByWhoIsGone) {
  const auto before = account({peer("a"), peer("b"), peer("c"), peer("d")});
  EXPECT_THAT(lost_rights(before, account({peer("b"), peer("c1"), peer("d")})),
              ElementsAre("a", "c"));
  EXPECT_THAT(lost_rights(before, account({})), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(lost_rights(account({}), before), IsEmpty());
  EXPECT_THAT(lost_rights(before, before), IsEmpty());
}

TEST(StreamRights, AreLostByWhoseLoginExpiredOrWhoseUserIsBlocked) {
  auto expired = peer("a", "u");
  expired.status.login_expired = true;
  const auto before = account({peer("a", "u"), peer("b", "v"), peer("c")}, {user("u"), user("v")});
  const auto after = account({expired, peer("b", "v"), peer("c")}, {user("u"), user("v", true)});
  EXPECT_THAT(lost_rights(before, after), ElementsAre("a", "b"));
  EXPECT_THAT(lost_rights(after, after), IsEmpty());
  EXPECT_THAT(lost_rights(after, before), IsEmpty()) << "they were lost before";
}

TEST(StreamRights, AreLostWhereOnlyTheUserChanged) {
  const auto before = account({peer("a", "u"), peer("b", "v")}, {user("u"), user("v")});
  auto after = before;  // shares its peers
  after.users = EntityTable<User>({user("u", true), user("v")});
  EXPECT_THAT(lost_rights(before, after), ElementsAre("a"));
}

TEST(StreamRights, AreLostByWhoseUserIsGone) {  // as the database judges: kOwnerBlocked
  const auto before = account({peer("a", "u"), peer("b", "v")}, {user("u"), user("v")});
  auto after = before;
  after.users = EntityTable<User>({user("v")});
  EXPECT_THAT(lost_rights(before, after), ElementsAre("a"));
  EXPECT_FALSE(may_have_stream(after, peer("a", "u")));
}

TEST(StreamRights, OfMachinesWithoutAUserDoNotExpire) {
  auto flagged = peer("a");
  flagged.status.login_expired = true;
  EXPECT_TRUE(may_have_stream(account({flagged}), flagged));
}

}  // namespace
}  // namespace nb::management::app
