#include "management/store/event_reader.h"

#include "management/domain/event.h"
#include "management/store/run_options.h"

#include <boost/json.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

namespace nb::management {
namespace {

namespace json = boost::json;

struct Person {
  std::string name;
  std::string email;
  AccountId account;  // empty: deleted
};
using People = std::map<std::string, Person>;
using Listed = std::vector<ListedEvent>;

std::string printed(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return {};
    case json::kind::string:
      return std::string(value.get_string());
    case json::kind::bool_:
      return value.get_bool() ? "true" : "false";
    case json::kind::array: {
      std::string out;
      for (const json::value& item : value.get_array())
        out += (out.empty() ? "" : " ") + printed(item);
      return "[" + out + "]";
    }
    case json::kind::double_: {
      json::error_code error;
      const auto whole = value.to_number<std::int64_t>(error);
      return error ? fmt::format("{}", value.get_double()) : std::to_string(whole);
    }
    default:
      return json::serialize(value);
  }
}

std::vector<std::pair<std::string, std::string>> read_meta(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return out;
  for (const auto& [key, item] : value.get_object())
    out.emplace_back(std::string(key), printed(item));
  return out;
}

Result<Listed> read_events(sql::Session& session, const AccountId& account, std::size_t limit) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, timestamp, activity, initiator_id, target_id, meta FROM events "
                       "WHERE account_id = $1 ORDER BY timestamp DESC, id DESC LIMIT $2",
                       {account.value(), static_cast<std::int64_t>(limit)}));
  Listed out;
  out.reserve(rows.size());
  // A user may have joined again with every login of old servers: the newest says it.
  std::set<std::pair<std::string, std::string>> joined;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    ListedEvent event;
    event.id = row.integer(0);
    event.at = row.time(1).value_or(WallTime{});
    event.activity = static_cast<std::int32_t>(row.integer(2));
    event.initiator_id = row.string(3);
    event.target_id = row.string(4);
    if (event.activity == static_cast<std::int32_t>(Activity::kUserJoined) &&
        !joined.emplace(event.initiator_id, event.target_id).second)
      continue;
    event.meta = read_meta(row.text(5));
    out.push_back(std::move(event));
  }
  return out;
}

/// Names in the archive of deleted users. Source: contract/signal-relay-ops.md §6.8.
struct Archive {
  const FieldCodec& codec;
  const crypto::FieldCipher* cipher;  // null: no key

  /// `unknown` where nothing opens the value; the first servers sealed in a form of their own.
  [[nodiscard]] std::string open(std::string_view stored, crypto::FieldPlace place, bool legacy,
                                 const char* unknown) const {
    if (stored.empty()) return {};
    if (legacy && cipher != nullptr)
      if (auto plain = cipher->open_legacy_cbc(stored)) return *std::move(plain);
    std::string plain = codec.open_or_plain(stored, place);
    return plain.empty() ? unknown : plain;
  }
};

Result<People> read_archive(sql::Session& session, const Archive& archive) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, name, email, enc_algo FROM deleted_users"));
  People out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string id = rows[i].string(0);
    const bool legacy = rows[i].text(3) != "GCM";
    out[id] = {archive.open(rows[i].text(1), {"deleted_users", "name", id}, legacy, "unknown"),
               archive.open(rows[i].text(2), {"deleted_users", "email", id}, legacy,
                            "unknown@unknown.com"),
               {}};
  }
  return out;
}

/// Every account's: an initiator may belong to another one.
Result<People> read_users(sql::Session& session, const FieldCodec& codec) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT id, account_id, name, email, is_service_user, service_user_name "
                       "FROM users"));
  People out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    const std::string id = row.string(0);
    Person person;
    person.account = AccountId(row.string(1));
    person.name =
        row.boolean(4) ? row.string(5) : codec.open_or_plain(row.text(2), {"users", "name", id});
    person.email = codec.open_or_plain(row.text(3), {"users", "email", id});
    out[id] = std::move(person);
  }
  return out;
}

void set(ListedEvent& event, const std::string& key, const std::string& value) {
  const auto it = std::find_if(event.meta.begin(), event.meta.end(),
                               [&](const auto& item) { return item.first == key; });
  if (it != event.meta.end())
    it->second = value;
  else
    event.meta.emplace_back(key, value);
}

void add_names(Listed& events, const People& people, const AccountId& account) {
  for (ListedEvent& event : events) {
    if (const auto it = people.find(event.initiator_id); it != people.end()) {
      event.initiator_name = it->second.name;
      event.initiator_email = it->second.email;
      if (!it->second.account.empty() && it->second.account != account)
        set(event, "external", "true");
    }
    const auto target = people.find(event.target_id);
    if (target == people.end()) continue;
    set(event, "username", target->second.name);
    set(event, "email", target->second.email);
  }
}

}  // namespace

Task<std::vector<ListedEvent>> EventReader::list(Instant deadline, AccountId account,
                                                 std::size_t limit) {
  limit = std::min(limit, kEventsMax);
  using Read = std::pair<Listed, People>;
  const FieldCodec codec = codec_;
  std::function<Result<Read>(sql::Session&)> from_events =
      [account, limit, codec, cipher = cipher_](sql::Session& session) -> Result<Read> {
    Read out;
    NB_LET(out.first, read_events(session, account, limit));
    NB_LET(out.second, read_archive(session, {codec, cipher}));
    return out;
  };
  auto read = co_await events_.run<Read>(deadline, kReadBulk, std::move(from_events));
  if (!read) co_return std::move(read).error();
  std::function<Result<People>(sql::Session&)> from_main = [codec](sql::Session& session) {
    return read_users(session, codec);
  };
  auto users = co_await main_.run<People>(deadline, kReadBulk, std::move(from_main));
  if (!users) co_return std::move(users).error();
  People people = std::move(read->second);
  for (auto& [id, person] : *users) people[id] = std::move(person);
  add_names(read->first, people, account);
  co_return std::move(read->first);
}

}  // namespace nb::management
