// The activity log as people read it: newest first, with names.
// Source   contract/rest-api.md §7.13, schema/README.md "Events database".
#pragma once

#include "base/clock.h"
#include "management/domain/ids.h"
#include "management/store/field_codec.h"
#include "management/store/store.h"
#include "sql/database.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nb::management {

struct ListedEvent {
  std::int64_t id = 0;
  WallTime at{};
  std::int32_t activity = 0;  // see activity_code(); also numbers that only upstream writes
  std::string initiator_id;
  std::string initiator_name;   // empty: unknown
  std::string initiator_email;  // empty: unknown
  std::string target_id;
  /// Values as text: true, 42, [a b].
  std::vector<std::pair<std::string, std::string>> meta;
};

/// Reads both databases; they may be one. Names of users who were deleted come from the archive.
class EventReader {
 public:
  static constexpr std::size_t kEventsMax = 10'000;

  /// `cipher` may be null, as for the store.
  EventReader(sql::Database& main, sql::Database& events, const crypto::FieldCipher* cipher,
              crypto::RandomSource& random)
      : main_(main), events_(events), cipher_(cipher), codec_(cipher, random) {}

  /// Events that are still in the outbox are not among them yet.
  Task<std::vector<ListedEvent>> list(Instant deadline, AccountId account,
                                      std::size_t limit = kEventsMax);

 private:
  sql::Database& main_;
  sql::Database& events_;
  const crypto::FieldCipher* const cipher_;
  const FieldCodec codec_;
};

}  // namespace nb::management
