#include "management/store/guarded.h"
#include "management/store/work_exposures.h"
#include "management/store/work_proxies.h"

#include <utility>

namespace nb::management {
namespace {

using sql::RunOptions;
using sql::Session;
using work::Context;

constexpr RunOptions kRead{.read_only = true};
constexpr RunOptions kWrite{};

class SqlProxyStore final : public ProxyStore {
 public:
  SqlProxyStore(SqlStoreParts parts, SqlStoreOptions options)
      : database_(parts.database), context_(std::make_shared<Context>(parts, std::move(options))) {}

  Task<ProxyGrant> grant(Instant deadline, std::string token_hash) override {
    return run<ProxyGrant>(
        deadline, kWrite, [hash = std::move(token_hash)](Session& session, const Context& context) {
          return work::proxy_grant(session, context, hash);
        });
  }

  Task<> connect(Instant deadline, ProxyHello hello) override {
    return run<void>(deadline, kWrite,
                     [hello = std::move(hello)](Session& session, const Context& context) {
                       return work::connect_proxy(session, context, hello);
                     });
  }

  Task<ProxyPulse> pulse(Instant deadline, ProxyHello hello, ProxyTokenId token,
                         bool heartbeat) override {
    return run<ProxyPulse>(deadline, heartbeat ? kWrite : kRead,
                           [hello = std::move(hello), token = std::move(token), heartbeat](
                               Session& session, const Context& context) {
                             return work::proxy_pulse(session, context, hello, token, heartbeat);
                           });
  }

  Task<> disconnect(Instant deadline, std::string id, std::string own) override {
    return run<void>(
        deadline, kWrite,
        [id = std::move(id), own = std::move(own)](Session& session, const Context& context) {
          return work::disconnect_proxy(session, context, id, own);
        });
  }

  Task<std::vector<Service>> services(Instant deadline, std::string address,
                                      std::vector<AccountId> accounts) override {
    const RunOptions options{
        .isolation = sql::Isolation::kRepeatableRead, .read_only = true, .bulk = true};
    return run<std::vector<Service>>(deadline, options,
                                     [address = std::move(address), accounts = std::move(accounts)](
                                         Session& session, const Context& context) {
                                       return work::mapped_services(session, context, address,
                                                                    accounts);
                                     });
  }

  Task<SignedService> service(Instant deadline, AccountId account, ServiceId id) override {
    return run<SignedService>(deadline, kRead,
                              [account = std::move(account), id = std::move(id)](
                                  Session& session, const Context& context) {
                                return work::signed_service(session, context, account, id);
                              });
  }

  Task<SignedService> service_of_domain(Instant deadline, std::string domain) override {
    return run<SignedService>(
        deadline, kRead, [domain = std::move(domain)](Session& session, const Context& context) {
          return work::service_of_domain(session, context, domain);
        });
  }

  Task<ProxyVisitor> visitor(Instant deadline, UserId user) override {
    return run<ProxyVisitor>(deadline, kRead,
                             [user = std::move(user)](Session& session, const Context& context) {
                               return work::proxy_visitor(session, context, user);
                             });
  }

  Task<TunnelVisitor> tunnel_visitor(Instant deadline, AccountId account, IpAddress ip) override {
    return run<TunnelVisitor>(
        deadline, kRead,
        [account = std::move(account), ip](Session& session, const Context& context) {
          return work::tunnel_visitor(session, context, account, ip);
        });
  }

  Task<> set_status(Instant deadline, AccountId account, ServiceId id, std::string status,
                    bool certificate_issued) override {
    return run<void>(deadline, kWrite,
                     [account = std::move(account), id = std::move(id), status = std::move(status),
                      certificate_issued](Session& session, const Context& context) {
                       return work::set_service_status(session, context, account, id, status,
                                                       certificate_issued);
                     });
  }

  Task<> add_access(Instant deadline, AccountId account, ProxyAccess access,
                    std::uint64_t geo_name_id) override {
    return run<void>(deadline, kWrite,
                     [account = std::move(account), access = std::move(access), geo_name_id](
                         Session& session, const Context& /*context*/) {
                       return work::add_access(session, account, access, geo_name_id);
                     });
  }

