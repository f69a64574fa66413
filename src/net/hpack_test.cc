// HPACK of ours beside the examples of RFC 7541 and nghttp2's.
#include "net/hpack_decoder.h"
#include "net/hpack_encoder.h"
#include "net/hpack_huffman.h"
#include "net/nghttp2_hpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace nb::net {
namespace {
using testing::Deflater;
using testing::Fields;
using testing::Inflater;
using Outcome = HpackDecoder::Outcome;

std::string unhex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  return out;
}

std::span<const std::uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Fields listed(const HeaderBlock& block) {
  Fields out;
  for (std::size_t i = 0; i < block.size(); ++i)
    out.emplace_back(std::string(block.at(i).name), std::string(block.at(i).value));
  return out;
}

/// Nothing: the block was refused.
std::optional<Fields> decoded(HpackDecoder& decoder, const std::string& block) {
  HeaderBlock out;
  if (decoder.decode(bytes(block), out, 1'000'000) != Outcome::kWhole) return std::nullopt;
  return listed(out);
}

std::optional<Fields> decoded_alone(std::string_view hex) {
  HpackDecoder decoder(hpack::kDefaultTable);
  return decoded(decoder, unhex(hex));
}

const Fields kFirst{
    {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "www.example.com"}};
const Fields kSecond{{":method", "GET"},
                     {":scheme", "http"},
                     {":path", "/"},
                     {":authority", "www.example.com"},
                     {"cache-control", "no-cache"}};
const Fields kThird{{":method", "GET"},
                    {":scheme", "https"},
                    {":path", "/index.html"},
                    {":authority", "www.example.com"},
                    {"custom-key", "custom-value"}};

TEST(HpackDecoder, ReadsTheRequestsOfTheRfcWithoutHuffman) {  // RFC 7541 §C.3
  HpackDecoder decoder(hpack::kDefaultTable);
  EXPECT_EQ(decoded(decoder, unhex("828684410f7777772e6578616d706c652e636f6d")), kFirst);
  EXPECT_EQ(decoded(decoder, unhex("828684be58086e6f2d6361636865")), kSecond);
  EXPECT_EQ(decoded(decoder, unhex("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565")),
            kThird);
}

