// What every LoginFilter does. The numbers of §8.3 are tested in login_rules_test.cc; here small
// ones, since some adapters live in real time.
#pragma once

#include "ha/contract_rig.h"

namespace nb::ha {

template <class Rig>
class LoginFilterContract : public testing::Test {
 protected:
  using Ms = std::chrono::milliseconds;
  Rig rig;
  LoginFilterConfig config{
      .reconnects_max = 3, .ban = Ms(400), .meta_changes_max = 2, .meta_window = Ms(400)};
  std::unique_ptr<LoginFilter> filter = rig.login_filter(config), other = rig.login_filter(config);
  LoginVerdict sync(std::uint64_t hash = ~0ULL, const std::string& peer = "p") {
    return rig.get(filter->check_and_add({peer, hash}));
  }
  LoginVerdict login(std::uint64_t hash = ~0ULL, const std::string& peer = "p") {
    return rig.get(other->check({peer, hash}));
  }
};
TYPED_TEST_SUITE_P(LoginFilterContract);

TYPED_TEST_P(LoginFilterContract, BanIsSharedEndsAndSparesOthers) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(this->sync().allowed()) << i;
  EXPECT_EQ(this->sync().kind, LoginVerdict::Kind::kBanned);
  const LoginVerdict refused = this->login();
  EXPECT_EQ(refused.kind, LoginVerdict::Kind::kBanned);
  EXPECT_GT(refused.retry_after.count(), 0);
  EXPECT_LE(refused.retry_after.count(), 400);
  EXPECT_TRUE(this->sync(1, "another").allowed());
  EXPECT_TRUE(this->rig.eventually([&] { return this->login().allowed(); }));
}

TYPED_TEST_P(LoginFilterContract, CheckRecordsNothing) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(this->login(std::uint64_t(i)).allowed());
  EXPECT_TRUE(this->sync().allowed());
}

TYPED_TEST_P(LoginFilterContract, FlappingDescriptionIsRefusedAllItsBitsCount) {
  EXPECT_TRUE(this->sync(~0ULL).allowed());
  EXPECT_TRUE(this->sync(~0ULL - 1).allowed());  // differs in the lowest of 64 bits
  EXPECT_EQ(this->sync(~0ULL).kind, LoginVerdict::Kind::kMetaFlap);
  EXPECT_TRUE(this->login(~0ULL - 1).allowed());
  EXPECT_TRUE(this->rig.eventually([&] { return this->login(~0ULL).allowed(); }));
}

TYPED_TEST_P(LoginFilterContract, LostStateAllows) {
  for (int i = 0; i < 5; ++i) this->sync();
  EXPECT_FALSE(this->login().allowed());
  this->rig.flush();
  EXPECT_TRUE(this->login().allowed());
}

REGISTER_TYPED_TEST_SUITE_P(LoginFilterContract, BanIsSharedEndsAndSparesOthers,
                            CheckRecordsNothing, FlappingDescriptionIsRefusedAllItsBitsCount,
                            LostStateAllows);

}  // namespace nb::ha
