// A server under test as a child process, on a free loopback port.
#pragma once

#include "base/result.h"
#include "load/client_loop.h"

#include <sys/types.h>

#include <memory>
#include <string>

namespace nb::bench {

class SpawnedServer {
 public:
  /// Starts `command` through the shell with {port}, {metrics} and {health} replaced by free ports
  /// and {dir} by a fresh directory, and waits until the port accepts. Its output goes to
  /// {dir}/log. Errors   kUnavailable: ended or not listening within 20 s; the text has the log's
  /// last lines.
  static Result<std::unique_ptr<SpawnedServer>> start(const std::string& command);
  /// SIGTERM, and SIGKILL after 10 s; removes the directory.
  ~SpawnedServer();
  SpawnedServer(const SpawnedServer&) = delete;
  SpawnedServer& operator=(const SpawnedServer&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  SpawnedServer() = default;
  pid_t pid_ = -1;
  Endpoint endpoint_;
  std::string directory_;
};

}  // namespace nb::bench
