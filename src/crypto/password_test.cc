#include "crypto/password.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/totp.h"

#include <gtest/gtest.h>

namespace nb::crypto {
namespace {
using namespace std::chrono_literals;

TEST(Password, HashesVerifyAndDiffer) {
  const auto first = hash_password(Secret("correct horse"));
  const auto second = hash_password(Secret("correct horse"));
  ASSERT_TRUE(first && second);
  EXPECT_NE(*first, *second);
  EXPECT_TRUE(verify_password(*first, Secret("correct horse")));
  EXPECT_FALSE(verify_password(*first, Secret("correct horsf")));
  EXPECT_FALSE(password_outdated(*first));
}

TEST(Password, ReadsBcryptOfTheReferenceAndWantsItReplaced) {
  // Made by golang.org/x/crypto/bcrypt: owner of the example database, see its secrets file.
  const std::string stored = "$2a$10$2sFpDrFeSWNb7MUHxd1rJOyeQwQdn9HREWXKd0gWDa8i4Pbcoh0E6";
  EXPECT_TRUE(is_password_hash(stored));
  EXPECT_TRUE(password_outdated(stored));
  EXPECT_FALSE(verify_password(stored, Secret("wrong")));
  // OpenBSD's test vector, under each prefix.
  for (const char kind : {'a', 'b', 'y'}) {
    std::string vector = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    vector[2] = kind;
    EXPECT_TRUE(verify_password(vector, Secret("U*U"))) << kind;
    EXPECT_FALSE(verify_password(vector, Secret("U*V"))) << kind;
  }
}

TEST(Password, NeverCutsOffAndNeverStopsAtNul) {
  const std::string vector = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  EXPECT_FALSE(verify_password(vector, Secret(std::string("U*U\0x", 5))));
  EXPECT_FALSE(verify_password(vector, Secret(std::string(73, 'x'))));
}

TEST(Password, RefusesFormsItDoesNotKnow) {
  for (const auto* bad :
       {"", "plain", "$1$abc$def", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$argon2id$"}) {
    EXPECT_FALSE(verify_password(bad, Secret("")));
    EXPECT_FALSE(verify_password(bad, Secret("plain")));
  }
  EXPECT_FALSE(is_password_hash("plain"));
}

TEST(Totp, VectorsOfRfc6238) {
  const std::string secret = "12345678901234567890";  // appendix B, last 6 of 8 digits
  const auto at = [](std::int64_t seconds) { return WallTime(std::chrono::seconds(seconds)); };
  EXPECT_EQ(totp_code(secret, totp_counter(at(59))), "287082");
  EXPECT_EQ(totp_code(secret, totp_counter(at(1111111109))), "081804");
  EXPECT_EQ(totp_code(secret, totp_counter(at(2000000000))), "279037");
  EXPECT_EQ(totp_code(secret, totp_counter(at(1234567890))), "005924");
}

TEST(Totp, MatchesOneStepAroundAndSaysWhich) {
  const std::string secret = "12345678901234567890";
  const WallTime now(std::chrono::seconds(1'000'000'015));
  const std::uint64_t middle = totp_counter(now);
  for (const std::uint64_t counter : {middle - 1, middle, middle + 1})
    EXPECT_EQ(match_totp(secret, totp_code(secret, counter), now), counter);
  EXPECT_FALSE(match_totp(secret, totp_code(secret, middle - 2), now));
  EXPECT_FALSE(match_totp(secret, "", now));
}

TEST(Base32, VectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "MY"},
                                                         {"fo", "MZXQ"},
                                                         {"foo", "MZXW6"},
                                                         {"foob", "MZXW6YQ"},
                                                         {"fooba", "MZXW6YTB"},
                                                         {"foobar", "MZXW6YTBOI"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base32(plain), encoded);
    EXPECT_EQ(*from_base32(encoded), plain);
  }
  EXPECT_EQ(*from_base32("mzxw 6ytb oi======"), "foobar");
  EXPECT_FALSE(from_base32("1"));
}

TEST(Hkdf, VectorOfRfc5869) {
  // Test case 3: no salt, no info; the first 32 bytes.
  EXPECT_EQ(to_hex(hkdf_sha256(std::string(22, '\x0b'), "")),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
}

}  // namespace
}  // namespace nb::crypto
