#include "signal/message_scan.h"

#include "proto/signalexchange.pb.h"

#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace nb::signal {
namespace {

using namespace std::string_literals;

TEST(MessageScan, ReadsWhatProtobufWrote) {
  signalexchange::EncryptedMessage message;
  message.set_key("alice");
  message.set_remotekey("bob");
  message.set_body("sealed\0bytes"s);
  const std::string bytes = message.SerializeAsString();

  const auto view = scan_message(bytes);

  ASSERT_TRUE(view);
  EXPECT_EQ(view->key, "alice");
  EXPECT_EQ(view->remote_key, "bob");
  EXPECT_EQ(view->body, "sealed\0bytes"s);
}

TEST(MessageScan, EmptyMessageHasEmptyFields) {
  const auto view = scan_message("");
  ASSERT_TRUE(view);
  EXPECT_TRUE(view->key.empty() && view->remote_key.empty() && view->body.empty());
}

TEST(MessageScan, UnknownFieldsAndGroupsAreSkipped) {
  // field 1 varint, field 9 fixed64, field 10 fixed32, group 1 with a nested group 3, then key "k"
  const std::string bytes =
      "\x08\x96\x01\x49\x01\x02\x03\x04\x05\x06\x07\x08\x55\x01\x02\x03\x04"
      "\x0b\x1b\x1c\x0c\x12\x01k"s;
  const auto view = scan_message(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->key, "k");
}

TEST(MessageScan, KnownFieldOfAnotherWireTypeIsUnknown) {
  const std::string bytes = "\x10\x05\x12\x01k"s;
  const auto view = scan_message(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->key, "k");
}

TEST(MessageScan, LastOfRepeatedFieldsCounts) {
  const std::string bytes = "\x1a\x01x\x1a\x01y"s;
  const auto view = scan_message(bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->remote_key, "y");
}

class Malformed : public testing::TestWithParam<std::string> {};

TEST_P(Malformed, IsAnsweredInternalAsOfficialServersDo) {
  const auto view = scan_message(GetParam());
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().code, Code::kInternal);
}

INSTANTIATE_TEST_SUITE_P(
    MessageScan, Malformed,
    testing::Values("\x12\x05"s,                                      // length past the end
                    "\x12\x01\xff"s,                                  // not UTF-8
                    "\x12\x02\xc0\x80"s,                              // overlong
                    "\x12\x03\xed\xa0\x80"s,                          // surrogate
                    "\x00"s,                                          // field 0
                    "\x0c"s,                                          // end of no group
                    "\x0b\x14"s,                                      // end of another group
                    "\x0b"s,                                          // open group
                    "\x0e"s,                                          // wire type 6
                    "\x80"s,                                          // cut tag
                    "\x09\x01"s,                                      // cut fixed64
                    "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"s,  // varint over 64 bits
                    std::string(40, '\x0b')));                        // groups too deep

TEST(MessageScan, AgreesWithProtobufOnRandomBytes) {
  const google::protobuf::LogSilencer silent;
  std::mt19937_64 random(7);
  int valid = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes(random() % 12, '\0');
    // Bytes that often form tags and small lengths, so that many inputs are valid.
    static constexpr char kLikely[] = "\x12\x1a\x22\x00\x01\x02\x03\x08\x0b\x0c\x41\x80\xc3\xa9";
    for (char& byte : bytes)
      byte = random() % 8 != 0 ? kLikely[random() % (sizeof(kLikely) - 1)]
                               : static_cast<char>(random());
    // Tags of five bytes and more: implementations differ in what they do with the upper bits.
    if (std::search_n(bytes.begin(), bytes.end(), 4, true, [](char byte, bool high) {
          return (static_cast<unsigned char>(byte) >= 0x80) == high;
        }) != bytes.end())
      continue;
    signalexchange::EncryptedMessage reference;
    const bool parsed = reference.ParseFromString(bytes);
    const auto view = scan_message(bytes);
    ASSERT_EQ(static_cast<bool>(view), parsed) << testing::PrintToString(bytes);
    if (!parsed) continue;
    ++valid;
    ASSERT_EQ(view->key, reference.key());
    ASSERT_EQ(view->remote_key, reference.remotekey());
    ASSERT_EQ(view->body, reference.body());
  }
  EXPECT_GT(valid, 10'000);
}

}  // namespace
}  // namespace nb::signal
