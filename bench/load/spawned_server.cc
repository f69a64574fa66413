#include "load/spawned_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace nb::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr auto kStartMax = milliseconds(20'000);
constexpr auto kStopMax = milliseconds(10'000);

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  std::uint16_t port = 0;
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0)
    port = ntohs(address.sin_port);
  ::close(fd);
  return port;
}

bool accepts(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool up = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return up;
}

void replace_all(std::string& text, std::string_view what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

std::string tail(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  return text.size() > 800 ? text.substr(text.size() - 800) : text;
}

pid_t spawn(const std::string& command, const std::string& log) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int in = ::open("/dev/null", O_RDONLY);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
  ::_exit(127);
}

}  // namespace

Result<std::unique_ptr<SpawnedServer>> SpawnedServer::start(const std::string& command) {
  std::unique_ptr<SpawnedServer> server(new SpawnedServer);
  char directory[] = "/tmp/netbird-bench.XXXXXX";
  if (::mkdtemp(directory) == nullptr)
    return fail(Code::kUnavailable, "directory for the server: {}", std::strerror(errno));
  server->directory_ = directory;
  server->endpoint_ = {"127.0.0.1", free_port()};
  std::string line = "exec " + command;
  replace_all(line, "{port}", std::to_string(server->endpoint_.port));
  replace_all(line, "{metrics}", std::to_string(free_port()));
  replace_all(line, "{health}", std::to_string(free_port()));
  replace_all(line, "{dir}", server->directory_);
  const std::string log = server->directory_ + "/log";
  server->pid_ = spawn(line, log);
  if (server->pid_ < 0) return fail(Code::kUnavailable, "fork: {}", std::strerror(errno));
  const auto deadline = steady_clock::now() + kStartMax;
  while (!accepts(server->endpoint_.port)) {
    int status = 0;
    const bool ended = ::waitpid(server->pid_, &status, WNOHANG) == server->pid_;
    if (ended) server->pid_ = -1;
    if (ended || steady_clock::now() > deadline)
      return fail(Code::kUnavailable, "'{}' {}: {}", line,
                  ended ? "ended at once" : "does not listen", tail(log));
    std::this_thread::sleep_for(milliseconds(20));
  }
  return server;
}

SpawnedServer::~SpawnedServer() {
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    const auto deadline = steady_clock::now() + kStopMax;
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (steady_clock::now() > deadline) ::kill(pid_, SIGKILL);
      std::this_thread::sleep_for(milliseconds(10));
    }
  }
  std::error_code gone;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, gone);
}

}  // namespace nb::bench
