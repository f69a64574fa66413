#include "base/log_backups.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

namespace nb {
namespace fs = std::filesystem;

namespace {
using std::chrono::milliseconds;

constexpr std::string_view kGzip = ".gz";
constexpr std::string_view kHalf = ".gz.tmp";
constexpr std::string_view kShape = "0000-00-00T00-00-00.000";  // 0 stands for any digit
constexpr std::size_t kChunk = std::size_t{64} * 1024;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error failure(const char* what, const fs::path& path) {
  return {Code::kUnavailable,
          fmt::format("{} {}: {}", what, path.string(), std::generic_category().message(errno))};
}

int number(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<WallTime> parse_stamp(std::string_view text) {
  if (text.size() != kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kShape[i] == '0' ? !digit : text[i] != kShape[i]) return std::nullopt;
  }
  using namespace std::chrono;
  const year_month_day date{year(number(text.substr(0, 4))),
                            month(static_cast<unsigned>(number(text.substr(5, 2)))),
                            day(static_cast<unsigned>(number(text.substr(8, 2))))};
  const int hour = number(text.substr(11, 2));
  const int minute = number(text.substr(14, 2));
  const int second = number(text.substr(17, 2));
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return sys_days(date) + hours(hour) + minutes(minute) + seconds(second) +
         milliseconds(number(text.substr(20)));
}

std::string stamp(WallTime time) {
  const auto at = std::chrono::floor<milliseconds>(time);
  const auto whole = std::chrono::floor<std::chrono::seconds>(at);
  return fmt::format("{:%Y-%m-%dT%H-%M-%S}.{:03}", fmt::gmtime(whole), (at - whole).count());
}

/// `signal-` and `.log` of /var/log/netbird/signal.log.
std::pair<std::string, std::string> frame(const fs::path& log) {
  return {log.stem().string() + "-", log.extension().string()};
}

std::vector<std::string> names_beside(const fs::path& log) {
  const fs::path folder = log.has_parent_path() ? log.parent_path() : fs::path(".");
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    names.push_back(it->path().filename().string());
  return names;
}

/// Writes the gzip form of `from` to `to` and has it on disk. False: see errno, or stopped (0).
bool copy_compressed(int from, Fd& to, const std::atomic<bool>& stop) {
  gzFile out = ::gzdopen(to.get(), "wb");
  if (out == nullptr) {
    errno = ENOMEM;
    return false;
  }
  const int raw = to.release();  // gzclose closes it; `raw` is only used before
  std::array<char, kChunk> chunk;
  int problem = 0;
  for (;;) {
    if (stop.load(std::memory_order_relaxed)) {
      ::gzclose_w(out);
      errno = 0;
      return false;
    }
    const ssize_t got = ::read(from, chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) problem = errno;
    if (got <= 0) break;
    if (::gzwrite(out, chunk.data(), static_cast<unsigned>(got)) != static_cast<int>(got)) {
      problem = errno != 0 ? errno : EIO;
      break;
    }
  }
  if (problem == 0 && ::gzflush(out, Z_FINISH) != Z_OK) problem = errno != 0 ? errno : EIO;
  if (problem == 0 && ::fsync(raw) != 0) problem = errno;
  if (::gzclose_w(out) != Z_OK && problem == 0) problem = errno != 0 ? errno : EIO;
  errno = problem;
  return problem == 0;
}

void remove_quietly(const fs::path& path) {
  std::error_code gone_or_kept_for_the_next_time;
  fs::remove(path, gone_or_kept_for_the_next_time);
}
}  // namespace

fs::path log_backup_path(const fs::path& log, WallTime now) {
  const auto [before, after] = frame(log);
  // Two rotations in one millisecond, or a clock that went back: the next free name.
  for (WallTime at = now;; at += milliseconds(1)) {
    fs::path path = log.parent_path() / fmt::format("{}{}-size{}", before, stamp(at), after);
    std::error_code error;
    if (!fs::exists(path, error) && !fs::exists(path.string() + std::string(kGzip), error))
      return path;
  }
}

std::optional<WallTime> log_backup_time(const fs::path& log, std::string_view name) {
  const auto [before, after] = frame(log);
  if (!name.starts_with(before)) return std::nullopt;
  name.remove_prefix(before.size());
  if (name.ends_with(kGzip)) name.remove_suffix(kGzip.size());
  if (!name.ends_with(after)) return std::nullopt;
  name.remove_suffix(after.size());
  const auto time = parse_stamp(name.substr(0, kShape.size()));
  if (!time || (name.size() > kShape.size() && name[kShape.size()] != '-')) return std::nullopt;
  return time;
}

std::vector<LogBackup> log_backups(const fs::path& log) {
  std::vector<LogBackup> out;
  for (const std::string& name : names_beside(log)) {
    const auto time = log_backup_time(log, name);
    if (time) out.push_back({log.parent_path() / name, *time, name.ends_with(kGzip)});
  }
  std::sort(out.begin(), out.end(), [](const LogBackup& a, const LogBackup& b) {
    return std::pair(b.rotated_at, b.path) < std::pair(a.rotated_at, a.path);
  });
  return out;
}

std::vector<fs::path> log_backups_to_remove(const std::vector<LogBackup>& backups,
                                            const LogKeeping& keeping, WallTime now) {
  std::vector<fs::path> out;
  std::size_t seen = 0;
  const LogBackup* before = nullptr;
  const auto plain = [](const LogBackup& backup) {
    return backup.compressed ? fs::path(backup.path).replace_extension() : backup.path;
  };
  for (const LogBackup& backup : backups) {
    if (before == nullptr || plain(*before) != plain(backup)) ++seen;
    before = &backup;
    const bool old = keeping.age_max.count() > 0 && now - backup.rotated_at > keeping.age_max;
    if (old || seen > keeping.backups) out.push_back(backup.path);
  }
  return out;
}

Result<> compress_log_backup(const fs::path& backup, const std::atomic<bool>& stop) {
  const Fd from(::open(backup.c_str(), O_RDONLY | O_CLOEXEC));
  if (from.get() < 0) return failure("open", backup);
  // Whoever writes to the file holds a shared lock on it, whoever compresses it an exclusive one.
  struct stat facts {};
  if (::flock(from.get(), LOCK_EX | LOCK_NB) != 0 || ::fstat(from.get(), &facts) != 0 ||
      facts.st_nlink == 0) {
    return fail(Code::kAborted, "{} is in use", backup.string());
  }
  const fs::path half = backup.string() + std::string(kHalf);
  // Never readable by more users than the original.
  Fd to(::open(half.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, facts.st_mode & 0777U));
  if (to.get() < 0) return failure("open", half);
  if (!copy_compressed(from.get(), to, stop)) {
    Error error = errno == 0 ? Error{Code::kAborted, "stopped"} : failure("write", half);
    remove_quietly(half);
    return error;
  }
  const fs::path whole = backup.string() + std::string(kGzip);
  if (::rename(half.c_str(), whole.c_str()) != 0) {
    Error error = failure("rename", half);
    remove_quietly(half);
    return error;
  }
  if (::unlink(backup.c_str()) != 0) return failure("remove", backup);
  return {};
}

std::size_t maintain_log_backups(const fs::path& log, const LogKeeping& keeping, WallTime now,
                                 const std::atomic<bool>& stop) {
  std::size_t failed = 0;
  for (const fs::path& path : log_backups_to_remove(log_backups(log), keeping, now)) {
    std::error_code error;
    fs::remove(path, error);
    if (error) ++failed;
  }
  for (const std::string& name : names_beside(log)) {
    if (!name.ends_with(kHalf)) continue;
    const std::string_view plain = std::string_view(name).substr(0, name.size() - kHalf.size());
    std::error_code error;
    if (log_backup_time(log, plain) && !fs::exists(log.parent_path() / plain, error))
      remove_quietly(log.parent_path() / name);
  }
  for (const LogBackup& backup : log_backups(log)) {
    if (backup.compressed) continue;
    const auto done = compress_log_backup(backup.path, stop);
    if (!done && done.error().code != Code::kAborted) ++failed;
  }
  return failed;
}

}  // namespace nb
