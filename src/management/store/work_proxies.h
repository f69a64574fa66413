// The transactions of the proxy store, and tokens of proxies, as functions on a session. Private to
// store/.
#pragma once

#include "management/store/proxy_store.h"
#include "management/store/store_work.h"

namespace nb::management::work {

/// `account`: nobody: for all of them.
Result<> insert_proxy_token(Session& session, const ProxyToken& token, const std::string& hash,
                            const std::optional<AccountId>& account, const std::string& creator);
/// Of an account, or all; oldest first.
Result<std::vector<ProxyToken>> proxy_tokens(Session& session,
                                             const std::optional<AccountId>& account);
/// Errors   kNotFound "token not found".
Result<> revoke_proxy_token(Session& session, const ProxyTokenId& id,
                            const std::optional<AccountId>& account);

Result<ProxyGrant> proxy_grant(Session& session, const Context& context, const std::string& hash);
Result<> connect_proxy(Session& session, const Context& context, const ProxyHello& hello);
Result<ProxyPulse> proxy_pulse(Session& session, const Context& context, const ProxyHello& hello,
                               const ProxyTokenId& token, bool heartbeat);
Result<> disconnect_proxy(Session& session, const Context& context, const std::string& id,
                          const std::string& own);
Result<std::vector<Service>> mapped_services(Session& session, const Context& context,
                                             const std::string& address,
                                             const std::vector<AccountId>& accounts);
Result<SignedService> signed_service(Session& session, const Context& context,
                                     const AccountId& account, const ServiceId& id);
Result<SignedService> service_of_domain(Session& session, const Context& context,
                                        const std::string& domain);
Result<ProxyVisitor> proxy_visitor(Session& session, const Context& context, const UserId& user);
Result<TunnelVisitor> tunnel_visitor(Session& session, const Context& context,
                                     const AccountId& account, const IpAddress& ip);
Result<> set_service_status(Session& session, const Context& context, const AccountId& account,
                            const ServiceId& id, const std::string& status,
                            bool certificate_issued);
Result<> add_access(Session& session, const AccountId& account, const ProxyAccess& access,
                    std::uint64_t geo_name_id);
Result<std::optional<Peer>> create_proxy_peer(Session& session, const Context& context,
                                              const ProxyPeer& wanted);
Result<> take_once(Session& session, const std::string& hash, WallTime ends);
Result<std::size_t> prune_proxies(Session& session, const Context& context,
                                  std::chrono::seconds silence, std::chrono::hours keep);

}  // namespace nb::management::work
