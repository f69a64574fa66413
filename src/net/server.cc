#include "net/server.h"

#include "base/assert.h"
#include "net/connection.h"
#include "net/context.h"
#include "net/socket_address.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <future>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace nb::net {

namespace {
constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 16;  // a millisecond or two
constexpr auto kTlsCheck = std::chrono::seconds(1);

/// Owns a descriptor until it is released.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

std::string last_error() {
  return std::system_category().message(errno);
}

Result<Descriptor> listen_on(const ListenerConfig& config, std::uint16_t port, bool shared) {
  NB_LET(auto address, SocketAddress::parse("listen", config.address, port));
  Descriptor fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fail(Code::kUnavailable, "socket: {}", last_error());
  const int on = 1;
  const int off = 0;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (shared) setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  }
  // Accepted sockets inherit it: what a turn has to say leaves at once.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(fd.get(), address.get(), address.size) != 0) {
    const bool denied = errno == EACCES;
    return fail(denied ? Code::kPermissionDenied : Code::kUnavailable, "listen on {}:{}: {}",
                config.address, port, last_error());
  }
  if (shared && listen(fd.get(), kBacklog) != 0) {
    return fail(Code::kUnavailable, "listen on {}:{}: {}", config.address, port, last_error());
  }
  return fd;
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return PeerAddress::from(address).port;
}

Result<std::vector<AddressRange>> ranges(const std::vector<std::string>& texts) {
  std::vector<AddressRange> parsed;
  for (const std::string& text : texts) {
    NB_LET(const auto range, AddressRange::parse(text));
    parsed.push_back(range);
  }
  return parsed;
}
}  // namespace

/// What the loops of one server share; thread-safe.
struct SharedLimits {
  explicit SharedLimits(const ServerLimits& from) : limits(from) {}
  const ServerLimits& limits;
  std::atomic<std::size_t> connections = 0;
  std::mutex mutex;
  std::unordered_map<std::string, std::size_t> per_address;  // guarded by mutex

  enum class Verdict { kWelcome, kTooMany, kTooManyOfAddress };
  Verdict enter(const PeerAddress& peer) {
    if (connections.fetch_add(1) >= limits.connections_max) {
      connections.fetch_sub(1);
      return Verdict::kTooMany;
    }
    if (limits.connections_per_address_max == 0) return Verdict::kWelcome;
    const std::lock_guard lock(mutex);
    std::size_t& count = per_address[key(peer)];
    if (count >= limits.connections_per_address_max) {
      connections.fetch_sub(1);
      return Verdict::kTooManyOfAddress;
    }
    ++count;
    return Verdict::kWelcome;
  }
  void leave(const PeerAddress& peer) {
    connections.fetch_sub(1);
    if (limits.connections_per_address_max == 0) return;
    const std::lock_guard lock(mutex);
    const auto found = per_address.find(key(peer));
    if (found != per_address.end() && --found->second == 0) per_address.erase(found);
  }
  static std::string key(const PeerAddress& peer) {
    return {reinterpret_cast<const char*>(&peer.ip), sizeof peer.ip};
  }
};

/// One server on one loop: its listening sockets and its connections.
class ServerLoop final : public Mortal, private ConnectionOwner {
 public:
  ServerLoop(ServerContext context, SharedLimits& shared, TlsContext* tls)
      : context_(std::move(context)), shared_(shared), tls_(tls), spare_(dup(STDERR_FILENO)) {}
  ~ServerLoop() override {
    connections_.each([](Connection& connection) { connection.shut(); });
  }

