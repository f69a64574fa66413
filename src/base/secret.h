// A text that must not be shown: logging or formatting one does not compile.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace nb {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  /// The only way in; grep for it.
  [[nodiscard]] std::string_view reveal() const { return text_; }
  [[nodiscard]] bool empty() const { return text_.empty(); }
  friend bool operator==(const Secret&,
                         const Secret&) = delete;  // compare in constant time: crypto/

 private:
  std::string text_;
};

}  // namespace nb

template <>
struct fmt::formatter<nb::Secret> {
  formatter() = delete;
};
