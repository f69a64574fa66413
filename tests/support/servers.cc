#include "support/servers.h"

#include "support/paths.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <stdexcept>

namespace nb::test {
namespace {

using namespace std::chrono_literals;

[[noreturn]] void failed(std::string_view what, const Process& process) {
  throw std::runtime_error(std::string(what) + " did not start:\n" + process.output());
}

/// Throws as soon as the server has ended by itself.
void wait_until_up(std::string_view what, Process& process, const std::function<bool()>& up) {
  const bool over = eventually([&] { return up() || !process.running(); }, 30s);
  if (!over || !process.running()) failed(what, process);
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

/// Newest installed major version; Debian keeps servers out of PATH.
std::string postgres_bin() {
  std::string best;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql")) {
    const std::string bin = (entry.path() / "bin").string();
    if (std::filesystem::exists(bin + "/initdb") && bin > best) best = bin;
  }
  if (best.empty()) throw std::runtime_error("no PostgreSQL server below /usr/lib/postgresql");
  return best;
}

std::string postgres_version() {
  return std::filesystem::path(postgres_bin()).parent_path().filename().string();
}

std::string postgres_user() {
  return ::geteuid() == 0 ? "postgres" : "";
}

/// The cluster belongs to the packaged user, since PostgreSQL refuses root.
void open_to_postgres(const TempDir& dir) {
  if (!postgres_user().empty() && ::chmod(dir.path().c_str(), 0777) != 0)
    throw std::runtime_error("chmod");
}

Command postgres(const std::string& data, const TempDir& socket_dir, std::uint16_t port) {
  return {.argv = {postgres_bin() + "/postgres", "-D", data, "-p", std::to_string(port), "-c",
                   "listen_addresses=127.0.0.1", "-c",
                   "unix_socket_directories=" + socket_dir.path().string(), "-c", "fsync=off", "-c",
                   "full_page_writes=off", "-c", "max_connections=200", "-c", "timezone=UTC"},
          .user = postgres_user(),
          .working_dir = "/"};
}

bool ready(std::uint16_t port) {
  return run({.argv = {postgres_bin() + "/pg_isready", "-q", "-h", "127.0.0.1", "-p",
                       std::to_string(port)}})
             .status == 0;
}

std::string run_psql(std::uint16_t port, const std::string& database,
                     std::vector<std::string> words) {
  Command command{.argv = {"psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p",
                           std::to_string(port), "-U",
                           database == "postgres" ? "postgres" : "netbird", "-d", database}};
  command.argv.insert(command.argv.end(), words.begin(), words.end());
  const auto done = run(std::move(command));
  if (done.status != 0) throw std::runtime_error("psql: " + done.output);
  return trimmed(done.output);
}

void make_cluster(const std::string& data, const TempDir& dir) {
  const auto made =
      run({.argv = {postgres_bin() + "/initdb", "-D", data, "-U", "postgres", "-A", "trust",
                    "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1"},
           .user = postgres_user(),
           .working_dir = "/"});
  if (made.status != 0) throw std::runtime_error("initdb: " + made.output);
  const std::uint16_t port = free_port();
  Process server(postgres(data, dir, port));
  wait_until_up("postgres", server, [port] { return ready(port); });
  run_psql(port, "postgres", {"-c", "CREATE ROLE netbird LOGIN SUPERUSER"});
  run_psql(port, "postgres", {"-c", "CREATE DATABASE netbird OWNER netbird"});
  server.signal(SIGINT);  // fast shutdown, with a checkpoint
  if (!server.wait(30s)) failed("postgres: stop", server);
}

/// Data folder with the role and the database `netbird`, made once for each build: initdb and
/// CREATE DATABASE cost more than most tests that need them.
std::string template_cluster() {
  namespace fs = std::filesystem;
  const fs::path path =
      fs::path(program_dir()).parent_path() / ("postgres-template-" + postgres_version());
  const int lock = ::open((path.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock < 0 || ::flock(lock, LOCK_EX) != 0)
    throw std::runtime_error("cannot lock " + path.string());
  if (!fs::exists(path)) {
    const TempDir dir;
    open_to_postgres(dir);
    make_cluster(dir / "data", dir);
    const std::string fresh = path.string() + ".new";
    fs::remove_all(fresh);
    if (run({.argv = {"cp", "-a", dir / "data", fresh}}).status != 0)
      throw std::runtime_error("cannot write " + fresh);
    fs::rename(fresh, path);
  }
  ::close(lock);
  return path.string();
}

}  // namespace

RedisServer::RedisServer(RedisOptions options) : options_(std::move(options)), port_(free_port()) {
  start();
}

void RedisServer::start() {
  Command command{.argv = {"redis-server", "--bind", "127.0.0.1", "--port", std::to_string(port_),
                           "--dir", dir_.path().string(), "--save", "", "--appendonly", "no",
                           "--enable-debug-command", "local", "--daemonize", "no"}};
  command.argv.insert(command.argv.end(), options_.arguments.begin(), options_.arguments.end());
  process_ = std::make_unique<Process>(std::move(command));
  if (!options_.wait) return;
  wait_until_up("redis-server", *process_, [this] { return accepts(port_); });
}

void RedisServer::kill() {
  process_->kill();
}

std::string RedisServer::cli(std::vector<std::string> words) const {
  Command command{.argv = {"redis-cli", "-p", std::to_string(port_)}};
  command.argv.insert(command.argv.end(), words.begin(), words.end());
  return trimmed(run(std::move(command), 20s).output);
}

RedisSentinel::RedisSentinel(std::uint16_t master_port) : port_(free_port()) {
  write_file(dir_ / "sentinel.conf",
             "bind 127.0.0.1\nport " + std::to_string(port_) + "\ndir " + dir_.path().string() +
                 "\nsentinel monitor nbmaster 127.0.0.1 " + std::to_string(master_port) +
                 " 1\nsentinel down-after-milliseconds nbmaster 500\n"
                 "sentinel failover-timeout nbmaster 3000\n");
  process_ = std::make_unique<Process>(Command{.argv = {"redis-sentinel", dir_ / "sentinel.conf"}});
  wait_until_up("redis-sentinel", *process_, [this] { return accepts(port_); });
}

std::uint16_t RedisSentinel::master_port() const {
  const std::string answer = run({.argv = {"redis-cli", "-p", std::to_string(port_), "sentinel",
                                           "get-master-addr-by-name", "nbmaster"}})
                                 .output;
  const auto line = answer.find('\n');
  if (line == std::string::npos) return 0;
  return static_cast<std::uint16_t>(std::atoi(answer.c_str() + line + 1));
}

PostgresServer::PostgresServer() : port_(free_port()) {
  open_to_postgres(dir_);
  const std::string data = dir_ / "data";
  if (run({.argv = {"cp", "-a", template_cluster(), data}}).status != 0)
    throw std::runtime_error("cannot copy the template cluster");
  process_ = std::make_unique<Process>(postgres(data, dir_, port_));
  wait_until_up("postgres", *process_, [this] { return ready(port_); });
}

PostgresServer::~PostgresServer() {
  stop();
}

std::string PostgresServer::dsn(std::string_view database) const {
  return "postgres://netbird@127.0.0.1:" + std::to_string(port_) + "/" + std::string(database) +
         "?sslmode=disable";
}

void PostgresServer::create_database(const std::string& name) {
  psql("CREATE DATABASE \"" + name + "\" OWNER netbird", "postgres");
}

void PostgresServer::stop() {
  if (!process_->running()) return;
  process_->resume();
  process_->signal(SIGQUIT);  // immediate shutdown takes the children along, unlike SIGKILL
  if (!process_->wait(10s)) process_->kill();
}

void PostgresServer::start() {
  process_->start();
  wait_until_up("postgres", *process_, [this] { return ready(port_); });
}

void PostgresServer::break_connections() {
  psql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
      "postgres");
}

std::string PostgresServer::psql(const std::string& sql, const std::string& database) const {
  return run_psql(port_, database, {"-c", sql});
}

void PostgresServer::psql_file(const std::string& file, const std::string& database) const {
  run_psql(port_, database, {"-f", file});
}

HaProxy::HaProxy(std::vector<Backend> backends) : port_(free_port()) {
  std::string text = R"(global
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout http-request 10s
  retries 2
  option redispatch
  retry-on conn-failure
frontend main
  bind 127.0.0.1:{port} proto h2
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /readyz?drain=404
  http-check disable-on-404
  default-server inter 250ms fastinter 250ms fall 1 rise 1 on-marked-down shutdown-sessions
)";
  for (const auto& backend : backends) {
    text += "  server " + backend.name + " 127.0.0.1:" + std::to_string(backend.port) +
            " proto h2 check";
    if (backend.check_port != 0)
      text += " port " + std::to_string(backend.check_port) + " check-proto h1";
    text += "\n";
  }
  start(std::move(text));
}

