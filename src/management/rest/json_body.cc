#include "management/rest/json_body.h"

#include "base/strict_json.h"
#include "base/text.h"

#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

namespace nb::management::rest {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 32;
constexpr std::size_t kBytesMax = 16 * 1024 * 1024;  // the transport's limit is lower

std::string copy(const json::string& text) {
  return {text.data(), text.size()};
}

/// Length of the first value of the text, which may be followed by anything.
std::optional<std::size_t> first_value(std::string_view text) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (error) return {};
  if (!parser.done()) {
    parser.finish(error);  // a number at the very end is complete only now
    if (error) return {};
  }
  return used;
}

}  // namespace

struct JsonObject::Document {
  json::value value;
  bool wrong = false;
};

Error bad_json() {
  return fail(Code::kOutOfRange, "couldn't parse JSON request");
}

Result<JsonObject> JsonObject::parse(std::string_view body) {
  const auto length = first_value(body);
  if (!length) return bad_json();
  auto value =
      parse_strict_json(body.substr(0, *length), {.bytes_max = kBytesMax, .depth_max = kDepthMax});
  if (!value) return bad_json();
  auto document = std::make_shared<Document>(Document{*std::move(value)});
  if (document->value.is_null()) return JsonObject(std::move(document), nullptr);
  if (!document->value.is_object()) return bad_json();
  const void* object = &document->value.get_object();
  return JsonObject(std::move(document), object);
}

JsonObject::JsonObject(std::shared_ptr<Document> document, const void* object)
    : document_(std::move(document)), object_(object) {}
JsonObject::~JsonObject() = default;
JsonObject::JsonObject(const JsonObject&) = default;
JsonObject::JsonObject(JsonObject&&) noexcept = default;

const void* JsonObject::find(std::string_view name) const {
  const auto* object = static_cast<const json::object*>(object_);
  if (object == nullptr) return nullptr;
  if (const auto* exact = object->if_contains({name.data(), name.size()})) return exact;
  const json::value* found = nullptr;
  for (const auto& member : *object)
    if (equals_ignore_case({member.key().data(), member.key().size()}, name))
      found = &member.value();
  return found;
}

void JsonObject::wrong() const {
  document_->wrong = true;
}

bool JsonObject::names(std::string_view name) const {
  return find(name) != nullptr;
}

bool JsonObject::has(std::string_view name) const {
  const auto* value = static_cast<const json::value*>(find(name));
  return value != nullptr && !value->is_null();
}

void JsonObject::read(std::string_view name, std::string& out) const {
  const auto* value = static_cast<const json::value*>(find(name));
  if (value == nullptr || value->is_null()) return;
  if (!value->is_string()) return wrong();
  out = copy(value->get_string());
}

void JsonObject::read(std::string_view name, bool& out) const {
  const auto* value = static_cast<const json::value*>(find(name));
  if (value == nullptr || value->is_null()) return;
  if (!value->is_bool()) return wrong();
  out = value->get_bool();
}

void JsonObject::read(std::string_view name, std::int64_t& out) const {
  const auto* value = static_cast<const json::value*>(find(name));
  if (value == nullptr || value->is_null()) return;
  if (!value->is_int64()) return wrong();  // 1.0, 1e2 and what is beyond 64 bits
  out = value->get_int64();
}

void JsonObject::read(std::string_view name, std::vector<std::string>& out) const {
  const auto* value = static_cast<const json::value*>(find(name));
  if (value == nullptr || value->is_null()) return;
  if (!value->is_array()) return wrong();
  std::vector<std::string> texts;
  texts.reserve(value->get_array().size());
  for (const json::value& item : value->get_array()) {
    if (item.is_null())
      texts.emplace_back();
    else if (item.is_string())
      texts.push_back(copy(item.get_string()));
    else
      return wrong();
  }
  out = std::move(texts);
}

std::optional<JsonObject> JsonObject::object(std::string_view name) const {
  const auto* value = static_cast<const json::value*>(find(name));
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_object()) {
    wrong();
    return {};
  }
  return JsonObject(document_, &value->get_object());
}

std::vector<JsonObject> JsonObject::objects(std::string_view name) const {
  std::vector<JsonObject> out;
  const auto* value = static_cast<const json::value*>(find(name));
  if (value == nullptr || value->is_null()) return out;
  if (!value->is_array()) {
    wrong();
    return out;
  }
  for (const json::value& item : value->get_array()) {
    if (item.is_null())
      out.push_back(JsonObject(document_, nullptr));
    else if (item.is_object())
      out.push_back(JsonObject(document_, &item.get_object()));
    else
      wrong();
  }
  return out;
}

template <class T>
void JsonObject::each(std::string_view name,
                      const std::function<void(std::string, T)>& take) const {
  const auto map = object(name);
  if (!map || map->object_ == nullptr) return;
  for (const auto& member : *static_cast<const json::object*>(map->object_)) {
    const std::string key(member.key().data(), member.key().size());
    T value;
    map->read(key, value);
    take(key, std::move(value));
  }
}

void JsonObject::each_list(
    std::string_view name,
    const std::function<void(std::string, std::vector<std::string>)>& take) const {
  each<std::vector<std::string>>(name, take);
}

void JsonObject::each_text(std::string_view name,
                           const std::function<void(std::string, std::string)>& take) const {
  each<std::string>(name, take);
}

std::string JsonObject::raw(std::string_view name) const {
  const auto* value = static_cast<const json::value*>(find(name));
  return value == nullptr || value->is_null() ? std::string() : json::serialize(*value);
}

Result<> JsonObject::done() const {
  if (document_->wrong) return bad_json();
  return {};
}

}  // namespace nb::management::rest
