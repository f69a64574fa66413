#include "net/closed_streams.h"

#include <gtest/gtest.h>

namespace nb::net {
namespace {
using http2::ErrorCode;

TEST(ClosedStreams, TellsWhoEndedAStream) {
  ClosedStreams streams;
  streams.opened(1);
  streams.opened(3);
  streams.reset_by_us(3);
  EXPECT_EQ(streams.error_for(1), ErrorCode::kStreamClosed);
  EXPECT_EQ(streams.error_for(3), ErrorCode::kNoError);
}

TEST(ClosedStreams, AStreamThatWasPassedOverIsAMistake) {  // RFC 9113 §5.1.1
  ClosedStreams streams;
  streams.opened(5);
  EXPECT_EQ(streams.error_for(1), ErrorCode::kProtocolError);
  EXPECT_EQ(streams.error_for(3), ErrorCode::kProtocolError);
  streams.opened(7);
  EXPECT_EQ(streams.error_for(5), ErrorCode::kStreamClosed);
  EXPECT_EQ(streams.error_for(3), ErrorCode::kProtocolError);
}

TEST(ClosedStreams, WhatIsLongAgoIsForgivenAndForgotten) {
  ClosedStreams streams;
  for (std::int32_t id = 1; id < 400; id += 2) streams.opened(id);
  EXPECT_EQ(streams.last(), 399);
  EXPECT_EQ(streams.error_for(399 - 2 * 63), ErrorCode::kStreamClosed);
  EXPECT_EQ(streams.error_for(399 - 2 * 64), ErrorCode::kNoError);
  streams.reset_by_us(1);  // too old to be noted
  EXPECT_EQ(streams.error_for(399), ErrorCode::kStreamClosed);
}

TEST(ClosedStreams, AFarJumpForgetsAllButItself) {
  ClosedStreams streams;
  streams.opened(1);
  streams.opened(0x7fff'ffff);
  EXPECT_EQ(streams.error_for(0x7fff'ffff), ErrorCode::kStreamClosed);
  EXPECT_EQ(streams.error_for(0x7fff'ffff - 2), ErrorCode::kProtocolError);
  EXPECT_EQ(streams.error_for(1), ErrorCode::kNoError);
}

TEST(ClosedStreams, TheFirstMayHaveTheLastNumberOfAll) {  // found by http2_grpc_fuzz
  ClosedStreams streams;
  streams.opened(0x7fff'ffff);
  EXPECT_EQ(streams.error_for(0x7fff'ffff), ErrorCode::kStreamClosed);
  EXPECT_EQ(streams.error_for(1), ErrorCode::kNoError);
}

}  // namespace
}  // namespace nb::net
