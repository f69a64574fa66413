#include "management/store/edits/proxies.h"

#include "base/error_kinds.h"
#include "base/text.h"
#include "crypto/access_token.h"
#include "management/domain/domain_name.h"
#include "management/store/edits/perform.h"
#include "management/store/edits/services.h"
#include "management/store/json_read.h"
#include "management/store/work_proxies.h"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

namespace nb::management::work {
namespace {

using namespace std::chrono_literals;
using columns::Damage;
using sql::Param;

constexpr auto kActive = 2min;  // twice the heartbeat of a proxy
constexpr std::size_t kTokenNameMax = 255;
constexpr std::size_t kDomainMax = 253;
constexpr std::int64_t kTokenSecondsMax = 100LL * 365 * 86'400;

/// Any yes wins, a no needs somebody who said so.
void any_true(std::optional<bool>& sum, const sql::Row& row, std::size_t column) {
  if (!row.null(column)) sum = sum.value_or(false) || row.boolean(column);
}

/// A single proxy that does not say yes would let requests pass unchecked.
struct Unanimous {
  bool said = false;
  bool all = true;

  void add(const sql::Row& row, std::size_t column) {
    said = said || !row.null(column);
    all = all && !row.null(column) && row.boolean(column);
  }
};

struct Domain {
  ProxyDomainId id;
  std::string domain;
  std::string target_cluster;
  bool validated = false;
};

Result<std::vector<Domain>> custom_domains(AccountEdit& edit) {
  NB_LET(const sql::Rows rows,
         edit.session().query("SELECT id, domain, target_cluster, validated FROM domains WHERE "
                              "account_id = $1 ORDER BY domain",
                              {edit.account_id().value()}));
  std::vector<Domain> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.push_back({ProxyDomainId(rows[i].string(0)), rows[i].string(1), rows[i].string(2),
                   rows[i].boolean(3)});
  return out;
}

const ProxyCluster* connected(const std::vector<ProxyCluster>& clusters,
                              const std::string& address) {
  const auto it = std::find_if(clusters.begin(), clusters.end(), [&](const ProxyCluster& c) {
    return c.online() && c.address == address;
  });
  return it == clusters.end() ? nullptr : &*it;
}

ListedDomain listed(const Domain& domain, const std::vector<ProxyCluster>& clusters) {
  ListedDomain out;
  out.id = domain.id;
  out.domain = domain.domain;
  out.validated = domain.validated;
  out.target_cluster = domain.target_cluster;
  if (const ProxyCluster* cluster = connected(clusters, domain.target_cluster)) {
    out.cluster = *cluster;
    out.cluster->require_subdomain = std::nullopt;  // the whole domain is the account's
  }
  return out;
}

Result<Domain> find_domain(AccountEdit& edit, const ProxyDomainId& id) {
  NB_LET(std::vector<Domain> domains, custom_domains(edit));
  for (Domain& domain : domains)
    if (domain.id == id) return std::move(domain);
  return fail(Code::kNotFound, "custom domain not found");
}

EventMeta domain_meta(const Domain& domain) {
  return {{"domain", domain.domain},
          {"target_cluster", domain.target_cluster},
          {"validated", domain.validated}};
}

// --- log of accesses --------------------------------------------------------------------------

constexpr std::string_view kAccess =
    "id, service_id, timestamp, method, host, path, duration, status_code, "
    "location_connection_ip, reason, user_id, auth_method_used, location_country_code, "
    "location_city_name, subdivision_code, bytes_upload, bytes_download, protocol, metadata";

ProxyAccess read_access(const sql::Row& raw, Damage& damage) {
  sql::RowReader row(raw);
  ProxyAccess a;
  a.id = row.string();
  a.service_id = row.string();
  a.at = row.time();
  a.method = row.string();
  a.host = row.string();
  a.path = row.string();
  a.duration_ms = row.integer() / 1'000'000;
  a.status_code = row.integer();
  a.source_ip = columns::read_address(row.text(), damage).to_string();
  a.reason = row.string();
  a.user_id = row.string();
  a.auth_method = row.string();
  a.country_code = row.string();
  a.city_name = row.string();
  a.subdivision_code = row.string();
  a.bytes_upload = row.integer();
  a.bytes_download = row.integer();
  a.protocol = row.string();
  const boost::json::value metadata = columns::parsed(row.text(), damage);
  for (const auto& member : columns::members(metadata, damage))
    if (member.value().is_string())
      a.metadata.emplace(member.key(), std::string(member.value().get_string()));
  return a;
}

/// Column lists by what clients call them; each ends up before ASC or DESC.
std::vector<std::string_view> sort_columns(std::string_view name) {
  static const std::map<std::string_view, std::vector<std::string_view>> kColumns = {
      {"url", {"host", "path"}},
      {"host", {"host"}},
      {"path", {"path"}},
      {"method", {"method"}},
      {"status_code", {"status_code"}},
      {"duration", {"duration"}},
      {"source_ip", {"location_connection_ip"}},
      {"user_id", {"user_id"}},
      {"auth_method", {"auth_method_used"}},
      {"reason", {"reason"}}};
  const auto it = kColumns.find(name);
  return it == kColumns.end() ? std::vector<std::string_view>{"timestamp"} : it->second;
}

/// %text% with the pattern's own signs taken literally.
std::string containing(std::string_view text) {
  std::string out = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out + "%";
}

class Where {
 public:
  explicit Where(const AccountId& account) { add("account_id = {}", account.value()); }

