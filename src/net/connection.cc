#include "net/connection.h"

#include "base/assert.h"
#include "net/http1_session.h"
#include "net/http2_session.h"
#include "net/proxy_header.h"

#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace nb::net {

namespace {
/// After our last byte the peer may still send; closing at once would reset what it has not read.
constexpr auto kLinger = std::chrono::milliseconds(2'000);
constexpr auto kLingerInDrain = std::chrono::milliseconds(100);
constexpr int kProducesPerTurn = 4;
constexpr int kEnd = -2;
constexpr int kOver = -1;
}  // namespace

Connection::Connection(ConnectionOwner& owner, ServerContext& context, int fd, PeerAddress peer,
                       SslPtr ssl)
    : owner_(owner),
      context_(context),
      socket_peer_(peer),
      peer_(peer),
      fd_(fd),
      state_(ssl ? State::kHandshake : State::kSniffing),
      ssl_(std::move(ssl)) {
  if (context_.proxies.trusts(peer_)) state_ = State::kProxyHeader;
  if (ssl_) {
    SSL_set_fd(ssl_.get(), fd_);
    SSL_set_accept_state(ssl_.get());
  }
  context_.loop.watch(fd_, EPOLLIN, *this);
  context_.loop.arm(*this, context_.loop.now() + context_.limits().header_timeout);
}

Connection::~Connection() {
  if (state_ == State::kClosed) return;  // the context may be gone
  context_.loop.cancel(*this);
  ::close(fd_);
}

void Connection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  context_.loop.cancel(*this);
  // close() alone does not take it out of epoll while a child that was just forked still has it.
  context_.loop.unwatch(fd_);
  session_.reset();
  next_.reset();
  ssl_.reset();
  ::close(fd_);
  owner_.on_connection_closed(*this);
}

void Connection::wake_at(Instant at) {
  if (!armed() || context_.loop.timers().at(*this) > at) context_.loop.arm(*this, at);
}

void Connection::on_timer(Instant now) {
  switch (state_) {
    case State::kClosed:
      return;
    case State::kProxyHeader:
    case State::kHandshake:
    case State::kSniffing:
      context_.metrics.closed_slow.Increment();
      return close();
    case State::kLingering:
      return close();
    case State::kOpen:
      Instant next = session_->on_timer(now);
      if (output_watched_) {
        const Instant last = blocked_since_ + context_.limits().idle_timeout;
        if (now >= last) {
          context_.metrics.closed_dead.Increment();
          return close();
        }
        next = std::min(next, last);
      }
      wake_at(std::max(next, now + std::chrono::milliseconds(1)));
      return;
  }
}

// --- input -------------------------------------------------------------------------------------

