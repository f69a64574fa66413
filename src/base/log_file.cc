#include "base/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace nb {
namespace fs = std::filesystem;

namespace {
/// /dev/stdout may lead to a file, but not to one of ours.
bool is_device(const fs::path& path) {
  const std::string text = path.string();
  return text.starts_with("/dev/") || text.starts_with("/proc/");
}

/// What is rotated is the file, not a link to it. The file need not exist.
fs::path behind_links(fs::path path) {
  constexpr int kLinksMax = 40;  // as the kernel's
  for (int i = 0; i < kLinksMax && !is_device(path); ++i) {
    std::error_code error;
    const fs::path target = fs::read_symlink(path, error);
    if (error) break;
    path = path.parent_path() / target;  // the target alone, where that is absolute
  }
  return path;
}
}  // namespace

LogFile::LogFile(LogFileOptions options, std::shared_ptr<const Clock> clock)
    : options_(std::move(options)), clock_(std::move(clock)), rotate_at_(options_.bytes_max) {}

Result<std::unique_ptr<LogFile>> LogFile::open(LogFileOptions options,
                                               std::shared_ptr<const Clock> clock) {
  options.path = behind_links(options.path);
  if (is_device(options.path)) options.bytes_max = 0;
  std::error_code shows_in_open;
  if (options.path.has_parent_path())
    fs::create_directories(options.path.parent_path(), shows_in_open);
  std::unique_ptr<LogFile> file(new LogFile(std::move(options), std::move(clock)));
  {
    const std::lock_guard lock(file->mutex_);
    if (!file->reopen()) {
      return fail(Code::kUnavailable, "cannot open: {}", std::generic_category().message(errno));
    }
  }
  if (file->options_.bytes_max > 0) file->start_keeper();
  return file;
}

LogFile::~LogFile() {
  stop_ = true;
  {
    const std::lock_guard lock(keeper_mutex_);
    look_now_ = true;
  }
  wake_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  if (fd_ >= 0) ::close(fd_);
}

bool LogFile::reopen() {
  const int fd =
      ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0) return false;
  struct stat facts {};
  if (::fstat(fd, &facts) != 0) {
    const int reason = errno;
    ::close(fd);
    errno = reason;
    return false;
  }
  // Keeps other processes from compressing it while lines still come (log_backups.cc). A file
  // system without locks has no such processes.
  ::flock(fd, LOCK_SH | LOCK_NB);
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
  size_ = S_ISREG(facts.st_mode) ? static_cast<std::uint64_t>(facts.st_size) : 0;
  rotate_at_ = S_ISREG(facts.st_mode) ? options_.bytes_max : 0;
  return true;
}

bool LogFile::moved_away() const {
  struct stat facts {};
  if (::stat(options_.path.c_str(), &facts) != 0) return errno == ENOENT;
  return facts.st_dev != device_ || facts.st_ino != inode_;
}

void LogFile::rotate() {
  const fs::path backup = log_backup_path(options_.path, clock_->wall());
  if (::rename(options_.path.c_str(), backup.c_str()) != 0) {
    rotate_at_ = size_ + options_.bytes_max;
    return;
  }
  if (!reopen()) {  // too many open files, say: back to the one that is open
    ::rename(backup.c_str(), options_.path.c_str());
    rotate_at_ = size_ + options_.bytes_max;
    return;
  }
  {
    const std::lock_guard lock(keeper_mutex_);
    look_now_ = true;
  }
  wake_.notify_all();
}

bool LogFile::write(std::string_view lines) {
  const std::lock_guard lock(mutex_);
  if (moved_away()) reopen();
  if (rotate_at_ > 0 && size_ > 0 && size_ + lines.size() > rotate_at_) rotate();
  while (!lines.empty()) {
    const ssize_t put = ::write(fd_, lines.data(), lines.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    size_ += static_cast<std::uint64_t>(put);
    lines.remove_prefix(static_cast<std::size_t>(put));
  }
  return true;
}

void LogFile::start_keeper() {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  keeper_ = std::thread([this] { keep(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void LogFile::keep() {
  std::unique_lock lock(keeper_mutex_);
  while (!stop_) {
    look_now_ = false;
    lock.unlock();
    maintain_log_backups(options_.path, options_.keeping, clock_->wall(), stop_);
    lock.lock();
    wake_.wait_for(lock, options_.look_interval, [this] { return look_now_; });
  }
}

std::optional<fs::path> logrotate_conflict(const fs::path& conf, const fs::path& folder) {
  std::vector<fs::path> files = {conf};
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    files.push_back(it->path());
  std::sort(files.begin() + 1, files.end());
  for (const fs::path& path : files) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
      if (line.substr(0, line.find('#')).find("netbird") != std::string::npos) return path;
  }
  return std::nullopt;
}

}  // namespace nb
