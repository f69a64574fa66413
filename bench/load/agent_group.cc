#include "load/agent_group.h"

#include "load/protobuf_scan.h"
#include "proto/management.pb.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

namespace nb::bench {

using std::chrono::milliseconds;

enum class AgentGroup::Call : std::uint8_t {
  kServerKey,
  kLogin,
  kKeyBeforeSync,
  kSync,
  kKeyBeforeJob,
  kJob,
};

namespace {

constexpr auto kDialLimit = milliseconds(10'000);
constexpr auto kProbeEvery = milliseconds(20);
/// Agents' pauses between tries: the first, the factor, the longest (the Go client's own).
constexpr double kPauseMs = 800;
constexpr double kPauseFactor = 1.7;
constexpr double kPauseMaxMs = 10'000;

EncodedCall call_of(std::size_t slot, std::string_view method, bool unary) {
  return HpackEncoder::make_call(fmt::format("/management.ManagementService/{}", method), slot, {},
                                 unary, false);
}

std::uint64_t since_ns(AgentGroup::Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(AgentGroup::Clock::now() - start)
          .count());
}

struct MapView {
  std::uint64_t serial = 0;
  std::uint32_t peers = 0;
};

/// Of a SyncResponse; none when it carries no map.
std::optional<MapView> view_map(std::string_view response) {
  while (const auto field = take_field(response)) {
    if (field->number != management::SyncResponse::kNetworkMapFieldNumber) continue;
    MapView out;
    std::string_view map = field->bytes;
    while (const auto part = take_field(map)) {
      if (part->number == management::NetworkMap::kSerialFieldNumber) out.serial = part->value;
      out.peers += part->number == management::NetworkMap::kRemotePeersFieldNumber ||
                   part->number == management::NetworkMap::kOfflinePeersFieldNumber;
    }
    return out;
  }
  return std::nullopt;
}

management::PeerSystemMeta meta(const AgentGroup::Agent& agent) {
  management::PeerSystemMeta m;
  m.set_hostname(fmt::format("bench-{}", agent.number));
  m.set_goos("linux");
  m.set_kernel("Linux");
  m.set_platform("x86_64");
  m.set_os("Debian GNU/Linux");
  m.set_osversion("12");
  m.set_netbirdversion("0.77.1");
  m.set_kernelversion("6.1.0-49-amd64");
  auto* address = m.add_networkaddresses();
  address->set_netip(fmt::format("10.{}.{}.2/24", agent.number >> 8 & 255, agent.number & 255));
  address->set_mac(
      fmt::format("02:00:00:00:{:02x}:{:02x}", agent.number >> 8 & 255, agent.number & 255));
  m.add_capabilities(management::PeerCapabilitySourcePrefixes);
  m.add_capabilities(management::PeerCapabilityIPv6Overlay);
  m.set_syncmessageversion(1);
  m.mutable_flags();
  return m;
}

std::optional<std::string> open_box(const AgentGroup::Agent& agent, std::string_view message) {
  while (const auto field = take_field(message)) {
    if (field->number != management::EncryptedMessage::kBodyFieldNumber || !agent.box) continue;
    auto plain = agent.box->open(field->bytes);
    if (plain) return *std::move(plain);
  }
  return std::nullopt;
}

}  // namespace

AgentGroup::AgentGroup(Plan plan) : plan_(std::move(plan)) {
  const char* methods[] = {"GetServerKey", "Login", "Sync", "Job"};
  for (std::size_t i = 0; i < std::size(methods); ++i)
    calls_.push_back(call_of(i, methods[i], i < 2));
}

void AgentGroup::make(std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    auto agent = std::make_unique<Agent>();
    agent->number = plan_.first + static_cast<std::uint32_t>(agents_.size());
    agent->key = crypto::PrivateKey::generate(random_);
    agent->key_text = agent->key->public_key().base64();
    agents_.push_back(std::move(agent));
  }
}

Result<> AgentGroup::load(const std::string& file, std::uint32_t count) {
  std::ifstream in(file);
  std::string line;
  while (agents_.size() < count && std::getline(in, line)) {
    NB_LET(auto key, crypto::PrivateKey::parse(line));
    make(1);
    Agent& agent = *agents_.back();
    agent.key = std::move(key);
    agent.key_text = agent.key->public_key().base64();
  }
  if (agents_.size() < count)
    return fail(Code::kInvalidArgument, "{}: {} keys, not {}", file, agents_.size(), count);
  return {};
}