void Connection::on_io(std::uint32_t epoll_events) {
  if (state_ == State::kClosed) return;
  if ((epoll_events & EPOLLOUT) != 0) want_flush();
  if ((epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable();
}

void Connection::prefetch(Ahead step) const {
  if (!session_) return;
  if (step == Ahead::kSession) {
    prefetch_bytes(session_.get(), sizeof(Http2Session));
  } else {
    session_->prefetch();
  }
}

void Connection::on_readable() {
  if (input_ended_) {
    // Level-triggered hang-up after the end of input: nothing can be sent any more either.
    return close();
  }
  if (state_ == State::kProxyHeader && !settle_peer()) return;
  if (state_ == State::kHandshake && !handshake()) return;
  const auto buffer = context_.loop.read_buffer();
  do {
    const int size = read(buffer);
    if (size == kEnd) return end_of_input();
    if (size <= 0) return;
    if (state_ == State::kLingering) continue;
    receive(buffer.first(static_cast<std::size_t>(size)));
    // What OpenSSL has decrypted already makes no socket readable.
  } while (state_ != State::kClosed && ssl_ && SSL_pending(ssl_.get()) > 0);
}

bool Connection::settle_peer() {
  using Header = ProxyHeader::State;
  std::array<char, kProxyHeaderMax> bytes;
  // Looked at before it is taken: what follows the header is for TLS or a session.
  const ssize_t seen = recv(fd_, bytes.data(), bytes.size(), MSG_PEEK);
  if (seen < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  const std::size_t before = pending_.size();
  if (seen > 0) pending_.append(bytes.data(), static_cast<std::size_t>(seen));
  const ProxyHeader header = read_proxy_header(pending_);
  const bool none = seen <= 0 || header.state == Header::kNone;
  if (header.state == Header::kBroken || (none && before > 0)) {
    close();
    return false;
  }
  if (none) {
    pending_.clear();
  } else {
    const bool whole = header.state == Header::kWhole;
    const std::size_t taken = (whole ? header.size : pending_.size()) - before;
    recv(fd_, bytes.data(), taken, 0);
    if (!whole) return false;
    std::string().swap(pending_);
    if (header.client) peer_ = *header.client;
  }
  state_ = ssl_ ? State::kHandshake : State::kSniffing;
  return true;
}

int Connection::read(std::span<std::uint8_t> into) {
  if (!ssl_) {
    const ssize_t size = recv(fd_, into.data(), into.size(), 0);
    if (size > 0) return static_cast<int>(size);
    if (size == 0) return kEnd;
    if (errno == EAGAIN || errno == EINTR) return 0;
    close();
    return kOver;
  }
  ERR_clear_error();
  const int size = SSL_read(ssl_.get(), into.data(), static_cast<int>(into.size()));
  if (size > 0) return size;
  switch (SSL_get_error(ssl_.get(), size)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      return kEnd;
    default:
      close();
      return kOver;
  }
}

bool Connection::handshake() {
  ERR_clear_error();
  const int done = SSL_accept(ssl_.get());
  if (done == 1) {
    state_ = State::kSniffing;
    watch_output(false);
    return true;
  }
  switch (SSL_get_error(ssl_.get(), done)) {
    case SSL_ERROR_WANT_READ:
      return false;
    case SSL_ERROR_WANT_WRITE:
      watch_output(true);
      return false;
    default:
      context_.metrics.closed_tls.Increment();
      close();
      return false;
  }
}

void Connection::receive(std::span<const std::uint8_t> bytes) {
  if (state_ == State::kSniffing) return sniff(bytes);
  session_->receive(bytes);
  if (next_) adopt_next();
}

void Connection::sniff(std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string first = std::exchange(pending_, {});
  first.append(text);
  const std::size_t known = std::min(first.size(), http2::kPreface.size());
  const bool preface = http2::kPreface.substr(0, known) == first.substr(0, known);
  if (preface && known < http2::kPreface.size()) {
    pending_ = std::move(first);
    return;
  }
  state_ = State::kOpen;
  if (preface) {
    session_ = std::make_unique<Http2Session>(*this, context_);
  } else {
    session_ = std::make_unique<Http1Session>(*this, context_);
  }
  if (context_.draining) session_->drain();
  receive({reinterpret_cast<const std::uint8_t*>(first.data()), first.size()});
}

void Connection::replace_session(std::unique_ptr<Session> next, std::string_view first,
                                 std::span<const std::uint8_t> rest) {
  next_ = std::move(next);
  pending_.append(first);
  wait_for_peer();
  next_input_.assign(reinterpret_cast<const char*>(rest.data()), rest.size());
  want_flush();
}

void Connection::adopt_next() {
  session_ = std::move(next_);
  if (context_.draining) session_->drain();
  const std::string input = std::exchange(next_input_, {});
  if (!input.empty()) {
    session_->receive({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()});
  }
}

void Connection::end_of_input() {
  if (input_ended_ || state_ != State::kOpen) return close();
  input_ended_ = true;
  session_->on_end_of_input();
  // Readability would be reported for ever; from now on only output and hang-up count.
  context_.loop.rewatch(fd_, output_watched_ ? EPOLLOUT : 0U, *this);
  want_flush();
}

// --- output ------------------------------------------------------------------------------------

std::ptrdiff_t Connection::send(std::span<const std::uint8_t> bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    if (!ssl_) {
      const ssize_t size =
          ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size >= 0) {
        sent += static_cast<std::size_t>(size);
        if (sent < bytes.size()) break;  // the socket's buffer is full: asking again only costs
        continue;
      }
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      return kOver;
    }
    ERR_clear_error();
    const int size =
        SSL_write(ssl_.get(), bytes.data() + sent,
                  static_cast<int>(std::min<std::size_t>(bytes.size() - sent, 1 << 30)));
    if (size > 0) {
      sent += static_cast<std::size_t>(size);
      continue;
    }
    const int error = SSL_get_error(ssl_.get(), size);
    if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) break;
    return kOver;
  }
  return static_cast<std::ptrdiff_t>(sent);
}

