// An identity provider that reads what it is given and then has nobody: fuzzers of what stands
// before it must neither hash passwords nor ask other servers.
#pragma once

#include "management/app/identity_provider.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::management::test {

class RefusingProvider final : public IdentityProvider {
 public:
  [[nodiscard]] const std::string& issuer() const override { return issuer_; }
  [[nodiscard]] bool local_auth_disabled() const override { return false; }
  [[nodiscard]] bool device_flow_enabled() const override { return true; }
  Task<IdpKeySet> keys(Instant) override { co_return IdpKeySet{}; }
  UserId new_user_id() override { return UserId("nobody"); }
  Task<bool> has_local_users(Instant) override { co_return true; }
  Task<MadeIdpUser> create_first_user(Instant, NewIdpUser user) override { return refused(user); }
  Task<MadeIdpUser> create_user(Instant, NewIdpUser user) override { return refused(user); }
  Task<void> delete_user(Instant, UserId) override { co_return nobody(); }
  Task<IdpUser> find_user(Instant, UserId) override { co_return nobody(); }
  Task<std::optional<IdpUser>> find_user_by_email(Instant, std::string) override {
    co_return std::optional<IdpUser>();
  }
  Task<bool> deleted(Instant, UserId, WallTime) override { co_return false; }
  Task<void> change_password(Instant, UserId, PasswordChange) override { co_return nobody(); }
  Task<void> set_password(Instant, UserId, Secret) override { co_return nobody(); }
  Task<void> reset_mfa(Instant, UserId) override { co_return nobody(); }
  Task<void> end_logins(Instant, UserId) override { co_return nobody(); }
  Task<std::vector<IdpConnector>> connectors(Instant) override {
    co_return std::vector<IdpConnector>();
  }
  Task<IdpConnector> connector(Instant, std::string) override { co_return nobody(); }
  Task<IdpConnector> create_connector(Instant, IdpConnectorChange change) override {
    return echoed(std::move(change));
  }
  Task<IdpConnector> update_connector(Instant, std::string, IdpConnectorChange change) override {
    return echoed(std::move(change));
  }
  Task<void> delete_connector(Instant, std::string, IdpNote) override { co_return nobody(); }
  Task<std::vector<IdpNote>> notes(Instant, std::size_t) override {
    co_return std::vector<IdpNote>();
  }
  Task<void> forget_note(Instant, std::string) override { co_return nobody(); }

 private:
  static Error nobody() { return fail(Code::kNotFound, "there is nobody"); }
  static Task<MadeIdpUser> refused(NewIdpUser user) {
    NB_CO_TRY(check_password(user.password, user.rule));
    co_return nobody();
  }
  static Task<IdpConnector> echoed(IdpConnectorChange change) {
    co_return IdpConnector{.id = "c",
                           .type = std::move(change.type),
                           .name = std::move(change.name),
                           .issuer = std::move(change.issuer),
                           .client_id = std::move(change.client_id)};
  }

  std::string issuer_ = "https://provider.test/oauth2";
};

}  // namespace nb::management::test