  /// `{}` in the condition is the parameter, wherever it stands.
  void add(std::string_view condition, Param value) {
    values_.push_back(std::move(value));
    const std::string place = "$" + std::to_string(values_.size());
    text_ += text_.empty() ? "" : " AND ";
    for (std::size_t at = 0; at < condition.size();) {
      if (condition.substr(at, 2) == "{}") {
        text_ += place;
        at += 2;
      } else {
        text_ += condition[at++];
      }
    }
  }
  void add_if(std::string_view condition, const std::string& value) {
    if (!value.empty()) add(condition, Param(value));
  }
  void add_plain(std::string_view condition) { text_.append(" AND ").append(condition); }

  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] const std::vector<Param>& values() const { return values_; }

 private:
  std::string text_;
  std::vector<Param> values_;
};

Where filter_of(const AccountId& account, const ListProxyAccess& wanted) {
  Where where(account);
  if (!wanted.search.empty())
    where.add(
        "(id LIKE {} ESCAPE '\\' OR host LIKE {} ESCAPE '\\' OR path LIKE {} ESCAPE '\\' OR "
        "location_connection_ip LIKE {} ESCAPE '\\')",
        Param(containing(wanted.search)));
  // The column holds the address as JSON, in quotes.
  if (!wanted.source_ip.empty())
    where.add("location_connection_ip = {}", Param("\"" + wanted.source_ip + "\""));
  where.add_if("host = {}", wanted.host);
  if (!wanted.path.empty()) where.add("path LIKE {} ESCAPE '\\'", Param(containing(wanted.path)));
  where.add_if("user_id = {}", wanted.user_id);
  where.add_if("method = {}", wanted.method);
  if (wanted.status == "success") where.add_plain("status_code >= 200 AND status_code < 400");
  if (wanted.status == "failed") where.add_plain("(status_code < 200 OR status_code >= 400)");
  if (wanted.status_code > 0) where.add("status_code = {}", Param(wanted.status_code));
  if (const auto from = sql::parse_time(wanted.from)) where.add("timestamp >= {}", Param(*from));
  if (const auto to = sql::parse_time(wanted.to)) where.add("timestamp <= {}", Param(*to));
  return where;
}

/// Names and mails are stored sealed: whoever fits is found here, and filtered by id.
Result<> add_users(AccountEdit& edit, const ListProxyAccess& wanted, Where& where) {
  if (wanted.user_email.empty() && wanted.user_name.empty()) return {};
  const auto fits = [](const std::string& text, const std::string& part) {
    return lower(text).find(lower(part)) != std::string::npos;
  };
  NB_LET(const std::vector<User> users, edit.get_all<User>());
  std::vector<UserId> ids;
  for (const User& user : users)
    if (fits(user.email, wanted.user_email) && fits(user.name, wanted.user_name))
      ids.push_back(user.id);
  const int number = static_cast<int>(where.values().size()) + 1;
  where.add("user_id IN " + json_list(edit.session(), number), Param(columns::ids(ids)));
  return {};
}

}  // namespace

