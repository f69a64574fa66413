// A log file that is rotated at its size, with compressed backups that do not stay for ever.
#pragma once

#include "base/clock.h"
#include "base/log_backups.h"
#include "base/result.h"

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

namespace nb {

struct LogFileOptions {
  std::filesystem::path path{};
  /// A write that would make the file larger goes to the next one; 0: the file is never rotated.
  std::uint64_t bytes_max = 0;
  LogKeeping keeping{};
  /// Between looks at the age of backups, besides those at the start and after each rotation.
  std::chrono::milliseconds look_interval = std::chrono::hours(1);
};

/// Threads  write() from anywhere; backups are compressed and removed on a thread of its own, which
///          takes no signals, so that it may be made before Signals.
/// Failure  a rotation that fails (no room, no permission) leaves the file as it is and is tried
///          again after another bytes_max; lines go on. A file that somebody else moved or removed
///          is made anew at the next write, so several processes may share one.
class LogFile {
 public:
  /// Folders are made as needed; a new file is its owner's alone, as upstream's.
  /// Errors   kUnavailable: cannot be opened for writing.
  static Result<std::unique_ptr<LogFile>> open(LogFileOptions options,
                                               std::shared_ptr<const Clock> clock);
  /// Leaves a compression under way to the next start.
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Appends one or more whole lines, past user-space buffers. False: the disk did not take all.
  bool write(std::string_view lines);

 private:
  LogFile(LogFileOptions options, std::shared_ptr<const Clock> clock);
  bool reopen();  // under mutex_
  void rotate();  // under mutex_
  [[nodiscard]] bool moved_away() const;
  void start_keeper();
  void keep();

  const LogFileOptions options_;
  const std::shared_ptr<const Clock> clock_;
  std::mutex mutex_;  // of the file being written
  int fd_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t rotate_at_ = 0;

  std::mutex keeper_mutex_;
  std::condition_variable wake_;
  bool look_now_ = true;
  std::atomic<bool> stop_{false};
  std::thread keeper_;
};

/// A logrotate configuration that names us outside of comments: then rotation is left to it, as
/// upstream does (contract/signal-relay-ops.md §6.6).
[[nodiscard]] std::optional<std::filesystem::path> logrotate_conflict(
    const std::filesystem::path& conf = "/etc/logrotate.conf",
    const std::filesystem::path& folder = "/etc/logrotate.d");

}  // namespace nb
