#include "crypto/random.h"
#include "management/store/store_work.h"

namespace nb::management::work {
namespace {

constexpr std::string_view kCurrent = "current";
constexpr std::string_view kPrevious = "previous";
constexpr std::string_view kCheckName = "data_store_key_check";
constexpr std::string_view kCheckText = "netbird";
constexpr crypto::FieldPlace kCheckPlace{"nb_meta", "value", "data_store_key_check"};
constexpr int kSampleRows = 50;

crypto::FieldPlace key_place(std::string_view public_key) {
  return {"nb_server_keys", "private_key", public_key};
}

Result<> put_key(Session& session, const Context& context, std::string_view slot,
                 const ServerKeyPair& pair, WallTime since) {
  NB_TRY(
      session.exec("INSERT INTO nb_server_keys (slot, public_key, private_key, created_at) VALUES "
                   "($1, $2, $3, $4) ON "
                   "CONFLICT (slot) DO NOTHING",
                   {slot, pair.public_key,
                    context.codec.seal(pair.private_key.reveal(), key_place(pair.public_key)),
                    sql::format_time(since)}));
  return {};
}

Result<std::optional<ServerKeys>> read_keys(Session& session, const Context& context) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT slot, public_key, private_key, created_at FROM nb_server_keys"));
  std::optional<ServerKeys> out;
  std::optional<ServerKeyPair> previous;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    ServerKeyPair pair;
    pair.public_key = row.string(1);
    NB_LET(std::string plain, context.codec.open(row.text(2), key_place(pair.public_key)));
    pair.private_key = Secret(std::move(plain));
    if (row.text(0) == kCurrent) {
      out.emplace();
      out->current = std::move(pair);
      out->current_since = row.time(3).value_or(WallTime{});
    } else if (row.text(0) == kPrevious) {
      previous = std::move(pair);
    }
  }
  if (out) out->previous = std::move(previous);
  return out;
}

/// Values that upstream sealed, before we left a check of our own: do they open?
Result<> check_sample(Session& session, const Context& context) {
  NB_LET(
      const sql::Rows rows,
      session.query("SELECT id, name, email FROM users WHERE name <> '' OR email <> '' ORDER BY id "
                    "LIMIT $1",
                    {kSampleRows}));
  std::size_t refused = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string_view id = rows[i].text(0);
    for (const auto& [column, value] :
         {std::pair<std::string_view, std::string_view>{"name", rows[i].text(1)},
          {"email", rows[i].text(2)}}) {
      if (!looks_sealed(value)) continue;
      if (context.codec.open(value, {"users", column, id})) return {};
      ++refused;
    }
  }
  if (refused == 0) return {};
  return fail(
      Code::kFailedPrecondition,
      context.codec.has_key()
          ? "DataStoreEncryptionKey is not the key this database was written with"
          : "the database holds encrypted names and no DataStoreEncryptionKey is configured");
}

}  // namespace

Result<std::string> installation_id(Session& session, const Context& context) {
  NB_TRY(session.lock(sql::lock_number("nb_installation")));
  static constexpr std::string_view kSelect =
      "SELECT installation_id_value FROM installations ORDER BY id LIMIT 1";
  NB_LET(const sql::Rows rows, session.query(kSelect));
  if (!rows.empty() && !rows[0].text(0).empty()) return rows[0].string(0);
  std::string id = crypto::make_uuid(context.random);
  std::transform(id.begin(), id.end(), id.begin(), [](char c) {
    return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  NB_TRY(session.exec("INSERT INTO installations (installation_id_value) VALUES ($1)", {id}));
  return id;
}

Result<ServerKeys> server_keys(Session& session, const Context& context,
                               const ServerKeyPair& candidate) {
  NB_LET(auto present, read_keys(session, context));
  if (present) return *std::move(present);
  NB_TRY(put_key(session, context, kCurrent, candidate, context.clock.wall()));
  NB_LET(auto stored, read_keys(session, context));
  if (!stored) return fail(Code::kInternal, "server key was not stored");
  return *std::move(stored);
}

Result<ServerKeys> rotate_server_key(Session& session, const Context& context,
                                     const std::string& expected_current,
                                     const ServerKeyPair& next) {
  NB_TRY(session.lock(sql::lock_number("nb_server_keys")));
  NB_LET(const auto present, read_keys(session, context));
  if (!present || present->current.public_key != expected_current)
    return fail(Code::kAborted, "server key was rotated meanwhile");
  NB_TRY(session.exec("DELETE FROM nb_server_keys"));
  NB_TRY(put_key(session, context, kPrevious, present->current, present->current_since));
  NB_TRY(put_key(session, context, kCurrent, next, context.clock.wall()));
  NB_LET(auto stored, read_keys(session, context));
  if (!stored) return fail(Code::kInternal, "server key was not stored");
  return *std::move(stored);
}

Result<> check_data_store_key(Session& session, const Context& context) {
  NB_TRY(session.lock(sql::lock_number(kCheckName)));
  NB_LET(const sql::Rows rows,
         session.query("SELECT value FROM nb_meta WHERE name = $1", {kCheckName}));
  if (rows.empty()) {
    NB_TRY(check_sample(session, context));
    if (!context.codec.has_key()) return {};
    NB_TRY(session.exec("INSERT INTO nb_meta (name, value) VALUES ($1, $2)",
                        {kCheckName, context.codec.seal(kCheckText, kCheckPlace)}));
    return {};
  }
  if (!context.codec.has_key())
    return fail(Code::kFailedPrecondition,
                "the database was written with a DataStoreEncryptionKey and none is configured");
  if (!context.codec.open(rows[0].text(0), kCheckPlace))
    return fail(Code::kFailedPrecondition,
                "DataStoreEncryptionKey is not the key this database was written with");
  return {};
}

}  // namespace nb::management::work
