// What SQLite has on the disk when the power goes: the program that includes this (in one source)
// sees each time it waits for it.
#pragma once

#include "support/process.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace nb::sql::test {

/// Files as they were when somebody last waited for their bytes to reach the disk.
class Disk {
 public:
  void waited_for(int fd) {
    const auto file = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd));
    if (!std::filesystem::is_regular_file(file)) return;  // the folder
    // Through this descriptor: closing another one would drop the locks on the file.
    std::string bytes(std::filesystem::file_size(file), '\0');
    if (pread(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      bytes.clear();
    const std::lock_guard lock(mutex_);
    files_[file] = std::move(bytes);
  }
  /// What is there of the database `file` after a power cut, in another folder.
  void after_power_cut(const std::filesystem::path& file, const nb::test::TempDir& folder) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, bytes] : files_)
      if (name.parent_path() == file.parent_path() && std::filesystem::exists(name))
        put(folder / name.filename().string(), bytes);
  }
  /// What the next process finds: all that was written, on the disk or not.
  static void after_death(const std::filesystem::path& file, const nb::test::TempDir& folder) {
    for (const char* end : {"", "-wal"})
      put(folder / (file.filename().string() + end), contents(file.string() + end));
  }

 private:
  static std::string contents(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void put(const std::filesystem::path& file, const std::string& bytes) {
    std::ofstream(file, std::ios::binary) << bytes;
  }

  mutable std::mutex mutex_;
  std::map<std::filesystem::path, std::string> files_;
};

inline Disk& disk() {
  static Disk the_disk;
  return the_disk;
}

}  // namespace nb::sql::test

/// In front of the C library's, for libsqlite3 as well.
extern "C" int fdatasync(int fd) {
  nb::sql::test::disk().waited_for(fd);
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
