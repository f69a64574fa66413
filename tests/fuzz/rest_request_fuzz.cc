// Every request of the REST API as an owner may send it: "METHOD /path?query", a line end, the
// body. It goes through the real table of routes down to a real database (SQLite). Whatever comes,
// it is carried out or refused for its own fault, and answers are JSON.
//
// `$group`, `$peer` and the like stand for ids of objects that are there. What requests changed
// stays for the next ones until the account is made anew; a failure that needs earlier requests is
// seen by running the same inputs in the same order.
#include "fuzz/refusing_provider.h"
#include "management/app/jobs.h"
#include "management/app/map_pool.h"
#include "management/app/sync_hub.h"
#include "management/rest/handlers.h"
#include "management/store/agent_store.h"
#include "management/store/edits/edit_fixture.h"
#include "management/store/event_log.h"
#include "management/store/event_reader.h"
#include "management/store/identity_store.h"

#include <boost/json/parse.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace nb;
using namespace nb::management;
using namespace nb::management::test;

constexpr int kRequestsOfOneSite = 300;

class NoLimit final : public ha::RateLimiter {
 public:
  boost::asio::awaitable<bool> take(std::string, RateLimit) override { co_return true; }
};

class NobodyListens final : public app::Changes {
 public:
  void committed(const AccountId&, std::uint64_t) override {}
  void end_peer(const AccountId&, const PeerId&, app::EndReason) override {}
};

/// A server's REST part over a fresh database with an account and one object of most kinds.
class Site : public EditAccount {
 public:
  Site() : EditAccount(sql::Engine::kSqlite) {
    NB_ASSERT(event_log_.prepare(soon()).has_value());
    services_.provider = &provider_;
    services_.jobs = jobs_.get();
    services_.events = &events_;
    services_.event_log = &event_log_;
    services_.dns_domain = "netbird.test";
    services_.version = "0";
    services_.setup_token_enabled = true;
    table_ = std::make_unique<rest::RouteTable>(rest::all_routes(services_));
    caller_.known.account = account;
    caller_.known.user.id = account.created_by;
    caller_.known.user.account_id = account.id;
    caller_.known.user.role = "owner";
    const Peer one = peer("one");
    const Group servers = group("servers", {one.id});
    words_ = {{"$group", servers.id.value()},
              {"$all", all_group().id.value()},
              {"$peer", one.id.value()},
              {"$me", account.created_by.value()},
              {"$account", account.id.value()},
              {"$policy", policy("p", servers, all_group()).id.value()}};
    make("$route",
         "POST /api/routes\n{\"network_id\":\"n\",\"network\":\"10.9.0.0/16\",\"peer\":"
         "\"$peer\",\"metric\":9,\"groups\":[\"$all\"],\"enabled\":true}");
    make("$check",
         "POST /api/posture-checks\n{\"name\":\"c\",\"description\":\"\",\"checks\":"
         "{\"nb_version_check\":{\"min_version\":\"0.1.0\"}}}");
    make("$nameservers",
         "POST /api/dns/nameservers\n{\"name\":\"n\",\"description\":\"\","
         "\"nameservers\":[{\"ip\":\"9.9.9.9\",\"ns_type\":\"udp\",\"port\":53}],"
         "\"enabled\":true,\"groups\":[\"$all\"],\"primary\":true,\"domains\":[],"
         "\"search_domains_enabled\":false}");
    make("$zone",
         "POST /api/dns/zones\n{\"name\":\"z\",\"domain\":\"z.test\",\"enabled\":true,"
         "\"enable_search_domain\":false,\"distribution_groups\":[\"$all\"]}");
    make("$network", "POST /api/networks\n{\"name\":\"net\",\"description\":\"\"}");
    make("$resource",
         "POST /api/networks/$network/resources\n{\"name\":\"r\",\"address\":"
         "\"10.1.0.1\",\"enabled\":true,\"groups\":[\"$group\"]}");
    make("$router",
         "POST /api/networks/$network/routers\n{\"peer\":\"$peer\",\"metric\":9,"
         "\"masquerade\":true,\"enabled\":true}");
    make("$key",
         "POST /api/setup-keys\n{\"name\":\"k\",\"type\":\"reusable\",\"expires_in\":86400,"
         "\"auto_groups\":[],\"usage_limit\":0}");
    make("$robot",
         "POST /api/users\n{\"name\":\"robot\",\"role\":\"admin\",\"auto_groups\":[],"
         "\"is_service_user\":true}");
    make("$token", "POST /api/users/$robot/tokens\n{\"name\":\"t\",\"expires_in\":1}");
    make("$invite",
         "POST /api/users/invites\n{\"email\":\"i@example.org\",\"name\":\"i\",\"role\":"
         "\"user\",\"auto_groups\":[]}");
  }

