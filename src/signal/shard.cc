#include "signal/shard.h"

#include "base/log_keys.h"
#include "signal/message_scan.h"

#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <utility>

namespace nb::signal {
namespace {

constexpr std::string_view kProbeKey = "dummy";  // health check of older clients, §1.3
constexpr std::size_t kLimiterNamesMax = 50'000;
constexpr std::uint8_t kHopsMax = 4;
constexpr unsigned kTicketLoopShift = 48;
constexpr std::string_view kOverload = "the server is overloaded, try again";

double ms(Instant from, Instant to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

RateLimit limit(double per_second) {
  return {.per_second = per_second, .burst = std::max(1.0, per_second * 2)};
}

struct Answer {
  Code code = Code::kOk;
  std::string_view text;
};
/// What a waiting sender is told. A peer that is absent, has left or does not read is no error: the
/// message is dropped and counted (contract/signal-relay-ops.md §1.3). Overload is told.
Answer answer_for(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccepted:
    case Outcome::kNotHere:
    case Outcome::kWaiting:
    case Outcome::kTimeout:
    case Outcome::kGone:
      return {};
    case Outcome::kOverflow:
      return {Code::kResourceExhausted, "the peer does not keep up with its messages"};
  }
  return {};
}

}  // namespace

ShardContext::ShardContext(Options options_in, SignalMetrics& metrics_in, const Clock& clock_in,
                           Logger log_in)
    : options(options_in),
      metrics(metrics_in),
      clock(clock_in),
      log(std::move(log_in)),
      throttle({.replacements_max = options_in.replace_burst,
                .window = options_in.replace_window,
                .delay = options_in.replace_delay}) {}

Shard::Shard(net::Loop& loop, ShardContext& context)
    : loop_(loop),
      context_(context),
      index_(static_cast<std::uint32_t>(loop.index())),
      connects_(limit(context.options.source_connects_per_second), kLimiterNamesMax),
      sends_(limit(context.options.source_sends_per_second), kLimiterNamesMax) {}

Shard::~Shard() = default;

// ---- Send

void Shard::send(net::GrpcCall& call, std::string_view bytes) {
  SignalMetrics& metrics = context_.metrics;
  const Options& options = context_.options;
  const Instant since = context_.clock.now();
  if (options.source_sends_per_second > 0 && !sends_.take(call.client().ip, since)) {
    metrics.sends_limited.add();
    return answer(call, since, Code::kResourceExhausted, "too many messages from this address");
  }
  if (bytes.size() > options.message_bytes_max)
    return answer(call, since, Code::kResourceExhausted,
                  "message is larger than the server accepts");
  const auto message = scan_message(bytes);
  if (!message) {
    metrics.malformed.add();
    return answer(call, since, message.error().code, message.error().text);
  }
  const std::string_view peer = message->remote_key;
  if (peer == kProbeKey && message->body.empty()) return answer(call, since, Code::kOk);
  metrics.message_bytes.observe(static_cast<double>(bytes.size()));

  if (PeerStream* stream = find(peer)) {
    metrics.hit_local.add();
    metrics.lookup_found_ms.observe(ms(since, context_.clock.now()));
    if (stream->open()) {
      stream->write(bytes);
      metrics.forwarded.add();
      const Instant now = context_.clock.now();
      metrics.forward_ms.observe(ms(since, now));
      call.write({});
      call.finish({});
      return metrics.rpc_ended(false, Code::kOk, ms(since, now));
    }
    return hold(*stream, {.peer = std::string(peer),
                          .message = std::string(bytes),
                          .sender = {.ticket = ticket_for(call, since)},
                          .since = since});
  }
  if (const auto place = context_.registry.find(peer); place && place->loop != index_) {
    metrics.hit_local.add();
    metrics.lookup_found_ms.observe(ms(since, context_.clock.now()));
    const std::size_t waiting = context_.mail_bytes[place->loop]->load(std::memory_order_relaxed);
    if (waiting > options.mail_bytes_max) {
      metrics.dropped_loop.add();
      return answer(call, since, Code::kResourceExhausted, kOverload);
    }
    // The other loop takes it for sure: no need to wait for its word. Unless the peer is slow.
    const bool wait = place->congested || waiting > options.mail_bytes_max / 4;
    const Ticket ticket = wait ? ticket_for(call, since) : 0;
    pass_on(place->loop, {.peer = std::string(peer),
                          .message = std::string(bytes),
                          .sender = {.ticket = ticket},
                          .since = since});
    if (!wait) answer(call, since, Code::kOk);
    return;
  }
  metrics.miss_local.add();
  metrics.lookup_missing_ms.observe(ms(since, context_.clock.now()));
  if (!context_.post_home) {
    metrics.lost_not_connected.add();
    return answer(call, since, Code::kOk);
  }
  mail_home(Parcel{.peer = std::string(peer),
                   .message = std::string(bytes),
                   .sender = {.ticket = ticket_for(call, since)},
                   .since = since});
}

void Shard::answer(net::GrpcCall& call, Instant since, Code code, std::string_view text) {
  if (code == Code::kOk) {
    call.write({});
    call.finish({});
  } else {
    call.finish({.code = code, .message = std::string(text)});
  }
  context_.metrics.rpc_ended(false, code, ms(since, context_.clock.now()));
}

Ticket Shard::ticket_for(net::GrpcCall& call, Instant since) {
  const Ticket ticket = (Ticket{index_} << kTicketLoopShift) | ++last_ticket_;
  tickets_.emplace(ticket, Waiting{call.handle(), since});
  return ticket;
}

void Shard::on_reply(const ReplyMail& reply) {
  const auto at = tickets_.find(reply.ticket);
  if (at == tickets_.end()) return;
  const Waiting waiting = std::move(at->second);
  tickets_.erase(at);
  if (net::GrpcCall* call = waiting.call.get())
    answer(*call, waiting.since, reply.code, reply.text);
}

// ---- delivery

PeerStream* Shard::find(std::string_view peer) const {
  const auto at = streams_.find(peer);
  return at == streams_.end() ? nullptr : at->second;
}

void Shard::deliver(Parcel parcel) {
  PeerStream* stream = find(parcel.peer);
  if (stream == nullptr) return reroute(std::move(parcel));
  if (!stream->open()) return hold(*stream, std::move(parcel));
  stream->write(parcel.message);
  written(parcel);
}

void Shard::written(const Parcel& parcel) {
  context_.metrics.forwarded.add();
  context_.metrics.forward_ms.observe(ms(parcel.since, context_.clock.now()));
  settle(parcel.sender, parcel.peer, Outcome::kAccepted);
}

void Shard::hold(PeerStream& stream, Parcel parcel) {
  if (context_.queued_bytes.load(std::memory_order_relaxed) >
      context_.options.queue_bytes_total_max) {
    context_.metrics.dropped_peer_queue.add();
    context_.metrics.lost_overflow.add();
    return settle(parcel.sender, parcel.peer, Outcome::kOverflow);
  }
  if (parcel.sender.from_bus()) settle(parcel.sender, parcel.peer, Outcome::kWaiting);
  stream.enqueue(std::move(parcel));
}

// The stream it was meant for is gone: another one of this process, or another instance, may have
// the peer by now.
void Shard::reroute(Parcel parcel) {
  const auto place = context_.registry.find(parcel.peer);
  if (place && ++parcel.hops <= kHopsMax) {
    if (place->loop != index_) return pass_on(place->loop, std::move(parcel));
    if (find(parcel.peer) != nullptr) return deliver(std::move(parcel));
  }
  if (parcel.sender.from_bus()) return settle(parcel.sender, parcel.peer, Outcome::kNotHere);
  if (context_.post_home) return mail_home(std::move(parcel));
  context_.metrics.lost_disconnected.add();
  settle(parcel.sender, parcel.peer, Outcome::kGone);
}

void Shard::settle(const Sender& sender, std::string_view peer, Outcome outcome) {
  if (sender.from_bus()) {
    mail_home(DeliveredMail{sender.origin, std::string(peer), outcome});
  } else if (sender.ticket != 0 && outcome != Outcome::kWaiting) {
    const Answer told = answer_for(outcome);
    const ReplyMail reply{sender.ticket, told.code, told.text};
    const auto loop = loop_of(sender.ticket);
    if (loop == index_) return on_reply(reply);
    mail_to(loop, reply);
  }
}

void Shard::congested(PeerStream& stream, bool is) {
  context_.registry.set_congested(stream.peer(), stream.number(), is);
  if (!is) {
    congested_.erase(&stream);
    return;
  }
  congested_.insert(&stream);
  // The transport calls on_writable() only for output that outlived its turn.
  loop_.post([this, peer = stream.peer(), number = stream.number()] {
    PeerStream* still = find(peer);
    if (still != nullptr && still->number() == number) still->drain();
  });
}

void Shard::check_stalled() {
  const Instant now = context_.clock.now();
  std::vector<PeerStream*> stalled;
  for (PeerStream* stream : congested_)
    if (stream->stalled(now)) stalled.push_back(stream);
  for (PeerStream* stream : stalled) {
    for (const Parcel& parcel : stream->take_queue()) {
      context_.metrics.lost_timeout.add();
      settle(parcel.sender, parcel.peer, Outcome::kTimeout);
    }
    forget(*stream);
    stream->finish({.code = Code::kUnavailable, .message = "messages were not read in time"}, true);
  }
}

// ---- streams

std::unique_ptr<net::GrpcStreamHandler> Shard::connect(net::GrpcCall& /*call*/) {
  return std::make_unique<PeerStream>(*this);
}

void Shard::start(PeerStream& stream) {
  SignalMetrics& metrics = context_.metrics;
  const Options& options = context_.options;
  if (stream.peer().empty()) {
    metrics.failed_missing_id.add();
    return refuse(stream, {.code = Code::kFailedPrecondition,
                           .message = "missing connection header: x-wiretrustee-peer-id"});
  }
  if (stream.peer().size() > options.peer_id_bytes_max) {
    metrics.failed_registration.add();
    return refuse(stream, {.code = Code::kInvalidArgument, .message = "peer id is too long"});
  }
  if (context_.draining.load(std::memory_order_relaxed)) {
    metrics.rejected_draining.add();
    return refuse(stream, {.code = Code::kUnavailable, .message = "server is shutting down"});
  }
  if (context_.streams.load(std::memory_order_relaxed) >= options.peers_max) {
    metrics.rejected_full.add();
    metrics.failed_registration.add();
    return refuse(stream, {.code = Code::kResourceExhausted, .message = "too many peers"});
  }
  if (options.source_connects_per_second > 0 &&
      !connects_.take(stream.call().client().ip, stream.since())) {
    metrics.rejected_rate.add();
    metrics.failed_registration.add();
    return refuse(stream, {.code = Code::kResourceExhausted,
                           .message = "too many streams from this address"});
  }
  context_.streams.fetch_add(1, std::memory_order_relaxed);
  stream.counted_ = true;
  std::chrono::milliseconds delay{};
  bool notice = false;
  {
    const std::lock_guard lock(context_.throttle_mutex);
    delay = context_.throttle.delay(stream.peer(), stream.since());
    notice = delay.count() > 0 && context_.throttle.first_notice(stream.peer());
  }
  if (delay.count() == 0) return accept(stream);
  if (notice)
    context_.log.warn("two agents seem to share one key, their streams are delayed",
                      {log::f(log::kPeer, stream.peer())});
  accept_later(stream, delay);
}

void Shard::refuse(PeerStream& stream, net::GrpcStatus status) {
  stream.finish(std::move(status));
}

void Shard::accept_later(PeerStream& stream, std::chrono::milliseconds delay) {
  context_.metrics.throttled.add();
  // One stream of a key waits, the newest.
  const auto older = std::find_if(delayed_.begin(), delayed_.end(), [&](const PeerStream* other) {
    return other->peer() == stream.peer();
  });
  if (older != delayed_.end()) {
    PeerStream& other = **older;
    delayed_.erase(older);
    other.delay_.reset();
    refuse(other, {.code = Code::kUnknown, .message = "replaced by a newer stream of this peer"});
  }
  delayed_.insert(&stream);
  stream.delay_ = std::make_shared<boost::asio::steady_timer>(loop_.executor(), delay);
  stream.delay_->async_wait([this, &stream, alive = std::weak_ptr(stream.delay_)](
                                const boost::system::error_code& error) {
    if (error || alive.expired()) return;
    delayed_.erase(&stream);
    stream.delay_.reset();
    accept(stream);
  });
}

void Shard::accept(PeerStream& stream) {
  SignalMetrics& metrics = context_.metrics;
  stream.number_ = context_.last_stream.fetch_add(1, std::memory_order_relaxed) + 1;
  const auto other =
      context_.registry.insert(stream.peer(), {.stream = stream.number_, .loop = index_});
  if (other && other->stream > stream.number_) {
    metrics.rejected_older.add();
    metrics.failed_registration.add();
    return refuse(stream, {.code = Code::kUnknown, .message = "the peer has a newer stream"});
  }
  PeerStream* mine = find(stream.peer());
  std::deque<Parcel> inherited;
  if (mine != nullptr) {
    inherited = mine->take_queue();
    replaced(*mine, EndReason::kReplaced);
  }
  streams_.emplace(stream.peer(), &stream);
  stream.registered_ = true;
  if (other) {
    metrics.displaced_local.add();
    {
      const std::lock_guard lock(context_.throttle_mutex);
      context_.throttle.replaced(stream.peer(), context_.clock.now());
    }
    if (other->loop != index_)
      mail_to(other->loop, EndMail{stream.peer(), other->stream, EndReason::kReplaced});
  } else {
    metrics.active_peers.add();
    metrics.instance_peers.add();
    metrics.registrations.add();
  }
  // Clients wait for these headers before anything else (signal-relay-ops.md §1.2).
  stream.call().send_headers({{"x-wiretrustee-peer-registered", "1"}});
  metrics.registration_ms.observe(ms(stream.since(), context_.clock.now()));
  if (context_.post_home) mail_home(AttachMail{stream.peer(), stream.number_});
  for (Parcel& parcel : inherited) deliver(std::move(parcel));
}

// Takes the stream out of our map and ends it; its registry entry is the successor's.
void Shard::replaced(PeerStream& stream, EndReason reason) {
  streams_.erase(stream.peer());
  stream.registered_ = false;
  switch (reason) {
    case EndReason::kReplaced:
      return stream.finish(
          {.code = Code::kUnknown, .message = "replaced by a newer stream of this peer"});
    case EndReason::kSuperseded:
      return stream.finish(
          {.code = Code::kUnknown, .message = "the peer connected to another server"});
    case EndReason::kDraining:
      return stream.finish({.code = Code::kUnavailable, .message = "server is shutting down"});
  }
}

void Shard::on_end(const EndMail& end) {
  PeerStream* stream = find(end.peer);
  if (stream == nullptr || stream->number() != end.stream) return;
  if (end.reason == EndReason::kSuperseded) {
    context_.metrics.displaced_remote.add();
    const std::lock_guard lock(context_.throttle_mutex);
    context_.throttle.replaced(end.peer, context_.clock.now());
  }
  end_stream(*stream, end.reason);
}

void Shard::end_stream(PeerStream& stream, EndReason reason) {
  std::deque<Parcel> parcels = stream.take_queue();
  if (reason == EndReason::kReplaced) {
    replaced(stream, reason);
  } else {
    forget(stream);
    replaced(stream, reason);
  }
  for (Parcel& parcel : parcels) reroute(std::move(parcel));
}

// Nobody finds this stream any more.
void Shard::forget(PeerStream& stream) {
  if (std::exchange(stream.registered_, false)) streams_.erase(stream.peer());
  if (stream.number_ == 0 || !context_.registry.erase(stream.peer(), stream.number_)) return;
  context_.metrics.active_peers.sub();
  context_.metrics.instance_peers.sub();
  context_.metrics.deregistrations.add();
  if (context_.post_home) mail_home(DetachMail{stream.peer(), stream.number_});
}

void Shard::ended(PeerStream& stream) {
  delayed_.erase(&stream);
  std::deque<Parcel> parcels = stream.take_queue();
  congested_.erase(&stream);
  forget(stream);
  if (stream.counted_) context_.streams.fetch_sub(1, std::memory_order_relaxed);
  const double seconds = ms(stream.since(), context_.clock.now()) / 1'000;
  if (stream.number_ != 0) context_.metrics.connection_seconds.observe(seconds);
  context_.metrics.rpc_ended(true, stream.end_code(), seconds * 1'000);
  for (Parcel& parcel : parcels) reroute(std::move(parcel));
}

bool Shard::end_some(std::size_t count) {
  for (; count > 0 && !streams_.empty(); --count)
    end_stream(*streams_.begin()->second, EndReason::kDraining);
  while (!delayed_.empty()) {
    PeerStream* stream = *delayed_.begin();
    delayed_.erase(delayed_.begin());
    stream->delay_.reset();
    refuse(*stream, {.code = Code::kUnavailable, .message = "server is shutting down"});
  }
  return streams_.empty();
}

// ---- mail

void Shard::receive(std::vector<ShardMail> mail) {
  for (ShardMail& item : mail) {
    if (const auto* parcel = std::get_if<Parcel>(&item))
      context_.mail_bytes[index_]->fetch_sub(parcel->message.size(), std::memory_order_relaxed);
    take(std::move(item));
  }
}

void Shard::take(ShardMail mail) {
  if (auto* parcel = std::get_if<Parcel>(&mail)) {
    deliver(std::move(*parcel));
  } else if (const auto* reply = std::get_if<ReplyMail>(&mail)) {
    on_reply(*reply);
  } else {
    on_end(std::get<EndMail>(mail));
  }
}

void Shard::hand(std::uint32_t loop, ShardMail mail) {
  if (loop == index_) return take(std::move(mail));
  mail_to(loop, std::move(mail));
}

std::uint32_t Shard::loop_of(Ticket ticket) {
  return static_cast<std::uint32_t>(ticket >> kTicketLoopShift);
}

void Shard::pass_on(std::uint32_t loop, Parcel parcel) {
  mail_to(loop, std::move(parcel));
}

void Shard::mail_to(std::uint32_t loop, ShardMail mail) {
  if (const auto* parcel = std::get_if<Parcel>(&mail))
    context_.mail_bytes[loop]->fetch_add(parcel->message.size(), std::memory_order_relaxed);
  if (out_.size() <= loop) out_.resize(loop + 1);
  out_[loop].push_back(std::move(mail));
  need_flush();
}

void Shard::mail_home(HomeMail mail) {
  out_home_.push_back(std::move(mail));
  need_flush();
}

void Shard::need_flush() {
  if (std::exchange(flush_queued_, true)) return;
  loop_.at_turn_end([this] { flush_mail(); });
}

void Shard::flush_mail() {
  flush_queued_ = false;
  for (std::uint32_t loop = 0; loop < out_.size(); ++loop)
    if (!out_[loop].empty()) context_.post_shard(loop, std::exchange(out_[loop], {}));
  if (!out_home_.empty()) context_.post_home(std::exchange(out_home_, {}));
}

}  // namespace nb::signal
