#include "management/rest/token_use.h"

#include <functional>

namespace nb::management::rest {

void TokenUse::used(std::string_view token, Instant now) {
  const std::size_t key = std::hash<std::string_view>{}(token);
  const std::lock_guard lock(mutex_);
  if (now - since_ >= std::chrono::minutes(1)) {
    for (const auto& [one, count] : uses_) uses_per_minute_.observe(count);
    uses_.clear();
    since_ = now;
  }
  if (uses_.size() < kTokensMax || uses_.contains(key)) ++uses_[key];
}

}  // namespace nb::management::rest
