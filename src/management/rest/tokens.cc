#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kPats;

void write_token(JsonWriter& json, const PersonalToken& token) {
  json.object([&] {
    json.field("id", token.id);
    json.field("name", token.name);
    json.time("expiration_date", token.expiration_date);
    json.field("created_by", token.created_by);
    json.time("created_at", token.created_at);
    if (token.last_used) json.time("last_used", token.last_used);
  });
}

Task<Reply> list(const Services& services, Call call) {
  ListTokens command{UserId(call.params[0])};
  auto tokens = co_await execute(services, call, std::move(command));
  if (!tokens) co_return std::move(tokens).error();
  co_return list_reply(*tokens, write_token);
}

Task<Reply> get(const Services& services, Call call) {
  GetToken command{UserId(call.params[0]), TokenId(call.params[1])};
  auto token = co_await execute(services, call, std::move(command));
  if (!token) co_return std::move(token).error();
  co_return reply_with([&](JsonWriter& json) { write_token(json, *token); });
}

Task<Reply> create(const Services& services, Call call) {
  const auto body = call.json();
  if (!body) co_return body.error();
  CreateToken command{UserId(call.params[0]), body->text("name"), body->integer("expires_in")};
  if (const auto done = body->done(); !done) co_return done.error();
  auto made = co_await execute(services, call, std::move(command));
  if (!made) co_return std::move(made).error();
  co_return reply_with([&](JsonWriter& json) {
    json.object([&] {
      json.field("plain_token", made->plain.reveal());
      json.key("personal_access_token");
      write_token(json, made->token);
    });
  });
}

Task<Reply> remove(const Services& services, Call call) {
  DeleteToken command{UserId(call.params[0]), TokenId(call.params[1])};
  auto done = co_await execute(services, call, std::move(command));
  if (!done) co_return std::move(done).error();
  co_return nothing();
}

}  // namespace

void add_tokens(RouteTable& table, const Services& services) {
  const std::string all = "/api/users/{userId}/tokens";
  const std::string one = all + "/{tokenId}";
  table.add("GET", all, {{kModule, Operation::kRead}}, handled(services, list));
  table.add("POST", all, {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("GET", one, {{kModule, Operation::kRead}}, handled(services, get));
  table.add("DELETE", one, {{kModule, Operation::kDelete}}, handled(services, remove));
}

}  // namespace nb::management::rest
