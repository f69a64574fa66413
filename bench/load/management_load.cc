#include "load/management_load.h"

#include "crypto/box.h"
#include "load/h2_client.h"
#include "load/protobuf_scan.h"
#include "proto/management.pb.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

namespace nb::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kTick = milliseconds(5);
constexpr auto kProbeEvery = milliseconds(20);
constexpr auto kSampleEvery = milliseconds(200);

enum class Call : std::uint8_t {
  kServerKey,
  kLogin,
  kKeyBeforeSync,
  kSync,
  kKeyBeforeJob,
  kJob,
  kProbe
};

std::uint64_t since_ns(Clock::time_point start) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

struct Agent {
  std::uint32_t number = 0;
  std::optional<crypto::PrivateKey> key;
  std::string key_text;
  std::string server_key;
  std::optional<crypto::BoxSession> box;
  H2Client* client = nullptr;
  Clock::time_point step_began;
  std::uint64_t serial = 0;
  std::uint32_t peers = 0;  // of the newest map
  std::uint64_t maps = 0;
  std::uint64_t map_bytes = 0;  // all of them
  std::uint64_t first_map_bytes = 0;
  bool in_step = false;
  bool informed = false;  // of every join of the current storm
};

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

class Run final : public H2Client::Owner {
 public:
  explicit Run(const ManagementPlan& plan) : plan_(plan) {
    const char* methods[] = {"GetServerKey", "Login", "Sync", "Job"};
    for (std::size_t i = 0; i < std::size(methods); ++i)
      calls_.push_back(HpackEncoder::make_call(
          fmt::format("/management.ManagementService/{}", methods[i]), i, {}, i < 2, false));
  }

  Result<ManagementResult> run() {
    out_.agents = plan_.agents;
    out_.baseline = read_processes(plan_.pids);
    NB_TRY(register_agents(0, plan_.agents));
    NB_TRY(sync_agents());
    settle();
    out_.rss_idle = read_processes(plan_.pids).rss_bytes;
    out_.idle_cpu_percent = cpu_percent([this] { wait(plan_.idle_time); });
    NB_TRY(storm(1, out_.one));
    NB_TRY(storm(plan_.burst, out_.burst));
    NB_TRY(reconnect());
    if (plan_.churn > 0) NB_TRY(churn());
    closing_ = true;
    out_.failures = failures_;
    out_.first_failure = first_failure_;
    return std::move(out_);
  }

  void on_headers(H2Client& /*client*/, std::uint64_t /*tag*/, bool /*registered*/) override {}

  void on_message(H2Client& /*client*/, std::uint64_t tag, std::string_view message) override {
    last_received_ = Clock::now();
    const auto call = static_cast<Call>(tag & 0xff);
    if (call == Call::kProbe) {
      probe_latency_.add(since_ns(probe_began_));
      return;
    }
    Agent& agent = *agents_[tag >> 8];
    switch (call) {
      case Call::kServerKey:
        take_server_key(agent, message);
        return send_login(agent);
      case Call::kKeyBeforeSync:
        take_server_key(agent, message);
        return start(agent, Call::kSync, 2, seal(agent, sync_request(agent)), true);
      case Call::kKeyBeforeJob: {
        take_server_key(agent, message);
        management::JobRequest hello;
        hello.set_id(fmt::format("{:016}", agent.number));
        return start(agent, Call::kJob, 3, seal(agent, hello.SerializeAsString()), false);
      }
      case Call::kLogin:
        if (!open(agent, message)) return failed(agent, "Login: answer does not open");
        login_latency_->add(since_ns(agent.step_began));
        return step_done(agent);
      case Call::kSync:
        return on_map(agent, message);
      default:
        return;
    }
  }

  void on_end(H2Client& /*client*/, std::uint64_t tag, const CallEnd& end) override {
    const auto call = static_cast<Call>(tag & 0xff);
    if (call == Call::kProbe) probe_open_ = false;
    if (end.grpc_status == 0 || closing_ || call == Call::kProbe) return;
    if (call == Call::kJob && end.grpc_status == 12) return;  // no jobs here: agents accept that
    failed(*agents_[tag >> 8], fmt::format("call {} ended with {}: {}", static_cast<int>(call),
                                           end.grpc_status, end.text));
  }

  void on_closed(H2Client& client, std::string_view reason) override {
    if (closing_) return;
    ++failures_;
    if (first_failure_.empty())
      first_failure_ = fmt::format("connection {}: {}", client.owner_index, reason);
  }

