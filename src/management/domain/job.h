// Work that an operator has a machine's agent do.
// Source   contract/network-map.md §1.14, management-grpc.md §5.10, rest-api.md (remote jobs).
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"

#include <cstdint>
#include <optional>
#include <string>

namespace nb::management {

enum class JobStatus : std::uint8_t { kPending, kSucceeded, kFailed };

/// A debug bundle: the only workload there is.
struct BundleJob {
  bool bundle_for = false;           // collect for a while first
  std::int64_t bundle_for_time = 0;  // minutes, 1 to 5
  std::int32_t log_file_count = 0;   // 1 to 1000
  bool anonymize = false;
  friend bool operator==(const BundleJob&, const BundleJob&) = default;
};

inline constexpr const char* kJobTypeBundle = "bundle";
inline constexpr std::size_t kJobReasonBytesMax = 4096;
inline constexpr std::size_t kJobUploadKeyBytesMax = 1024;

struct Job {
  std::string id;  // UUID
  AccountId account_id;
  PeerId peer_id;
  UserId triggered_by;
  std::optional<WallTime> created_at;
  std::optional<WallTime> completed_at;
  JobStatus status = JobStatus::kPending;
  std::string failed_reason;
  std::string type;
  BundleJob bundle;
  std::string upload_key;  // of a succeeded bundle
};

}  // namespace nb::management
