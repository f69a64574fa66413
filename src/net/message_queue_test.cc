#include "net/message_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace nb::net {
namespace {

std::string message(std::size_t size, char c) {
  return std::string(size, c);
}

/// As it stands on the wire, not compressed.
std::string framed(const std::string& payload) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(payload.size() >> static_cast<unsigned>(shift) & 0xffU);
  return out + payload;
}

std::string take(MessageQueue& queue, std::size_t size, OutputBuffer& out) {
  out.clear();
  queue.take(out, size);
  const auto bytes = out.view();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(MessageQueue, CopiedAndOwnedMessagesLeaveAsTheyCameInPiecesOfAnySize) {
  for (const std::size_t piece : {1U, 3U, 5U, 7U, 4096U, 100'000U}) {
    MessageQueue queue;
    std::string expected;
    for (const std::size_t size : {0U, 1U, 4095U, 4096U, 20'000U}) {
      const std::string copied = message(size, 'c');
      queue.push(false, std::string_view(copied));
      queue.push(false, message(size, 'o'));
      expected += framed(copied) + framed(message(size, 'o'));
    }
    EXPECT_EQ(queue.bytes(), expected.size());
    std::string got;
    OutputBuffer out;
    while (!queue.empty()) got += take(queue, std::min(piece, queue.bytes()), out);
    EXPECT_EQ(queue.bytes(), 0U);
    EXPECT_TRUE(got == expected) << "pieces of " << piece;
  }
}

TEST(MessageQueue, ALargeMessageThatIsGivenAwayIsNotCopied) {
  MessageQueue queue;
  std::string large = message(20'000, 'x');
  queue.push(false, std::move(large));
  EXPECT_TRUE(large.empty());  // NOLINT(bugprone-use-after-move): that is what is asked
  EXPECT_EQ(queue.bytes(), 20'005U);
  queue.clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.bytes(), 0U);
}

}  // namespace
}  // namespace nb::net
