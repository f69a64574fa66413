#include "upload/store.h"

#include "base/log_keys.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace nb::upload {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kFileMode = 0600;
/// Names of bundles are UUIDs, which do not begin so.
constexpr std::string_view kUnfinished = ".part-";

Error disk(std::string_view what) {
  return fail(Code::kUnavailable, "{}: {}", what, std::generic_category().message(errno));
}

std::string unfinished(const BundleName& name) {
  return std::string(kUnfinished) + name.file;
}

/// Links are not followed: a name in the store leads to nothing outside of it.
Result<std::unique_ptr<Directory>> open_folder(int root, const std::string& name) {
  if (mkdirat(root, name.c_str(), kFolderMode) != 0 && errno != EEXIST)
    return disk("the folder could not be made");
  const int fd = openat(root, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return fail(Code::kNotFound, "the folder is gone");
  if (fd < 0) return disk("the folder could not be opened");
  return std::make_unique<Directory>(fd);
}

}  // namespace

Directory::~Directory() {
  ::close(fd_);
}

Result<std::unique_ptr<BundleStore>> BundleStore::open(const std::string& path,
                                                       std::uint64_t bytes_max, const Logger& log) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (mkdir(path.c_str(), kFolderMode) != 0 && errno != EEXIST) return disk(path);
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return disk(path);
  auto root = std::make_unique<Directory>(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0)
    return fail(Code::kFailedPrecondition, "{}: another process stores its bundles there", path);
  std::unique_ptr<BundleStore> out(new BundleStore(std::move(root), bytes_max));
  out->count(path, log);
  return out;
}

void BundleStore::count(const std::string& path, const Logger& log) {
  std::error_code error;
  std::uint64_t removed = 0;
  for (auto at = fs::recursive_directory_iterator(path, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    std::error_code unreadable;
    if (!at->is_regular_file(unreadable) || at->is_symlink(unreadable)) continue;
    if (at->path().filename().string().starts_with(kUnfinished)) {
      if (fs::remove(at->path(), unreadable)) ++removed;
      continue;
    }
    const std::uintmax_t size = at->file_size(unreadable);
    if (!unreadable) bytes_.fetch_add(size, std::memory_order_relaxed);
  }
  if (error) log.warn("not all bundles could be counted", {log::f(log::kError, error.message())});
  if (removed > 0) log.info("unfinished bundles were removed", {log::f("files", removed)});
}

bool BundleStore::take(std::uint64_t bytes) {
  const std::uint64_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (before <= bytes_max_ && bytes <= bytes_max_ - before) return true;
  give_back(bytes);
  return false;
}

Result<std::unique_ptr<Writing>> BundleStore::begin(const BundleName& name,
                                                    std::uint64_t announced) {
  const std::uint64_t used = bytes();
  if (used >= bytes_max_ || announced > bytes_max_ - used)
    return fail(Code::kResourceExhausted, "the store is full");
  // Twice, since the last unfinished upload of a folder takes the folder along.
  auto made = make_file(name);
  if (!made && made.error().code == Code::kNotFound) made = make_file(name);
  return made;
}

Result<std::unique_ptr<Writing>> BundleStore::make_file(const BundleName& name) {
  NB_LET(auto folder, open_folder(root_->fd(), name.folder));
  struct stat there {};
  if (fstatat(folder->fd(), name.file.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0)
    return fail(Code::kAlreadyExists, "the bundle is there already");
  const int fd = openat(folder->fd(), unfinished(name).c_str(),
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode);
  if (fd < 0 && errno == EEXIST)
    return fail(Code::kAlreadyExists, "the bundle is being uploaded already");
  if (fd < 0 && errno == ENOENT) return fail(Code::kNotFound, "the folder is gone");
  if (fd < 0) return disk("the file could not be made");
  return std::make_unique<Writing>(*this, std::move(folder), name, fd);
}

Writing::Writing(BundleStore& store, std::unique_ptr<Directory> folder, BundleName name, int fd)
    : store_(store), folder_(std::move(folder)), name_(std::move(name)), fd_(fd) {}

Writing::~Writing() {
  ::close(fd_);
  if (kept_) return;
  unlinkat(folder_->fd(), unfinished(name_).c_str(), 0);
  // Another upload into it keeps the folder from being removed.
  unlinkat(store_.root_->fd(), name_.folder.c_str(), AT_REMOVEDIR);
  store_.give_back(bytes_);
}

Result<> Writing::write(std::span<const std::uint8_t> bytes) {
  if (!store_.take(bytes.size())) return fail(Code::kResourceExhausted, "the store is full");
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd_, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return disk("the file could not be written");
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return {};
}

Result<> Writing::keep() {
  if (fdatasync(fd_) != 0) return disk("the file could not be written");
  // Unlike a rename, a link replaces nothing.
  const std::string from = unfinished(name_);
  const int dir = folder_->fd();
  if (linkat(dir, from.c_str(), dir, name_.file.c_str(), 0) != 0)
    return errno == EEXIST ? fail(Code::kAlreadyExists, "the bundle is there already")
                           : disk("the file could not be named");
  kept_ = true;
  unlinkat(dir, from.c_str(), 0);
  if (fsync(dir) != 0) return disk("the folder could not be written");
  return {};
}

}  // namespace nb::upload
