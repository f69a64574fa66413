#include "crypto/field_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace nb::crypto {
namespace {

constexpr std::string_view kKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr FieldPlace kPlace{"users", "email", "u1"};

class ZeroRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override { std::fill(out.begin(), out.end(), 0); }
};

FieldCipher cipher(std::vector<std::string_view> keys,
                   FieldCipher::Form form = FieldCipher::Form::kUpstream) {
  std::vector<Secret> secrets;
  for (const auto key : keys) secrets.emplace_back(std::string(key));
  return *FieldCipher::create(secrets, form);
}

std::string other_key() {
  SeededRandom random(9);
  return std::string(FieldCipher::generate_key(random).reveal());
}

TEST(FieldCipher, WritesUpstreamsForm) {
  ZeroRandom random;
  EXPECT_EQ(cipher({kKey}).seal("a@b.c", kPlace, random),
            "AAAAAAAAAAAAAAAAb/zX8NaATNYPvwTovEefveayylOB");
  EXPECT_EQ(*cipher({kKey}).open("AAAAAAAAAAAAAAAAb/zX8NaATNYPvwTovEefveayylOB", kPlace), "a@b.c");
}

TEST(FieldCipher, OpensARealDatabase) {
  const FieldCipher real = cipher({"bmV0YmlyZC1nb2xkZW4tZXhhbXBsZS1rZXktMDAwMDE="});
  EXPECT_EQ(*real.open("yP5yRAlodb7cMx+3yd0qdlD/K2zgllOhMmRrgEU4deqzMduqJ/c=", kPlace),
            "Adam Admin");
  EXPECT_EQ(*real.open("1t5CX+9+NOaQ66cKf0hWOVwDefc6yj0YduS5A/UMWPlwOJm323yLeTaN9EE=", kPlace),
            "adam@example.org");
}

TEST(FieldCipher, EmptyTextStaysEmpty) {
  SystemRandom random;
  EXPECT_EQ(cipher({kKey}).seal("", kPlace, random), "");
  EXPECT_EQ(*cipher({kKey}).open("", kPlace), "");
  EXPECT_EQ(*cipher({kKey}).open_legacy_cbc(""), "");
  EXPECT_FALSE(cipher({kKey}).outdated("", kPlace));
}

TEST(FieldCipher, EqualTextsDiffer) {
  SystemRandom random;
  const FieldCipher fields = cipher({kKey});
  EXPECT_NE(fields.seal("a@b.c", kPlace, random), fields.seal("a@b.c", kPlace, random));
}

TEST(FieldCipher, EveryChangedDigitIsNoticed) {
  SystemRandom random;
  for (const auto form : {FieldCipher::Form::kUpstream, FieldCipher::Form::kBound}) {
    const FieldCipher fields = cipher({kKey}, form);
    const std::string sealed = fields.seal("somebody", kPlace, random);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
      std::string changed = sealed;
      changed[i] = changed[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(fields.open(changed, kPlace)) << i;
    }
  }
}

TEST(FieldCipher, TextsOfNoFormAreRefused) {
  const FieldCipher fields = cipher({kKey});
  for (const char* text : {"a@b.c", "AAAA", "nb1:", "nb1:0011", "nb1:00112233",
                           "nb1:00112233:", "nb1:00112233:AAAA", "nb1:001122334:AAAA", "===="}) {
    EXPECT_FALSE(fields.open(text, kPlace)) << text;
    EXPECT_TRUE(fields.outdated(text, kPlace)) << text;
  }
}

TEST(FieldCipher, OldKeyStillOpensAndIsReportedAsOutdated) {
  SystemRandom random;
  const std::string fresh = other_key();
  for (const auto form : {FieldCipher::Form::kUpstream, FieldCipher::Form::kBound}) {
    const std::string old_value = cipher({kKey}, form).seal("a@b.c", kPlace, random);
    const FieldCipher both = cipher({fresh, kKey}, form);
    EXPECT_EQ(*both.open(old_value, kPlace), "a@b.c");
    EXPECT_TRUE(both.outdated(old_value, kPlace));
    EXPECT_FALSE(both.outdated(both.seal("a@b.c", kPlace, random), kPlace));
    const auto refused = cipher({fresh}, form).open(old_value, kPlace);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kUnauthenticated);
  }
}

TEST(FieldCipher, BoundValueOpensInItsOwnPlaceOnly) {
  SystemRandom random;
  const FieldCipher fields = cipher({kKey}, FieldCipher::Form::kBound);
  const std::string sealed = fields.seal("a@b.c", kPlace, random);
  EXPECT_EQ(sealed.substr(0, 4), "nb1:");
  EXPECT_EQ(*fields.open(sealed, kPlace), "a@b.c");
  EXPECT_FALSE(fields.open(sealed, {"users", "email", "u2"}));
  EXPECT_FALSE(fields.open(sealed, {"users", "name", "u1"}));
  EXPECT_EQ(*cipher({kKey}).open(sealed, kPlace), "a@b.c") << "either form is read";
  EXPECT_TRUE(cipher({kKey}).outdated(sealed, kPlace));
}

TEST(FieldCipher, LegacyRowsAreRead) {
  EXPECT_EQ(*cipher({kKey}).open_legacy_cbc("21eu/kya+470oh9RXWO7xA=="), "a@b.c");
  EXPECT_EQ(*cipher({other_key(), kKey}).open_legacy_cbc("21eu/kya+470oh9RXWO7xA=="), "a@b.c");
  EXPECT_FALSE(cipher({kKey}).open_legacy_cbc("21eu/kya+470oh9RXWO7"));
  EXPECT_FALSE(cipher({kKey}).open_legacy_cbc("no base64"));
}

TEST(FieldCipher, BadKeysAreRefusedWithoutBeingShown) {
  for (const char* text : {"", "c2hvcnQ=", "not base64 at all, really",
                           "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}) {
    const auto made = FieldCipher::create({Secret(text)});
    ASSERT_FALSE(made) << text;
    EXPECT_EQ(made.error().text, "data-store encryption key: must be standard base64 of 32 bytes");
  }
  EXPECT_FALSE(FieldCipher::create({}));
}

}  // namespace
}  // namespace nb::crypto
