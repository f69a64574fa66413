// An account with commands on it, for tests.
#pragma once

#include "management/store/change_log.h"
#include "management/store/edits/sql_edits.h"
#include "management/store/test_store.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace nb::management::test {

#define EXPECT_REFUSED(result, wanted_code, wanted_text)                                \
  do {                                                                                  \
    const auto& refused_result = (result);                                              \
    ASSERT_FALSE(refused_result);                                                       \
    EXPECT_EQ(refused_result.error().code, wanted_code) << refused_result.error().text; \
    EXPECT_NE(refused_result.error().text.find(wanted_text), std::string::npos)         \
        << refused_result.error().text;                                                 \
  } while (false)

/// One instance's commands.
struct Editor {
  explicit Editor(const Instance& instance) : edits(make_sql_edits(instance.parts, {})) {}
  std::unique_ptr<AccountEdits> edits;

  template <class Command>
  Result<Edited<typename Command::Answer>> edit(const Actor& actor, Command command) const {
    return get(edits->edit(soon(), actor, std::move(command)));
  }
};

/// Base of fixtures: an account, its owner, groups and peers by name.
class EditAccount {
 public:
  explicit EditAccount(sql::Engine engine) : fixture(engine), instance(fixture), editor(instance) {
    const auto report = instance.prepare();
    NB_ASSERT(report.has_value());
    auto made = get(instance.store->ensure_account(soon(), fresh_account()));
    NB_ASSERT(made.has_value());
    account = std::move(made->first);
    owner = {account.id, account.created_by, "owner", false};
  }

  template <class Command>
  Result<typename Command::Answer> run(Command command) {
    return run_as(owner, std::move(command));
  }
  template <class Command>
  Result<typename Command::Answer> run_as(const Actor& actor, Command command) {
    auto done = editor.edit(actor, std::move(command));
    if (!done) return std::move(done).error();
    last = std::move(done->changed);
    return std::move(done->value);
  }
  /// Has to succeed.
  template <class Command>
  typename Command::Answer must(Command command) {
    auto done = run(std::move(command));
    EXPECT_TRUE(done) << done.error().text;
    if (!done) std::abort();
    return *std::move(done);
  }

  Group group(const std::string& name, std::vector<PeerId> peers = {}) {
    return must(SaveGroup{.name = name, .peers = std::move(peers)});
  }
  Peer peer(const std::string& name) {
    const auto key = get(
        instance.store->create_setup_key(soon(), fresh_setup_key(account.id), account.created_by));
    NB_ASSERT(key.has_value());
    auto done = get(instance.store->register_peer(soon(), registration(*key, name)));
    NB_ASSERT(done.has_value());
    return std::move(done->peer);
  }
  Group all_group() {
    const auto groups = get(instance.store->groups(soon(), account.id));
    for (const Group& group : *groups)
      if (group.is_all()) return group;
    std::abort();
  }
  Policy policy(const std::string& name, const Group& from, const Group& to) {
    PolicyRuleDraft rule;
    rule.name = name;
    rule.enabled = true;
    rule.action = "accept";
    rule.protocol = "tcp";
    rule.ports = {"80"};
    rule.sources = {{from.id}};
    rule.destinations = {{to.id}};
    PolicyDraft draft;
    draft.name = name;
    draft.enabled = true;
    draft.rules = {std::move(rule)};
    return must(SavePolicy{.draft = std::move(draft)});
  }
  AccountSnapshotPtr snapshot() {
    auto out = get(instance.store->snapshot(soon(), account.id));
    EXPECT_TRUE(out) << out.error().text;
    return *out;
  }
  std::uint64_t serial() { return get(instance.store->account(soon(), account.id))->serial; }
  std::string value(const std::string& query) const { return instance.value(query); }
  /// Codes of the events recorded since the last call, in order.
  std::vector<std::string> events() {
    const auto rows = instance.database->run_blocking<sql::Rows>(
        soon(), {}, [](sql::Session& session) -> Result<sql::Rows> {
          auto found = session.query("SELECT event FROM nb_event_outbox ORDER BY id");
          NB_TRY(session.exec("DELETE FROM nb_event_outbox"));
          return found;
        });
    NB_ASSERT(rows.has_value());
    std::vector<std::string> out;
    columns::Damage damage;
    for (std::size_t i = 0; i < rows->size(); ++i)
      out.emplace_back(activity_code(
          static_cast<std::int32_t>(columns::read_event((*rows)[i].text(0), damage).activity)));
    return out;
  }

  sql::test::TestDatabase fixture;
  Instance instance;
  Editor editor;
  Account account;
  Actor owner;
  Changed last;  // of the last command
};

using Strings = std::vector<std::string>;

}  // namespace nb::management::test
