#include "redis/reply.h"

#include "redis/command.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nb::redis {
namespace {

/// All replies of `bytes`, fed in pieces of `step`.
Result<std::vector<Reply>> read_all(std::string_view bytes, std::size_t step,
                                    ReplyReader::Limits limits = {}) {
  ReplyReader reader(limits);
  std::vector<Reply> replies;
  while (!bytes.empty()) {
    NB_TRY(reader.feed(bytes.substr(0, step)));
    bytes.remove_prefix(std::min(step, bytes.size()));
    for (;;) {
      NB_LET(auto reply, reader.next());
      if (!reply) break;
      replies.push_back(*std::move(reply));
    }
  }
  return replies;
}

Reply one(std::string_view bytes) {
  auto replies = read_all(bytes, bytes.size());
  EXPECT_TRUE(replies && replies->size() == 1) << bytes;
  return replies && replies->size() == 1 ? replies->front() : Reply();
}

TEST(ReplyReader, EveryTypeInPiecesOfEverySize) {
  const std::string bytes =
      "+OK\r\n-ERR no\r\n:-42\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n*0\r\n$0\r\n\r\n"
      "*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*1\r\n+y\r\n$-1\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    const auto replies = read_all(bytes, step);
    ASSERT_TRUE(replies) << step;
    ASSERT_EQ(replies->size(), 9U) << step;
    EXPECT_EQ((*replies)[0], (Reply{Reply::Type::kStatus, 0, "OK", {}}));
    EXPECT_EQ((*replies)[1], (Reply{Reply::Type::kError, 0, "ERR no", {}}));
    EXPECT_EQ((*replies)[2], (Reply{Reply::Type::kInteger, -42, "", {}}));
    EXPECT_EQ((*replies)[3], (Reply{Reply::Type::kText, 0, "a\r\n", {}}));
    EXPECT_TRUE((*replies)[4].is_nil());
    EXPECT_TRUE((*replies)[5].is_nil());
    EXPECT_EQ((*replies)[6], (Reply{Reply::Type::kArray, 0, "", {}}));
    EXPECT_EQ((*replies)[7], (Reply{Reply::Type::kText, 0, "", {}}));
    const Reply& tree = (*replies)[8];
    ASSERT_EQ(tree.items.size(), 3U);
    EXPECT_EQ(tree.items[1].items[0].text, "x");
    EXPECT_EQ(tree.items[1].items[1].items[0].text, "y");
    EXPECT_TRUE(tree.items[2].is_nil());
  }
}

TEST(ReplyReader, WideArraysOfArraysKeepTheirElements) {
  // Vectors grow while inner arrays are open: nothing may be lost or moved from under hiredis.
  std::string bytes = "*3000\r\n";
  for (int i = 0; i < 3000; ++i) bytes += "*2\r\n:" + std::to_string(i) + "\r\n*1\r\n$2\r\nhi\r\n";
  const Reply reply = one(bytes);
  ASSERT_EQ(reply.items.size(), 3000U);
  for (std::size_t i = 0; i < 3000; ++i) {
    ASSERT_EQ(reply.items[i].items[0].integer, static_cast<std::int64_t>(i));
    ASSERT_EQ(reply.items[i].items[1].items[0].text, "hi");
  }
}

TEST(ReplyReader, WhatIsNoReplyIsRefused) {
  for (const char* bytes : {"HTTP/1.1 200 OK\r\n", "?x\r\n", ":12x\r\n", "$x\r\n", "*x\r\n",
                            "$-5\r\n", "*-5\r\n", ":99999999999999999999\r\n", "\r\n"}) {
    const auto replies = read_all(bytes, 100);
    ASSERT_FALSE(replies) << bytes;
    EXPECT_EQ(replies.error().code, Code::kDataLoss) << bytes;
  }
}

TEST(ReplyReader, NestingBeyondSevenIsRefused) {
  std::string bytes;
  for (int i = 0; i < 7; ++i) bytes += "*1\r\n";
  EXPECT_TRUE(read_all(bytes + ":1\r\n", 1));
  for (int i = 0; i < 10; ++i) bytes += "*1\r\n";
  EXPECT_FALSE(read_all(bytes + ":1\r\n", 1));
}