Result<> AgentGroup::save(const std::string& file) const {
  std::ofstream out(file, std::ios::trunc);
  std::error_code error;
  std::filesystem::permissions(
      file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
  for (const auto& agent : agents_) out << agent->key->base64().reveal() << '\n';
  out.close();
  if (!out || error) return fail(Code::kUnavailable, "{}: cannot be written", file);
  return {};
}

// ---- calls

std::uint64_t AgentGroup::tag_of(const Agent& agent, Call call) const {
  return std::uint64_t{agent.number - plan_.first} << 8 | static_cast<std::uint64_t>(call);
}

void AgentGroup::start(Agent& agent, Call call, std::size_t method, const std::string& body,
                       bool half_close) {
  agent.client->call(calls_[method], tag_of(agent, call), body, half_close);
  loop_.touch(*agent.client);
}

std::string AgentGroup::seal(const Agent& agent, const std::string& plain) {
  management::EncryptedMessage out;
  out.set_wgpubkey(agent.key_text);
  if (agent.box) out.set_body(agent.box->seal(plain, random_));
  return out.SerializeAsString();
}

void AgentGroup::take_server_key(Agent& agent, std::string_view message) {
  management::ServerKeyResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
  if (agent.server_key == response.key()) return;
  agent.server_key = response.key();
  agent.box.reset();
  const auto theirs = crypto::PublicKey::parse(agent.server_key);
  if (!theirs) return;
  if (auto box = crypto::BoxSession::create(*agent.key, *theirs)) agent.box = *box;
}

void AgentGroup::send_login(Agent& agent) {
  management::LoginRequest request;
  request.set_setupkey(plan_.setup_key);
  *request.mutable_meta() = meta(agent);
  start(agent, Call::kLogin, 1, seal(agent, request.SerializeAsString()), true);
}

void AgentGroup::send_sync(Agent& agent) {
  management::SyncRequest request;
  *request.mutable_meta() = meta(agent);
  start(agent, Call::kSync, 2, seal(agent, request.SerializeAsString()), true);
}

void AgentGroup::send_job(Agent& agent) {
  management::JobRequest hello;
  hello.set_id(fmt::format("{:016}", agent.number));
  start(agent, Call::kJob, 3, seal(agent, hello.SerializeAsString()), false);
}

void AgentGroup::on_message(H2Client& /*client*/, std::uint64_t tag, std::string_view message) {
  last_received_ = Clock::now();
  Agent& agent = *agents_[tag >> 8];
  switch (static_cast<Call>(tag & 0xff)) {
    case Call::kServerKey:
      take_server_key(agent, message);
      return send_login(agent);
    case Call::kKeyBeforeSync:
      take_server_key(agent, message);
      return send_sync(agent);
    case Call::kKeyBeforeJob:
      take_server_key(agent, message);
      return send_job(agent);
    case Call::kLogin:
      if (!open_box(agent, message)) return failed(agent, "Login: answer does not open");
      if (arrival_) {
        start(agent, Call::kKeyBeforeSync, 0, {}, true);
        return start(agent, Call::kKeyBeforeJob, 0, {}, true);
      }
      login_latency_->add(since_ns(agent.step_began));
      return step_done(agent);
    case Call::kSync:
      return on_map(agent, message);
    case Call::kJob:
      return;
  }
}

void AgentGroup::on_end(H2Client& /*client*/, std::uint64_t tag, const CallEnd& end) {
  const auto call = static_cast<Call>(tag & 0xff);
  if (end.grpc_status == 0 || closing_) return;
  if (call == Call::kJob && end.grpc_status == 12) return;  // no jobs here: agents accept that
  Agent& agent = *agents_[tag >> 8];
  const std::string text =
      fmt::format("call {} ended with {}: {}", static_cast<int>(call), end.grpc_status, end.text);
  if (arrival_) return come_back_later(agent, text);
  failed(agent, text);
}

void AgentGroup::on_closed(H2Client& client, std::string_view reason) {
  if (closing_) return;
  Agent& agent = *agents_[client.owner_index - plan_.first];
  if (agent.client != &client) return;  // it has a new one
  if (arrival_) return come_back_later(agent, reason);
  ++failures_;
  if (first_failure_.empty())
    first_failure_ = fmt::format("connection {}: {}", client.owner_index, reason);
}

void AgentGroup::on_map(Agent& agent, std::string_view message) {
  const auto plain = open_box(agent, message);
  if (!plain) return failed(agent, "Sync: message does not open");
  const auto map = view_map(*plain);
  if (!map) return;
  if (map->serial < agent.serial) ++serial_fell_;
  agent.serial = map->serial;
  agent.peers = map->peers;
  agent.map_bytes += message.size();
  map_bytes_ += message.size();
  ++maps_;
  if (agent.maps++ == 0) agent.first_map_bytes = message.size();
  if (agent.in_step) {
    first_map_.add(since_ns(agent.step_began));
    if (arrival_) arrival_->latency.add(since_ns(arrival_began_));
    step_done(agent);
  }
  if (expected_peers_ != 0 && agent.peers == expected_peers_ &&
      !std::exchange(agent.informed, true)) {
    last_informed_ns_ = since_ns(expected_since_);
    if (informed_++ == 0) first_informed_ns_ = last_informed_ns_;
  }
}

void AgentGroup::expect_peers(std::uint32_t count) {
  for (const auto& agent : agents_) agent->informed = false;
  expected_peers_ = count;
  expected_since_ = Clock::now();
  informed_ = 0;
  first_informed_ns_ = last_informed_ns_ = 0;
}

// ---- steps

void AgentGroup::step_done(Agent& agent) {
  if (!std::exchange(agent.in_step, false)) return;
  --active_;
  ++done_;
}

void AgentGroup::failed(Agent& agent, std::string text) {
  ++failures_;
  if (first_failure_.empty())
    first_failure_ = fmt::format("agent {}: {}", agent.number, std::move(text));
  step_done(agent);
}

const Endpoint& AgentGroup::target_of(const Agent& agent) const {
  const std::size_t at = agent.number % (plan_.others.size() + 1);
  return at == 0 ? plan_.target : plan_.others[at - 1];
}

Result<> AgentGroup::connect(Agent& agent) {
  const Endpoint& target = target_of(agent);
  NB_LET(agent.client, loop_.connect<H2Client>(target, kDialLimit, target.text(), false, *this));
  agent.client->owner_index = agent.number;
  return {};
}

void AgentGroup::turn() {
  loop_.turn(plan_.tick);
  if (plan_.each_turn) plan_.each_turn();
}

template <class Step>
Result<> AgentGroup::for_agents(std::uint32_t from, std::uint32_t to, std::uint32_t concurrency,
                                const Step& step) {
  done_ = 0;
  active_ = 0;
  const std::uint64_t failures_before = failures_;
  const auto deadline = Clock::now() + plan_.step_max;
  for (std::uint32_t next = from; done_ < to - from;) {
    while (next < to && active_ < concurrency) {
      Agent& agent = *agents_[next++];
      agent.in_step = true;
      agent.step_began = Clock::now();
      ++active_;
      NB_TRY(step(agent));
    }
    turn();
    if (Clock::now() > deadline)
      return fail(Code::kDeadlineExceeded, "{} of {} agents done in time; first failure: {}", done_,
                  to - from, first_failure_);
  }
  if (failures_ > failures_before) return fail(Code::kUnavailable, "{}", first_failure_);
  return {};
}

Result<> AgentGroup::log_in(std::uint32_t from, std::uint32_t to, Histogram& latency) {
  login_latency_ = &latency;
  return for_agents(from, to, plan_.concurrency, [this](Agent& agent) -> Result<> {
    NB_TRY(connect(agent));
    start(agent, Call::kServerKey, 0, {}, true);
    return {};
  });
}

Result<> AgentGroup::connect(std::uint32_t from, std::uint32_t to) {
  for (std::uint32_t i = from; i < to; ++i) NB_TRY(connect(*agents_[i]));
  return {};
}

Result<> AgentGroup::open_streams(std::uint32_t from, std::uint32_t to, std::uint32_t concurrency) {
  return for_agents(from, to, concurrency, [this](Agent& agent) -> Result<> {
    start(agent, Call::kKeyBeforeSync, 0, {}, true);
    start(agent, Call::kKeyBeforeJob, 0, {}, true);
    return {};
  });
}

void AgentGroup::cut(std::uint32_t from, std::uint32_t to, std::string_view reason) {
  const bool before = std::exchange(closing_, true);
  for (std::uint32_t i = from; i < to; ++i)
    if (agents_[i]->client != nullptr) agents_[i]->client->close(reason);
  closing_ = before;
}

// ---- all at once

void AgentGroup::attempt(Agent& agent) {
  agent.try_at = Clock::time_point::max();
  ++agent.tries;
  if (const auto connected = connect(agent); !connected)
    return come_back_later(agent, connected.error().text);
  start(agent, Call::kServerKey, 0, {}, true);
}

void AgentGroup::come_back_later(Agent& agent, std::string_view why) {
  if (agent.try_at != Clock::time_point::max()) return;  // one of its calls has failed before
  if (!agent.in_step) {                                  // it had its map: that counts as well
    agent.in_step = true;
    ++active_;
    --done_;
  }
  ++arrival_->retries;
  if (arrival_->first_refusal.empty()) arrival_->first_refusal = why;
  const double longest =
      std::min(kPauseMaxMs, kPauseMs * std::pow(kPauseFactor, agent.tries - 1.0));
  const double pause = std::uniform_real_distribution<double>(0, 2 * longest)(jitter_);
  agent.try_at = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                    std::chrono::duration<double, std::milli>(pause));
  if (agent.client != nullptr) agent.client->close("comes back later");
}

