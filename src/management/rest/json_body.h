// Bodies of requests, read by the rules of Go's decoder, on which clients rely.
//
// Unknown members are ignored, names fit in any case when none fits exactly, null leaves the
// default, numbers must be whole, and what follows the first value is ignored.
// Source   contract/rest-api.md §2.1.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::management::rest {

/// Answered as 400 with this text, as it is (reply.h).
[[nodiscard]] Error bad_json();

/// One object of a body. A member of a wrong type is remembered; ask done() at the end.
/// Objects of one body share its memory and its failures.
class JsonObject {
 public:
  /// An empty text, something that is no object, more than 32 levels and repeated names are
  /// refused; `null` is an empty object.
  static Result<JsonObject> parse(std::string_view body);
  ~JsonObject();
  JsonObject(const JsonObject&);
  JsonObject(JsonObject&&) noexcept;
  JsonObject& operator=(const JsonObject&) = delete;

  /// Present and not null.
  [[nodiscard]] bool has(std::string_view name) const;
  /// Present, null included.
  [[nodiscard]] bool names(std::string_view name) const;

  void read(std::string_view name, std::string& out) const;
  void read(std::string_view name, bool& out) const;
  void read(std::string_view name, std::int64_t& out) const;
  void read(std::string_view name, std::vector<std::string>& out) const;
  /// Absent and null leave nothing.
  template <class T>
  void read(std::string_view name, std::optional<T>& out) const {
    if (!has(name)) return;
    T value{};
    read(name, value);
    out = std::move(value);
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    std::string out;
    read(name, out);
    return out;
  }
  [[nodiscard]] bool flag(std::string_view name, bool otherwise = false) const {
    read(name, otherwise);
    return otherwise;
  }
  [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise = 0) const {
    read(name, otherwise);
    return otherwise;
  }
  template <class Id>
  [[nodiscard]] std::vector<Id> ids(std::string_view name) const {
    std::vector<std::string> texts;
    read(name, texts);
    std::vector<Id> out;
    out.reserve(texts.size());
    for (std::string& value : texts) out.emplace_back(std::move(value));
    return out;
  }
  [[nodiscard]] std::optional<JsonObject> object(std::string_view name) const;
  /// The objects of a list; null elements are empty objects.
  [[nodiscard]] std::vector<JsonObject> objects(std::string_view name) const;
  /// Members whose names are data.
  void each_list(std::string_view name,
                 const std::function<void(std::string, std::vector<std::string>)>& take) const;
  /// The same for an object of texts.
  void each_text(std::string_view name,
                 const std::function<void(std::string, std::string)>& take) const;
  /// The JSON text of a member, for what is passed through; empty when absent or null.
  [[nodiscard]] std::string raw(std::string_view name) const;

  /// bad_json() when something had a wrong type.
  [[nodiscard]] Result<> done() const;

 private:
  struct Document;
  JsonObject(std::shared_ptr<Document> document, const void* object);
  [[nodiscard]] const void* find(std::string_view name) const;
  void wrong() const;
  template <class T>
  void each(std::string_view name, const std::function<void(std::string, T)>& take) const;

  std::shared_ptr<Document> document_;
  const void* object_;  // boost::json::object; null: empty
};

}  // namespace nb::management::rest
