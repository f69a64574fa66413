// Encrypted columns, as the store sees them.
// Source   contract/schema/README.md "Encrypted fields".
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace nb::management {

/// Implementations are thread-safe. Empty text stays empty.
class FieldCodec {
 public:
  virtual ~FieldCodec() = default;
  [[nodiscard]] virtual bool has_key() const = 0;
  [[nodiscard]] virtual Result<std::string> seal(std::string_view plain) const = 0;
  /// Errors   kDataLoss: made with another key, or not sealed at all.
  [[nodiscard]] virtual Result<std::string> open(std::string_view stored) const = 0;
  /// A text that identifies the key without giving it away; empty without a key.
  [[nodiscard]] virtual std::string fingerprint() const = 0;
};

}  // namespace nb::management