Result<std::vector<ProxyCluster>> proxy_clusters(AccountEdit& edit) {
  NB_LET(const sql::Rows rows,
         edit.session().query(
             "SELECT id, cluster_address, account_id, status, last_seen, supports_custom_ports, "
             "require_subdomain, private, supports_crowdsec FROM proxies WHERE account_id IS NULL "
             "OR account_id = $1 ORDER BY cluster_address, id",
             {edit.account_id().value()}));
  std::vector<ProxyCluster> out;
  std::vector<Unanimous> crowdsec;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const sql::Row row = rows[i];
    if (out.empty() || out.back().address != row.text(1)) {
      ProxyCluster fresh;
      fresh.id = row.string(0);
      fresh.address = row.string(1);
      out.push_back(std::move(fresh));
      crowdsec.emplace_back();
    }
    ProxyCluster& cluster = out.back();
    cluster.account_owned = cluster.account_owned || !row.null(2);
    const auto seen = row.time(4);
    if (row.text(3) != "connected" || !seen || *seen + kActive < edit.now()) continue;
    ++cluster.connected_proxies;
    any_true(cluster.supports_custom_ports, row, 5);
    any_true(cluster.require_subdomain, row, 6);
    any_true(cluster.is_private, row, 7);
    crowdsec.back().add(row, 8);
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    if (crowdsec[i].said) out[i].supports_crowdsec = crowdsec[i].all;
  return out;
}

Result<std::string> cluster_for(AccountEdit& edit, const std::vector<ProxyCluster>& clusters,
                                const std::string& domain) {
  std::vector<ProxyCluster> online;
  for (const ProxyCluster& cluster : clusters)
    if (cluster.online()) online.push_back(cluster);
  const auto none = [&](std::string_view why) {
    return fail(Code::kFailedPrecondition, "could not derive cluster from domain {}: {}", domain,
                why);
  };
  if (online.empty()) return none("no proxy clusters available");
  if (const ProxyCluster* cluster = cluster_of_domain(online, domain)) return cluster->address;
  NB_LET(const std::vector<Domain> custom, custom_domains(edit));
  const Domain* best = nullptr;
  for (const Domain& one : custom)
    if (is_below(domain, one.domain) &&
        (best == nullptr || one.domain.size() > best->domain.size()))
      best = &one;
  if (best != nullptr) return best->target_cluster;
  return none(fmt::format("domain {} does not match any available proxy cluster", domain));
}

Result<std::vector<ProxyCluster>> perform(AccountEdit& edit, const ListClusters& /*command*/) {
  return proxy_clusters(edit);
}

Result<Nothing> perform(AccountEdit& edit, const DeleteCluster& command) {
  NB_LET(const std::int64_t gone,
         edit.session().exec("DELETE FROM proxies WHERE cluster_address = $1 AND account_id = $2",
                             {command.address, edit.account_id().value()}));
  if (gone == 0) return fail(Code::kNotFound, "cluster not found");
  return Nothing{};
}

Result<std::vector<ListedDomain>> perform(AccountEdit& edit, const ListProxyDomains& /*command*/) {
  NB_LET(const std::vector<ProxyCluster> clusters, proxy_clusters(edit));
  NB_LET(const std::vector<Domain> custom, custom_domains(edit));
  std::vector<ListedDomain> out;
  for (const ProxyCluster& cluster : clusters) {
    if (!cluster.online()) continue;
    ListedDomain free;
    free.domain = cluster.address;
    free.validated = true;
    free.cluster = cluster;
    out.push_back(std::move(free));
  }
  for (const Domain& domain : custom) out.push_back(listed(domain, clusters));
  return out;
}

Result<ListedDomain> perform(AccountEdit& edit, const GetProxyDomain& command) {
  NB_LET(const Domain domain, find_domain(edit, command.id));
  return listed(domain, {});
}

Result<ListedDomain> perform(AccountEdit& edit, const AddProxyDomain& command) {
  Domain domain;
  domain.domain = lower(command.domain);
  if (domain.domain.empty()) return fail(Code::kInvalidArgument, "domain is required");
  const bool wrong = domain.domain.size() > kDomainMax ||
                     domain.domain.find_first_of("/ \t\r\n:*") != std::string::npos ||
                     domain.domain.find('.') == std::string::npos;
  if (wrong) return fail(Code::kInvalidArgument, "domain is invalid");
  NB_LET(const std::vector<ProxyCluster> clusters, proxy_clusters(edit));
  if (connected(clusters, command.target_cluster) == nullptr)
    return fail(Code::kInvalidArgument, "target cluster {} is not available",
                command.target_cluster);
  NB_LET(const sql::Rows taken,
         edit.session().query("SELECT 1 FROM domains WHERE domain = $1", {domain.domain}));
  if (!taken.empty()) return fail(Code::kAlreadyExists, "domain {} already exists", domain.domain);
  domain.id = ProxyDomainId(edit.new_id());
  domain.target_cluster = command.target_cluster;
  NB_TRY(edit.session().exec(
      "INSERT INTO domains (id, domain, account_id, target_cluster, validated) VALUES ($1, $2, "
      "$3, $4, $5)",
      {domain.id.value(), domain.domain, edit.account_id().value(), domain.target_cluster, false}));
  edit.changes().touched(domain.id);
  edit.event(Activity::kDomainAdded, domain.id.value(), domain_meta(domain));
  return listed(domain, clusters);
}

