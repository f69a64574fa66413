#include "cmd/golden/golden_maps.h"

#include "crypto/random.h"
#include "management/netmap/map_view.h"
#include "management/netmap/network_map.h"
#include "management/store/sql_store.h"
#include "proto/management.pb.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <google/protobuf/util/json_util.h>

#include <cstdlib>
#include <utility>

namespace nb::cmd::golden {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
namespace pb = ::management;
using management::AccountSnapshotPtr;

constexpr std::chrono::minutes kStepMax{5};

Instant soon() {
  return std::chrono::steady_clock::now() + kStepMax;
}

template <class T>
Result<T> wait_for(management::Task<T> task) {
  asio::io_context loop;
  Result<T> out;
  asio::co_spawn(
      loop,
      [](management::Task<T> work, Result<T>* result) -> asio::awaitable<void> {
        *result = co_await std::move(work);
      }(std::move(task), &out),
      [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
      });
  loop.run();
  return out;
}

/// A folder that goes with the object.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "netbird-golden-XXXXXX").string();
    if (mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

struct GoldenStore::Parts {
  ScratchFolder folder;
  crypto::SystemRandom random;
  SystemClock clock;
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<management::Store> store;
};

GoldenStore::GoldenStore(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
GoldenStore::~GoldenStore() = default;

Result<std::unique_ptr<GoldenStore>> GoldenStore::open(const std::string& dsn) {
  auto parts = std::make_unique<Parts>();
  if (dsn.empty() && parts->folder.path().empty())
    return fail(Code::kUnavailable, "no temporary folder can be made");
  NB_LET(auto address, dsn.empty() ? sql::Dsn::sqlite((parts->folder.path() / "store.db").string())
                                   : sql::Dsn::postgres(dsn));
  NB_LET(parts->database, sql::Database::open(std::move(address), {.workers = 2}, Logger()));
  management::SqlStoreParts under{*parts->database, nullptr, parts->random, parts->clock, {}};
  NB_TRY(management::prepare_main_database(under, soon()));
  NB_TRY(drop_own_constraints(*parts->database));
  parts->store = management::make_sql_store(under, {});
  return std::unique_ptr<GoldenStore>(new GoldenStore(std::move(parts)));
}

Result<std::vector<AccountSnapshotPtr>> GoldenStore::load(const Vector& vector) {
  NB_TRY(empty_database(*parts_->database));
  NB_TRY(fill_database(*parts_->database, vector.tables));
  std::vector<AccountSnapshotPtr> out;
  const auto* const accounts = vector.tables.if_contains("accounts");
  if (accounts == nullptr) return fail(Code::kInvalidArgument, "no table accounts");
  for (const auto& row : accounts->as_array()) {
    const auto* const id = row.as_object().if_contains("id");
    if (id == nullptr || !id->is_string())
      return fail(Code::kInvalidArgument, "table accounts: a row without id");
    NB_LET(auto account, wait_for(parts_->store->snapshot(
                             soon(), management::AccountId(std::string(id->get_string())))));
    out.push_back(std::move(account));
  }
  return out;
}

Result<std::map<std::string, std::string>> GoldenStore::maps_of(const Vector& vector,
                                                                Calculation calculation,
                                                                WallTime now) {
  std::map<std::string, std::string> out;
  NB_LET(const auto accounts, load(vector));
  for (const auto& account : accounts)
    out.merge(maps_of_account(account, vector.encoder, calculation, now));
  return out;
}

std::map<std::string, std::string> maps_of_account(const AccountSnapshotPtr& account,
                                                   const management::grpc::EncoderSettings& encoder,
                                                   Calculation calculation, WallTime now) {
  std::map<std::string, std::string> out;
  const auto add = [&](const management::Peer& peer, const management::grpc::EncodedMap& map) {
    out.emplace(peer.id.value(), map.message(account->account.serial, {}));
  };
  if (calculation != Calculation::kPlain) {
    const auto form = calculation == Calculation::kComponents
                          ? management::grpc::MapForm::kComponents
                          : management::grpc::MapForm::kLegacy;
    const auto view =
        netmap::MapView::update(nullptr, account, management::grpc::view_options(encoder)).view;
    for (netmap::PeerIndex slot = 0; slot < view->slots(); ++slot)
      add(*view->peer(slot)->peer, management::grpc::make_map(*view, slot, now, encoder, form).map);
    return out;
  }
  const netmap::AccountView view(account, encoder.dns_domain);
  for (netmap::PeerIndex peer = 0; peer < view.peers().size(); ++peer)
    add(*view.peers()[peer].peer,
        management::grpc::encode_map(view, netmap::calculate(view, peer, now), encoder));
  return out;
}

Result<std::string> as_json(const std::map<std::string, std::string>& maps) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string out = "{";
  for (const auto& [peer, bytes] : maps) {
    pb::SyncResponse message;
    if (!message.ParseFromString(bytes)) return fail(Code::kInternal, "peer {}: broken map", peer);
    std::string text;
    const auto printed = google::protobuf::util::MessageToJsonString(message, &text, options);
    if (!printed.ok()) return fail(Code::kInternal, "peer {}: {}", peer, printed.ToString());
    out += (out.size() == 1 ? "\n" : ",\n") +
           boost::json::serialize(boost::json::value(boost::json::string(peer))) + ": " + text;
  }
  return out + "\n}\n";
}

}  // namespace nb::cmd::golden
