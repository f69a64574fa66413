// URLs that are good for one upload: signed, so that nothing is kept of those given out.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"

#include <chrono>
#include <string>
#include <string_view>

namespace nb::upload {

inline constexpr std::size_t kFolderMax = 64;
inline constexpr std::size_t kIdMax = 4'096;
inline constexpr std::chrono::minutes kLinkLife{15};

/// Where a bundle is kept: two names that are safe in a path and in a URL.
/// Shape    folder: [A-Za-z0-9_-]{1,64}; file: a lower-case UUID.
struct BundleName {
  std::string folder;
  std::string file;
  [[nodiscard]] std::string key() const { return folder + '/' + file; }
  friend bool operator==(const BundleName&, const BundleName&) = default;
};

/// The folder of an agent's id: the id itself where it is a safe name (official agents send a hash
/// in hex), otherwise its SHA-256. One id, one folder.
[[nodiscard]] std::string folder_of(std::string_view id);

/// "folder/file" as it stands in a path. Nothing is decoded: what needs escapes is no such name.
/// Errors   kInvalidArgument.
[[nodiscard]] Result<BundleName> parse_name(std::string_view text);

class Links {
 public:
  explicit Links(Secret key) : key_(std::move(key)) {}
  /// "exp=…&sig=…".
  [[nodiscard]] std::string sign(const BundleName& name, WallTime now) const;
  /// Errors   kPermissionDenied: not ours; kDeadlineExceeded: too old.
  [[nodiscard]] Result<> check(const BundleName& name, std::string_view query, WallTime now) const;

 private:
  [[nodiscard]] std::string signature(const BundleName& name, std::int64_t ends) const;
  const Secret key_;
};

}  // namespace nb::upload