TEST(ReplyReader, LimitsHoldAndClaimedSizesCostNothing) {
  const ReplyReader::Limits limits{.bytes_max = 1'000, .items_max = 10};
  EXPECT_EQ(read_all("*10\r\n" + std::string(200, 'x'), 100, limits).error().code, Code::kDataLoss);
  std::string eleven = "*11\r\n";
  for (int i = 0; i < 11; ++i) eleven += ":1\r\n";
  const auto many = read_all(eleven, 100, limits);
  ASSERT_FALSE(many);
  EXPECT_EQ(many.error().code, Code::kResourceExhausted);
  const auto big = read_all("$5000\r\n" + std::string(5'000, 'x'), 100, limits);
  ASSERT_FALSE(big);
  EXPECT_EQ(big.error().code, Code::kResourceExhausted);
  EXPECT_TRUE(read_all("*2000000000\r\n:1\r\n", 100)) << "just incomplete";
  // The limits are per reply, not per connection.
  std::string small;
  for (int i = 0; i < 1'000; ++i) small += "*2\r\n:1\r\n:2\r\n";
  EXPECT_EQ(read_all(small, 100, limits)->size(), 1'000U);
}

TEST(Reply, CheckedAccess) {
  EXPECT_EQ(*one(":7\r\n").as_integer(), 7);
  EXPECT_EQ(*one("$2\r\n-7\r\n").as_integer(), -7);
  EXPECT_FALSE(one("$2\r\n7x\r\n").as_integer());
  EXPECT_FALSE(one("$-1\r\n").as_integer());
  EXPECT_EQ(*one("+OK\r\n").as_text(), "OK");
  EXPECT_FALSE(one(":1\r\n").as_text());
  EXPECT_EQ(*one("$-1\r\n").as_optional(), std::nullopt);
  EXPECT_EQ(**one("$1\r\nx\r\n").as_optional(), "x");
  EXPECT_TRUE(one("*-1\r\n").as_array()->empty());
  const auto texts = one("*2\r\n$1\r\nx\r\n$-1\r\n").as_texts();
  ASSERT_TRUE(texts);
  EXPECT_EQ((*texts)[0], "x");
  EXPECT_EQ((*texts)[1], std::nullopt);
  EXPECT_FALSE(one("*1\r\n:1\r\n").as_texts());
}

TEST(Reply, ErrorRepliesBecomeErrorsWithTheRightCode) {
  const auto code = [](std::string_view line) { return one(line).as_text().error().code; };
  EXPECT_EQ(code("-LOADING x\r\n"), Code::kUnavailable);
  EXPECT_EQ(code("-READONLY x\r\n"), Code::kUnavailable);
  EXPECT_EQ(code("-NOPERM x\r\n"), Code::kPermissionDenied);
  EXPECT_EQ(code("-OOM x\r\n"), Code::kResourceExhausted);
  EXPECT_EQ(code("-WRONGTYPE x\r\n"), Code::kFailedPrecondition);
  EXPECT_EQ(code("-ERR x\r\n"), Code::kInternal);
  EXPECT_EQ(one("-ERR unknown command 'AUHT', with args beginning with: 'hunter2' \r\n")
                .as_text()
                .error()
                .text,
            "redis: ERR unknown command 'AUHT'");
  EXPECT_EQ(one("-NOSCRIPT No matching script.\r\n").error_word(), "NOSCRIPT");
  EXPECT_EQ(one("-ERR\r\n").error_word(), "ERR");
  EXPECT_EQ(one("+ERR\r\n").error_word(), "");
}

TEST(Batch, WritesLengthPrefixedArguments) {
  Batch batch;
  batch.add("SET", std::string("k:*\r\n"), -5).add("PING");
  EXPECT_EQ(batch.wire(), "*3\r\n$3\r\nSET\r\n$5\r\nk:*\r\n\r\n$2\r\n-5\r\n*1\r\n$4\r\nPING\r\n");
  EXPECT_EQ(batch.size(), 2U);
  std::vector<std::string> many(20, "x");
  Batch long_one;
  long_one.add_args(many);
  EXPECT_EQ(long_one.wire().substr(0, 5), "*20\r\n");
  // What we write, we can read.
  EXPECT_EQ(one(long_one.wire()).items.size(), 20U);
}

TEST(Script, IsKnownByItsSha1) {
  const Script script("return 1");
  EXPECT_EQ(script.sha1(), "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  Batch batch;
  batch.eval(script, {"k"}, {"a", "b"});
  EXPECT_EQ(batch.wire(),
            "*6\r\n$7\r\nEVALSHA\r\n$40\r\ne0e1f9fabfc9d4800c877a703b823ac0578ff8db\r\n$1\r\n1\r\n"
            "$1\r\nk\r\n$1\r\na\r\n$1\r\nb\r\n");
}

}  // namespace
}  // namespace nb::redis
