#include "net/websocket.h"

#include "net/testing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nb::net::websocket {
namespace {

struct Collected final : Sink {
  void on_payload(Opcode type, std::span<const std::uint8_t> bytes) override {
    (type == Opcode::kBinary ? binary : text)
        .append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void on_control(Opcode type, std::string_view payload) override {
    controls.emplace_back(type, payload);
  }
  std::string binary;
  std::string text;
  std::vector<std::pair<Opcode, std::string>> controls;
};

CloseCode feed(Reader& reader, const std::string& bytes, Collected& sink, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::string part = bytes.substr(at, step);
    const auto code =
        reader.feed({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()}, sink);
    if (code != CloseCode::kNone) return code;
  }
  return CloseCode::kNone;
}

using net::testing::client_frame;

TEST(WebSocket, AcceptKeyIsTheOneOfTheRfc) {
  EXPECT_EQ(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_FALSE(accept_key("short").has_value());
  EXPECT_FALSE(accept_key("").has_value());
}

TEST(WebSocket, FragmentsAreJoinedAndControlsMayStandBetween) {
  const std::string big(70'000, 'b');
  const std::string bytes = client_frame(2, "one ", false) + client_frame(9, "ping") +
                            client_frame(0, "two ", false) + client_frame(0, big) +
                            client_frame(1, "ignored") + client_frame(8, "\x03\xe8");
  for (const std::size_t step : {1UL, 7UL, 1'000'000UL}) {
    Reader reader(1'000'000);
    Collected sink;
    EXPECT_EQ(feed(reader, bytes, sink, step), CloseCode::kNone);
    EXPECT_EQ(sink.binary, "one two " + big);
    EXPECT_EQ(sink.text, "ignored");
    ASSERT_EQ(sink.controls.size(), 2U);
    EXPECT_EQ(sink.controls[0], std::pair(Opcode::kPing, std::string("ping")));
    EXPECT_EQ(sink.controls[1].first, Opcode::kClose);
  }
}

TEST(WebSocket, BrokenFramesCloseWithTheirCode) {
  const auto verdict = [](const std::string& bytes) {
    Reader reader(1'000);
    Collected sink;
    return feed(reader, bytes, sink, 1);
  };
  std::string unmasked = client_frame(2, "x");
  unmasked[1] = 1;
  EXPECT_EQ(verdict(unmasked), CloseCode::kProtocolError);
  std::string reserved = client_frame(2, "x");
  reserved[0] = static_cast<char>(0xc2);
  EXPECT_EQ(verdict(reserved), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(3, "x")), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(0, "x")), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(2, "x", false) + client_frame(2, "x")), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(9, "x", false)), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(9, std::string(126, 'x'))), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(8, "x")), CloseCode::kProtocolError);
  EXPECT_EQ(verdict(client_frame(2, std::string(1'001, 'x'))), CloseCode::kTooBig);
  EXPECT_EQ(verdict(client_frame(2, std::string(600, 'x'), false) +
                    client_frame(0, std::string(401, 'x'))),
            CloseCode::kTooBig);
  EXPECT_EQ(verdict(client_frame(2, std::string(1'000, 'x'))), CloseCode::kNone);
}

}  // namespace
}  // namespace nb::net::websocket
