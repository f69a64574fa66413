#include "load/signal_message.h"

#include "base/assert.h"

#include <fmt/format.h>

#include <cstring>

namespace nb::bench {
namespace {

constexpr std::uint32_t kMagic = 0x62636e6e;

struct Head {
  std::uint32_t magic;
  Stamp stamp;
};

void put_varint(std::string& out, std::size_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

std::optional<std::size_t> take_varint(std::string_view& in) {
  std::size_t value = 0;
  for (unsigned shift = 0; shift < 35 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<std::size_t>(byte & 127) << shift;
    if (byte < 128) return value;
  }
  return std::nullopt;
}

}  // namespace

std::string peer_key(std::uint32_t peer) {
  return fmt::format("bench{:08x}{:A>30}=", peer, "");
}

void write_message(std::string& out, std::string_view from, std::string_view to,
                   std::size_t body_bytes, const Stamp& stamp) {
  NB_ASSERT(body_bytes >= sizeof(Head));
  out.clear();
  out.push_back(0x12);
  put_varint(out, from.size());
  out += from;
  out.push_back(0x1a);
  put_varint(out, to.size());
  out += to;
  out.push_back(0x22);
  put_varint(out, body_bytes);
  const std::size_t at = out.size();
  out.resize(at + body_bytes, '\x5a');
  const Head head{kMagic, stamp};
  std::memcpy(out.data() + at, &head, sizeof head);
}

std::optional<Stamp> read_message(std::string_view message) {
  while (!message.empty()) {
    const unsigned char tag = static_cast<unsigned char>(message.front());
    message.remove_prefix(1);
    const auto size = take_varint(message);
    if ((tag & 7) != 2 || !size || *size > message.size()) return std::nullopt;
    if (tag == 0x22) {
      Head head{};
      if (*size < sizeof head) return std::nullopt;
      std::memcpy(&head, message.data(), sizeof head);
      if (head.magic != kMagic) return std::nullopt;
      return head.stamp;
    }
    message.remove_prefix(*size);
  }
  return std::nullopt;
}

}  // namespace nb::bench
