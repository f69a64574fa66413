// External providers as management's port sees them (contract/auth-idp.md §6.1).
#include "crypto/xid.h"
#include "idp/core.h"

namespace nb::idp {
namespace {

using management::IdpConnector;
using management::IdpConnectorChange;

IdpConnector port_connector(const Connector& row) {
  return {.id = row.id,
          .type = row.type,
          .name = row.name,
          .issuer = row.issuer,
          .client_id = row.client_id};
}

/// Tries to change what others change too.
constexpr int kRoundsMax = 8;

IdpNote note_of(const Core& core, IdpNote note, const Connector& connector) {
  note.key = core.new_token();
  if (note.target.empty()) note.target = connector.id;
  note.name = connector.name;
  return note;
}

Result<> check(const IdpConnectorChange& change) {
  const auto missing = [](std::string_view what) {
    return fail(Code::kInvalidArgument, "identity provider {} is required", what);
  };
  if (change.name.empty()) return missing("name");
  if (change.type.empty()) return missing("type");
  if (!is_connector_type(change.type))
    return fail(Code::kInvalidArgument, "unsupported identity provider type");
  if (change.client_id.empty()) return missing("client ID");
  if (change.issuer.empty() && fixed_issuer(change.type).empty()) return missing("issuer");
  if (!clean(change.name, 255) || !clean(change.client_id, 512) || !clean(change.issuer, 2048) ||
      !clean(change.client_secret.reveal(), 4096))
    return fail(Code::kInvalidArgument, "identity provider: a field is not text or too long");
  return {};
}

// What the remote said is not repeated: the caller must not read other servers through us.
Task<void> check_remote(Core& core, std::string type, std::string issuer) {
  if (!fixed_issuer(type).empty()) co_return Result<>();
  const auto found = co_await core.upstream.discover(std::move(issuer));
  if (!found)
    co_return fail(Code::kInvalidArgument,
                   "issuer: its discovery document cannot be fetched, is not valid, or names "
                   "another issuer");
  co_return Result<>();
}

std::string shown_issuer(const IdpConnectorChange& change) {
  const std::string_view fixed = fixed_issuer(change.type);
  return fixed.empty() ? change.issuer : std::string(fixed);
}

}  // namespace

Task<std::vector<IdpConnector>> Provider::connectors(Instant deadline) {
  NB_CO_LET(const std::vector<Connector> rows, co_await core_->store.connectors(deadline));
  std::vector<IdpConnector> out;
  for (const Connector& row : rows) out.push_back(port_connector(row));
  co_return out;
}

Task<IdpConnector> Provider::connector(Instant deadline, std::string id) {
  NB_CO_LET(const std::optional<Connector> row, co_await core_->store.connector(deadline, id));
  if (!row) co_return fail(Code::kNotFound, "identity provider not found");
  co_return port_connector(*row);
}

Task<IdpConnector> Provider::create_connector(Instant deadline, IdpConnectorChange change) {
  NB_CO_TRY(check(change));
  NB_CO_TRY(co_await check_remote(*core_, change.type, change.issuer));
  crypto::XidGenerator ids(core_->clock, core_->random);
  Connector row;
  row.id = change.type == "oidc" ? ids.next() : change.type + "-" + ids.next();
  row.type = change.type;
  row.name = change.name;
  row.issuer = shown_issuer(change);
  row.client_id = change.client_id;
  row.config = connector_json(change.type, row.issuer, change.client_id, change.client_secret,
                              core_->url("/callback"));
  IdpNote note = note_of(*core_, change.note, row);
  NB_CO_TRY(co_await core_->store.insert_connector_row(deadline, row, false, std::move(note)));
  co_return port_connector(row);
}

Task<IdpConnector> Provider::update_connector(Instant deadline, std::string id,
                                              IdpConnectorChange change) {
  if (id == kLocalConnector)
    co_return fail(Code::kInvalidArgument, "the local identity provider cannot be changed");
  NB_CO_TRY(check(change));
  for (int round = 0; round < kRoundsMax; ++round) {
    NB_CO_LET(std::optional<Connector> row, co_await core_->store.connector(deadline, id));
    if (!row) co_return fail(Code::kNotFound, "identity provider not found");
    if (row->type != change.type)
      co_return fail(Code::kInvalidArgument, "the type of an identity provider cannot be changed");
    if (row->issuer != shown_issuer(change))
      NB_CO_TRY(co_await check_remote(*core_, change.type, change.issuer));
    row->name = change.name;
    row->issuer = shown_issuer(change);
    row->client_id = change.client_id;
    const Secret secret = change.client_secret.empty() ? stored_secret(*row) : change.client_secret;
    row->config =
        connector_json(change.type, row->issuer, change.client_id, secret, core_->url("/callback"));
    IdpNote note = note_of(*core_, change.note, *row);
    NB_CO_LET(const bool stored,
              co_await core_->store.update_connector(deadline, *row, std::move(note)));
    if (stored) co_return port_connector(*row);
    // Somebody else was faster: the secret that is to be kept may be another one by now.
  }
  co_return fail(Code::kAborted, "the identity provider is being changed by others");
}

Task<void> Provider::delete_connector(Instant deadline, std::string id, IdpNote note) {
  if (id == kLocalConnector)
    co_return fail(Code::kInvalidArgument, "the local identity provider cannot be deleted");
  NB_CO_LET(const std::optional<Connector> row, co_await core_->store.connector(deadline, id));
  if (!row) co_return fail(Code::kNotFound, "identity provider not found");
  note = note_of(*core_, std::move(note), *row);
  NB_CO_LET(const bool gone,
            co_await core_->store.delete_connector(deadline, std::move(id), std::move(note)));
  if (!gone) co_return fail(Code::kNotFound, "identity provider not found");
  co_return Result<>();
}

Task<std::vector<IdpNote>> Provider::notes(Instant deadline, std::size_t limit) {
  return core_->store.notes(deadline, limit);
}

Task<void> Provider::forget_note(Instant deadline, std::string key) {
  return core_->store.forget_note(deadline, std::move(key));
}

}  // namespace nb::idp