  void add_listener(Descriptor fd, bool tls) {
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd), tls));
  }
  [[nodiscard]] EventLoop& loop() const { return context_.loop; }

  void start() {
    for (auto& listener : listeners_) context_.loop.watch(listener->fd.get(), EPOLLIN, *listener);
  }
  void drain() {
    close_listeners();
    context_.draining = true;
    connections_.each([](Connection& connection) { connection.drain(); });
  }
  void shut() {
    close_listeners();
    context_.draining = true;
    connections_.each([](Connection& connection) { connection.shut(); });
  }

 private:
  struct Listener final : public Mortal, public IoHandler {
    Listener(ServerLoop& server, Descriptor descriptor, bool with_tls)
        : owner(server), fd(std::move(descriptor)), tls(with_tls) {}
    void on_io(std::uint32_t /*events*/) override {
      if (!closed) owner.accept_from(*this);
    }
    ServerLoop& owner;
    Descriptor fd;
    const bool tls;
    bool closed = false;
  };

  /// False: there may be more.
  bool accept_from(Listener& listener) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int fd = accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&address), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        admit(fd, PeerAddress::from(address), listener.tls);
        continue;
      }
      if (errno == EMFILE || errno == ENFILE) {
        if (!refuse_for_want_of_descriptors(listener)) return true;
        continue;
      }
      if (errno == EAGAIN) return true;
      // ECONNABORTED and its like concern that one connection only.
    }
    return false;
  }

  /// A pending connection that cannot be accepted would keep the loop spinning: the spare
  /// descriptor lets it be accepted and closed.
  bool refuse_for_want_of_descriptors(Listener& listener) {
    if (spare_.get() < 0) return false;
    spare_ = Descriptor();
    const int fd = accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) ::close(fd);
    spare_ = Descriptor(dup(STDERR_FILENO));
    context_.metrics.refused_limit.Increment();
    return fd >= 0;
  }

  void admit(int fd, const PeerAddress& peer, bool tls) {
    const auto verdict = shared_.enter(peer);
    if (verdict != SharedLimits::Verdict::kWelcome) {
      (verdict == SharedLimits::Verdict::kTooMany ? context_.metrics.refused_limit
                                                  : context_.metrics.refused_address)
          .Increment();
      ::close(fd);
      return;
    }
    context_.metrics.accepted_total.Increment();
    context_.metrics.connections.Increment();
    connections_.add(std::make_unique<Connection>(static_cast<ConnectionOwner&>(*this), context_,
                                                  fd, peer, tls ? tls_->connection() : nullptr));
  }

  void on_connection_closed(Connection& connection) override {
    context_.metrics.connections.Decrement();
    shared_.leave(connection.socket_peer());
    context_.loop.bury(connections_.remove(connection));
  }

  void close_listeners() {
    for (auto& listener : listeners_) {
      // What the kernel has accepted for us is served; only new ones go elsewhere.
      for (int turn = 0; turn < kBacklog / kAcceptsPerTurn && !accept_from(*listener); ++turn) {
      }
      listener->closed = true;
      context_.loop.unwatch(listener->fd.get());
      listener->fd = Descriptor();
      context_.loop.bury(std::move(listener));
    }
    listeners_.clear();
  }

  ServerContext context_;
  SharedLimits& shared_;
  TlsContext* const tls_;
  Descriptor spare_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  ConnectionList connections_;
};

/// Looks at the certificate files every second, on the first loop.
class TlsWatch final : private Timer {
 public:
  TlsWatch(EventLoop& loop, TlsContext& tls) : loop_(loop), tls_(tls) {
    loop_.arm(*this, std::chrono::steady_clock::now() + kTlsCheck);
  }
  ~TlsWatch() override { loop_.cancel(*this); }
  TlsWatch(const TlsWatch&) = delete;
  TlsWatch& operator=(const TlsWatch&) = delete;

 private:
  void on_timer(Instant now) override {
    tls_.check();
    loop_.arm(*this, now + kTlsCheck);
  }
  EventLoop& loop_;
  TlsContext& tls_;
};

struct Server::Impl {
  LoopPool& loops;
  std::shared_ptr<const GrpcRouter> grpc;
  std::shared_ptr<const HttpRouter> http;
  ServerConfig config;
  NetMetrics metrics;
  Logger log;
  ProxyRules proxies{};
  SharedLimits shared{config.limits};
  std::unique_ptr<TlsContext> tls{};
  std::unique_ptr<TlsWatch> tls_watch{};
  std::vector<std::shared_ptr<ServerLoop>> servers{};
  std::vector<std::uint16_t> ports{};

  EventLoop& loop(std::size_t index) const { return static_cast<EventLoop&>(loops.at(index)); }

  /// Runs `work` on each loop and waits for it; here, when the loops have ended.
  template <class Work>
  void on_each(Work work) {
    std::vector<std::future<void>> done;
    for (std::size_t i = 0; i < servers.size(); ++i) {
      EventLoop& home = servers[i]->loop();
      NB_ASSERT(!home.running_here());
      if (!home.alive()) {
        work(i);
        continue;
      }
      auto promise = std::make_shared<std::promise<void>>();
      done.push_back(promise->get_future());
      home.post([work, i, promise] {
        work(i);
        promise->set_value();
      });
    }
    for (auto& each : done) each.wait();
  }

