#include "signal/bus_codec.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace nb::signal {
namespace {

using namespace std::string_literals;

TEST(BusCodec, WhatWasWrittenIsRead) {
  BusWriter writer("signal-1");
  EXPECT_TRUE(writer.empty());
  writer.forward(1, "message\0bytes"s);
  writer.answer(std::uint64_t{1} << 63U, Outcome::kOverflow);
  writer.evict(300, "peer", "signal-2/abc/7");
  writer.arrived("newcomer");
  const std::string payload = writer.take();
  EXPECT_TRUE(writer.empty());

  const auto batch = decode_bus(payload);

  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->from, "signal-1");
  ASSERT_EQ(batch->records.size(), 4U);
  EXPECT_EQ(batch->records[0].kind, RecordKind::kForward);
  EXPECT_EQ(batch->records[0].message, "message\0bytes"s);
  EXPECT_EQ(batch->records[1].id, std::uint64_t{1} << 63U);
  EXPECT_EQ(batch->records[1].outcome, Outcome::kOverflow);
  EXPECT_EQ(batch->records[2].peer, "peer");
  EXPECT_EQ(batch->records[2].token, "signal-2/abc/7");
  EXPECT_EQ(batch->records[3].kind, RecordKind::kArrived);
  EXPECT_EQ(batch->records[3].peer, "newcomer");
}

TEST(BusCodec, ForeignPayloadsAreRefused) {
  for (const std::string& payload :
       {""s, "ping"s, "{\"to_peer\":\"p\"}"s, "\x01"s, "\x01\x00"s, "\x01\x01x"s,
        "\x01\x01x\x09\x01"s, "\x01\x01x\x01\x01\x05hi"s, "\x01\x01x\x02\x01\x06"s,
        "\x01\x01x\x03\x01\x00\x01t"s, "\x01\x01x\x04\x00\x00"s, "\x01\x01x\x04\x01\x01p"s,
        "\x01\x01x\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00"s}) {
    const auto batch = decode_bus(payload);
    ASSERT_FALSE(batch) << testing::PrintToString(payload);
  }
  EXPECT_EQ(decode_bus("\x02\x01x\x02\x01\x00"s).error().code, Code::kUnimplemented);
}

TEST(BusCodec, EveryCutOfAPayloadIsRefusedOrShorter) {
  BusWriter writer("a");
  writer.forward(1, "hello");
  writer.evict(2, "peer", "token");
  const std::string payload = writer.take();
  for (std::size_t cut = 0; cut < payload.size(); ++cut) {
    const auto batch = decode_bus(std::string_view(payload).substr(0, cut));
    if (batch) {
      EXPECT_EQ(batch->records.size(), 1U) << cut;
    }
  }
}

TEST(BusCodec, FullKeepsAPayloadBelowItsLimit) {
  BusWriter writer("a");
  const std::string message(60'000, 'x');
  std::uint64_t id = 0;
  while (!writer.full(message.size() + 16)) writer.forward(++id, message);
  EXPECT_GE(id, 4U);
  EXPECT_LE(writer.bytes(), kBusBatchBytesMax);
}

}  // namespace
}  // namespace nb::signal
