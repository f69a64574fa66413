#include "load/hpack_encoder.h"

#include "base/assert.h"

#include <nghttp2/nghttp2.h>

#include <array>

namespace nb::bench {
namespace {

struct Known {
  std::string_view name;
  std::uint8_t name_index;  // in the static table; 0: none
};
constexpr std::array<Known, static_cast<std::size_t>(Field::kCount)> kKnown{{
    {":authority", 1},
    {":path", 4},
    {"content-type", 31},
    {"user-agent", 58},
    {"te", 0},
    {"grpc-timeout", 0},
    {"x-wiretrustee-peer-id", 0},
}};
constexpr std::size_t kStaticEntries = 61;
constexpr std::string_view kContentType = "application/grpc";
constexpr std::string_view kUserAgent = "grpc-go/1.80.0";
constexpr std::string_view kTe = "trailers";

const Known& known(Field field) {
  return kKnown[static_cast<std::size_t>(field)];
}

void put_int(std::string& out, unsigned prefix_bits, unsigned flags, std::size_t value) {
  const std::size_t limit = (std::size_t{1} << prefix_bits) - 1;
  if (value < limit) {
    out.push_back(static_cast<char>(flags | value));
    return;
  }
  out.push_back(static_cast<char>(flags | limit));
  for (value -= limit; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

struct Constants {
  explicit Constants(bool huffman)
      : content_type(hpack_string(kContentType, huffman)),
        user_agent(hpack_string(kUserAgent, huffman)),
        te(hpack_string(kTe, huffman)) {
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = hpack_string(kKnown[i].name, huffman);
  }
  std::string content_type;
  std::string user_agent;
  std::string te;
  std::array<std::string, static_cast<std::size_t>(Field::kCount)> names;
};

const Constants& constants(bool huffman) {
  static const Constants kCoded(true);
  static const Constants kPlain(false);
  return huffman ? kCoded : kPlain;
}

/// "9999812u": RFC 7541 appendix B gives 0, 1, 2 five bits and the other digits and 'u' six.
std::string timeout_string(std::uint64_t us, bool huffman) {
  std::string text = std::to_string(us) + "u";
  if (!huffman) return hpack_string(text, false);
  std::uint64_t bits = 0;
  unsigned count = 0;
  std::string coded;
  const auto add = [&](std::uint64_t code, unsigned length) {
    bits = bits << length | code;
    count += length;
    for (; count >= 8; count -= 8) coded.push_back(static_cast<char>(bits >> (count - 8)));
  };
  for (const char c : text) {
    const auto digit = static_cast<unsigned>(c - '0');
    if (c == 'u') {
      add(0x2d, 6);
    } else if (digit < 3) {
      add(digit, 5);
    } else {
      add(0x19 + digit - 3, 6);
    }
  }
  if (count > 0) coded.push_back(static_cast<char>(bits << (8 - count) | (0xffU >> count)));
  std::string out;
  put_int(out, 7, 0x80, coded.size());
  return out + coded;
}

}  // namespace

std::string hpack_string(std::string_view text, bool huffman) {
  std::string plain;
  put_int(plain, 7, 0, text.size());
  plain += text;
  if (!huffman) return plain;
  // The library has the Huffman code but no function for it: take the value out of a literal.
  std::string name = "n";
  std::string value(text);
  nghttp2_nv pair{};
  pair.name = reinterpret_cast<std::uint8_t*>(name.data());
  pair.namelen = name.size();
  pair.value = reinterpret_cast<std::uint8_t*>(value.data());
  pair.valuelen = value.size();
  pair.flags = NGHTTP2_NV_FLAG_NO_INDEX;
  nghttp2_hd_deflater* deflater = nullptr;
  NB_ASSERT(nghttp2_hd_deflate_new(&deflater, 0) == 0);
  std::string block(nghttp2_hd_deflate_bound(deflater, &pair, 1) + 16, '\0');
  const auto size = nghttp2_hd_deflate_hd(deflater, reinterpret_cast<std::uint8_t*>(block.data()),
                                          block.size(), &pair, 1);
  nghttp2_hd_deflate_del(deflater);
  NB_ASSERT(size > 0);
  block.resize(static_cast<std::size_t>(size));
  // [table size update] literal-never-indexed, name of one byte ("n", plain or Huffman), value.
  std::size_t at = 0;
  while ((static_cast<unsigned char>(block[at]) & 0xe0) == 0x20) ++at;
  NB_ASSERT(static_cast<unsigned char>(block[at]) == 0x10);
  return block.substr(at + 3);
}

HpackEncoder::HpackEncoder(std::string_view authority, bool plain)
    : plain_(plain),
      authority_(hpack_string(authority, !plain)),
      authority_size_(authority.size()) {}

EncodedCall HpackEncoder::make_call(std::string_view path, std::size_t path_slot,
                                    std::string_view peer_id, bool timeout, bool plain) {
  NB_ASSERT(path_slot < kPathsMax);
  EncodedCall call;
  call.path_slot = path_slot;
  call.path = hpack_string(path, !plain);
  call.path_size = path.size();
  if (!peer_id.empty()) call.peer_id = hpack_string(peer_id, !plain);
  call.peer_id_size = peer_id.size();
  call.timeout = timeout;
  return call;
}

void HpackEncoder::limit_table(std::size_t bytes) {
  const std::size_t wanted = bytes < 4096 ? bytes : 4096;
  if (wanted == max_) return;
  max_ = wanted;
  evict_to(max_);
  announce_max_ = true;
}

void HpackEncoder::encode(std::string& out, const EncodedCall& call, std::uint64_t timeout_us) {
  if (announce_max_) put_int(out, 5, 0x20, max_);
  announce_max_ = false;
  const Constants& fixed = constants(!plain_);
  out.push_back(static_cast<char>(0x80 | 3));  // :method POST
  out.push_back(static_cast<char>(0x80 | 6));  // :scheme http
  const auto slot = [](Field f) { return static_cast<std::size_t>(f); };
  field(out, Field::kPath, slot(Field::kCount) + call.path_slot, call.path, call.path_size);
  field(out, Field::kAuthority, slot(Field::kAuthority), authority_, authority_size_);
  field(out, Field::kContentType, slot(Field::kContentType), fixed.content_type,
        kContentType.size());
  field(out, Field::kUserAgent, slot(Field::kUserAgent), fixed.user_agent, kUserAgent.size());
  field(out, Field::kTe, slot(Field::kTe), fixed.te, kTe.size());
  if (call.timeout)
    field(out, Field::kTimeout, slot(Field::kTimeout), timeout_string(timeout_us, !plain_), 8);
  if (!call.peer_id.empty())
    field(out, Field::kPeerId, slot(Field::kPeerId), call.peer_id, call.peer_id_size);
}

std::size_t HpackEncoder::table_index(std::size_t slot) const {
  const std::uint64_t at = newest_[slot];
  if (at == 0 || inserted_ - at >= entries_.size()) return 0;
  return kStaticEntries + 1 + static_cast<std::size_t>(inserted_ - at);
}

void HpackEncoder::field(std::string& out, Field name, std::size_t slot, std::string_view value,
                         std::size_t value_size) {
  const std::size_t index = table_index(slot);
  const bool changes = name == Field::kTimeout || name == Field::kPeerId;
  if (index != 0 && !changes) {
    put_int(out, 7, 0x80, index);
    return;
  }
  const Known& field = known(name);
  const std::size_t name_index = field.name_index != 0 ? field.name_index : index;
  const std::size_t bytes = field.name.size() + value_size + 32;
  const bool indexed = bytes <= max_;
  put_int(out, indexed ? 6 : 4, indexed ? 0x40 : 0, name_index);
  if (name_index == 0) out += constants(!plain_).names[static_cast<std::size_t>(name)];
  out += value;
  if (!indexed) return;
  evict_to(max_ - bytes);
  entries_.push_front(bytes);
  bytes_ += bytes;
  newest_[slot] = ++inserted_;
}

void HpackEncoder::evict_to(std::size_t bytes) {
  while (bytes_ > bytes) {
    bytes_ -= entries_.back();
    entries_.pop_back();
  }
}

}  // namespace nb::bench
