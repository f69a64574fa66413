// An identity provider whose calls are counted, under upstream's names.
// Source   contract/signal-relay-ops.md §8.2 management_idp_*.
#pragma once

#include "base/metrics.h"
#include "management/app/identity_provider.h"

namespace nb::management::auth {

class CountedProvider final : public IdentityProvider {
 public:
  /// Both outlive it.
  CountedProvider(IdentityProvider& inner, MetricRegistry& registry);

  [[nodiscard]] const std::string& issuer() const override { return inner_.issuer(); }
  [[nodiscard]] bool local_auth_disabled() const override { return inner_.local_auth_disabled(); }
  [[nodiscard]] bool device_flow_enabled() const override { return inner_.device_flow_enabled(); }
  Task<IdpKeySet> keys(Instant deadline) override;
  [[nodiscard]] UserId new_user_id() override { return inner_.new_user_id(); }
  Task<bool> has_local_users(Instant deadline) override;
  Task<MadeIdpUser> create_first_user(Instant deadline, NewIdpUser user) override;
  Task<MadeIdpUser> create_user(Instant deadline, NewIdpUser user) override;
  Task<void> delete_user(Instant deadline, UserId id) override;
  Task<IdpUser> find_user(Instant deadline, UserId id) override;
  Task<std::optional<IdpUser>> find_user_by_email(Instant deadline, std::string email) override;
  Task<bool> deleted(Instant deadline, UserId id, WallTime issued_at) override;
  Task<void> change_password(Instant deadline, UserId id, PasswordChange change) override;
  Task<void> set_password(Instant deadline, UserId id, Secret password) override;
  Task<void> reset_mfa(Instant deadline, UserId id) override;
  Task<void> end_logins(Instant deadline, UserId id) override;
  Task<std::vector<IdpConnector>> connectors(Instant deadline) override;
  Task<IdpConnector> connector(Instant deadline, std::string id) override;
  Task<IdpConnector> create_connector(Instant deadline, IdpConnectorChange change) override;
  Task<IdpConnector> update_connector(Instant deadline, std::string id,
                                      IdpConnectorChange change) override;
  Task<void> delete_connector(Instant deadline, std::string id, IdpNote note) override;
  Task<std::vector<IdpNote>> notes(Instant deadline, std::size_t limit) override {
    return inner_.notes(deadline, limit);
  }
  Task<void> forget_note(Instant deadline, std::string key) override {
    return inner_.forget_note(deadline, std::move(key));
  }

 private:
  template <class T>
  Task<T> judged(Task<T> call);

  IdentityProvider& inner_;
  FastCounter& authenticate_;
  FastCounter& get_account_;
  FastCounter& get_accounts_;
  FastCounter& get_user_by_id_;
  FastCounter& get_user_by_email_;
  FastCounter& create_user_;
  FastCounter& delete_user_;
  FastCounter& update_user_meta_;
  FastCounter& request_error_;
  FastCounter& status_error_;
};

}  // namespace nb::management::auth
