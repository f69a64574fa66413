// The transactions of the agent store as functions on a session. Private to store/.
#pragma once

#include "management/store/agent_store.h"
#include "management/store/store_work.h"

namespace nb::management::work {

Result<> claim_token(Session& session, const TokenUse& use);
Result<std::size_t> forget_tokens(Session& session);
Result<ExtendedSession> extend_session(Session& session, const Context& context, const PeerKey& key,
                                       const UserId& user);

Result<CreatedJob> create_job(Session& session, const Context& context, const Job& job);
Result<std::vector<Job>> jobs(Session& session, const AccountId& account, const PeerId& peer);
Result<std::int64_t> next_incarnation(Session& session, const InstanceId& instance,
                                      std::int64_t wanted);
Result<Job> job(Session& session, const AccountId& account, const PeerId& peer,
                const std::string& id);
Result<JobStreamOpened> open_job_stream(Session& session, const Context& context,
                                        const PeerKey& key, const InstanceId& instance,
                                        std::int64_t incarnation);
Result<std::optional<Job>> claim_job(Session& session, const PeerId& peer, std::int64_t epoch);
Result<std::vector<WaitingPeer>> waiting_jobs(Session& session, const InstanceId& instance,
                                              std::int64_t incarnation);
Result<bool> complete_job(Session& session, const Context& context, const JobResult& result);
Result<> close_job_stream(Session& session, const Context& context, const PeerId& peer,
                          std::int64_t epoch);
Result<std::vector<PeerId>> lost_job_streams(Session& session,
                                             const std::vector<OpenSession>& open);
Result<std::size_t> fail_stuck_jobs(Session& session, const Context& context,
                                    std::chrono::seconds wait);

}  // namespace nb::management::work
