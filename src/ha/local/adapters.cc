#include "ha/local/adapters.h"

#include <boost/asio/post.hpp>

#include <utility>

namespace nb::ha {
namespace asio = boost::asio;
using std::chrono::milliseconds;

asio::awaitable<Result<BeatReply>> LocalMemberStore::beat(BeatRequest request) {
  return ask(access_, [service = service_, request = std::move(request)](MemoryStore& store) {
    return store.members[service].beat(request, store.now());
  });
}

asio::awaitable<Result<>> LocalMemberStore::leave(InstanceId self, Incarnation incarnation) {
  return access_.run([service = service_, self = std::move(self),
                      incarnation = std::move(incarnation)](MemoryStore& store) {
    store.members[service].leave(self, incarnation, store.now());
  });
}

asio::awaitable<Result<LeaseReply>> LocalLeaseStore::take(std::string resource, std::string token,
                                                          milliseconds ttl) {
  return ask(access_,
             [key = prefix_ + resource, token = std::move(token), ttl](MemoryStore& store) {
               return store.leases.take(key, token, ttl, store.now(), store.wall());
             });
}

asio::awaitable<Result<bool>> LocalLeaseStore::renew(std::string resource, std::string token,
                                                     milliseconds ttl) {
  return ask(access_,
             [key = prefix_ + resource, token = std::move(token), ttl](MemoryStore& store) {
               return store.leases.renew(key, token, ttl, store.now());
             });
}

asio::awaitable<Result<bool>> LocalLeaseStore::release(std::string resource, std::string token) {
  return ask(access_, [key = prefix_ + resource, token = std::move(token)](MemoryStore& store) {
    return store.leases.release(key, token, store.now());
  });
}

asio::awaitable<Result<Claimed>> LocalDirectory::claim(PeerKey peer, Claim claim) {
  return ask(access_,
             [key = config_.registry_key, peer = std::move(peer), claim = std::move(claim)](
                 MemoryStore& store) { return store.directories[key].claim(peer, claim); });
}

asio::awaitable<Result<bool>> LocalDirectory::release(PeerKey peer, Claim claim) {
  return ask(access_,
             [key = config_.registry_key, peer = std::move(peer), claim = std::move(claim)](
                 MemoryStore& store) { return store.directories[key].release(peer, claim); });
}

asio::awaitable<Result<std::size_t>> LocalDirectory::release_all(std::vector<PeerClaim> claims) {
  return ask(access_, [key = config_.registry_key, claims = std::move(claims)](MemoryStore& store) {
    std::size_t released = 0;
    for (const auto& [peer, claim] : claims)
      released += store.directories[key].release(peer, claim);
    return released;
  });
}

asio::awaitable<Result<std::optional<Holder>>> LocalDirectory::find(PeerKey peer) {
  return ask(access_, [key = config_.registry_key, peer = std::move(peer)](MemoryStore& store) {
    return store.directories[key].find(peer);
  });
}

asio::awaitable<Result<std::vector<Reasserted>>> LocalDirectory::reassert(
    std::vector<PeerClaim> claims) {
  return ask(access_, [key = config_.registry_key, claims = std::move(claims)](MemoryStore& store) {
    std::vector<Reasserted> all;
    for (const auto& [peer, claim] : claims) {
      all.push_back(store.directories[key].reassert(peer, claim));
    }
    return all;
  });
}

asio::awaitable<Result<bool>> LocalDirectory::forget(PeerKey peer, Holder seen) {
  return ask(access_,
             [key = config_.registry_key, peer = std::move(peer), seen = std::move(seen)](
                 MemoryStore& store) { return store.directories[key].forget(peer, seen); });
}

asio::awaitable<Result<std::size_t>> LocalDirectory::forget_all(std::vector<PeerHolder> seen) {
  return ask(access_, [key = config_.registry_key, seen = std::move(seen)](MemoryStore& store) {
    std::size_t forgotten = 0;
    for (const auto& [peer, holder] : seen)
      forgotten += store.directories[key].forget(peer, holder);
    return forgotten;
  });
}

asio::awaitable<Result<DirectoryPage>> LocalDirectory::scan(std::string cursor, std::size_t limit) {
  return ask(access_,
             [key = config_.registry_key, cursor = std::move(cursor), limit](MemoryStore& store) {
               return store.directories[key].scan(cursor, limit);
             });
}

asio::awaitable<Result<std::size_t>> LocalDirectory::count() {
  return ask(access_, [key = config_.registry_key](MemoryStore& store) {
    return store.directories[key].count();
  });
}

asio::awaitable<LoginVerdict> LocalLoginFilter::check(LoginAttempt attempt) {
  auto op = [key = key_, config = config_, attempt = std::move(attempt)](MemoryStore& store) {
    return store.logins[key].check(config, attempt, store.wall_ms());
  };
  const auto verdict = co_await ask(access_, std::move(op));
  co_return verdict ? *verdict : LoginVerdict{};  // fails open
}

asio::awaitable<LoginVerdict> LocalLoginFilter::check_and_add(LoginAttempt attempt) {
  auto op = [key = key_, config = config_, attempt = std::move(attempt)](MemoryStore& store) {
    return store.logins[key].check_and_add(config, attempt, store.wall_ms());
  };
  const auto verdict = co_await ask(access_, std::move(op));
  co_return verdict ? *verdict : LoginVerdict{};
}

asio::awaitable<Result<std::size_t>> LocalDeadlines::add(std::vector<Deadline> items,
                                                         AddMode mode) {
  NB_CO_TRY(check(items));
  auto op = [key = key_, items = std::move(items), mode](MemoryStore& store) {
    return store.deadlines[key].add(items, mode);
  };
  co_return co_await ask(access_, std::move(op));
}

asio::awaitable<Result<std::size_t>> LocalDeadlines::remove(std::vector<std::string> ids) {
  return ask(access_, [key = key_, ids = std::move(ids)](MemoryStore& store) {
    return store.deadlines[key].remove(ids);
  });
}

asio::awaitable<Result<std::vector<DueItem>>> LocalDeadlines::claim_due(std::size_t limit,
                                                                        milliseconds lease) {
  NB_CO_TRY(check_claim(limit, lease));
  auto op = [key = key_, limit, lease](MemoryStore& store) {
    return store.deadlines[key].claim_due(limit, lease, store.wall_ms());
  };
  co_return co_await ask(access_, std::move(op));
}

asio::awaitable<Result<bool>> LocalDeadlines::ack(DueItem item) {
  return ask(access_, [key = key_, item = std::move(item)](MemoryStore& store) {
    return store.deadlines[key].ack(item);
  });
}

asio::awaitable<Result<bool>> LocalDeadlines::give_back(DueItem item) {
  return ask(access_, [key = key_, item = std::move(item)](MemoryStore& store) {
    return store.deadlines[key].give_back(item, store.wall_ms());
  });
}

asio::awaitable<Result<std::optional<DueMs>>> LocalDeadlines::next() {
  return ask(access_, [key = key_](MemoryStore& store) { return store.deadlines[key].next(); });
}

asio::awaitable<Result<std::size_t>> LocalDeadlines::count() {
  return ask(access_, [key = key_](MemoryStore& store) { return store.deadlines[key].count(); });
}

Result<> check_message(std::string_view channel, std::string_view payload) {
  NB_TRY(channel.empty() || channel.size() > 512
             ? Result<>(fail(Code::kInvalidArgument, "channel of {} bytes: must be 1..512",
                             channel.size()))
             : Result<>{});
  if (payload.size() > kBusMessageBytesMax) {
    return fail(Code::kInvalidArgument, "bus message of {} bytes: at most {}", payload.size(),
                kBusMessageBytesMax);
  }
  return {};
}

asio::awaitable<Result<std::size_t>> LocalBus::publish(std::string channel, std::string payload) {
  NB_CO_TRY(check_message(channel, payload));
  co_return store_.publish(channel, payload);
}

asio::awaitable<Result<std::vector<std::size_t>>> LocalBus::publish_all(
    std::vector<BusMessage> messages) {
  for (const auto& message : messages) NB_CO_TRY(check_message(message.channel, message.payload));
  std::vector<std::size_t> counts;
  for (const auto& message : messages) {
    counts.push_back(store_.publish(message.channel, message.payload));
  }
  co_return counts;
}

namespace {

class LocalSubscription final : public Subscription::Impl {
 public:
  LocalSubscription(const asio::any_io_executor& home, MemoryStore& store,
                    const std::string& channel, SubscribeOptions options)
      : store_(store), options_(std::make_shared<SubscribeOptions>(std::move(options))) {
    // Queued calls hold the options weakly: none runs after the subscription's end.
    id_ = store.subscribe(channel, [home, weak = std::weak_ptr(options_)](
                                       const std::string& at, const std::string& payload) {
      asio::post(home, [weak, at, payload] {
        const auto handlers = weak.lock();
        if (handlers && handlers->on_message) handlers->on_message({at, payload});
      });
    });
    asio::post(home, [weak = std::weak_ptr(options_)] {
      const auto handlers = weak.lock();
      if (handlers && handlers->on_gap) handlers->on_gap();
    });
  }
  ~LocalSubscription() override { store_.unsubscribe(id_); }
  [[nodiscard]] bool active() const override { return true; }

 private:
  MemoryStore& store_;
  std::shared_ptr<SubscribeOptions> options_;
  std::uint64_t id_;
};

}  // namespace

Subscription LocalBus::subscribe(std::string channel, SubscribeOptions options) {
  return Subscription(
      std::make_unique<LocalSubscription>(home_, store_, channel, std::move(options)));
}

}  // namespace nb::ha
