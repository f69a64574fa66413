#include "net/websocket_messages.h"

#include "net/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace nb::net::websocket {
namespace {

using net::testing::client_frame;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

struct Collected final : MessageSink {
  bool on_message(const WebSocketMessage& message) override {
    std::string bytes(message.size(), '\0');
    message.copy(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    messages.emplace_back(message.text() ? "text" : "binary", bytes);
    return messages.size() < wanted;
  }
  bool on_control(Opcode type, std::string_view payload) override {
    messages.emplace_back(type == Opcode::kPing ? "ping" : "close", payload);
    return true;
  }
  std::vector<std::pair<std::string, std::string>> messages;
  std::size_t wanted = 1'000;
};

CloseCode feed(MessageReader& reader, const std::string& bytes, Collected& sink, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::string part = bytes.substr(at, step);
    const auto code =
        reader.feed({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()}, sink);
    if (code != CloseCode::kNone) return code;
  }
  return CloseCode::kNone;
}

TEST(WebSocketMessages, AreTheSameHoweverTheBytesAreCut) {
  const std::string large(3'000, 'L');
  const std::string bytes = client_frame(2, "one") + client_frame(2, "frag", false) +
                            client_frame(9, "are you there") + client_frame(0, "ments") +
                            client_frame(1, "") + client_frame(2, large);
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, bytes.size()}) {
    MessageReader reader(4'000);
    Collected sink;
    EXPECT_EQ(feed(reader, bytes, sink, step), CloseCode::kNone);
    EXPECT_THAT(sink.messages,
                ElementsAre(Pair("binary", "one"), Pair("ping", "are you there"),
                            Pair("binary", "fragments"), Pair("text", ""), Pair("binary", large)));
    EXPECT_EQ(reader.kept(), 0U);
  }
}

TEST(WebSocketMessages, AnyPartOfAMaskedMessageCanBeTaken) {
  std::string payload;
  for (int i = 0; i < 300; ++i) payload.push_back(static_cast<char>(i * 7));
  struct Parts final : MessageSink {
    bool on_message(const WebSocketMessage& message) override {
      for (std::size_t from = 0; from < message.size(); ++from) {
        for (const std::size_t size : {std::size_t{1}, std::size_t{31}, message.size() - from}) {
          if (from + size > message.size()) continue;
          std::string out(size, '\0');
          message.copy(from, {reinterpret_cast<std::uint8_t*>(out.data()), size});
          EXPECT_EQ(out, expected.substr(from, size)) << from << " " << size;
        }
      }
      seen = true;
      return true;
    }
    bool on_control(Opcode, std::string_view) override { return true; }
    std::string expected;
    bool seen = false;
  } sink;
  sink.expected = payload;
  MessageReader reader(1'000);
  const std::string frame = client_frame(2, payload);
  EXPECT_EQ(reader.feed({reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()}, sink),
            CloseCode::kNone);
  EXPECT_TRUE(sink.seen);
}

TEST(WebSocketMessages, TooLongIsRefusedByItsHeadAlone) {
  for (const std::size_t step : {std::size_t{1}, std::size_t{100}}) {
    MessageReader reader(100);
    Collected sink;
    EXPECT_EQ(feed(reader, client_frame(2, std::string(101, 'x')).substr(0, 4), sink, step),
              CloseCode::kTooBig);
    EXPECT_EQ(reader.kept(), 0U);
  }
}

TEST(WebSocketMessages, FragmentsTogetherMayNotExceedTheLimitEither) {
  MessageReader reader(100);
  Collected sink;
  EXPECT_EQ(feed(reader,
                 client_frame(2, std::string(60, 'x'), false) +
                     client_frame(0, std::string(41, 'x'), false),
                 sink, 1'000),
            CloseCode::kTooBig);
  EXPECT_THAT(sink.messages, IsEmpty());
}

TEST(WebSocketMessages, BrokenFramesAreProtocolErrors) {
  const auto code_of = [](const std::string& bytes) {
    MessageReader reader(1'000);
    Collected sink;
    return feed(reader, bytes, sink, 1);
  };
  EXPECT_EQ(code_of(std::string("\x82\x01x", 3)), CloseCode::kProtocolError) << "not masked";
  EXPECT_EQ(code_of(std::string("\xc2\x80\0\0\0\0", 6)), CloseCode::kProtocolError) << "reserved";
  EXPECT_EQ(code_of(client_frame(3, "x")), CloseCode::kProtocolError) << "unknown opcode";
  EXPECT_EQ(code_of(client_frame(0, "x")), CloseCode::kProtocolError) << "nothing to continue";
  EXPECT_EQ(code_of(client_frame(2, "x", false) + client_frame(2, "y")), CloseCode::kProtocolError)
      << "a message inside a message";
  EXPECT_EQ(code_of(client_frame(9, "x", false)), CloseCode::kProtocolError) << "cut ping";
  EXPECT_EQ(code_of(client_frame(8, "x")), CloseCode::kProtocolError) << "half a close code";
  EXPECT_EQ(code_of(std::string("\x82\xfe\0\x01\0\0\0\0x", 9)), CloseCode::kProtocolError)
      << "not the shortest length";
}

TEST(WebSocketMessages, NothingIsTakenAfterCloseOrOnceTheSinkHasEnough) {
  MessageReader closed(100);
  Collected sink;
  feed(closed, client_frame(8, "\x03\xe8") + client_frame(2, "late"), sink, 1'000);
  EXPECT_THAT(sink.messages, ElementsAre(Pair("close", "\x03\xe8")));

  MessageReader enough(100);
  Collected one;
  one.wanted = 1;
  feed(enough, client_frame(2, "first") + client_frame(2, "second"), one, 1'000);
  EXPECT_THAT(one.messages, ElementsAre(Pair("binary", "first")));
}

}  // namespace
}  // namespace nb::net::websocket