 private:
  static std::uint64_t tag_of(const Agent& agent, Call call) {
    return std::uint64_t{agent.number} << 8 | static_cast<std::uint64_t>(call);
  }

  void start(Agent& agent, Call call, std::size_t method, const std::string& body,
             bool half_close) {
    agent.client->call(calls_[method], tag_of(agent, call), body, half_close);
    loop_.touch(*agent.client);
  }

  static management::PeerSystemMeta meta(const Agent& agent) {
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

  static std::string sync_request(const Agent& agent) {
    management::SyncRequest request;
    *request.mutable_meta() = meta(agent);
    return request.SerializeAsString();
  }

  std::string seal(const Agent& agent, const std::string& plain) {
    management::EncryptedMessage out;
    out.set_wgpubkey(agent.key_text);
    if (agent.box) out.set_body(agent.box->seal(plain, random_));
    return out.SerializeAsString();
  }

  static std::optional<std::string> open(const Agent& agent, std::string_view message) {
    while (const auto field = take_field(message)) {
      if (field->number != management::EncryptedMessage::kBodyFieldNumber || !agent.box) continue;
      auto plain = agent.box->open(field->bytes);
      if (plain) return *std::move(plain);
    }
    return std::nullopt;
  }

  void take_server_key(Agent& agent, std::string_view message) {
    management::ServerKeyResponse response;
    if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) return;
    if (agent.server_key == response.key()) return;
    agent.server_key = response.key();
    agent.box.reset();
    const auto theirs = crypto::PublicKey::parse(agent.server_key);
    if (!theirs) return;
    if (auto box = crypto::BoxSession::create(*agent.key, *theirs)) agent.box = *box;
  }

  void send_login(Agent& agent) {
    management::LoginRequest request;
    request.set_setupkey(plan_.setup_key);
    *request.mutable_meta() = meta(agent);
    start(agent, Call::kLogin, 1, seal(agent, request.SerializeAsString()), true);
  }

  void on_map(Agent& agent, std::string_view message) {
    const auto plain = open(agent, message);
    if (!plain) return failed(agent, "Sync: message does not open");
    const auto map = view_map(*plain);
    if (!map) return;
    if (map->serial < agent.serial) ++out_.serial_fell;
    agent.serial = map->serial;
    agent.peers = map->peers;
    agent.map_bytes += message.size();
    if (agent.maps++ == 0) agent.first_map_bytes = message.size();
    if (agent.in_step) {
      out_.first_map.add(since_ns(agent.step_began));
      step_done(agent);
    }
    if (expected_peers_ != 0 && agent.peers == expected_peers_ &&
        !std::exchange(agent.informed, true)) {
      if (informed_++ == 0) first_informed_ns_ = since_ns(storm_began_);
      last_informed_ns_ = since_ns(storm_began_);
    }
  }

  void step_done(Agent& agent) {
    if (!std::exchange(agent.in_step, false)) return;
    --active_;
    ++done_;
  }
  void failed(Agent& agent, std::string text) {
    ++failures_;
    if (first_failure_.empty()) first_failure_ = fmt::format("agent {}: {}", agent.number, text);
    step_done(agent);
  }

