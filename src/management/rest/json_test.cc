// Reading and writing JSON by the rules of the contract.
#include "management/domain/ids.h"
#include "management/rest/json_body.h"
#include "management/rest/json_writer.h"

#include <gtest/gtest.h>

namespace nb::management::rest {
namespace {

using namespace std::chrono_literals;

JsonObject parsed(std::string_view text) {
  auto object = JsonObject::parse(text);
  EXPECT_TRUE(object) << text;
  return *std::move(object);
}

TEST(JsonBody, NamesFitInAnyCaseAfterTheExactOne) {
  const auto body = parsed(R"({"NAME":"upper","name":"exact","Count":3})");
  EXPECT_EQ(body.text("name"), "exact");
  EXPECT_EQ(body.integer("count"), 3);
  EXPECT_TRUE(body.done());
}

TEST(JsonBody, NullAndAbsentLeaveTheDefault) {
  const auto body = parsed(R"({"a":null,"list":null})");
  EXPECT_EQ(body.integer("a", 7), 7);
  EXPECT_EQ(body.flag("b", true), true);
  EXPECT_FALSE(body.has("a"));
  EXPECT_TRUE(body.names("a"));
  EXPECT_TRUE(body.ids<GroupId>("list").empty());
  EXPECT_TRUE(body.done());
}

TEST(JsonBody, WrongTypesAreRemembered) {
  for (const char* text : {R"({"n":1.0})", R"({"n":1e2})", R"({"n":"1"})", R"({"n":true})",
                           R"({"n":18446744073709551615})"}) {
    const auto body = parsed(text);
    EXPECT_EQ(body.integer("n", 5), 5) << text;
    ASSERT_FALSE(body.done()) << text;
    EXPECT_EQ(body.done().error().text, "couldn't parse JSON request");
  }
  const auto nested = parsed(R"({"o":{"x":"text"}})");
  EXPECT_EQ(nested.object("o")->integer("x"), 0);
  EXPECT_FALSE(nested.done());
}

TEST(JsonBody, WhatIsNoObjectIsRefused) {
  for (const char* text : {"", "[]", "3", "\"x\"", "{", "{]", "{\"a\":1,}", "{'a':1}",
                           "{\"a\":\"\xff\"}", "{\"a\":1,\"a\":2}"})
    EXPECT_FALSE(JsonObject::parse(text)) << text;
  EXPECT_FALSE(JsonObject::parse(std::string(100, '[')));
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += R"({"a":)";
  deep += "1" + std::string(40, '}');
  EXPECT_FALSE(JsonObject::parse(deep));
  EXPECT_TRUE(JsonObject::parse("null"));
  EXPECT_TRUE(JsonObject::parse("{} and what follows"));
  EXPECT_EQ(parsed(R"( {"a":"b"}{"a":"c"})").text("a"), "b");
}

TEST(JsonBody, ListsAndMaps) {
  const auto body = parsed(R"({"t":["a",null,"b"],"m":{"g1":["x"],"g2":null},"r":{"k":[1]}})");
  std::vector<std::string> texts;
  body.read("t", texts);
  EXPECT_EQ(texts, (std::vector<std::string>{"a", "", "b"}));
  std::vector<std::string> seen;
  body.each_list("m", [&](const std::string& key, const std::vector<std::string>& values) {
    seen.push_back(key + std::to_string(values.size()));
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"g11", "g20"}));
  EXPECT_EQ(body.raw("r"), R"({"k":[1]})");
  EXPECT_TRUE(body.done());
}

TEST(JsonWriter, TextIsSafeInPagesAndValidAlways) {
  JsonWriter json;
  json.object([&] {
    json.field("a", "<b>&\"\\\n\x01");
    json.field("u", "\xc3\xbc \xf0\x9f\x98\x80");
    json.field("broken", "x\xff\xc3(\xed\xa0\x80");
  });
  EXPECT_EQ(std::move(json).take(),
            "{\"a\":\"\\u003cb\\u003e\\u0026\\\"\\\\\\n\\u0001\","
            "\"u\":\"\xc3\xbc \xf0\x9f\x98\x80\","
            "\"broken\":\"x\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\"}");
}

TEST(JsonWriter, MembersAndElementsAreSeparated) {
  JsonWriter json;
  const std::vector<int> numbers{1, 2};
  json.object([&] {
    json.array("n", numbers, [&](int n) { json.number(n); });
    json.object("o", [&] { json.field("t", true); });
    json.list("ids", std::vector<GroupId>{GroupId("g")});
    json.optional("none", "");
    json.key("null");
    json.null();
  });
  EXPECT_EQ(std::move(json).take(), R"({"n":[1,2],"o":{"t":true},"ids":["g"],"null":null})");
}

TEST(JsonWriter, TimesAreRfc3339AndNeverIsTheYearOne) {
  EXPECT_EQ(rfc3339({}), "0001-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(WallTime(1'800'000'000s)), "2027-01-15T08:00:00Z");
  EXPECT_EQ(rfc3339(WallTime(1'800'000'000s + 120ms)), "2027-01-15T08:00:00.12Z");
  EXPECT_EQ(rfc3339(WallTime(1ns)), "1970-01-01T00:00:00.000000001Z");
}

}  // namespace
}  // namespace nb::management::rest
