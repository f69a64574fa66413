#include "management/store/json_read.h"

#include <boost/json.hpp>

namespace nb::management::columns {
namespace json = boost::json;

namespace {

constexpr std::size_t kFieldBytesMax = 4 * 1024 * 1024;

}  // namespace

json::value parsed(std::string_view text, Damage& damage) {
  if (text.empty() || text == "null") return nullptr;
  // No parser for the most frequent texts. They keep their kind: "{}" is no empty list.
  if (text == "[]") return json::value(json::array_kind);
  if (text == "{}") return json::value(json::object_kind);
  json::error_code error;
  json::parse_options options;
  options.max_depth = 16;
  json::value value;
  if (text.size() <= kFieldBytesMax)
    value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error || text.size() > kFieldBytesMax) {
    ++damage.fields;
    return nullptr;
  }
  return value;
}

const json::array& elements(const json::value& value, Damage& damage) {
  static const json::array kNone;
  if (value.is_array()) return value.get_array();
  if (!value.is_null()) ++damage.fields;
  return kNone;
}

const json::object& members(const json::value& value, Damage& damage) {
  static const json::object kNone;
  if (value.is_object()) return value.get_object();
  if (!value.is_null()) ++damage.fields;
  return kNone;
}

const json::value* member(const json::object& object, std::string_view key) {
  return object.if_contains({key.data(), key.size()});
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* const value = member(object, key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

bool flag_of(const json::object& object, std::string_view key) {
  const json::value* const value = member(object, key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string text_of(const json::object& object, std::string_view key, Damage& damage) {
  const json::value* const value = member(object, key);
  if (value != nullptr && !value->is_string() && !value->is_null()) ++damage.fields;
  return text_of(object, key);
}

bool flag_of(const json::object& object, std::string_view key, Damage& damage) {
  const json::value* const value = member(object, key);
  if (value != nullptr && !value->is_bool() && !value->is_null()) ++damage.fields;
  return flag_of(object, key);
}

std::int64_t number_of(const json::value& value) {
  json::error_code error;
  const auto number = value.to_number<std::int64_t>(error);
  return error ? 0 : number;
}

}  // namespace nb::management::columns
