#include "management/auth/counted_provider.h"

#include <fmt/format.h>

#include <utility>

namespace nb::management::auth {
namespace {

FastCounter& counter(MetricRegistry& registry, std::string_view what, std::string_view help) {
  return registry.counter(fmt::format("management_idp_{}_counter_total", what), help);
}

/// The provider did not get to an answer; everything else is one, if a refusal.
bool broke(Code code) {
  return code == Code::kUnavailable || code == Code::kDeadlineExceeded || code == Code::kInternal ||
         code == Code::kResourceExhausted || code == Code::kUnknown;
}

}  // namespace

CountedProvider::CountedProvider(IdentityProvider& inner, MetricRegistry& r)
    : inner_(inner),
      authenticate_(counter(r, "authenticate_request", "fetches of the key set")),
      get_account_(counter(r, "get_account", "one connector asked for")),
      get_accounts_(counter(r, "get_accounts", "lists of connectors or users asked for")),
      get_user_by_id_(counter(r, "get_user_by_id", "users asked for by id")),
      get_user_by_email_(counter(r, "get_user_by_email", "users asked for by address")),
      create_user_(counter(r, "create_user", "users made")),
      delete_user_(counter(r, "delete_user", "users deleted")),
      update_user_meta_(
          counter(r, "update_user_meta", "passwords, second factors and logins changed")),
      request_error_(counter(r, "request_error", "calls without an answer")),
      status_error_(counter(r, "request_status_error", "calls that were refused")) {}

template <class T>
CountedProvider::Task<T> CountedProvider::judged(Task<T> call) {
  auto done = co_await std::move(call);
  if (!done) (broke(done.error().code) ? request_error_ : status_error_).add();
  co_return done;
}

CountedProvider::Task<IdpKeySet> CountedProvider::keys(Instant deadline) {
  authenticate_.add();
  return judged(inner_.keys(deadline));
}
CountedProvider::Task<bool> CountedProvider::has_local_users(Instant deadline) {
  get_accounts_.add();
  return judged(inner_.has_local_users(deadline));
}
CountedProvider::Task<MadeIdpUser> CountedProvider::create_first_user(Instant deadline,
                                                                      NewIdpUser user) {
  create_user_.add();
  return judged(inner_.create_first_user(deadline, std::move(user)));
}
CountedProvider::Task<MadeIdpUser> CountedProvider::create_user(Instant deadline, NewIdpUser user) {
  create_user_.add();
  return judged(inner_.create_user(deadline, std::move(user)));
}
CountedProvider::Task<void> CountedProvider::delete_user(Instant deadline, UserId id) {
  delete_user_.add();
  return judged(inner_.delete_user(deadline, std::move(id)));
}
CountedProvider::Task<IdpUser> CountedProvider::find_user(Instant deadline, UserId id) {
  get_user_by_id_.add();
  return judged(inner_.find_user(deadline, std::move(id)));
}
CountedProvider::Task<std::optional<IdpUser>> CountedProvider::find_user_by_email(
    Instant deadline, std::string email) {
  get_user_by_email_.add();
  return judged(inner_.find_user_by_email(deadline, std::move(email)));
}
CountedProvider::Task<bool> CountedProvider::deleted(Instant deadline, UserId id,
                                                     WallTime issued_at) {
  get_user_by_id_.add();
  return judged(inner_.deleted(deadline, std::move(id), issued_at));
}
CountedProvider::Task<void> CountedProvider::change_password(Instant deadline, UserId id,
                                                             PasswordChange change) {
  update_user_meta_.add();
  return judged(inner_.change_password(deadline, std::move(id), std::move(change)));
}
CountedProvider::Task<void> CountedProvider::set_password(Instant deadline, UserId id,
                                                          Secret password) {
  update_user_meta_.add();
  return judged(inner_.set_password(deadline, std::move(id), std::move(password)));
}
CountedProvider::Task<void> CountedProvider::reset_mfa(Instant deadline, UserId id) {
  update_user_meta_.add();
  return judged(inner_.reset_mfa(deadline, std::move(id)));
}
CountedProvider::Task<void> CountedProvider::end_logins(Instant deadline, UserId id) {
  update_user_meta_.add();
  return judged(inner_.end_logins(deadline, std::move(id)));
}
CountedProvider::Task<std::vector<IdpConnector>> CountedProvider::connectors(Instant deadline) {
  get_accounts_.add();
  return judged(inner_.connectors(deadline));
}
CountedProvider::Task<IdpConnector> CountedProvider::connector(Instant deadline, std::string id) {
  get_account_.add();
  return judged(inner_.connector(deadline, std::move(id)));
}
CountedProvider::Task<IdpConnector> CountedProvider::create_connector(Instant deadline,
                                                                      IdpConnectorChange change) {
  return judged(inner_.create_connector(deadline, std::move(change)));
}
CountedProvider::Task<IdpConnector> CountedProvider::update_connector(Instant deadline,
                                                                      std::string id,
                                                                      IdpConnectorChange change) {
  return judged(inner_.update_connector(deadline, std::move(id), std::move(change)));
}
CountedProvider::Task<void> CountedProvider::delete_connector(Instant deadline, std::string id,
                                                              IdpNote note) {
  return judged(inner_.delete_connector(deadline, std::move(id), std::move(note)));
}

}  // namespace nb::management::auth