AgentGroup::Arrival AgentGroup::arrive(milliseconds limit) {
  arrival_.emplace();
  arrival_began_ = Clock::now();
  done_ = 0;
  active_ = static_cast<std::uint32_t>(agents_.size());
  for (const auto& agent : agents_) {
    agent->in_step = true;
    agent->tries = 0;
    agent->step_began = agent->try_at = arrival_began_;
  }
  std::size_t connecting = 0;
  while (active_ > 0 && Clock::now() - arrival_began_ < limit) {
    const auto now = Clock::now();
    for (const auto& agent : agents_) {
      if (agent->try_at > now) continue;
      attempt(*agent);
      if (++connecting % 32 == 0) loop_.turn(std::chrono::nanoseconds(0));
    }
    turn();
  }
  Arrival out = *std::exchange(arrival_, std::nullopt);
  out.seconds = std::chrono::duration<double>(Clock::now() - arrival_began_).count();
  out.left_out = active_;
  return out;
}

// ---- bystander

class Bystander::Thread final : public H2Client::Owner {
 public:
  Thread(AgentGroup::Plan plan, std::uint32_t joins)
      : target_(plan.target), key_call_(call_of(0, "GetServerKey", true)) {
    plan.concurrency = std::max(1U, joins);
    plan.tick = milliseconds(1);
    plan.each_turn = [this] { probe(); };
    group_.emplace(std::move(plan));
    group_->make(joins);
    thread_ = std::thread([this, joins] { run(joins); });
  }
  ~Thread() override { end(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  void end() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool joined() const { return joined_; }
  Report report;

  void on_headers(H2Client& /*client*/, std::uint64_t /*tag*/, bool /*registered*/) override {}
  void on_message(H2Client& /*client*/, std::uint64_t /*tag*/,
                  std::string_view /*message*/) override {
    report.server_key.add(since_ns(asked_));
  }
  void on_end(H2Client& /*client*/, std::uint64_t /*tag*/, const CallEnd& /*end*/) override {
    open_ = false;
  }
  void on_closed(H2Client& /*client*/, std::string_view /*reason*/) override { client_ = nullptr; }

 private:
  void run(std::uint32_t joins) {
    report.outcome = group_->log_in(0, joins, report.join);
    joined_ = true;
    while (!stop_) {
      loop_.turn(milliseconds(1));
      probe();
    }
    group_->close();
  }

  void probe() {
    loop_.turn(std::chrono::nanoseconds(0));
    if (client_ == nullptr) {
      auto made = loop_.connect<H2Client>(target_, kDialLimit, target_.text(), false, *this);
      if (!made) return;
      client_ = *made;
      open_ = false;
    }
    if (open_ || AgentGroup::Clock::now() - asked_ < kProbeEvery) return;
    open_ = true;
    asked_ = AgentGroup::Clock::now();
    client_->call(key_call_, 0, {}, true);
    loop_.touch(*client_);
    loop_.turn(std::chrono::nanoseconds(0));
  }

  const Endpoint target_;
  const EncodedCall key_call_;
  std::optional<AgentGroup> group_;
  H2Client* client_ = nullptr;
  bool open_ = false;
  AgentGroup::Clock::time_point asked_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> joined_ = false;
  ClientLoop loop_;  // its clients refer to what stands above
  std::thread thread_;
};

Bystander::Bystander(AgentGroup::Plan plan, std::uint32_t joins)
    : thread_(std::make_unique<Thread>(std::move(plan), joins)) {}
Bystander::~Bystander() = default;

bool Bystander::joined() const {
  return thread_->joined();
}

Bystander::Report Bystander::end() {
  thread_->end();
  return std::move(thread_->report);
}

}  // namespace nb::bench
