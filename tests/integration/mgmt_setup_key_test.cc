// The last use of a setup key, asked for through two instances: what agents are told.
// Source   contract/management-grpc.md §4.1.
#include "integration/held_table.h"
#include "integration/mgmt_cluster.h"
#include "support/together.h"

#include <gmock/gmock.h>

#include <array>
#include <optional>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;

constexpr const char* kInvalid = "couldn't add peer: setup key is invalid";

class MgmtSetupKey : public MgmtCluster {
 protected:
  [[nodiscard]] grpc::Status join(int instance) const {
    // Of one name the second would wait for the first one's label, and not for the key.
    return Agent("racer-" + std::to_string(instance))
        .login((instance == 0 ? one : two).target(), one_off)
        .status;
  }
  [[nodiscard]] std::string peers() const { return postgres.psql("select count(*) from peers"); }
  const std::string one_off = one.setup_key({"--type", "one-off"});
};

TEST_F(MgmtSetupKey, BothFoundItValidAndTheSecondIsTooLate) {
  std::array<grpc::Status, 2> told;
  std::optional<HeldTable> held(std::in_place, postgres, "setup_keys", "netbird");
  std::vector<std::thread> logins;
  for (const int i : {0, 1})
    logins.emplace_back([&told, i, this] { told.at(static_cast<std::size_t>(i)) = join(i); });
  EXPECT_TRUE(eventually(
      [&] {
        return postgres.psql(
                   "select count(*) from pg_locks where not granted and relation = "
                   "'setup_keys'::regclass") == "2";
      },
      10s));
  held.reset();
  for (std::thread& login : logins) login.join();
  const grpc::Status& late = told[0].ok() ? told[1] : told[0];
  EXPECT_TRUE(told[0].ok() || told[1].ok()) << told[0].error_message();
  EXPECT_EQ(late.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(late.error_message(), kInvalid);
  EXPECT_EQ(peers(), "1");
  const grpc::Status later = join(1);
  EXPECT_EQ(later.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(later.error_message(), kInvalid);
}

TEST_F(MgmtSetupKey, ExactlyOneRegistersHoweverTheyMeet) {
  for (int round = 0; round < 100; ++round) {
    postgres.psql("update setup_keys set used_times = 0");
    std::array<grpc::Status, 2> told;
    together(2, [&](int i) { told.at(static_cast<std::size_t>(i)) = join(i); });
    ASSERT_NE(told[0].ok(), told[1].ok()) << "round " << round;
    const grpc::Status& refused = told[0].ok() ? told[1] : told[0];
    ASSERT_THAT(refused.error_code(),
                testing::AnyOf(StatusCode::NOT_FOUND, StatusCode::FAILED_PRECONDITION))
        << refused.error_message();
    ASSERT_EQ(refused.error_message(), kInvalid);
  }
  EXPECT_EQ(peers(), "100");
}

}  // namespace
}  // namespace nb::test
