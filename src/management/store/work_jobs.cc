// Jobs: rows that outlive the instance they were made on, each given to one stream only.
// Source   contract/management-grpc.md §5.10, network-map.md §1.14.
#include "management/store/agent_work.h"
#include "management/store/session_rows.h"

#include <boost/json.hpp>

namespace nb::management::work {
namespace {

namespace json = boost::json;

constexpr std::string_view kColumns =
    "j.id, j.account_id, j.peer_id, j.triggered_by, j.created_at, j.completed_at, j.status, "
    "j.failed_reason, j.workload_workload_type, j.workload_parameters, j.workload_result";
constexpr std::size_t kJobsMax = 1'000;  // of one peer, newest
constexpr std::size_t kWaitingMax = 500;
// Of a peer p and its user u.
constexpr std::string_view kExpired =
    "COALESCE(p.user_id, '') <> '' AND COALESCE(p.peer_status_login_expired, FALSE)";
constexpr const char* kStuck =
    "Pending job cleanup: marked as failed automatically due to being stuck too long";
constexpr const char* kGone = "Time out peer disconnected";

json::object object_of(std::string_view text) {
  json::error_code error;
  const json::value value = json::parse({text.data(), text.size()}, error);
  return !error && value.is_object() ? value.as_object() : json::object{};
}

bool flag(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_bool() && value->as_bool();
}

std::int64_t number(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains({name.data(), name.size()});
  return value != nullptr && value->is_int64() ? value->as_int64() : 0;
}

std::string status_word(JobStatus status) {
  switch (status) {
    case JobStatus::kSucceeded:
      return "succeeded";
    case JobStatus::kFailed:
      return "failed";
    default:
      return "pending";
  }
}

Job read_job(const sql::Row& at) {
  sql::RowReader row(at);
  Job job;
  job.id = row.string();
  job.account_id = AccountId(row.string());
  job.peer_id = PeerId(row.string());
  job.triggered_by = UserId(row.string());
  job.created_at = row.time();
  job.completed_at = row.time();
  const std::string_view status = row.text();
  job.status = status == "succeeded" ? JobStatus::kSucceeded
               : status == "failed"  ? JobStatus::kFailed
                                     : JobStatus::kPending;
  job.failed_reason = row.string();
  job.type = row.string();
  const json::object parameters = object_of(row.text());
  job.bundle = {.bundle_for = flag(parameters, "bundle_for"),
                .bundle_for_time = number(parameters, "bundle_for_time"),
                .log_file_count = static_cast<std::int32_t>(number(parameters, "log_file_count")),
                .anonymize = flag(parameters, "anonymize")};
  const json::object result = object_of(row.text());
  if (const auto* const key = result.if_contains("upload_key"); key != nullptr && key->is_string())
    job.upload_key = std::string(key->as_string());
  return job;
}

std::string parameters_json(const BundleJob& bundle) {
  return json::serialize(json::object{{"anonymize", bundle.anonymize},
                                      {"bundle_for", bundle.bundle_for},
                                      {"bundle_for_time", bundle.bundle_for_time},
                                      {"log_file_count", bundle.log_file_count}});
}

Result<> fail_pending(Session& session, const Context& context, const PeerId& peer,
                      std::string_view reason) {
  NB_TRY(session.require_full_durability());
  NB_TRY(session.exec(
      "UPDATE jobs SET status = 'failed', failed_reason = $2, completed_at = $3 WHERE peer_id = $1 "
      "AND status = 'pending'",
      {peer.value(), reason, context.clock.wall()}));
  return {};
}

}  // namespace

Result<CreatedJob> create_job(Session& session, const Context& context, const Job& wanted) {
  auto found = peer_by_id(session, context, wanted.account_id, wanted.peer_id);
  if (!found && found.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "peer not found: {}", wanted.peer_id.value());
  NB_TRY(found);
  // Two requests for one peer come one after the other.
  NB_LET(const PeerView view, peer_by_key_locked(session, context, found->peer.key));
  if (!view.peer.status.connected) return fail(Code::kOutOfRange, "peer not connected");
  NB_LET(const sql::Rows pending,
         session.query("SELECT id FROM jobs WHERE peer_id = $1 AND status = 'pending' LIMIT 1",
                       {wanted.peer_id.value()}));
  if (!pending.empty()) return fail(Code::kOutOfRange, "peer already has pending job");
  Job job = wanted;
  job.status = JobStatus::kPending;
  job.created_at = context.clock.wall();
  job.id = crypto::make_uuid(context.random);
  NB_TRY(session.exec(
      "INSERT INTO jobs (id, created_at, completed_at, triggered_by, peer_id, account_id, status, "
      "failed_reason, workload_workload_type, workload_parameters, workload_result) VALUES ($1, "
      "$2, NULL, $3, $4, $5, 'pending', '', $6, $7, '{}')",
      {job.id, *job.created_at, job.triggered_by.value(), job.peer_id.value(),
       job.account_id.value(), job.type, parameters_json(job.bundle)}));
  Event event;
  event.at = *job.created_at;
  event.activity = Activity::kPeerJobCreated;
  event.initiator_id = job.triggered_by.value();
  event.target_id = job.peer_id.value();
  event.account_id = job.account_id;
  event.meta = {{"for_peer_name", view.peer.name}, {"job_type", job.type}};
  NB_TRY(add_event(session, context, event));
  NB_LET(const sql::Rows stream,
         session.query("SELECT instance_id FROM nb_job_streams WHERE peer_id = $1",
                       {job.peer_id.value()}));
  return CreatedJob{std::move(job), InstanceId(stream.empty() ? "" : stream[0].string(0))};
}

Result<std::vector<Job>> jobs(Session& session, const AccountId& account, const PeerId& peer) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT {} FROM jobs j WHERE j.account_id = $1 AND j.peer_id = "
                                   "$2 ORDER BY j.created_at DESC, j.id DESC LIMIT {}",
                                   kColumns, kJobsMax),
                       {account.value(), peer.value()}));
  std::vector<Job> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.push_back(read_job(rows[i]));
  return out;
}

