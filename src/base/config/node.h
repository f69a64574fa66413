// Node: a value of a JSON or YAML file, free of the parser that read it.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::config {

class Node {
 public:
  enum class Kind : std::uint8_t { kNull, kBool, kNumber, kString, kList, kMap };

  Node() = default;
  Node(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}
  static Node list() { return Node(Kind::kList, {}); }
  static Node map() { return Node(Kind::kMap, {}); }

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool null() const { return kind_ == Kind::kNull; }
  [[nodiscard]] bool is_map() const { return kind_ == Kind::kMap; }
  [[nodiscard]] bool is_list() const { return kind_ == Kind::kList; }
  [[nodiscard]] bool scalar() const { return !null() && !is_map() && !is_list(); }
  /// A scalar as written; numbers and booleans in their JSON form.
  [[nodiscard]] const std::string& text() const { return text_; }

  [[nodiscard]] std::size_t size() const { return children_.size(); }
  [[nodiscard]] const Node& at(std::size_t index) const { return children_[index].second; }
  [[nodiscard]] const std::string& key(std::size_t index) const { return children_[index].first; }
  /// Member of a map: the exact name first, else without regard to case (the last one wins, as in
  /// Go). Null when absent or when this is no map.
  [[nodiscard]] const Node* find(std::string_view key) const;
  /// "HA.RedisAddress" through maps; null when any part is absent.
  [[nodiscard]] const Node* find_path(std::string_view path) const;

  void push(Node value) { children_.emplace_back(std::string(), std::move(value)); }
  void put(std::string key, Node value) {
    children_.emplace_back(std::move(key), std::move(value));
  }
  friend bool operator==(const Node&, const Node&) = default;

 private:
  Kind kind_ = Kind::kNull;
  std::string text_;
  std::vector<std::pair<std::string, Node>> children_;
};

inline constexpr std::size_t kFileBytesMax = 4 << 20;
inline constexpr std::size_t kNodeDepthMax = 64;

/// Errors   kInvalidArgument with line and column, never with the text found there.
Result<Node> parse_json(std::string_view text);
Result<Node> parse_yaml(std::string_view text);

/// A variable's value, or nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;
[[nodiscard]] Environment process_environment();

/// Replaces `{{ .NAME }}` by the variable's text (contract/signal-relay-ops.md §6.1).
/// Errors   kInvalidArgument: variable not set, or any other template action.
Result<std::string> expand_template(std::string_view text, const Environment& env);

/// Sets the top-level string `key` in JSON text and leaves every other byte as it is, templates
/// included. Replaces an empty or null value; another value is kFailedPrecondition.
Result<std::string> patch_json_key(std::string_view text, std::string_view key,
                                   std::string_view value);

/// Reads a whole regular file. Errors name the path. kNotFound: absent.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = kFileBytesMax);
/// Writes beside the file and renames over it, keeping owner and mode (`new_mode` for a new file).
Result<> write_file_atomically(const std::string& path, std::string_view content,
                               unsigned new_mode = 0640);

}  // namespace nb::config
