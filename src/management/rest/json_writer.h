// JSON text, written straight into one buffer: lists of thousands of objects need no tree.
#pragma once

#include "base/clock.h"
#include "base/strong_id.h"

#include <algorithm>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management::rest {

/// RFC 3339 in UTC with up to nine digits of fraction; nothing is Go's zero time, which clients
/// take for "never" (contract/rest-api.md §2.2).
[[nodiscard]] std::string rfc3339(const std::optional<WallTime>& time);

class JsonWriter {
 public:
  JsonWriter() { out_.reserve(256); }
  void reserve(std::size_t bytes) { out_.reserve(bytes); }

  // Values: the next element of an array, or what follows key().
  void text(std::string_view value);
  template <std::integral T>
  void number(T value) {
    separate();
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out_.append(digits, end);
  }
  void boolean(bool value) { raw(value ? "true" : "false"); }
  void null() { raw("null"); }
  /// `json` is one whole value.
  void raw(std::string_view json) {
    separate();
    out_.append(json);
  }
  template <class Fill>
  void object(Fill fill) {
    begin('{');
    fill();
    end('}');
  }
  /// `each(element)` writes exactly one value.
  template <class Range, class Each>
  void array(const Range& range, Each each) {
    begin('[');
    for (const auto& element : range) each(element);
    end(']');
  }

  // Members of the open object.
  void key(std::string_view name) {
    // One append: a list of peers has 200'000 names.
    char text[64];
    if (name.size() > sizeof text - 4) return key_text(name);
    char* at = text;
    if (!first_) *at++ = ',';
    *at++ = '"';
    at = std::copy(name.begin(), name.end(), at);
    *at++ = '"';
    *at++ = ':';
    out_.append(text, static_cast<std::size_t>(at - text));
    first_ = true;
  }
  /// A name that is data.
  void key_text(std::string_view name) {
    text(name);
    out_ += ':';
    first_ = true;
  }
  void field(std::string_view name, std::string_view value) {
    key(name);
    text(value);
  }
  void field(std::string_view name, const std::string& value) {
    field(name, std::string_view(value));
  }
  void field(std::string_view name, const char* value) { field(name, std::string_view(value)); }
  template <class Tag>
  void field(std::string_view name, const StrongId<Tag, std::string>& id) {
    field(name, std::string_view(id.value()));
  }
  template <std::integral T>
  void field(std::string_view name, T value) {
    key(name);
    if constexpr (std::same_as<T, bool>)
      boolean(value);
    else
      number(value);
  }
  void time(std::string_view name, const std::optional<WallTime>& value);
  /// Omitted when empty.
  void optional(std::string_view name, std::string_view value) {
    if (!value.empty()) field(name, value);
  }
  template <class Fill>
  void object(std::string_view name, Fill fill) {
    key(name);
    object(std::move(fill));
  }
  template <class Range, class Each>
  void array(std::string_view name, const Range& range, Each each) {
    key(name);
    array(range, std::move(each));
  }
  /// A list of texts or ids.
  template <class Range>
  void list(std::string_view name, const Range& range) {
    array(name, range, [this](const auto& item) {
      if constexpr (std::convertible_to<decltype(item), std::string_view>)
        text(item);
      else
        text(item.value());
    });
  }

  [[nodiscard]] std::string take() && { return std::move(out_); }

 private:
  void separate() {
    if (!first_) out_ += ',';
    first_ = false;
  }
  void begin(char bracket) {
    separate();
    out_ += bracket;
    first_ = true;
  }
  void end(char bracket) {
    out_ += bracket;
    first_ = false;
  }

  std::string out_;
  bool first_ = true;
};

}  // namespace nb::management::rest
