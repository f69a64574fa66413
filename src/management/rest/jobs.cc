#include "management/app/jobs.h"

#include "management/rest/handlers.h"

namespace nb::management::rest {
namespace {

constexpr auto kModule = Module::kRemoteJobs;

std::string_view status_text(JobStatus status) {
  switch (status) {
    case JobStatus::kPending:
      return "pending";
    case JobStatus::kSucceeded:
      return "succeeded";
    case JobStatus::kFailed:
      return "failed";
  }
  return "failed";
}

void write_job(JsonWriter& json, const Job& job) {
  json.object([&] {
    json.field("id", job.id);
    json.time("created_at", job.created_at);
    if (job.completed_at) json.time("completed_at", job.completed_at);
    json.field("triggered_by", job.triggered_by);
    json.field("status", status_text(job.status));
    json.optional("failed_reason", job.failed_reason);
    json.object("workload", [&] {
      json.field("type", job.type);
      json.object("parameters", [&] {
        json.field("bundle_for", job.bundle.bundle_for);
        json.field("bundle_for_time", job.bundle.bundle_for_time);
        json.field("log_file_count", job.bundle.log_file_count);
        json.field("anonymize", job.bundle.anonymize);
      });
      json.object("result", [&] { json.optional("upload_key", job.upload_key); });
    });
  });
}

Error bad(std::string_view why) {
  return fail(Code::kOutOfRange, "{}", why);
}

Result<Job> decode(const Call& call) {
  NB_LET(const JsonObject body, call.json());
  const auto workload = body.object("workload");
  Job job;
  job.account_id = call.account_id();
  job.peer_id = PeerId(call.params[0]);
  job.triggered_by = call.user().id;
  job.type = workload ? workload->text("type") : std::string();
  if (const auto parameters = workload ? workload->object("parameters") : std::nullopt) {
    job.bundle.bundle_for = parameters->flag("bundle_for");
    job.bundle.bundle_for_time = parameters->integer("bundle_for_time");
    const std::int64_t files = parameters->integer("log_file_count");
    job.bundle.log_file_count = files < 1 || files > 1'000 ? 0 : static_cast<std::int32_t>(files);
    job.bundle.anonymize = parameters->flag("anonymize");
  }
  NB_TRY(body.done());
  if (job.type.empty()) return bad("missing workload type");
  if (job.type != kJobTypeBundle) return bad("unsupported workload type");
  const BundleJob& bundle = job.bundle;
  if (bundle.bundle_for && (bundle.bundle_for_time < 1 || bundle.bundle_for_time > 5))
    return bad("bundle_for_time must be between 1 and 5 minutes");
  if (bundle.log_file_count == 0) return bad("log-file-count must be between 1 and 1000");
  return job;
}

Task<Reply> list(const Services& services, Call call) {
  PeerId peer(call.params[0]);
  auto jobs = co_await services.jobs->list(call.deadline, call.account_id(), std::move(peer));
  if (!jobs) co_return std::move(jobs).error();
  co_return list_reply(*jobs, write_job);
}

Task<Reply> get(const Services& services, Call call) {
  PeerId peer(call.params[0]);
  auto job = co_await services.jobs->get(call.deadline, call.account_id(), std::move(peer),
                                         call.params[1]);
  if (!job) co_return std::move(job).error();
  co_return reply_with([&](JsonWriter& json) { write_job(json, *job); });
}

Task<Reply> create(const Services& services, Call call) {
  auto job = decode(call);
  if (!job) co_return std::move(job).error();
  auto made = co_await services.jobs->create(call.deadline, *std::move(job));
  if (!made) co_return std::move(made).error();
  co_return reply_with([&](JsonWriter& json) { write_job(json, *made); });
}

}  // namespace

void add_jobs(RouteTable& table, const Services& services) {
  const std::string all = "/api/peers/{peerId}/jobs";
  table.add("GET", all, {{kModule, Operation::kRead}}, handled(services, list));
  table.add("POST", all, {{kModule, Operation::kCreate}}, handled(services, create));
  table.add("GET", all + "/{jobId}", {{kModule, Operation::kRead}}, handled(services, get));
}

}  // namespace nb::management::rest
