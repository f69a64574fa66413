// Child processes of tests: started on loopback, watched, and gone when the test ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::test {

/// A directory of its own, removed at the end (kept with NB_KEEP_TMP=1).
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

/// A free TCP port of 127.0.0.1, no other test's till we end, and none of outgoing connections.
[[nodiscard]] std::uint16_t free_port();

/// `limit`, and in proportion more on a machine that has more to run than cores. Upper bounds in
/// tests are those of a machine of its own; without this they would measure its other users.
[[nodiscard]] std::chrono::milliseconds patient(std::chrono::milliseconds limit);

/// True once `condition` holds; polls with short pauses until `limit`, made patient(), is over.
[[nodiscard]] bool eventually(const std::function<bool()>& condition,
                              std::chrono::milliseconds limit = std::chrono::seconds(10));

/// True when something accepts on host:port (an IPv4 address).
[[nodiscard]] bool accepts(std::uint16_t port, const std::string& host = "127.0.0.1");

/// GET over HTTP/1.1 on loopback. Status 0: no answer within 2 s.
struct HttpAnswer {
  int status = 0;
  std::string body;
};
[[nodiscard]] HttpAnswer http_get(std::uint16_t port, std::string_view path,
                                  const std::string& host = "127.0.0.1");

struct Command {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env{};  // added to a minimal environment (PATH, HOME, TMPDIR)
  std::string user{};                        // run as this user (root only)
  std::string working_dir{};
};

/// One child; killed by the destructor and by the kernel if the test itself dies.
class Process {
 public:
  explicit Process(Command command);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  /// Starts it (again). Output of all runs is appended to one file.
  void start();
  void signal(int number) const;
  void kill();  // SIGKILL and reap
  void terminate(
      std::chrono::milliseconds limit = std::chrono::seconds(30));  // SIGTERM, then SIGKILL
  void pause();         // SIGSTOP; returns when every thread has stopped
  void resume() const;  // SIGCONT
  [[nodiscard]] bool running();
  /// Exit status (128 + signal when killed), or nothing after `limit`.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds limit);
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Everything written to stdout and stderr so far.
  [[nodiscard]] std::string output() const;
  /// A sanitizer's report in the output; empty: none.
  [[nodiscard]] std::string sanitizer_report() const;
  [[nodiscard]] bool wait_for_output(std::string_view text, std::chrono::milliseconds limit) const;

 private:
  Command command_;
  TempDir dir_;
  pid_t pid_ = -1;
  std::optional<int> status_;
};

/// Runs to the end; output is stdout and stderr together.
struct Finished {
  int status = -1;
  std::string output;
};
[[nodiscard]] Finished run(Command command,
                           std::chrono::milliseconds limit = std::chrono::seconds(60));

}  // namespace nb::test