Result<Job> job(Session& session, const AccountId& account, const PeerId& peer,
                const std::string& id) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT {} FROM jobs j WHERE j.account_id = $1 AND j.peer_id = "
                                   "$2 AND j.id = $3",
                                   kColumns),
                       {account.value(), peer.value(), id}));
  if (rows.empty()) return fail(Code::kNotFound, "job {} not found", id);
  return read_job(rows[0]);
}

Result<JobStreamOpened> open_job_stream(Session& session, const Context& context,
                                        const PeerKey& key, const InstanceId& instance,
                                        std::int64_t incarnation) {
  // The peer's row holds off a second opening until this one is stored.
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format(
                 "SELECT p.id, p.account_id, s.epoch, s.instance_id, {}, (SELECT COUNT(*) "
                 "FROM jobs j WHERE j.peer_id = p.id AND j.status = 'pending'), {}, {} FROM "
                 "peers p LEFT JOIN users u ON u.id = p.user_id LEFT JOIN nb_job_streams s ON "
                 "s.peer_id = p.id WHERE p.key = $1{}",
                 now_ns(session), kOwnerBlocked, kExpired, locking(session, "FOR UPDATE OF p")),
             {key.value()}));
  if (rows.empty()) return fail(Code::kNotFound, "peer is not registered");
  if (rows[0].boolean(6)) return fail(Code::kPermissionDenied, "user is blocked");
  if (rows[0].boolean(7))
    return fail(Code::kPermissionDenied, "peer login has expired, please log in once more");
  JobStreamOpened out;
  out.peer = PeerId(rows[0].string(0));
  out.account = AccountId(rows[0].string(1));
  out.previous_instance = InstanceId(rows[0].string(3));
  out.epoch = std::max(rows[0].integer(4), rows[0].integer(2) + 1);
  if (rows[0].integer(5) > 0) NB_TRY(fail_pending(session, context, out.peer, kStuck));
  NB_TRY(session.exec(
      "INSERT INTO nb_job_streams (peer_id, instance_id, incarnation, epoch) VALUES ($1, $2, $3, "
      "$4) ON CONFLICT (peer_id) DO UPDATE SET instance_id = excluded.instance_id, incarnation = "
      "excluded.incarnation, epoch = excluded.epoch",
      {out.peer.value(), instance.value(), incarnation, out.epoch}));
  return out;
}

Result<std::optional<Job>> claim_job(Session& session, const PeerId& peer, std::int64_t epoch) {
  // Held: a result that comes in between would take the dispatch away that tells it was given.
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format("SELECT {} FROM jobs j JOIN nb_job_streams s ON s.peer_id = j.peer_id AND "
                         "s.epoch = $2 WHERE j.peer_id = $1 AND j.status = 'pending' ORDER BY "
                         "j.created_at LIMIT 1{}",
                         kColumns, locking(session, "FOR NO KEY UPDATE OF j")),
             {peer.value(), epoch}));
  if (rows.empty()) return std::optional<Job>{};
  Job job = read_job(rows[0]);
  NB_LET(const std::int64_t given,
         session.exec("INSERT INTO nb_job_dispatch (job_id, peer_id, epoch) VALUES ($1, $2, $3) ON "
                      "CONFLICT (job_id) DO NOTHING",
                      {job.id, peer.value(), epoch}));
  if (given == 0) return std::optional<Job>{};
  return std::optional<Job>(std::move(job));
}

