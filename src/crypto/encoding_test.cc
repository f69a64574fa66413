#include "crypto/encoding.h"

#include "crypto/hash.h"
#include "crypto/random.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace nb::crypto {
namespace {

TEST(Base64, FormsDifferInAlphabetAndPadding) {
  const std::string bytes = "\xfb\xff\xfe?";
  EXPECT_EQ(to_base64(bytes, Base64::kStd), "+//+Pw==");
  EXPECT_EQ(to_base64(bytes, Base64::kStdRaw), "+//+Pw");
  EXPECT_EQ(to_base64(bytes, Base64::kUrl), "-__-Pw==");
  EXPECT_EQ(to_base64(bytes, Base64::kUrlRaw), "-__-Pw");
  for (const auto form : {Base64::kStd, Base64::kStdRaw, Base64::kUrl, Base64::kUrlRaw}) {
    EXPECT_EQ(*from_base64(to_base64(bytes, form), form), bytes);
    EXPECT_EQ(to_base64("", form), "");
    EXPECT_EQ(*from_base64("", form), "");
  }
}

TEST(Base64, OnlyCanonicalTextIsRead) {
  for (const char* text : {"+//+Pw", "+//+Px==", "+//+Pw=", "+//+ Pw==", "-__-Pw==", "+//+Pw==\n",
                           "+//+Pw===", "A", "="}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

TEST(Base64, BytesAbove127AreNoDigits) {
  for (int byte = 128; byte < 256; ++byte) {
    const std::string text = std::string(1, static_cast<char>(byte)) + "AAA";
    for (const auto form : {Base64::kStd, Base64::kStdRaw, Base64::kUrl, Base64::kUrlRaw}) {
      EXPECT_FALSE(from_base64(text, form)) << byte;
    }
  }
}

TEST(Hex, RoundTrip) {
  EXPECT_EQ(to_hex(std::string_view("\x00\xff\x10", 3)), "00ff10");
  EXPECT_EQ(*from_hex("00FF10"), std::string("\x00\xff\x10", 3));
  EXPECT_EQ(*from_hex(""), "");
  for (const char* text : {"0", "0g", "000", "00 11", "zz"}) EXPECT_FALSE(from_hex(text)) << text;
}

TEST(Hash, KnownDigests) {
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_base64(""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  // RFC 4231 §4.3, RFC 2202 §3.
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha1("Jefe", "what do ya want for nothing?")),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  EXPECT_EQ(to_hex(ssh_user_hash("user-1")), "d6fc1c4b4ddbb4e741457d1d873d0d46");
  EXPECT_EQ(crc32("123456789"), 0xCBF43926U);
}

TEST(Hash, SecretsCompareByContent) {
  EXPECT_TRUE(equal_secrets("abc", "abc"));
  EXPECT_FALSE(equal_secrets("abc", "abd"));
  EXPECT_FALSE(equal_secrets("abc", "ab"));
  EXPECT_TRUE(equal_secrets("", ""));
}

TEST(RandomSource, SeedRepeatsAndSeedsDiffer) {
  SeededRandom one(1);
  SeededRandom same(1);
  SeededRandom other(2);
  const auto first = one.bytes<16>();
  EXPECT_EQ(first, same.bytes<16>());
  EXPECT_NE(first, other.bytes<16>());
  EXPECT_NE(first, one.bytes<16>()) << "the next draw is another";
}

TEST(RandomSource, BelowStaysBelowAndReachesAll) {
  SeededRandom random(5);
  std::array<int, 7> seen{};
  for (int i = 0; i < 7'000; ++i) ++seen.at(random.below(7));
  for (const int count : seen) EXPECT_GT(count, 800);
  EXPECT_EQ(random.below(1), 0U);
  for (int i = 0; i < 100; ++i) {
    const double fraction = random.fraction();
    EXPECT_GE(fraction, 0.0);
    EXPECT_LT(fraction, 1.0);
  }
}

}  // namespace
}  // namespace nb::crypto
