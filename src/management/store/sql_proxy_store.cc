#include "management/store/units.h"
#include "management/store/work_exposures.h"
#include "management/store/work_proxies.h"

#include <utility>

namespace nb::management {
namespace {

using sql::Session;

class SqlProxyStore final : public ProxyStore, private SqlUnits {
 public:
  SqlProxyStore(const SqlStoreParts& parts, SqlStoreOptions options)
      : SqlUnits(parts, std::move(options)) {}

  Task<ProxyGrant> grant(Instant deadline, std::string token_hash) override {
    return call(deadline, kWrite, work::proxy_grant, std::move(token_hash));
  }
  Task<> connect(Instant deadline, ProxyHello hello) override {
    return call(deadline, kWrite, work::connect_proxy, std::move(hello));
  }
  Task<ProxyPulse> pulse(Instant deadline, ProxyHello hello, ProxyTokenId token,
                         bool heartbeat) override {
    return call(deadline, heartbeat ? kWrite : kReadEach, work::proxy_pulse, std::move(hello),
                std::move(token), heartbeat);
  }
  Task<> disconnect(Instant deadline, std::string id, std::string own) override {
    return call(deadline, kWrite, work::disconnect_proxy, std::move(id), std::move(own));
  }

  Task<std::vector<Service>> services(Instant deadline, std::string address,
                                      std::vector<AccountId> accounts) override {
    return call(deadline, kReadBulk, work::mapped_services, std::move(address),
                std::move(accounts));
  }
  Task<SignedService> service(Instant deadline, AccountId account, ServiceId id) override {
    return call(deadline, kReadEach, work::signed_service, std::move(account), std::move(id));
  }
  Task<SignedService> service_of_domain(Instant deadline, std::string domain) override {
    return call(deadline, kReadEach, work::service_of_domain, std::move(domain));
  }
  Task<> set_status(Instant deadline, AccountId account, ServiceId id, std::string status,
                    bool certificate_issued) override {
    return call(deadline, kWrite, work::set_service_status, std::move(account), std::move(id),
                std::move(status), certificate_issued);
  }

  Task<ProxyVisitor> visitor(Instant deadline, UserId user) override {
    return call(deadline, kReadEach, work::proxy_visitor, std::move(user));
  }
  Task<TunnelVisitor> tunnel_visitor(Instant deadline, AccountId account, IpAddress ip) override {
    return call(deadline, kReadEach, work::tunnel_visitor, std::move(account), ip);
  }
  Task<> add_access(Instant deadline, AccountId account, ProxyAccess access,
                    std::uint64_t geo_name_id) override {
    return call(deadline, kWrite, work::add_access, std::move(account), std::move(access),
                geo_name_id);
  }
  Task<> take_once(Instant deadline, std::string hash, WallTime ends) override {
    return call(deadline, kWrite, work::take_once, std::move(hash), ends);
  }

  Task<> renew_exposure(Instant deadline, AccountId account, PeerId peer,
                        std::string domain) override {
    return call(deadline, kWrite, work::renew_exposure, std::move(account), std::move(peer),
                std::move(domain));
  }
  Task<EndedExposures> end_exposures(Instant deadline, std::chrono::seconds silence,
                                     std::size_t limit) override {
    return call(deadline, kWrite, work::end_exposures, silence, limit);
  }
  Task<std::optional<Peer>> create_peer(Instant deadline, ProxyPeer peer) override {
    return call(deadline, kWrite, work::create_proxy_peer, std::move(peer));
  }
  Task<std::size_t> prune(Instant deadline, std::chrono::seconds silence,
                          std::chrono::hours keep) override {
    return call(deadline, kWrite, work::prune_proxies, silence, keep);
  }
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
  return database.run_blocking<std::vector<ProxyToken>>(deadline, kReadEach, [](Session& session) {
    return work::proxy_tokens(session, std::nullopt);
  });
}

Result<> revoke_proxy_token(sql::Database& database, const ProxyTokenId& id, Instant deadline) {
  return database.run_blocking<void>(deadline, kWrite, [id](Session& session) {
    return work::revoke_proxy_token(session, id, std::nullopt);
  });
}

Result<std::vector<ConnectedProxy>> connected_proxies(sql::Database& database, Instant deadline) {
  return database.run_blocking<std::vector<ConnectedProxy>>(
      deadline, kReadEach, [](Session& session) -> Result<std::vector<ConnectedProxy>> {
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