TEST(HpackDecoder, ReadsTheRequestsOfTheRfcWithHuffman) {  // RFC 7541 §C.4
  HpackDecoder decoder(hpack::kDefaultTable);
  EXPECT_EQ(decoded(decoder, unhex("828684418cf1e3c2e5f23a6ba0ab90f4ff")), kFirst);
  EXPECT_EQ(decoded(decoder, unhex("828684be5886a8eb10649cbf")), kSecond);
  EXPECT_EQ(decoded(decoder, unhex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf")), kThird);
}

TEST(HpackDecoder, RefusesWhatIsNoHeaderBlock) {
  EXPECT_EQ(decoded_alone("80"), std::nullopt) << "index 0";
  EXPECT_EQ(decoded_alone("be"), std::nullopt) << "an entry that is not there";
  EXPECT_EQ(decoded_alone("ff"), std::nullopt) << "a number that is cut off";
  EXPECT_EQ(decoded_alone("ffffffffffff00"), std::nullopt) << "a number without end";
  EXPECT_EQ(decoded_alone("400161"), std::nullopt) << "no value";
  EXPECT_EQ(decoded_alone("4003616100"), std::nullopt) << "a name longer than the block";
  EXPECT_EQ(decoded_alone("7f80016100"), std::nullopt) << "the name of an entry that is not there";
  EXPECT_EQ(decoded_alone("8220"), std::nullopt) << "an update of the size behind a field";
  EXPECT_EQ(decoded_alone("3fe21f"), std::nullopt) << "a table of 4,097 bytes";
}

TEST(HpackDecoder, TheTablesSizeMayChangeMoreThanOnceAtTheBeginning) {
  HpackDecoder decoder(hpack::kDefaultTable);
  EXPECT_EQ(decoded(decoder, unhex("400161013140016201"
                                   "32")),
            (Fields{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(decoded(decoder, unhex("bf")), (Fields{{"a", "1"}}));
  EXPECT_EQ(decoded(decoder, unhex("20"
                                   "3fe11f"
                                   "82")),
            (Fields{{":method", "GET"}}));
  EXPECT_EQ(decoded(decoder, unhex("be")), std::nullopt) << "emptied";
}

TEST(HpackDecoder, AFieldLargerThanTheTableEmptiesIt) {  // RFC 7541 §4.4
  HpackDecoder decoder(hpack::kDefaultTable);
  EXPECT_EQ(decoded(decoder, unhex("3f21"
                                   "4001610131")),
            (Fields{{"a", "1"}}));  // of 64 bytes
  EXPECT_EQ(decoded(decoder, unhex("be")), (Fields{{"a", "1"}}));
  const std::string large(40, 'x');
  EXPECT_EQ(decoded(decoder, unhex("400162") + '\x28' + large), (Fields{{"b", large}}));
  EXPECT_EQ(decoded(decoder, unhex("be")), std::nullopt);
}

TEST(HpackDecoder, ANameOutOfTheEntryThatMustGoForItIsUnderstood) {  // RFC 7541 §4.4
  HpackDecoder decoder(hpack::kDefaultTable);
  EXPECT_EQ(decoded(decoder, unhex("3f09"
                                   "40056e616d65310131")),
            (Fields{{"name1", "1"}}));  // 40
  EXPECT_EQ(decoded(decoder, unhex("7e023232")), (Fields{{"name1", "22"}}));
  EXPECT_EQ(decoded(decoder, unhex("be")), (Fields{{"name1", "22"}}));
}

TEST(HpackDecoder, ABlockThatGrowsBeyondItsLimitIsNotReadToItsEnd) {
  HpackDecoder decoder(hpack::kDefaultTable);
  HeaderBlock out;
  std::string block = unhex("40016164") + std::string(100, 'v');
  for (int i = 0; i < 1'000; ++i) block += '\xbe';
  EXPECT_EQ(decoder.decode(bytes(block), out, 1'000), Outcome::kTooLarge);
  EXPECT_LT(out.bytes(), 1'200U);
}

TEST(HpackDecoder, SaysWhenANameOrAValueIsNone) {
  const auto malformed = [](const std::string& hex) {
    HpackDecoder decoder(hpack::kDefaultTable);
    HeaderBlock once;
    EXPECT_EQ(decoder.decode(bytes(unhex(hex)), once, 1'000), Outcome::kWhole);
    HeaderBlock again;  // from the table
    EXPECT_EQ(decoder.decode(bytes(unhex("be")), again, 1'000), Outcome::kWhole);
    EXPECT_EQ(once.malformed, again.malformed);
    return once.malformed;
  };
  EXPECT_FALSE(malformed("4001610131"));
  EXPECT_FALSE(malformed("4001610109")) << "a tab";
  EXPECT_TRUE(malformed("4001410131")) << "a capital letter";
  EXPECT_TRUE(
      malformed("400131"
                "010a"))
      << "a line feed";
  EXPECT_TRUE(malformed("4001610100")) << "a zero";
  EXPECT_TRUE(malformed("40000131")) << "no name";
  EXPECT_TRUE(malformed("40013a0131")) << "only a colon";
}

// Behind a proxy the name is somebody else's as well.
TEST(HpackDecoder, AWrongValueDoesNotSpoilItsName) {
  HpackDecoder decoder(hpack::kDefaultTable);
  HeaderBlock wrong;
  EXPECT_EQ(decoder.decode(bytes(unhex("4001610100")), wrong, 1'000), Outcome::kWhole);
  EXPECT_TRUE(wrong.malformed);
  HeaderBlock right;
  EXPECT_EQ(decoder.decode(bytes(unhex("0f2f0131")), right, 1'000), Outcome::kWhole);
  EXPECT_EQ(listed(right), (Fields{{"a", "1"}}));
  EXPECT_FALSE(right.malformed);
}

/// Fields as of agents and browsers, and some that are large, so that tables turn over.
Fields random_fields(std::mt19937& random) {
  static const Fields kKnown{{":method", "POST"},
                             {":path", "/signalexchange.SignalExchange/Send"},
                             {":authority", "127.0.0.1:10000"},
                             {"content-type", "application/grpc"},
                             {"te", "trailers"},
                             {"user-agent", "grpc-go/1.64.1"}};
  Fields out;
  for (std::size_t i = random() % 12; i > 0; --i) {
    if (random() % 2 == 0) {
      out.push_back(kKnown[random() % kKnown.size()]);
      continue;
    }
    std::string value(random() % (random() % 8 == 0 ? 600 : 12), '\0');
    for (char& c : value) c = static_cast<char>(random());
    out.emplace_back("x-" + std::to_string(random() % 20), std::move(value));
  }
  return out;
}

TEST(HpackDecoder, UnderstandsAnotherImplementationForTenThousandBlocks) {
  for (const std::size_t limit : {4'096, 1'024, 200, 0}) {
    std::mt19937 random(static_cast<unsigned>(limit) + 1);
    Deflater deflater;
    HpackDecoder decoder(hpack::kDefaultTable);
    if (limit < hpack::kDefaultTable) deflater.limit(limit);
    for (int i = 0; i < 2'500; ++i) {
      const Fields fields = random_fields(random);
      ASSERT_EQ(decoded(decoder, deflater.block(fields)), fields) << limit << " block " << i;
      if (i % 500 == 499) deflater.limit(random() % 4'097);
    }
  }
}

TEST(HpackHuffman, ReadsEveryByte) {
  Deflater deflater;
  for (int value = 0; value < 256; ++value) {
    // Short codes around it, so that Huffman code is the shorter one and is used.
    const std::string text = std::string(40, 'e') + static_cast<char>(value) + std::string(3, 'a');
    HpackDecoder decoder(hpack::kDefaultTable);
    const std::string block = deflater.block({{"x", text}});
    ASSERT_LT(block.size(), text.size()) << value;
    deflater.limit(0);  // nothing may be remembered
    HeaderBlock out;
    ASSERT_EQ(decoder.decode(bytes(block), out, 1'000), Outcome::kWhole) << value;
    EXPECT_EQ(out.at(0).value, text) << value;
  }
}

TEST(HpackHuffman, RefusesWrongPaddingAndTheSymbolOfTheEnd) {  // RFC 7541 §5.2
  const auto reads = [](std::string_view hex) {
    std::string out;
    return hpack::huffman_decode(bytes(unhex(hex)), out);
  };
  EXPECT_TRUE(reads(""));
  EXPECT_TRUE(reads("1f")) << "a and three ones";
  EXPECT_FALSE(reads("18")) << "a and three zeros";
  EXPECT_FALSE(reads("1fff")) << "eleven ones";
  EXPECT_FALSE(reads("ff")) << "eight ones";
  EXPECT_FALSE(reads("fffffffc")) << "the end, written out";
  EXPECT_FALSE(reads("ffffffff"));
}

// --- encoder -----------------------------------------------------------------------------------

const std::vector<Fields> kAnswers{
    {{":status", "200"}, {"content-type", "application/grpc"}},
    {{"grpc-status", "0"}},
    {{":status", "200"}, {"content-type", "application/grpc"}, {"grpc-encoding", "gzip"}},
    {{":status", "200"},
     {"content-type", "application/grpc"},
     {"grpc-status", "5"},
     {"grpc-message", "not found"}},
    {{":status", "418"},
     {"content-length", "12"},
     {"set-cookie", "a=b"},
     {"x-own", std::string(300, 'v')}},
    {{":status", "404"}, {"content-type", "application/json; charset=UTF-8"}},
    {{"grpc-accept-encoding", "identity,gzip"}, {"grpc-status", "12"}},
};

std::string encoded(HpackEncoder& encoder, const Fields& fields) {
  std::vector<HeaderField> views;
  for (const auto& [name, value] : fields) views.push_back({name, value});
  std::string out;
  encoder.encode(views, out);
  return out;
}

TEST(HpackEncoder, IsUnderstoodByAnotherImplementationInAnyOrder) {
  std::mt19937 random(7);
  HpackEncoder encoder;
  Inflater inflater;
  for (int i = 0; i < 2'000; ++i) {
    const Fields& fields = kAnswers[random() % kAnswers.size()];
    ASSERT_EQ(inflater.fields(encoded(encoder, fields)), fields) << i;
  }
}

TEST(HpackEncoder, ACallAnsweredBeforeCostsThreeBytes) {
  HpackEncoder encoder;
  encoded(encoder, kAnswers[0]);
  encoded(encoder, kAnswers[1]);
  EXPECT_EQ(encoded(encoder, kAnswers[0]).size() + encoded(encoder, kAnswers[1]).size(), 3U);
}

TEST(HpackEncoder, KeepsToTheTableOfThePeerFromTheNextBlockOn) {
  for (const std::uint32_t limit : {0U, 30U, 100U, 500U, 1'024U, 4'095U}) {
    HpackEncoder encoder;
    Inflater inflater;
    for (const Fields& fields : kAnswers)
      ASSERT_EQ(inflater.fields(encoded(encoder, fields)), fields);
    // nghttp2 refuses a block that does not begin with the new size.
    inflater.limit(limit);
    encoder.limit(limit);
    for (int round = 0; round < 2; ++round)
      for (const Fields& fields : kAnswers)
        ASSERT_EQ(inflater.fields(encoded(encoder, fields)), fields) << limit;
    inflater.limit(4'096);
    encoder.limit(4'096);
    for (const Fields& fields : kAnswers)
      ASSERT_EQ(inflater.fields(encoded(encoder, fields)), fields) << limit;
  }
}

TEST(HpackEncoder, ProxiesAreToldNotToRememberSecrets) {  // RFC 7541 §7.1.3
  HpackEncoder encoder;
  const auto first = static_cast<std::uint8_t>(encoded(encoder, {{"set-cookie", "a=b"}})[0]);
  EXPECT_EQ(first & 0xf0, 0x10);
}

}  // namespace
}  // namespace nb::net