  void wait_for_connections(std::chrono::milliseconds limit) const {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (shared.connections.load() > 0 && std::chrono::steady_clock::now() < end &&
           loop(0).alive()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
};

Server::Server(LoopPool& loops, std::shared_ptr<const GrpcRouter> grpc,
               std::shared_ptr<const HttpRouter> http, ServerConfig config,
               prometheus::Registry& registry, Logger log)
    : impl_(new Impl{.loops = loops,
                     .grpc = grpc ? std::move(grpc) : std::make_shared<const GrpcRouter>(),
                     .http = http ? std::move(http) : std::make_shared<const HttpRouter>(),
                     .config = std::move(config),
                     .metrics = NetMetrics(registry),
                     .log = std::move(log)}) {}

Server::~Server() {
  stop();
}

Result<> Server::start() {
  NB_LET(impl_->proxies.trusted_peers, ranges(impl_->config.trusted_proxies));
  NB_LET(impl_->proxies.trusted_proxies, ranges(impl_->config.trusted_http_proxies));
  impl_->proxies.count = impl_->config.trusted_proxy_count;
  for (const ListenerConfig& listener : impl_->config.listeners) {
    if (!listener.tls || impl_->tls) continue;
    impl_->tls = std::make_unique<TlsContext>(impl_->config.tls_files, impl_->metrics, impl_->log);
    NB_TRY(impl_->tls->load());
  }
  const auto routes = std::make_shared<
      const std::pair<std::shared_ptr<const GrpcRouter>, std::shared_ptr<const HttpRouter>>>(
      impl_->grpc, impl_->http);
  for (std::size_t i = 0; i < impl_->loops.size(); ++i) {
    impl_->servers.push_back(std::make_shared<ServerLoop>(ServerContext{.loop = impl_->loop(i),
                                                                        .grpc = *impl_->grpc,
                                                                        .http = *impl_->http,
                                                                        .config = impl_->config,
                                                                        .proxies = impl_->proxies,
                                                                        .metrics = impl_->metrics,
                                                                        .log = impl_->log,
                                                                        .routes = routes},
                                                          impl_->shared, impl_->tls.get()));
  }
  for (const ListenerConfig& listener : impl_->config.listeners) {
    // SO_REUSEPORT would let a second process share the port silently: ask without it first.
    NB_LET(auto probe, listen_on(listener, listener.port, false));
    const std::uint16_t port = listener.port == 0 ? bound_port(probe.get()) : listener.port;
    probe = Descriptor();
    for (auto& server : impl_->servers) {
      NB_LET(auto fd, listen_on(listener, port, true));
      if (const int unsent = static_cast<int>(impl_->config.unsent_bytes_max); unsent > 0) {
        // Accepted sockets inherit it.
        setsockopt(fd.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
      }
      server->add_listener(std::move(fd), listener.tls);
    }
    impl_->ports.push_back(port);
  }
  for (auto& server : impl_->servers) {
    server->loop().post([home = std::weak_ptr(server)] {
      if (const auto here = home.lock()) here->start();
    });
  }
  if (impl_->tls) {
    impl_->servers.front()->loop().post([this, home = std::weak_ptr(impl_->servers.front())] {
      if (const auto here = home.lock()) {
        impl_->tls_watch = std::make_unique<TlsWatch>(here->loop(), *impl_->tls);
      }
    });
  }
  return {};
}

std::vector<std::uint16_t> Server::ports() const {
  return impl_->ports;
}

void Server::drain(std::chrono::milliseconds grace) {
  if (impl_->servers.empty()) return;
  impl_->on_each([this](std::size_t i) { impl_->servers[i]->drain(); });
  impl_->wait_for_connections(grace);
  stop();
}

void Server::stop() {
  if (impl_->servers.empty()) return;
  impl_->on_each([this](std::size_t i) {
    if (i == 0) impl_->tls_watch.reset();
    impl_->servers[i]->shut();
  });
  // A second round: connections buried in the first are gone with the end of that turn.
  impl_->on_each([](std::size_t) {});
  impl_->on_each([this](std::size_t i) { impl_->servers[i].reset(); });
  impl_->servers.clear();
}

std::size_t Server::connections() const {
  return impl_->shared.connections.load();
}

}  // namespace nb::net
