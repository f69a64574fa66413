// A Store of which a test overrides what it needs; everything else fails with kUnimplemented.
#pragma once

#include "management/store/store.h"

#include <utility>
#include <vector>

namespace nb::management {

class StubStore : public Store {
 public:
  Task<> ping(Instant) override { return none<>(); }
  Task<std::string> installation_id(Instant) override { return none<std::string>(); }
  Task<ServerKeys> server_keys(Instant, ServerKeyPair) override { return none<ServerKeys>(); }
  Task<ServerKeys> rotate_server_key(Instant, std::string, ServerKeyPair) override {
    return none<ServerKeys>();
  }
  Task<> notify(Instant, std::string, std::string) override { return none<>(); }
  Task<Account> first_account(Instant) override { return none<Account>(); }
  Task<std::pair<Account, bool>> ensure_account(Instant, NewAccount) override {
    return none<std::pair<Account, bool>>();
  }
  Task<Account> account(Instant, AccountId) override { return none<Account>(); }
  Task<AccountId> account_of_peer(Instant, PeerKey) override { return none<AccountId>(); }
  Task<AccountSnapshotPtr> snapshot(Instant, AccountId) override {
    return none<AccountSnapshotPtr>();
  }
  Task<AccountSnapshotPtr> posture_snapshot(Instant, AccountId, PeerId) override {
    return none<AccountSnapshotPtr>();
  }
  Task<std::optional<SnapshotDelta>> changes(Instant, AccountId, std::uint64_t) override {
    return none<std::optional<SnapshotDelta>>();
  }
  Task<std::size_t> prune_changes(Instant, std::chrono::milliseconds, std::size_t) override {
    return none<std::size_t>();
  }
  Task<std::vector<AccountSerial>> serials(Instant, std::vector<AccountId>) override {
    return none<std::vector<AccountSerial>>();
  }
  Task<std::uint64_t> bump_serial(Instant, AccountId) override { return none<std::uint64_t>(); }
  Task<std::vector<Group>> groups(Instant, AccountId) override {
    return none<std::vector<Group>>();
  }
  Task<SetupKey> create_setup_key(Instant, SetupKey, UserId) override { return none<SetupKey>(); }
  Task<std::vector<SetupKey>> setup_keys(Instant, AccountId) override {
    return none<std::vector<SetupKey>>();
  }
  Task<SetupKey> setup_key(Instant, AccountId, SetupKeyId) override { return none<SetupKey>(); }
  Task<SetupKey> setup_key_by_hash(Instant, SetupKeyHash) override { return none<SetupKey>(); }
  Task<SetupKey> revoke_setup_key(Instant, AccountId, SetupKeyId, UserId) override {
    return none<SetupKey>();
  }
  Task<PeerView> peer_by_key(Instant, PeerKey) override { return none<PeerView>(); }
  Task<PeerView> peer_by_id(Instant, AccountId, PeerId) override { return none<PeerView>(); }
  Task<Registered> register_peer(Instant, Registration) override { return none<Registered>(); }
  Task<ReloggedIn> relogin(Instant, Relogin) override { return none<ReloggedIn>(); }
  Task<MetaUpdated> update_meta(Instant, MetaUpdate) override { return none<MetaUpdated>(); }
  Task<DeletedPeer> delete_peer(Instant, PeerKey, std::string) override {
    return none<DeletedPeer>();
  }
  Task<Swept> expire_logins(Instant, std::size_t) override { return none<Swept>(); }
  Task<Swept> expire_inactive(Instant, std::size_t) override { return none<Swept>(); }
  Task<Swept> delete_ephemeral(Instant, std::chrono::milliseconds, std::size_t) override {
    return none<Swept>();
  }
  Task<std::int64_t> heartbeat(Instant, InstanceId, std::int64_t,
                               std::chrono::milliseconds) override {
    return none<std::int64_t>();
  }
  Task<> retire(Instant, InstanceId, std::int64_t) override { return none<>(); }
  Task<SessionStarted> connect(Instant, SessionCall) override { return none<SessionStarted>(); }
  Task<SyncBegun> begin_sync(Instant, MetaUpdate, SessionCall) override {
    return none<SyncBegun>();
  }
  Task<bool> disconnect(Instant, PeerId, std::int64_t) override { return none<bool>(); }
  Task<bool> abandon(Instant, SessionCall) override { return none<bool>(); }
  Task<std::string> lease_mark(Instant) override { return none<std::string>(); }
  Task<std::vector<ReapedPeer>> disconnect_dead(Instant, std::size_t) override {
    return none<std::vector<ReapedPeer>>();
  }
  Task<std::vector<SessionFate>> reassert(Instant, std::vector<OpenSession>) override {
    return none<std::vector<SessionFate>>();
  }
  Task<> add_event(Instant, Event) override { return none<>(); }

 private:
  template <class T = void>
  static Task<T> none() {
    co_return fail(Code::kUnimplemented, "not part of this test");
  }
};

}  // namespace nb::management
