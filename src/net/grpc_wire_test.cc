#include "net/grpc_wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace nb::net::grpc_wire {
namespace {
using namespace std::chrono_literals;

TEST(GrpcTimeout, EveryUnitIsRead) {
  EXPECT_EQ(parse_timeout("2H"), 2h);
  EXPECT_EQ(parse_timeout("3M"), 3min);
  EXPECT_EQ(parse_timeout("5S"), 5s);
  EXPECT_EQ(parse_timeout("250m"), 250ms);
  EXPECT_EQ(parse_timeout("4999812u"), 4999812us);
  EXPECT_EQ(parse_timeout("7n"), 7ns);
  EXPECT_GT(parse_timeout("99999999H"), 100000h);
}

TEST(GrpcTimeout, AnythingElseIsMalformed) {
  for (const char* text : {"", "S", "5", "-5S", "5s", "123456789S", "5.5S", "5 S"}) {
    EXPECT_FALSE(parse_timeout(text).has_value()) << text;
  }
}

TEST(GrpcMessage, PercentEncodingKeepsPrintableAsciiAndComesBack) {
  EXPECT_EQ(percent_encode("a b~%"), "a b~%25");
  const std::string special = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
  EXPECT_EQ(percent_encode(special).find('\n'), std::string::npos);
  EXPECT_EQ(percent_decode(percent_encode(special)), special);
  EXPECT_EQ(percent_decode("100%"), "100%");  // broken escapes stay as they are
}

TEST(GrpcBinaryHeader, Base64IsSentWithoutPaddingAndReadWithAndWithoutIt) {
  EXPECT_EQ(base64_encode("\xab\xab\xab"), "q6ur");
  EXPECT_EQ(base64_encode("a"), "YQ");
  EXPECT_EQ(base64_decode("YQ"), "a");
  EXPECT_EQ(base64_decode("YQ=="), "a");
  EXPECT_FALSE(base64_decode("Y").has_value());
  EXPECT_FALSE(base64_decode("Y!==").has_value());
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 70; ++size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
}

TEST(GrpcContentType, OnlyGrpcAndItsSubtypesAreGrpc) {
  for (const char* text : {"application/grpc", "application/grpc+proto", "application/grpc;a=b"}) {
    EXPECT_TRUE(is_grpc_content_type(text)) << text;
  }
  for (const char* text : {"", "application/grpc-web", "application/json", "application/grpcx"}) {
    EXPECT_FALSE(is_grpc_content_type(text)) << text;
  }
}

TEST(Gzip, BytesComeBackAndBombsAreRefused) {
  const std::string zeros(1'000'000, '\0');
  const std::string packed = gzip(zeros);
  EXPECT_LT(packed.size(), 10'000U);
  const auto plain = gunzip(packed, 1'000'000);
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(*plain, zeros);
  EXPECT_EQ(gunzip(packed, 999'999).error().code, Code::kResourceExhausted);
  EXPECT_EQ(*gunzip(gzip(""), 10), "");
}

TEST(Gzip, BrokenBytesAreAnErrorNotAMessage) {
  const std::string packed = gzip("hello hello hello");
  EXPECT_EQ(gunzip(packed.substr(0, packed.size() - 3), 100).error().code, Code::kInternal);
  EXPECT_EQ(gunzip(packed + "x", 100).error().code, Code::kInternal);
  EXPECT_EQ(gunzip("no gzip at all", 100).error().code, Code::kInternal);
  EXPECT_EQ(gunzip("", 100).error().code, Code::kInternal);
}

}  // namespace
}  // namespace nb::net::grpc_wire
