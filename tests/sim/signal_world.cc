#include "sim/signal_world.h"

#include "base/metrics.h"
#include "proto/signalexchange.pb.h"
#include "signal/metrics.h"

namespace nb::sim {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Metrics are not what is looked at here, and dear to build: one set for all.
signal::SignalMetrics& shared_metrics() {
  static MetricRegistry registry;
  static signal::SignalMetrics metrics(registry);
  return metrics;
}

std::string message_to(const std::string& peer, const std::string& body) {
  signalexchange::EncryptedMessage message;
  message.set_key("someone");
  message.set_remotekey(peer);
  message.set_body(body);
  return message.SerializeAsString();
}

signal::Registrar::Options registrar_options(const SignalFlaws& flaws) {
  signal::Registrar::Options options;
  options.steals_back = flaws.steals_back;
  options.sample = 4;  // small, so that the round takes several checks
  options.chunk = 3;
  options.calls_max = 2;
  if (flaws.never_checks) options.check_interval = 24h;
  return options;
}

signal::Router::Options router_options(const SignalFlaws& flaws) {
  signal::Router::Options options;
  options.answer_duplicates = !flaws.forgets_sender;
  return options;
}

}  // namespace

SignalNode::SignalNode(NodeEnv& env, std::shared_ptr<Agents> agents, SignalFlaws flaws)
    : env_(env),
      agents_(std::move(agents)),
      flaws_(flaws),
      boot_(env.random()),
      membership_(std::make_unique<ha::LocalMemberStore>(env.store, "signal"), env.clock,
                  ha::InstanceId(env.name), env.incarnation,
                  {.service = "signal", .ttl = 6s, .interval = 2s}),
      directory_(env.store, {.registry_key = "nb:signal:registry", .peer_ttl = 6s}),
      exchange_(env.home, {membership_, directory_, env.bus}, registrar_options(flaws),
                router_options(flaws), env.random(), shared_metrics(), env.clock, Logger()),
      housekeeper_(env.home, membership_, directory_, nullptr, env.clock,
                   {.beat_interval = 2s, .purge_interval = 30s},
                   {.on_store_lost =
                        [this] {
                          if (!flaws_.never_checks) exchange_.store_back();
                        },
                    .on_beat =
                        [this](bool up) {
                          if (up) exchange_.joined();
                        },
                    .on_purged = {}},
                   Logger()) {
  exchange_.start(*this);
  housekeeper_.start();
  env.on_store_up([this] { housekeeper_.beat_soon(); });
}

asio::awaitable<void> SignalNode::stop() {
  // An orderly stop ends the streams first; after a crash nothing of this leaves the process.
  std::vector<signal::HomeMail> mail;
  for (const auto& [peer, stream] : streams_) mail.emplace_back(signal::DetachMail{peer, stream});
  streams_.clear();
  if (!mail.empty()) exchange_.receive(std::move(mail));
  co_await housekeeper_.stop();
  co_await exchange_.stop();
  co_await membership_.leave();
}

void SignalNode::connect(Agent& agent) {
  const std::uint64_t stream = ++last_stream_;
  streams_[agent.id()] = stream;
  agent.node = env_.name;
  agent.boot = boot_;
  agent.stream = stream;
  std::vector<signal::HomeMail> mail;
  mail.emplace_back(signal::AttachMail{agent.id(), stream});
  exchange_.receive(std::move(mail));
}

bool SignalNode::serves(const Agent& agent) const {
  const auto at = streams_.find(agent.id());
  return at != streams_.end() && agent.node == env_.name && agent.boot == boot_ &&
         agent.stream == at->second;
}

void SignalNode::drop_abandoned() {
  std::vector<std::pair<std::string, std::uint64_t>> dead;
  for (const auto& [peer, stream] : streams_)
    if (!serves(agents_->all.at(peer))) dead.emplace_back(peer, stream);
  for (const auto& [peer, stream] : dead) detach(peer, stream);
}

void SignalNode::detach(const std::string& peer, std::uint64_t stream) {
  streams_.erase(peer);
  std::vector<signal::HomeMail> mail;
  mail.emplace_back(signal::DetachMail{peer, stream});
  exchange_.receive(std::move(mail));
}

void SignalNode::send(const std::string& to, const std::string& body) {
  if (stream_of(to)) {
    write(to, message_to(to, body));
    ++answers.ok;
    answers.ok_bodies.insert(body);
    return;
  }
  const std::uint64_t ticket = ++last_ticket_;
  tickets_[ticket] = {body, env_.clock.now()};
  std::vector<signal::HomeMail> mail;
  mail.emplace_back(signal::Parcel{.peer = to,
                                   .message = message_to(to, body),
                                   .sender = {.ticket = ticket, .origin = {}},
                                   .since = {},
                                   .hops = 0});
  exchange_.receive(std::move(mail));
}

std::optional<Instant> SignalNode::oldest() const {
  if (tickets_.empty()) return std::nullopt;
  return tickets_.begin()->second.since;
}

std::optional<std::uint64_t> SignalNode::stream_of(std::string_view peer) const {
  const auto at = streams_.find(peer);
  if (at == streams_.end()) return std::nullopt;
  return at->second;
}

void SignalNode::write(const std::string& peer, const std::string& message) {
  signalexchange::EncryptedMessage parsed;
  const bool valid = parsed.ParseFromString(message);
  Agent* agent = &agents_->all.at(peer);
  if (flaws_.wrong_peer && !streams_.empty()) agent = &agents_->all.at(streams_.begin()->first);
  if (!valid || parsed.remotekey() != agent->id()) agents_->wrong_delivery = true;
  // Over an abandoned stream nothing arrives.
  if (serves(*agent)) agent->received.insert(parsed.body());
}

void SignalNode::deliver(signal::Parcel parcel) {
  write(parcel.peer, parcel.message);
  std::vector<signal::HomeMail> mail;
  mail.emplace_back(
      signal::DeliveredMail{parcel.sender.origin, parcel.peer, signal::Outcome::kAccepted});
  // Later, as in production, where another loop has it.
  asio::post(env_.home,
             [this, mail = std::move(mail)]() mutable { exchange_.receive(std::move(mail)); });
}

void SignalNode::reply(const signal::ReplyMail& reply) {
  const auto at = tickets_.find(reply.ticket);
  if (at == tickets_.end()) return;
  if (reply.code == Code::kOk) {
    ++answers.ok;
    answers.ok_bodies.insert(at->second.body);
  } else {
    ++answers.told;
  }
  tickets_.erase(at);
}

void SignalNode::end(signal::EndMail end) {
  const auto at = streams_.find(end.peer);
  if (at == streams_.end() || at->second != end.stream) return;
  Agent& agent = agents_->all.at(end.peer);
  if (serves(agent)) agent.stream = 0;  // it sees the end and will come again
  env_.world.note(env_.name + " ends the stream of " + end.peer);
  streams_.erase(at);
}

}  // namespace nb::sim
