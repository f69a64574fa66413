#include "management/app/identity_provider.h"

#include <gtest/gtest.h>

namespace nb::management {
namespace {

TEST(IdpSubject, EncodesTheVectorsOfTheContract) {
  const auto check = [](const char* user, const char* connector, const char* encoded) {
    EXPECT_EQ(encode_subject({user, connector}).value(), encoded);
    EXPECT_EQ(decode_subject(encoded), (IdpSubject{user, connector}));
  };
  check("7aad8c05-3287-473f-b42a-365504bf25e7", "local",
        "CiQ3YWFkOGMwNS0zMjg3LTQ3M2YtYjQyYS0zNjU1MDRiZjI1ZTcSBWxvY2Fs");
  check("00u1a2b3c4d5", "okta-d5p7eedra0h0lt6f59hg",
        "CgwwMHUxYTJiM2M0ZDUSGW9rdGEtZDVwN2VlZHJhMGgwbHQ2ZjU5aGc");
  check("a~?>b", "oidc1", "CgVhfj8-YhIFb2lkYzE");
  const std::string large(130, 'x');
  const std::string encoded = encode_subject({large, "oidc1"}).value();
  EXPECT_TRUE(encoded.starts_with("CoIBeHh4")) << encoded;
  EXPECT_EQ(decode_subject(encoded)->user_id, large);
}

TEST(IdpSubject, DecodesBothAlphabetsAndPadding) {
  EXPECT_EQ(decode_subject("CgVhfj8+YhIFb2lkYzE=")->user_id, "a~?>b");
}

TEST(IdpSubject, RefusesWhatIsNotAPair) {
  for (const auto* bad : {"", "x", "auth0|123", "CgA", "CgFhEgA", "CgFhEgFiAA", "CgFh", "EgFiCgFh"})
    EXPECT_FALSE(decode_subject(bad)) << bad;
}

TEST(IdpPassword, RulesOfLengthAndClass) {
  const auto ok = [](std::string text, PasswordRule rule) {
    return check_password(Secret(std::move(text)), rule).has_value();
  };
  EXPECT_FALSE(ok("1234567", PasswordRule::kLength));
  EXPECT_TRUE(ok("12345678", PasswordRule::kLength));
  EXPECT_TRUE(ok(std::string(72, 'a'), PasswordRule::kLength));
  EXPECT_FALSE(ok(std::string(73, 'a'), PasswordRule::kLength));
  EXPECT_FALSE(ok(std::string("1234\0"
                              "678",
                              8),
                  PasswordRule::kLength));
  EXPECT_TRUE(ok("Passw0rd!", PasswordRule::kComplex));
  EXPECT_FALSE(ok("passw0rd!", PasswordRule::kComplex));
  EXPECT_FALSE(ok("Password!", PasswordRule::kComplex));
  EXPECT_FALSE(ok("Passw0rdd", PasswordRule::kComplex));
  EXPECT_FALSE(ok("Passw0rd\xc3\xa4", PasswordRule::kComplex));
}

TEST(IdpPassword, ClassesAreThoseOfUnicode) {  // contract/auth-idp.md §3.1
  const auto missing = [](std::string text) {
    const auto good = check_password(Secret(std::move(text)), PasswordRule::kComplex);
    return good ? std::string()
                : good.error().text.substr(std::string("password must contain ").size());
  };
  EXPECT_EQ(missing("\u00dcberpass1!"), "");  // Ü is an upper-case letter
  EXPECT_EQ(missing("\u041f\u0430\u0440\u043e\u043b\u044c1\u2116"), "");  // Пароль1№
  EXPECT_EQ(missing("Password\u0663!"), "");                              // ٣ is a digit
  EXPECT_EQ(missing("Passw0rd\u20ac"), "");                               // € is neither
  EXPECT_EQ(missing("Passw0rd\U0001f511"), "");  // a key, beyond the basic plane
  EXPECT_EQ(missing("Passw0rd\u0301"), "");      // a combining mark is no letter
  EXPECT_EQ(missing("Passw0rd\u6f22"), "at least one special character");
  EXPECT_EQ(missing("\u00fcberpass1!"), "at least one uppercase letter");
  EXPECT_EQ(missing("\u01c5passw0rd!"), "at least one uppercase letter");  // ǅ is titlecase
  EXPECT_EQ(missing("Password\u00bd!"), "at least one digit");  // ½ is a number, no digit
  EXPECT_EQ(missing("Passw0rd\xff"), "") << "what is no UTF-8 counts as a symbol";
}

}  // namespace
}  // namespace nb::management