Result<Nothing> perform(AccountEdit& edit, const DeleteProxyDomain& command) {
  NB_LET(const Domain domain, find_domain(edit, command.id));
  NB_TRY(edit.session().exec("DELETE FROM domains WHERE account_id = $1 AND id = $2",
                             {edit.account_id().value(), domain.id.value()}));
  edit.changes().touched(domain.id);
  edit.event(Activity::kDomainDeleted, domain.id.value(), domain_meta(domain));
  return Nothing{};
}

Result<Nothing> perform(AccountEdit& edit, const ConfirmProxyDomain& command) {
  NB_LET(Domain domain, find_domain(edit, command.id));
  if (domain.validated) return Nothing{};
  domain.validated = true;
  NB_TRY(edit.session().exec("UPDATE domains SET validated = $3 WHERE account_id = $1 AND id = $2",
                             {edit.account_id().value(), domain.id.value(), true}));
  edit.changes().touched(domain.id);
  edit.event(Activity::kDomainValidated, domain.id.value(), domain_meta(domain));
  return Nothing{};
}

Result<NewProxyToken> perform(AccountEdit& edit, const CreateProxyToken& command) {
  if (command.name.empty() || command.name.size() > kTokenNameMax)
    return fail(kBadRequest, "name is required and must be at most {} characters", kTokenNameMax);
  if (command.expires_in_seconds < 0) return fail(kBadRequest, "expires_in must be non-negative");
  if (command.expires_in_seconds > kTokenSecondsMax)
    return fail(kBadRequest, "expires_in must be at most {}", kTokenSecondsMax);
  NewProxyToken out;
  out.plain = crypto::generate_token(crypto::TokenKind::kProxy, edit.context().random);
  ProxyToken& token = out.token;
  token.id = ProxyTokenId(edit.new_id());
  token.name = command.name;
  token.created_at = edit.now();
  if (command.expires_in_seconds > 0)
    token.expires_at = *token.created_at + std::chrono::seconds(command.expires_in_seconds);
  NB_TRY(insert_proxy_token(edit.session(), token, crypto::hash_token(out.plain.reveal()),
                            edit.account_id(), edit.actor().user.value()));
  return out;
}

Result<std::vector<ProxyToken>> perform(AccountEdit& edit, const ListProxyTokens& /*command*/) {
  return proxy_tokens(edit.session(), edit.account_id());
}

Result<Nothing> perform(AccountEdit& edit, const RevokeProxyToken& command) {
  NB_TRY(revoke_proxy_token(edit.session(), command.id, edit.account_id()));
  edit.touched_proxies();
  return Nothing{};
}

Result<ProxyAccessPage> perform(AccountEdit& edit, const ListProxyAccess& command) {
  Where where = filter_of(edit.account_id(), command);
  NB_TRY(add_users(edit, command, where));
  NB_LET(const sql::Rows count,
         edit.session().query(
             fmt::format("SELECT COUNT(*) FROM access_log_entries WHERE {}", where.text()),
             where.values()));
  ProxyAccessPage out;
  out.total = count[0].integer(0);
  const std::string_view direction = command.ascending ? " ASC, " : " DESC, ";
  std::string order;
  for (const std::string_view column : sort_columns(command.sort_by))
    order.append(column).append(direction);
  NB_LET(const sql::Rows rows,
         edit.session().query(
             fmt::format("SELECT {} FROM access_log_entries WHERE {} ORDER BY {}id LIMIT {} "
                         "OFFSET {}",
                         kAccess, where.text(), order, command.page_size,
                         (command.page - 1) * command.page_size),
             where.values()));
  Damage damage;
  for (std::size_t i = 0; i < rows.size(); ++i) out.entries.push_back(read_access(rows[i], damage));
  return out;
}

}  // namespace nb::management::work
