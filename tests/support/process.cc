#include "support/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

int loopback_socket(std::uint16_t port, sockaddr_in& address,
                    const std::string& host = "127.0.0.1") {
  address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

const sockaddr* as_sockaddr(const sockaddr_in& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (auto& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

/// Makes the port this process's own, to its end. False: another test process has it, or something
/// listens.
bool take_port(std::uint16_t port) {
  const auto folder = std::filesystem::temp_directory_path() / "nb-test-ports";
  std::error_code error;
  if (std::filesystem::create_directory(folder, error))
    std::filesystem::permissions(folder, std::filesystem::perms(01777), error);
  const std::string name = (folder / std::to_string(port)).string();
  const int lock = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock < 0) return false;
  sockaddr_in address{};
  const int probe = loopback_socket(port, address);
  const bool ours = ::flock(lock, LOCK_EX | LOCK_NB) == 0 &&
                    ::bind(probe, as_sockaddr(address), sizeof address) == 0;
  ::close(probe);
  if (!ours) ::close(lock);  // else it stays open, and the port ours, to the end of the process
  return ours;
}

/// Between fork and exec: only async-signal-safe calls, everything prepared before.
struct Prepared {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string working_dir;
  int output = -1;
  uid_t uid = 0;
  gid_t gid = 0;
  bool change_user = false;
};

[[noreturn]] void become(Prepared& prepared) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(prepared.output, STDOUT_FILENO);
  ::dup2(prepared.output, STDERR_FILENO);
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  if (prepared.change_user) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(prepared.gid) != 0 || ::setuid(prepared.uid) != 0)
      ::_exit(126);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // changing the user cleared it
  }
  if (!prepared.working_dir.empty() && ::chdir(prepared.working_dir.c_str()) != 0) ::_exit(126);
  auto argv = pointers(prepared.argv);
  auto env = pointers(prepared.env);
  ::execvpe(argv[0], argv.data(), env.data());
  ::_exit(127);
}

std::optional<int> exit_status(int raw) {
  if (WIFEXITED(raw)) return WEXITSTATUS(raw);
  if (WIFSIGNALED(raw)) return 128 + WTERMSIG(raw);
  return std::nullopt;
}

}  // namespace

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/nb-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp: " + pattern);
  path_ = pattern;
}

