// Bundles as files: <directory>/<folder>/<file>, readable by their owner alone.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "upload/links.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace nb::upload {

/// A directory, held open; closed at the end.
class Directory {
 public:
  explicit Directory(int fd) : fd_(fd) {}
  ~Directory();
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

class BundleStore;

/// A bundle that is being written, in a file that nobody takes for one. Removed unless kept.
class Writing {
 public:
  Writing(BundleStore& store, std::unique_ptr<Directory> folder, BundleName name, int fd);
  ~Writing();
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  /// Errors   kResourceExhausted: the store is full; kUnavailable: the disk.
  Result<> write(std::span<const std::uint8_t> bytes);
  /// From now on it is a bundle, on the disk.
  /// Errors   kAlreadyExists: there is one of this name; kUnavailable.
  Result<> keep();
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  BundleStore& store_;
  const std::unique_ptr<Directory> folder_;
  const BundleName name_;
  const int fd_;
  std::uint64_t bytes_ = 0;
  bool kept_ = false;
};

/// Threads  any.
class BundleStore {
 public:
  /// Counts what is there, makes the directory if it is missing (0750), and removes what an earlier
  /// process left unfinished. One process at a time has a directory.
  /// Limits   bytes_max: of all bundles together.
  /// Errors   kFailedPrecondition: another process has it; kUnavailable: the disk.
  static Result<std::unique_ptr<BundleStore>> open(const std::string& path, std::uint64_t bytes_max,
                                                   const Logger& log);
  /// Errors   kAlreadyExists: it is there, or being written; kResourceExhausted: `announced` bytes
  ///          find no room; kUnavailable.
  Result<std::unique_ptr<Writing>> begin(const BundleName& name, std::uint64_t announced);
  [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  friend class Writing;
  BundleStore(std::unique_ptr<Directory> root, std::uint64_t bytes_max)
      : root_(std::move(root)), bytes_max_(bytes_max) {}
  Result<std::unique_ptr<Writing>> make_file(const BundleName& name);
  void count(const std::string& path, const Logger& log);
  /// False: there is no room.
  bool take(std::uint64_t bytes);
  void give_back(std::uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

  const std::unique_ptr<Directory> root_;  // locked
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace nb::upload