HaProxy::HaProxy(std::string configuration) : port_(free_port()) {
  start(std::move(configuration));
}

void HaProxy::start(std::string configuration) {
  static constexpr std::string_view kHole = "{port}";
  for (auto at = configuration.find(kHole); at != std::string::npos; at = configuration.find(kHole))
    configuration.replace(at, kHole.size(), std::to_string(port_));
  write_file(dir_ / "haproxy.cfg", configuration);
  process_ =
      std::make_unique<Process>(Command{.argv = {"haproxy", "-db", "-f", dir_ / "haproxy.cfg"}});
  wait_until_up("haproxy", *process_, [this] { return accepts(port_); });
}

TurnServer::TurnServer(const Options& options) : port_(free_port()) {
  // A file, since a command line would show the secret.
  std::string text =
      "listening-ip=127.0.0.1\nrelay-ip=127.0.0.1\nlistening-port=" + std::to_string(port_) +
      "\nrealm=nb-ha.local\nfingerprint\nno-tls\nno-dtls\nno-cli\n"
      "allow-loopback-peers\nlog-file=stdout\nverbose\npidfile=" +
      (dir_ / "turn.pid") + "\nuserdb=" + (dir_ / "turndb") + "\n";
  if (!options.secret.empty())
    text += "use-auth-secret\nstatic-auth-secret=" + options.secret + "\n";
  else
    text += "lt-cred-mech\nuser=" + options.user + ":" + options.password + "\n";
  write_file(dir_ / "turn.conf", text);
  process_ = std::make_unique<Process>(Command{.argv = {"turnserver", "-c", dir_ / "turn.conf"}});
  wait_until_up("turnserver", *process_, [this] { return accepts(port_); });
}

}  // namespace nb::test
