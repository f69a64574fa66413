// Bodies of requests: whatever arrives is refused or read, and what was read is read again alike.
#include "base/assert.h"
#include "management/domain/ids.h"
#include "management/rest/json_body.h"
#include "management/rest/json_writer.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

using namespace nb::management;
using rest::JsonObject;

/// All members that the kinds of requests have, each asked for in every way.
void read_all(const JsonObject& body, int depth) {
  for (const char* name : {"name",           "type",        "role",        "auto_groups",
                           "peers",          "resources",   "rules",       "sources",
                           "sourceResource", "ports",       "port_ranges", "authorized_groups",
                           "checks",         "nameservers", "settings",    "extra",
                           "workload",       "parameters",  "expires_in",  "enabled",
                           "domains"}) {
    static_cast<void>(body.text(name));
    static_cast<void>(body.flag(name));
    static_cast<void>(body.integer(name));
    static_cast<void>(body.ids<GroupId>(name));
    body.each_list(name, [](const std::string&, const std::vector<std::string>&) {});
    const std::string raw = body.raw(name);
    if (!raw.empty()) NB_ASSERT(JsonObject::parse("{\"x\":" + raw + "}").has_value());
    if (depth == 0) continue;
    if (const auto object = body.object(name)) read_all(*object, depth - 1);
    for (const JsonObject& one : body.objects(name)) read_all(one, depth - 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto body = JsonObject::parse(text);
  if (!body) return 0;
  read_all(*body, 1);
  static_cast<void>(body->done());
  // A text that comes in goes out as the same text.
  const auto fresh = JsonObject::parse(text);
  const std::string name = fresh->text("name");
  if (!fresh->done()) return 0;
  rest::JsonWriter json;
  json.object([&] { json.field("name", name); });
  const auto again = JsonObject::parse(std::move(json).take());
  NB_ASSERT(again.has_value());
  NB_ASSERT(again->text("name") == name);
  return 0;
}
