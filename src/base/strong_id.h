// Identifiers as distinct types, so that two cannot be swapped.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace nb {

/// struct PeerId : StrongId<PeerId, std::string> { using StrongId::StrongId; };
template <class Tag, class Value>
class StrongId {
 public:
  using value_type = Value;
  StrongId() = default;
  explicit StrongId(Value value) : value_(std::move(value)) {}
  [[nodiscard]] const Value& value() const& { return value_; }
  [[nodiscard]] Value value() && { return std::move(value_); }
  [[nodiscard]] bool empty() const requires requires(const Value& v) { v.empty(); }
  { return value_.empty(); }
  friend bool operator==(const StrongId&, const StrongId&) = default;
  friend auto operator<=>(const StrongId&, const StrongId&) = default;

 private:
  Value value_{};
};

/// Hash for unordered containers: std::unordered_map<PeerId, T, IdHash>.
struct IdHash {
  template <class Tag, class Value>
  std::size_t operator()(const StrongId<Tag, Value>& id) const {
    return std::hash<Value>{}(id.value());
  }
};

}  // namespace nb