void Connection::watch_output(bool on) {
  if (output_watched_ == on) return;
  output_watched_ = on;
  const std::uint32_t input = input_ended_ ? 0U : EPOLLIN;
  context_.loop.rewatch(fd_, input | (on ? EPOLLOUT : 0U), *this);
}

/// Whoever takes nothing of what it is owed for as long as an idle connection may last is gone.
void Connection::wait_for_peer() {
  blocked_since_ = context_.loop.now();
  wake_at(blocked_since_ + context_.limits().idle_timeout);
}

/// True: nothing is waiting any more.
bool Connection::flush_pending() {
  if (pending_.empty()) return true;
  const auto sent = send({reinterpret_cast<const std::uint8_t*>(pending_.data()), pending_.size()});
  if (sent < 0) {
    close();
    return false;
  }
  if (static_cast<std::size_t>(sent) < pending_.size()) {
    pending_.erase(0, static_cast<std::size_t>(sent));
    if (sent > 0) wait_for_peer();
    watch_output(true);
    return false;
  }
  std::string().swap(pending_);
  return true;
}

void Connection::flush() {
  if (state_ == State::kHandshake) {
    if (handshake()) on_readable();
    return;
  }
  if (state_ != State::kOpen) return;
  if (next_) adopt_next();
  if (!flush_pending()) {
    if (shut_ || (state_ == State::kOpen && session_->abandoned())) close();
    return;
  }
  OutputBuffer& out = context_.loop.output();
  bool more = true;
  for (int round = 0; more && round < kProducesPerTurn; ++round) {
    out.clear();
    session_->produce(out);
    more = session_->has_more();
    if (out.empty()) break;
    const auto bytes = out.view();
    const auto sent = send(bytes);
    if (sent < 0) return close();
    if (static_cast<std::size_t>(sent) < bytes.size()) {
      const auto rest = bytes.subspan(static_cast<std::size_t>(sent));
      pending_.assign(reinterpret_cast<const char*>(rest.data()), rest.size());
      wait_for_peer();
      watch_output(true);
      break;
    }
  }
  if (shut_) return close();
  if (!pending_.empty()) return;
  if (more) wait_for_peer();
  watch_output(more);  // more: the other connections first, then on with this one
  if (session_->finished()) linger();
}

void Connection::linger() {
  session_.reset();
  if (input_ended_) return close();
  state_ = State::kLingering;
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  shutdown(fd_, SHUT_WR);
  context_.loop.arm(*this, context_.loop.now() + (context_.draining ? kLingerInDrain : kLinger));
}

void Connection::drain() {
  if (state_ == State::kOpen) return session_->drain();
  if (state_ > State::kSniffing) return;
  on_readable();  // what has come already is answered
  if (state_ <= State::kSniffing) close();
}

void Connection::shut() {
  if (state_ != State::kOpen) return close();
  if (next_) adopt_next();
  shut_ = true;
  session_->shut();
  flush();
}

// --- list --------------------------------------------------------------------------------------

ConnectionList::~ConnectionList() {
  while (first_ != nullptr) remove(*first_);
}

void ConnectionList::add(std::unique_ptr<Connection> connection) {
  Connection* const added = connection.release();
  added->following_ = first_;
  if (first_ != nullptr) first_->preceding_ = added;
  first_ = added;
}

std::unique_ptr<Connection> ConnectionList::remove(Connection& connection) {
  if (connection.preceding_ != nullptr) connection.preceding_->following_ = connection.following_;
  if (connection.following_ != nullptr) connection.following_->preceding_ = connection.preceding_;
  if (first_ == &connection) first_ = connection.following_;
  connection.preceding_ = connection.following_ = nullptr;
  return std::unique_ptr<Connection>(&connection);
}

}  // namespace nb::net
