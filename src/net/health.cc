#include "net/health.h"

#include "net/loop.h"
#include "proto/health.pb.h"

#include <algorithm>
#include <utility>

namespace nb::net {

namespace {
namespace pb = grpc::health::v1;

constexpr int kUnknown = -1;

std::string answer(int state) {
  pb::HealthCheckResponse response;
  response.set_status(state == kUnknown ? pb::HealthCheckResponse::SERVICE_UNKNOWN
                      : state == 0      ? pb::HealthCheckResponse::NOT_SERVING
                                        : pb::HealthCheckResponse::SERVING);
  return response.SerializeAsString();
}
}  // namespace

/// What other threads know of a watching stream.
struct Health::Watched {
  Loop* loop = nullptr;
  GrpcCallHandle call;  // only on loop
  std::string service;
  int told = -2;  // only on loop

  void tell(int state) {
    GrpcCall* const here = call.get();
    if (here == nullptr || told == state) return;
    told = state;
    here->write(answer(state));
  }
};

class Health::Watcher final : public GrpcStreamHandler {
 public:
  explicit Watcher(std::shared_ptr<Health> health) : health_(std::move(health)) {}
  void on_start(GrpcCall& /*call*/) override {}
  void on_message(GrpcCall& call, std::string_view message) override {
    pb::HealthCheckRequest request;
    if (watched_ || !request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return call.finish({Code::kInvalidArgument, "not one HealthCheckRequest"});
    }
    watched_ = std::make_shared<Watched>();
    watched_->loop = &call.loop();
    watched_->call = call.handle();
    watched_->service = request.service();
    {
      const std::lock_guard lock(health_->mutex_);
      std::erase_if(health_->watched_, [](const auto& other) { return other.expired(); });
      health_->watched_.push_back(watched_);
    }
    watched_->tell(health_->state(watched_->service));
  }
  void on_end(GrpcCall& /*call*/) override { watched_.reset(); }

 private:
  const std::shared_ptr<Health> health_;
  std::shared_ptr<Watched> watched_;
};

std::shared_ptr<Health> Health::make(std::vector<std::string> services) {
  std::shared_ptr<Health> health(new Health);
  health->serving_[""] = true;
  for (std::string& service : services) health->serving_[std::move(service)] = true;
  return health;
}

int Health::state(const std::string& service) const {
  const std::lock_guard lock(mutex_);
  const auto found = serving_.find(service);
  return found == serving_.end() ? kUnknown : static_cast<int>(found->second);
}

void Health::add_routes(GrpcRouter& router) {
  router.unary("/grpc.health.v1.Health/Check",
               [health = shared_from_this()](GrpcCall& call, std::string_view message) {
                 pb::HealthCheckRequest request;
                 if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
                   return call.finish({Code::kInvalidArgument, "not a HealthCheckRequest"});
                 }
                 const int state = health->state(request.service());
                 if (state == kUnknown) return call.finish({Code::kNotFound, "unknown service"});
                 call.write(answer(state));
                 call.finish({});
               });
  router.stream("/grpc.health.v1.Health/Watch", [health = shared_from_this()](GrpcCall&) {
    return std::make_unique<Watcher>(health);
  });
}

void Health::change(const std::string& service, bool serving) {
  std::vector<std::weak_ptr<Watched>> concerned;
  {
    const std::lock_guard lock(mutex_);
    const auto found = serving_.find(service);
    if (found == serving_.end() || found->second == serving) return;
    found->second = serving;
    concerned = watched_;
  }
  for (const auto& weak : concerned) {
    const auto watched = weak.lock();
    if (!watched || watched->service != service) continue;
    watched->loop->post([weak, health = shared_from_this(), service] {
      if (const auto here = weak.lock()) here->tell(health->state(service));
    });
  }
}

void Health::set_serving(bool serving) {
  std::vector<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, state] : serving_) names.push_back(name);
  }
  for (const std::string& name : names) change(name, serving);
}

void Health::set_serving(const std::string& service, bool serving) {
  change(service, serving);
}

}  // namespace nb::net
