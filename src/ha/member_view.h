// Membership's rules, pure: what one heartbeat does to the store (MemberTable), and what an
// instance concludes from the answers (MemberView).
#pragma once

#include "ha/membership.h"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nb::ha {

struct BeatRequest {
  InstanceId self;
  Incarnation incarnation;
  std::string metadata;
  std::chrono::milliseconds ttl{};
  bool watch = false;             // a duplicate that yields: read, do not write
  std::vector<InstanceId> known;  // read these as well, should the list have lost them
};

struct SeenMember {
  InstanceId id;
  bool listed = false;               // in nb:<service>:instances
  std::optional<std::string> nonce;  // of nb:<service>:alive:<id>
  std::chrono::milliseconds remaining{0};
  std::string metadata;
};

struct BeatReply {
  std::optional<std::string> previous;  // what our alive key held before
  std::vector<SeenMember> members;
};

/// The store's side: nb:<service>:alive:<id> with expiry and nb:<service>:instances.
class MemberTable {
 public:
  BeatReply beat(const BeatRequest& request, Instant now);
  void leave(const InstanceId& self, const Incarnation& incarnation, Instant now);

  struct Alive {
    std::string nonce;
    Instant expires;
  };
  std::map<std::string, Alive> alive;
  std::map<std::string, Instant> listed;  // id -> deadline
  std::map<std::string, std::string> metadata;

 private:
  std::optional<std::string> nonce(const std::string& id, Instant now);
};

/// One instance's conclusions.
class MemberView {
 public:
  MemberView(InstanceId self, Incarnation incarnation, MembershipConfig config);

  /// What to ask in the next beat.
  [[nodiscard]] BeatRequest request() const;
  /// Asked and answered at these times of ours.
  Beat on_reply(const BeatReply& reply, Instant asked, Instant now);
  void set_metadata(std::string metadata) { config_.metadata = std::move(metadata); }
  /// leave() was sent: start over as if never beaten.
  void on_left();

  [[nodiscard]] const InstanceId& self() const { return self_; }
  [[nodiscard]] const Incarnation& incarnation() const { return incarnation_; }
  [[nodiscard]] bool alive(const InstanceId& instance, Instant now) const;
  [[nodiscard]] bool alive(const Claim& claim, Instant now) const;
  [[nodiscard]] std::vector<Member> members(Instant now) const;
  [[nodiscard]] bool fresh(Instant now) const;
  [[nodiscard]] bool duplicate() const { return duplicate_; }
  [[nodiscard]] bool contested() const { return contested_; }

 private:
  void judge_rival(const std::optional<std::string>& previous, Instant now);
  [[nodiscard]] bool living(const Member& member, Instant now) const;

  InstanceId self_;
  Incarnation incarnation_;
  MembershipConfig config_;
  std::map<InstanceId, Member> others_;
  std::optional<Instant> answered_;    // last reply
  std::optional<Instant> store_lost_;  // when we last found our key gone
  struct Rival {
    std::string nonce;
    Instant first, last;  // sightings
    int sightings = 0;
  };
  std::optional<Rival> rival_;
  bool duplicate_ = false;
  bool contested_ = false;
};

}  // namespace nb::ha