  Result<> connect(Agent& agent) {
    NB_LET(agent.client, loop_.connect<H2Client>(plan_.target, milliseconds(10'000),
                                                 plan_.target.text(), false, *this));
    agent.client->owner_index = agent.number;
    return {};
  }

  /// Runs `step` for agents [from, to), `concurrency` at once.
  template <class Step>
  Result<> for_agents(std::uint32_t from, std::uint32_t to, const Step& step) {
    done_ = 0;
    active_ = 0;
    const std::uint64_t failures_before = failures_;
    const auto deadline = Clock::now() + plan_.step_max;
    for (std::uint32_t next = from; done_ < to - from;) {
      while (next < to && active_ < concurrency_) {
        Agent& agent = *agents_[next++];
        agent.in_step = true;
        agent.step_began = Clock::now();
        ++active_;
        NB_TRY(step(agent));
      }
      loop_.turn(kTick);
      if (Clock::now() > deadline)
        return fail(Code::kDeadlineExceeded, "{} of {} agents done in time; first failure: {}",
                    done_, to - from, first_failure_);
    }
    if (failures_ > failures_before) return fail(Code::kUnavailable, "{}", first_failure_);
    return {};
  }

  Result<> register_agents(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t i = from; i < to; ++i) {
      agents_.push_back(std::make_unique<Agent>());
      Agent& agent = *agents_.back();
      agent.number = i;
      agent.key = crypto::PrivateKey::generate(random_);
      agent.key_text = agent.key->public_key().base64();
    }
    const std::int64_t before = read_cpu_ns(plan_.pids);
    const auto join = [this](Agent& agent) -> Result<> {
      NB_TRY(connect(agent));
      start(agent, Call::kServerKey, 0, {}, true);
      return {};
    };
    NB_TRY(for_agents(from, to, join));
    if (from == 0) out_.login_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, to - from);
    return {};
  }

  static double per_agent_ms(std::int64_t ns, std::uint32_t agents) {
    return static_cast<double>(ns) / 1e6 / std::max(1U, agents);
  }

  Result<> open(Agent& agent) {
    start(agent, Call::kKeyBeforeSync, 0, {}, true);
    start(agent, Call::kKeyBeforeJob, 0, {}, true);
    return {};
  }

  Result<> sync_all() {
    return for_agents(0, plan_.agents, [this](Agent& agent) { return open(agent); });
  }

  Result<> sync_agents() {
    const std::int64_t before = read_cpu_ns(plan_.pids);
    NB_TRY(sync_all());
    out_.sync_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, plan_.agents);
    double bytes = 0;
    for (const auto& agent : agents_) bytes += static_cast<double>(agent->first_map_bytes);
    out_.first_map_kib = bytes / 1024 / std::max(1U, plan_.agents);
    return {};
  }

  void wait(milliseconds time) {
    for (const auto until = Clock::now() + time; Clock::now() < until;) turn();
  }

  /// Of one core, while `work` runs.
  template <class Work>
  double cpu_percent(const Work& work) {
    const auto began = Clock::now();
    const std::int64_t before = read_cpu_ns(plan_.pids);
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - began).count();
    return static_cast<double>(read_cpu_ns(plan_.pids) - before) / 1e7 / seconds;
  }

  /// Turns until nothing was received for `quiet`.
  void settle() {
    const auto deadline = Clock::now() + plan_.step_max;
    last_received_ = Clock::now();
    while (Clock::now() - last_received_ < plan_.quiet && Clock::now() < deadline) turn();
  }

  void turn() {
    loop_.turn(kTick);
    if (Clock::now() - sampled_ > kSampleEvery) {
      sampled_ = Clock::now();
      rss_peak_ = std::max(rss_peak_, read_processes(plan_.pids).rss_bytes);
    }
  }

  void probe() {
    if (probe_ == nullptr || probe_open_ || Clock::now() - probe_began_ < kProbeEvery) return;
    probe_open_ = true;
    probe_began_ = Clock::now();
    probe_->call(calls_[0], static_cast<std::uint64_t>(Call::kProbe), {}, true);
    loop_.touch(*probe_);
  }

  /// `joins` new agents log in at once; the streams of the first ones must all learn of them.
  Result<> storm(std::uint32_t joins, StormResult& out) {
    if (joins == 0) return {};
    if (probe_ == nullptr) {
      NB_LET(probe_, loop_.connect<H2Client>(plan_.target, milliseconds(10'000),
                                             plan_.target.text(), false, *this));
    }
    std::uint64_t maps = 0, bytes = 0;
    for (const auto& agent : agents_) {
      agent->informed = false;
      maps += agent->maps;
      bytes += agent->map_bytes;
    }
    const auto from = static_cast<std::uint32_t>(agents_.size());
    expected_peers_ = from + joins - 1;
    informed_ = 0;
    rss_peak_ = 0;
    probe_latency_ = {};
    const std::int64_t cpu = read_cpu_ns(plan_.pids);
    storm_began_ = Clock::now();
    login_latency_ = &out.join;
    NB_TRY(register_agents(from, from + joins));
    login_latency_ = &out_.login;
    const auto deadline = Clock::now() + plan_.step_max;
    last_received_ = Clock::now();
    // The probe's answers are bytes too: quiet is measured by maps.
    std::uint64_t seen = 0;
    auto moved = Clock::now();
    while (Clock::now() < deadline && Clock::now() - moved < plan_.quiet) {
      turn();
      if (informed_ < plan_.agents) probe();
      std::uint64_t now_maps = 0;
      for (const auto& agent : agents_) now_maps += agent->maps;
      if (std::exchange(seen, now_maps) != now_maps) moved = Clock::now();
    }
    out.cpu_seconds = static_cast<double>(read_cpu_ns(plan_.pids) - cpu) / 1e9;
    std::uint64_t maps_after = 0, bytes_after = 0;
    for (std::uint32_t i = 0; i < plan_.agents; ++i) {
      maps_after += agents_[i]->maps;
      bytes_after += agents_[i]->map_bytes;
      out.stale += agents_[i]->peers != expected_peers_ ? 1U : 0U;
    }
    out.rounds = static_cast<double>(maps_after - maps) / plan_.agents;
    out.mib = static_cast<double>(bytes_after - bytes) / 1048576;
    out.first_ns = first_informed_ns_;
    out.last_ns = last_informed_ns_;
    out.server_key = probe_latency_;
    out.rss_peak = rss_peak_;
    expected_peers_ = 0;
    return {};
  }

  /// Every agent's connection is cut and made anew, with Sync and Job: what a dead instance causes.
  Result<> reconnect() {
    closing_ = true;
    for (std::uint32_t i = 0; i < plan_.agents; ++i) agents_[i]->client->close("reconnect");
    closing_ = false;
    settle();
    const std::int64_t before = read_cpu_ns(plan_.pids);
    const auto began = Clock::now();
    if (plan_.all_at_once) concurrency_ = plan_.agents;
    for (std::uint32_t i = 0; i < plan_.agents; ++i) NB_TRY(connect(*agents_[i]));
    NB_TRY(sync_all());
    concurrency_ = plan_.concurrency;
    out_.reconnect_seconds = std::chrono::duration<double>(Clock::now() - began).count();
    out_.reconnect_cpu_ms = per_agent_ms(read_cpu_ns(plan_.pids) - before, plan_.agents);
    return {};
  }

  /// Some agents lose their connection and come back, one after the other, all the time.
  Result<> churn() {
    settle();
    const std::uint32_t agents = std::min(plan_.churn, plan_.agents);
    std::uint64_t reconnects = 0;
    Result<> outcome;
    const auto began = Clock::now();
    out_.churn_cpu_percent = cpu_percent([&] {
      while (outcome && Clock::now() - began < plan_.churn_time) {
        const auto at = static_cast<std::uint32_t>(reconnects++ % agents);
        closing_ = true;
        agents_[at]->client->close("churn");
        closing_ = false;
        outcome = connect(*agents_[at]);
        if (outcome) outcome = for_agents(at, at + 1, [this](Agent& agent) { return open(agent); });
        // Each comes back about every other second.
        wait(std::max(milliseconds(2'000) / agents, milliseconds(1)));
      }
    });
    out_.churn_per_second = static_cast<double>(reconnects) /
                            std::chrono::duration<double>(Clock::now() - began).count();
    return outcome;
  }

  const ManagementPlan& plan_;
  crypto::SystemRandom random_;
  std::vector<EncodedCall> calls_;
  std::vector<std::unique_ptr<Agent>> agents_;
  ManagementResult out_;
  Histogram* login_latency_ = &out_.login;
  std::uint32_t concurrency_ = plan_.concurrency;
  std::uint32_t done_ = 0;
  std::uint32_t active_ = 0;
  std::uint32_t expected_peers_ = 0;
  std::uint32_t informed_ = 0;
  std::uint64_t first_informed_ns_ = 0;
  std::uint64_t last_informed_ns_ = 0;
  std::uint64_t failures_ = 0;
  std::string first_failure_;
  std::int64_t rss_peak_ = 0;
  Clock::time_point last_received_;
  Clock::time_point sampled_;
  Clock::time_point storm_began_;
  H2Client* probe_ = nullptr;
  Clock::time_point probe_began_;
  Histogram probe_latency_;
  bool probe_open_ = false;
  bool closing_ = false;
  ClientLoop loop_;  // last: its clients refer to what stands above
};

}  // namespace

double ManagementResult::idle_kib_per_agent() const {
  return static_cast<double>(rss_idle - baseline.rss_bytes) / 1024 / std::max(1U, agents);
}

Result<ManagementResult> run_management(const ManagementPlan& plan) {
  if (plan.agents < 1 || plan.agents > 10'000)
    return fail(Code::kInvalidArgument, "management load: agents {}: want 1..10000", plan.agents);
  if (plan.burst > 1'000)
    return fail(Code::kInvalidArgument, "management load: burst {}: want 0..1000", plan.burst);
  if (plan.concurrency < 1)
    return fail(Code::kInvalidArgument, "management load: concurrency must be at least 1");
  if (plan.setup_key.empty()) return fail(Code::kInvalidArgument, "management load: no setup key");
  return Run(plan).run();
}

}  // namespace nb::bench
