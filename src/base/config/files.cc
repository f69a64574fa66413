#include "base/config/node.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <system_error>

namespace nb::config {

namespace {
class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

Error failed(const std::string& path, std::string_view what) {
  const int error = errno;
  return fail(error == ENOENT ? Code::kNotFound : Code::kUnavailable, "{}: {}: {}", path, what,
              std::generic_category().message(error));
}

Result<> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(path, "cannot write");
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0) return failed(path, "cannot sync");
  return {};
}

std::string real_path(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), ::free);
  return real ? std::string(real.get()) : path;
}

/// A single file that is mounted into a container cannot be replaced, only written.
Result<> write_in_place(const std::string& path, std::string_view content) {
  const File file(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (file.fd() < 0) return failed(path, "cannot open for writing");
  return write_all(file.fd(), content, path);
}
}  // namespace

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* const value = std::getenv(std::string(name).c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) return failed(path, "cannot open");
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return failed(path, "cannot read");
  if (S_ISDIR(info.st_mode)) return fail(Code::kInvalidArgument, "{}: is a directory", path);
  std::string out;
  std::array<char, 16 * 1024> buffer{};
  for (;;) {
    const ssize_t n = ::read(file.fd(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(path, "cannot read");
    if (n == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(n));
    if (out.size() > bytes_max) {
      return fail(Code::kInvalidArgument, "{}: larger than {} bytes", path, bytes_max);
    }
  }
}

Result<> write_file_atomically(const std::string& given, std::string_view content,
                               unsigned new_mode) {
  const std::string path = real_path(given);  // a link stays a link
  const std::string beside = path + ".new." + std::to_string(::getpid());
  struct stat old {};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  const mode_t mode = exists ? old.st_mode & 07777U : new_mode;
  {
    const File file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (file.fd() < 0) return failed(beside, "cannot create");
    const bool kept =
        ::fchmod(file.fd(), mode) == 0 &&
        (!exists || ::fchown(file.fd(), old.st_uid, old.st_gid) == 0 || ::geteuid() != 0);
    const Result<> written = kept ? write_all(file.fd(), content, beside)
                                  : Result<>(failed(beside, "cannot keep owner and mode"));
    if (!written) {
      ::unlink(beside.c_str());
      return written.error();
    }
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(beside.c_str());
    if (error == EBUSY && exists) return write_in_place(path, content);
    errno = error;
    return failed(path, "cannot replace");
  }
  const auto slash = path.rfind('/');
  const std::string dir = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const File parent(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.fd() >= 0) ::fsync(parent.fd());
  return {};
}

}  // namespace nb::config