  void serve(std::string_view input) {
    const auto reply = run(input);
    if (!reply) return;
    if (!*reply) {
      const Error& error = reply->error();
      for (const Code ours : {Code::kUnknown, Code::kInternal, Code::kUnavailable, Code::kDataLoss,
                              Code::kDeadlineExceeded})
        if (error.code == ours) {
          std::fprintf(stderr, "failed by itself: %s\n", error.text.c_str());
          std::abort();
        }
      return;
    }
    NB_ASSERT((*reply)->status >= 200 && (*reply)->status < 500);
    const bool other = !(*reply)->headers.empty() && (*reply)->headers[0].first == "content-type";
    boost::system::error_code failed;
    if (!other && !(*reply)->body.empty()) boost::json::parse((*reply)->body, failed);
    NB_ASSERT(!failed);
  }

 private:
  /// Nothing: there is no such route.
  std::optional<Result<rest::Reply>> run(std::string_view input) {
    const std::string text = with_ids(input);
    const std::size_t line = text.find('\n');
    const std::string first = text.substr(0, line);
    const std::size_t blank = first.find(' ');
    if (line == std::string::npos || blank == std::string::npos) return std::nullopt;
    const std::size_t question = std::min(first.find('?'), first.size());
    if (question <= blank) return std::nullopt;
    const auto match =
        table_->find(first.substr(0, blank), first.substr(blank + 1, question - blank - 1));
    if (!match || match->route == nullptr) return std::nullopt;
    // Has no overview of instances here, and reads nothing of a request but its path.
    if (match->route->path == "/api/ha/status") return std::nullopt;
    rest::Call call;
    call.deadline = soon();
    call.params = match->params;
    call.query = first.substr(std::min(question + 1, first.size()));
    call.body = text.substr(line + 1);
    call.client_ip = "192.0.2.1";
    if (match->route->access != rest::Access::kPublic) call.caller = caller_;
    return get(match->route->handler(std::move(call)));
  }

  void make(const std::string& word, const std::string& request) {
    const auto reply = run(request);
    if (!reply || !*reply) {
      std::fprintf(stderr, "%s: %s\n", request.c_str(),
                   reply ? reply->error().text.c_str() : "no such route");
      std::abort();
    }
    const auto made = boost::json::parse((*reply)->body);
    const auto* inner = made.as_object().if_contains("personal_access_token");
    const auto& object = inner != nullptr ? inner->as_object() : made.as_object();
    words_.emplace_back(word, std::string(object.at("id").as_string()));
  }

  std::string with_ids(std::string_view input) const {
    std::string out;
    while (!input.empty()) {
      const std::size_t at = std::min(input.find('$'), input.size());
      out += input.substr(0, at);
      input.remove_prefix(at);
      if (input.empty()) break;
      const std::pair<std::string, std::string>* found = nullptr;
      for (const auto& word : words_)
        if (input.starts_with(word.first)) found = &word;
      out += found != nullptr ? std::string_view(found->second) : input.substr(0, 1);
      input.remove_prefix(found != nullptr ? found->first.size() : 1);
    }
    return out;
  }

  RefusingProvider provider_;
  NoLimit limiter_;
  NobodyListens changes_;
  SystemClock clock_;
  Logger log_;
  boost::asio::io_context home_;
  app::MapPool maps_{1};
  std::unique_ptr<IdentityStore> identities_ = make_sql_identity_store(instance.parts, {});
  std::unique_ptr<AgentStore> agents_ = make_sql_agent_store(instance.parts);
  std::unique_ptr<Catalog> catalog_ = make_sql_catalog(instance.parts);
  EventReader events_{*instance.database, *instance.database, instance.parts.cipher,
                      instance.parts.random};
  EventLog event_log_{*instance.database, *instance.database, log_};
  std::shared_ptr<app::SyncHub> hub_ = std::make_shared<app::SyncHub>(
      home_.get_executor(), *instance.store, nullptr, maps_, clock_, app::SyncHubOptions{}, log_);
  std::shared_ptr<app::Jobs> jobs_ = std::make_shared<app::Jobs>(
      home_.get_executor(), *agents_, *instance.store, *hub_, clock_, app::JobsOptions{}, log_);
  app::AccountCommands commands_{*editor.edits, changes_};
  app::People people_{commands_, *identities_, *catalog_, &provider_, {}, log_};
  rest::Services services_{.catalog = *catalog_,
                           .store = *instance.store,
                           .commands = commands_,
                           .people = people_,
                           .limiter = limiter_,
                           .clock = clock_};
  std::unique_ptr<rest::RouteTable> table_;
  auth::Caller caller_;
  std::vector<std::pair<std::string, std::string>> words_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static std::unique_ptr<Site> site;
  static int served = 0;
  if (!site || ++served % kRequestsOfOneSite == 0) {
    site.reset();
    site = std::make_unique<Site>();
  }
  site->serve({reinterpret_cast<const char*>(data), size});
  return 0;
}