TempDir::~TempDir() {
  if (std::getenv("NB_KEEP_TMP") != nullptr) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
  constexpr unsigned kFirst = 20'000;
  constexpr unsigned kCountMin = 1'000;
  unsigned outgoing = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> outgoing;
  // From `outgoing` on the system takes ports of connections: one of those may be gone when its
  // server starts, or starts again. Where that leaves too few, all will have to do.
  const unsigned count = (outgoing < kFirst + kCountMin ? 65'536 : outgoing) - kFirst;
  static std::mutex mutex;
  static unsigned next = static_cast<unsigned>(::getpid()) * 37;  // where others rarely are
  const std::lock_guard lock(mutex);
  for (unsigned attempt = 0; attempt < count; ++attempt) {
    const auto port = static_cast<std::uint16_t>(kFirst + next++ % count);
    if (take_port(port)) return port;
  }
  throw std::runtime_error("no free port on 127.0.0.1");
}

std::chrono::milliseconds patient(std::chrono::milliseconds limit) {
  constexpr double kMost = 10;
  double load = 0;
  if (::getloadavg(&load, 1) != 1) return limit;
  const double per_core = load / std::max(1U, std::thread::hardware_concurrency());
  return std::chrono::milliseconds(static_cast<std::int64_t>(static_cast<double>(limit.count()) *
                                                             std::clamp(per_core, 1.0, kMost)));
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto end = SteadyClock::now() + patient(limit);
  for (auto pause = 1ms;; pause = std::min(pause * 2, 50ms)) {
    if (condition()) return true;
    if (SteadyClock::now() >= end) return false;
    std::this_thread::sleep_for(pause);
  }
}

bool accepts(std::uint16_t port, const std::string& host) {
  sockaddr_in address{};
  const int fd = loopback_socket(port, address, host);
  const bool ok = ::connect(fd, as_sockaddr(address), sizeof address) == 0;
  ::close(fd);
  return ok;
}

HttpAnswer http_get(std::uint16_t port, std::string_view path, const std::string& host) {
  sockaddr_in address{};
  const int fd = loopback_socket(port, address, host);
  const timeval limit{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  std::string answer;
  if (::connect(fd, as_sockaddr(address), sizeof address) == 0) {
    const std::string request =
        "GET " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
        static_cast<ssize_t>(request.size())) {
      char buffer[16384];
      for (ssize_t n = 0; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
        answer.append(buffer, static_cast<std::size_t>(n));
    }
  }
  ::close(fd);
  HttpAnswer result;
  if (answer.size() > 12 && answer.starts_with("HTTP/1."))
    result.status = std::atoi(answer.c_str() + 9);
  if (const auto end = answer.find("\r\n\r\n"); end != std::string::npos)
    result.body = answer.substr(end + 4);
  return result;
}

Process::Process(Command command) : command_(std::move(command)) {
  start();
}

Process::~Process() {
  if (running()) {
    resume();
    kill();
  }
}

void Process::start() {
  Prepared prepared;
  prepared.argv = command_.argv;
  prepared.working_dir = command_.working_dir;
  for (const char* name :
       {"PATH", "HOME", "TMPDIR", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"})
    if (const char* value = std::getenv(name); value != nullptr && !command_.env.contains(name))
      prepared.env.push_back(std::string(name) + "=" + value);
  for (const auto& [name, value] : command_.env) prepared.env.push_back(name + "=" + value);
  if (!command_.user.empty()) {
    const passwd* user = ::getpwnam(command_.user.c_str());
    if (user == nullptr) throw std::runtime_error("no user " + command_.user);
    prepared.uid = user->pw_uid;
    prepared.gid = user->pw_gid;
    prepared.change_user = ::geteuid() == 0;
  }
  prepared.output =
      ::open((dir_ / "output").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
  status_.reset();
  pid_ = ::fork();
  if (pid_ == 0) become(prepared);
  ::close(prepared.output);
  if (pid_ < 0) throw std::runtime_error("fork failed");
}

void Process::signal(int number) const {
  if (pid_ > 0 && !status_) ::kill(pid_, number);
}

void Process::kill() {
  signal(SIGKILL);
  static_cast<void>(wait(10s));
}

void Process::terminate(std::chrono::milliseconds limit) {
  signal(SIGTERM);
  if (!wait(limit)) kill();
}

void Process::pause() {
  signal(SIGSTOP);
  if (pid_ <= 0 || status_) return;
  // Until then its other threads may run on for as long as the one that got the signal waits for a
  // core.
  int raw = 0;
  if (::waitpid(pid_, &raw, WUNTRACED) == pid_ && !WIFSTOPPED(raw))
    status_ = exit_status(raw).value_or(-1);
}
void Process::resume() const {
  signal(SIGCONT);
}

bool Process::running() {
  if (pid_ <= 0 || status_) return false;
  int raw = 0;
  if (::waitpid(pid_, &raw, WNOHANG) == pid_) status_ = exit_status(raw).value_or(-1);
  return !status_;
}

std::optional<int> Process::wait(std::chrono::milliseconds limit) {
  static_cast<void>(eventually([this] { return !running(); }, limit));
  return status_;
}

std::string Process::output() const {
  std::ifstream file(dir_ / "output", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Process::sanitizer_report() const {
  const std::string text = output();
  for (const char* sign : {"ERROR: AddressSanitizer", "ERROR: LeakSanitizer",
                           "WARNING: ThreadSanitizer", "runtime error: "})
    if (const auto at = text.find(sign); at != std::string::npos) return text.substr(at, 8'000);
  return {};
}

bool Process::wait_for_output(std::string_view text, std::chrono::milliseconds limit) const {
  return eventually([&] { return output().find(text) != std::string::npos; }, limit);
}

Finished run(Command command, std::chrono::milliseconds limit) {
  Process process(std::move(command));
  Finished finished;
  if (const auto status = process.wait(limit)) finished.status = *status;
  finished.output = process.output();
  return finished;
}

}  // namespace nb::test
