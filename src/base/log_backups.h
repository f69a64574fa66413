// Rotated log files: how they are called, how long they stay, how they are compressed.
//
// `signal.log` becomes `signal-2026-11-26T14-41-41.000-size.log` (UTC) and then the same with
// `.gz`. These are upstream's names, so what its servers left behind is kept and removed by the
// same rules.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace nb {

struct LogKeeping {
  std::uint32_t backups = 10;     ///< rotated files to keep; 0: none
  std::chrono::days age_max{30};  ///< since the rotation; 0: without end
};

struct LogBackup {
  std::filesystem::path path;
  WallTime rotated_at;  // from its name
  bool compressed = false;
};

/// The name for a file that is rotated at `now`, in the same folder.
[[nodiscard]] std::filesystem::path log_backup_path(const std::filesystem::path& log, WallTime now);
/// When `name`, a file beside `log`, was rotated; nothing: it is no backup of `log`.
[[nodiscard]] std::optional<WallTime> log_backup_time(const std::filesystem::path& log,
                                                      std::string_view name);
/// All backups of `log`, newest first. What was half compressed is no backup.
[[nodiscard]] std::vector<LogBackup> log_backups(const std::filesystem::path& log);

/// Which of `backups` (newest first) have to go. A backup and its compressed copy count once.
[[nodiscard]] std::vector<std::filesystem::path> log_backups_to_remove(
    const std::vector<LogBackup>& backups, const LogKeeping& keeping, WallTime now);

/// `backup` becomes `backup`.gz. Until the copy is whole and on disk it has another name, and only
/// then the original goes: a process killed at any moment loses no line and leaves no broken .gz.
/// Two processes may try at once; a file that some process still writes to is left alone.
/// Errors   kUnavailable: disk full, no permission and the like, nothing has changed;
///          kAborted: in use elsewhere or `stop` was set.
Result<> compress_log_backup(const std::filesystem::path& backup, const std::atomic<bool>& stop);

/// Removes what is due and leftovers of killed compressions, compresses the rest. Failures are
/// left for the next time. Returns how many failed.
std::size_t maintain_log_backups(const std::filesystem::path& log, const LogKeeping& keeping,
                                 WallTime now, const std::atomic<bool>& stop);

}  // namespace nb