Result<std::vector<WaitingPeer>> waiting_jobs(Session& session, const InstanceId& instance,
                                              std::int64_t incarnation) {
  NB_LET(const sql::Rows rows,
         session.query(
             fmt::format(
                 "SELECT j.account_id, j.peer_id, s.epoch FROM jobs j JOIN nb_job_streams s ON "
                 "s.peer_id = j.peer_id AND s.instance_id = $1 AND s.incarnation = $2 LEFT "
                 "JOIN nb_job_dispatch d ON d.job_id = j.id WHERE j.status = 'pending' AND "
                 "d.job_id IS NULL LIMIT {}",
                 kWaitingMax),
             {instance.value(), incarnation}));
  std::vector<WaitingPeer> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({AccountId(rows[i].string(0)), PeerId(rows[i].string(1)), rows[i].integer(2)});
  return out;
}

Result<bool> complete_job(Session& session, const Context& context, const JobResult& result) {
  const std::string outcome =
      result.succeeded ? json::serialize(json::object{{"upload_key", result.upload_key}}) : "{}";
  NB_LET(const std::int64_t done,
         session.exec("UPDATE jobs SET status = $3, failed_reason = $4, workload_result = $5, "
                      "completed_at = $6 WHERE id = $1 AND peer_id = $2 AND status = 'pending'",
                      {result.job_id, result.peer.value(),
                       status_word(result.succeeded ? JobStatus::kSucceeded : JobStatus::kFailed),
                       result.failed_reason, outcome, context.clock.wall()}));
  NB_TRY(session.exec("DELETE FROM nb_job_dispatch WHERE job_id = $1 AND peer_id = $2",
                      {result.job_id, result.peer.value()}));
  return done > 0;
}

Result<> close_job_stream(Session& session, const Context& context, const PeerId& peer,
                          std::int64_t epoch) {
  NB_LET(const std::int64_t was,
         session.exec("DELETE FROM nb_job_streams WHERE peer_id = $1 AND epoch = $2",
                      {peer.value(), epoch}));
  if (was > 0) NB_TRY(fail_pending(session, context, peer, kGone));
  return {};
}

Result<std::vector<PeerId>> lost_job_streams(Session& session,
                                             const std::vector<OpenSession>& open) {
  NB_LET(const sql::Rows rows,
         session.query(fmt::format("SELECT d.id FROM {} LEFT JOIN nb_job_streams s ON s.peer_id = "
                                   "d.id AND s.epoch = d.epoch LEFT JOIN peers p ON p.id = d.id "
                                   "LEFT JOIN users u ON u.id = p.user_id WHERE s.peer_id IS NULL "
                                   "OR p.id IS NULL OR {} OR ({})",
                                   session_rows(session), kOwnerBlocked, kExpired),
                       {session_list(open)}));
  std::vector<PeerId> out;
  for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].string(0));
  return out;
}

Result<std::int64_t> next_incarnation(Session& session, const InstanceId& instance,
                                      std::int64_t wanted) {
  NB_LET(const sql::Rows rows,
         session.query("SELECT incarnation FROM nb_instances WHERE id = $1", {instance.value()}));
  return rows.empty() ? wanted : std::max(wanted, rows[0].integer(0) + 1);
}

Result<std::size_t> fail_stuck_jobs(Session& session, const Context& context,
                                    std::chrono::seconds wait) {
  const WallTime now = context.clock.wall();
  NB_LET(
      const std::int64_t unsent,
      session.exec(
          "UPDATE jobs SET status = 'failed', failed_reason = $1, completed_at = $2 WHERE status "
          "= 'pending' AND created_at < $3 AND NOT EXISTS (SELECT 1 FROM nb_job_dispatch d WHERE "
          "d.job_id = jobs.id)",
          {kStuck, now, now - wait}));
  // Given to a stream that is gone with its instance.
  NB_LET(const std::int64_t orphaned,
         session.exec(
             fmt::format("UPDATE jobs SET status = 'failed', failed_reason = $1, completed_at = $2 "
                         "WHERE status = 'pending' AND EXISTS (SELECT 1 FROM nb_job_dispatch d "
                         "WHERE d.job_id = jobs.id AND NOT EXISTS (SELECT 1 FROM nb_job_streams s "
                         "JOIN nb_instances i ON i.id = s.instance_id AND i.incarnation = "
                         "s.incarnation WHERE s.peer_id = d.peer_id AND s.epoch = d.epoch AND "
                         "i.lease_until > {}))",
                         now_ms(session)),
             {kGone, now}));
  NB_TRY(session.exec(
      "DELETE FROM nb_job_dispatch WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = "
      "nb_job_dispatch.job_id AND j.status = 'pending')"));
  return static_cast<std::size_t>(unsent + orphaned);
}

}  // namespace nb::management::work
