// Test help: maps of one account before and after a change, and who is told of it.
#pragma once

#include "management/grpc/map_encoder.h"
#include "management/grpc/test_canonical_map.h"
#include "management/netmap/map_view.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace nb::management::grpc::test {

inline constexpr WallTime kNow{std::chrono::sys_days{std::chrono::year(2030) / 1 / 1}};

inline EncoderSettings settings() {
  EncoderSettings out;
  out.dns_domain = "netbird.selfhosted";
  return out;
}

inline netmap::ViewUpdate update(const netmap::MapViewPtr& before, AccountSnapshotPtr account) {
  return netmap::MapView::update(before, std::move(account), view_options(settings()));
}

inline MadeMap made(const netmap::MapView& view, const PeerId& peer, WallTime now = kNow) {
  return make_map(view, view.find(peer), now, settings());
}

inline ::management::SyncResponse parsed(const EncodedMap& map) {
  ::management::SyncResponse out;
  EXPECT_TRUE(out.ParseFromString(map.message(1, {})));
  return canonical(std::move(out));
}

/// Empty: the same, apart from the order of lists.
inline std::string difference(const EncodedMap& left, const EncodedMap& right) {
  if (left.head == right.head && left.map == right.map) return {};
  std::string out;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&out);
  return differencer.Compare(parsed(left), parsed(right)) ? std::string() : out;
}

inline bool is_told(const netmap::ViewUpdate& update, const PeerId& peer) {
  return update.everyone || update.affected.test(update.view->find(peer));
}

}  // namespace nb::management::grpc::test