  Task<> renew_exposure(Instant deadline, AccountId account, PeerId peer,
                        std::string domain) override {
    return run<void>(deadline, kWrite,
                     [account = std::move(account), peer = std::move(peer),
                      domain = std::move(domain)](Session& session, const Context& context) {
                       return work::renew_exposure(session, context, account, peer, domain);
                     });
  }

  Task<EndedExposures> end_exposures(Instant deadline, std::chrono::seconds silence,
                                     std::size_t limit) override {
    return run<EndedExposures>(deadline, kWrite,
                               [silence, limit](Session& session, const Context& context) {
                                 return work::end_exposures(session, context, silence, limit);
                               });
  }

  Task<std::optional<Peer>> create_peer(Instant deadline, ProxyPeer peer) override {
    return run<std::optional<Peer>>(
        deadline, kWrite, [peer = std::move(peer)](Session& session, const Context& context) {
          return work::create_proxy_peer(session, context, peer);
        });
  }

  Task<> take_once(Instant deadline, std::string hash, WallTime ends) override {
    return run<void>(deadline, kWrite,
                     [hash = std::move(hash), ends](Session& session, const Context& /*context*/) {
                       return work::take_once(session, hash, ends);
                     });
  }

  Task<std::size_t> prune(Instant deadline, std::chrono::seconds silence,
                          std::chrono::hours keep) override {
    return run<std::size_t>(deadline, kWrite,
                            [silence, keep](Session& session, const Context& context) {
                              return work::prune_proxies(session, context, silence, keep);
                            });
  }

 private:
  template <class T, class Fn>
  Task<T> run(Instant deadline, RunOptions options, Fn fn) {
    return database_.run<T>(deadline, options, work::guarded<T>(context_, std::move(fn)));
  }

  sql::Database& database_;
  std::shared_ptr<const Context> context_;
};

}  // namespace

std::unique_ptr<ProxyStore> make_sql_proxy_store(SqlStoreParts parts, SqlStoreOptions options) {
  return std::make_unique<SqlProxyStore>(parts, std::move(options));
}

Result<> add_proxy_token(sql::Database& database, const ProxyToken& token,
                         const std::string& token_hash, const std::string& creator,
                         Instant deadline) {
  return database.run_blocking<void>(
      deadline, kWrite, [token, token_hash, creator](Session& session) {
        return work::insert_proxy_token(session, token, token_hash, std::nullopt, creator);
      });
}

Result<std::vector<ProxyToken>> all_proxy_tokens(sql::Database& database, Instant deadline) {
  return database.run_blocking<std::vector<ProxyToken>>(
      deadline, kRead, [](Session& session) { return work::proxy_tokens(session, std::nullopt); });
}

Result<> revoke_proxy_token(sql::Database& database, const ProxyTokenId& id, Instant deadline) {
  return database.run_blocking<void>(deadline, kWrite, [id](Session& session) {
    return work::revoke_proxy_token(session, id, std::nullopt);
  });
}

Result<std::vector<ConnectedProxy>> connected_proxies(sql::Database& database, Instant deadline) {
  return database.run_blocking<std::vector<ConnectedProxy>>(
      deadline, kRead, [](Session& session) -> Result<std::vector<ConnectedProxy>> {
        NB_LET(const sql::Rows rows,
               session.query("SELECT id, cluster_address, ip_address FROM proxies WHERE status = "
                             "'connected' ORDER BY id"));
        std::vector<ConnectedProxy> out;
        for (std::size_t i = 0; i < rows.size(); ++i)
          out.push_back({rows[i].string(0), rows[i].string(1), rows[i].string(2)});
        return out;
      });
}

Result<std::int64_t> disconnect_proxies(sql::Database& database, WallTime now, Instant deadline) {
  using Count = Result<std::int64_t>;
  return database.run_blocking<std::int64_t>(deadline, kWrite, [now](Session& session) -> Count {
    NB_LET(const std::int64_t count,
           session.exec("UPDATE proxies SET status = 'disconnected', disconnected_at = $1 WHERE "
                        "status = 'connected'",
                        {now}));
    NB_TRY(session.notify(kProxyChannel, "disconnect"));
    return count;
  });
}

}  // namespace nb::management
