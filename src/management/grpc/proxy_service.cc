#include "management/grpc/proxy_service.h"

#include "management/grpc/proxy_session.h"
#include "management/grpc/proxy_state.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <utility>

namespace nb::management::grpc {
namespace {

/// `each(session)` on the loops, for sessions that are still there.
template <class Each>
void for_sessions(const ProxyStatePtr& state, Each each) {
  for (const auto& loop : state->loops)
    loop->loop.post([state, at = loop.get(), each] {
      std::vector<std::shared_ptr<ProxySession>> sessions;
      for (ProxySession* const session : at->sessions)
        sessions.push_back(session->shared_from_this());
      for (const auto& session : sessions) each(*session);
    });
}

}  // namespace

ProxyService::ProxyService(ProxyPorts ports, net::LoopPool& loops, ProxyOptions options, Logger log)
    : state_(std::make_shared<ProxyServiceState>(std::move(ports), options, std::move(log))) {
  for (std::size_t i = 0; i < loops.size(); ++i)
    state_->loops.push_back(std::make_unique<ProxyLoop>(loops.at(i)));
}

ProxyService::~ProxyService() = default;

void ProxyService::add_to(net::GrpcRouter& router) {
  add_proxy_calls(router, state_);
  const auto add = [&](const char* name, MappingRpc rpc) {
    router.stream(std::string("/management.ProxyService/") + name,
                  [state = state_, rpc](net::GrpcCall& call) {
                    return make_mapping_handler(state, call, rpc);
                  });
  };
  add("GetMappingUpdate", MappingRpc::kGetMappingUpdate);
  add("SyncMappings", MappingRpc::kSyncMappings);
}

void ProxyService::news() {
  if (streams() > 0) for_sessions(state_, [](ProxySession& session) { session.news(); });
}

void ProxyService::drain() {
  state_->draining = true;
  for_sessions(state_, [](ProxySession& session) {
    session.finish({Code::kUnavailable, "server is shutting down"});
  });
}

void ProxyService::stop() {
  for (const auto& loop : state_->loops)
    boost::asio::co_spawn(loop->loop.executor(), loop->tasks.stop(), boost::asio::use_future).get();
}

std::size_t ProxyService::streams() const {
  return state_->streams.load(std::memory_order_relaxed);
}

}  // namespace nb::management::grpc
