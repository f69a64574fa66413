#include "stun/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nb::stun {
namespace {

using ::testing::Each;

// RFC 5769 §2.2, §2.3 use this transaction and these addresses.
const TransactionId kId = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

std::vector<std::uint8_t> response_to(const std::string& text) {
  std::array<std::uint8_t, kResponseBytesMax> out{};
  const auto address = net::parse_ip(text);
  EXPECT_TRUE(address);
  const std::size_t size = write_response(out, kId, *address);
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

TEST(StunMessage, AddressesAreHiddenAsInTheRfc) {
  const auto v4 = response_to("192.0.2.1:32853");
  EXPECT_EQ(v4.size(), 40U);
  EXPECT_EQ(std::vector(v4.begin() + 20, v4.begin() + 32),
            (std::vector<std::uint8_t>{0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12,
                                       0xa6, 0x43}));
  const auto v6 = response_to("[2001:db8:1234:5678:11:2233:4455:6677]:32853");
  EXPECT_EQ(v6.size(), 52U);
  EXPECT_EQ(std::vector(v6.begin() + 20, v6.begin() + 44),
            (std::vector<std::uint8_t>{0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47,
                                       0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79,
                                       0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9}));
}

TEST(StunMessage, ResponsesAreReadBack) {
  for (const std::string text : {"192.0.2.1:32853", "[2001:db8::1]:1"}) {
    const auto mapped = parse_response(response_to(text), kId);
    ASSERT_TRUE(mapped) << text;
    EXPECT_EQ(*mapped, *net::parse_ip(text));
    EXPECT_EQ(mapped->port, net::parse_ip(text)->port);
  }
}

TEST(StunMessage, AnyChangedBitOfAResponseIsNoticed) {
  const auto good = response_to("192.0.2.1:32853");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    if (bit / 16 == 16) continue;  // FINGERPRINT under another type is an unknown attribute
    auto bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ 1U << bit % 8);
    EXPECT_FALSE(parse_response(bad, kId)) << bit;
  }
}

TEST(StunMessage, OnlyBindingRequestsAreRequests) {
  const auto plain = make_request(kId);
  EXPECT_EQ(parse_request(plain), kId);
  std::vector<std::uint8_t> with_attributes(plain.begin(), plain.end());
  with_attributes.insert(with_attributes.end(), {0x80, 0x22, 0, 4, 't', 'e', 's', 't'});
  with_attributes[3] = 8;
  EXPECT_EQ(parse_request(with_attributes), kId);

  const auto changed = [&](std::size_t at, std::uint8_t value) {
    auto copy = plain;
    copy[at] = value;
    return parse_request(copy);
  };
  EXPECT_FALSE(parse_request(std::span(plain).first(19)));
  EXPECT_FALSE(changed(0, 1)) << "a response";
  EXPECT_FALSE(changed(1, 3)) << "Allocate";
  EXPECT_FALSE(changed(4, 0)) << "no cookie: RFC 3489";
  EXPECT_FALSE(changed(3, 4)) << "longer than the datagram";
  EXPECT_FALSE(changed(3, 2)) << "not a multiple of four";
  EXPECT_FALSE(parse_request(response_to("192.0.2.1:1"))) << "our own answer";
}

}  // namespace
}  // namespace nb::stun
