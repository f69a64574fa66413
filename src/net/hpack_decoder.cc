#include "net/hpack_decoder.h"

#include "net/hpack_huffman.h"
#include "net/http2_fields.h"

#include <limits>
#include <utility>

namespace nb::net {

namespace {
// RFC 7541 §6: the first bits of a representation, and those of its number.
constexpr std::uint8_t kIndexed = 0x80;
constexpr std::uint8_t kLiteralKept = 0x40;
constexpr std::uint8_t kSizeUpdate = 0x20;
constexpr unsigned kIndexedPrefix = 7;
constexpr unsigned kKeptPrefix = 6;
constexpr unsigned kSizePrefix = 5;
constexpr unsigned kLiteralPrefix = 4;
constexpr std::uint8_t kHuffman = 0x80;
constexpr unsigned kStringPrefix = 7;
constexpr unsigned kShiftMax = 28;  // RFC 7541 §5.1 asks for a limit: numbers of 32 bits

constexpr std::size_t kRoomStep = 256;
constexpr std::size_t kNameMask = 0x3fff;  // of an entry; no larger one fits into a table

}  // namespace

struct HpackDecoder::Input {
  const std::uint8_t* at;
  const std::uint8_t* end;

  [[nodiscard]] bool empty() const { return at == end; }

  /// RFC 7541 §5.1.
  [[nodiscard]] std::optional<std::uint32_t> number(unsigned prefix) {
    if (empty()) return std::nullopt;
    const std::uint32_t full = (1U << prefix) - 1;
    std::uint64_t value = *at++ & full;
    if (value < full) return static_cast<std::uint32_t>(value);
    for (unsigned shift = 0; shift <= kShiftMax && !empty(); shift += 7) {
      const std::uint8_t byte = *at++;
      value += static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if (value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
      if ((byte & 0x80U) == 0) return static_cast<std::uint32_t>(value);
    }
    return std::nullopt;
  }

  /// RFC 7541 §5.2; appended to `to` when it is in Huffman code, otherwise a part of the input.
  [[nodiscard]] std::optional<std::string_view> string(std::string& to) {
    if (empty()) return std::nullopt;
    const bool huffman = (*at & kHuffman) != 0;
    const auto size = number(kStringPrefix);
    if (!size || *size > static_cast<std::size_t>(end - at)) return std::nullopt;
    const std::span bytes(at, *size);
    at += *size;
    if (!huffman) return std::string_view(reinterpret_cast<const char*>(bytes.data()), *size);
    to.clear();
    if (!hpack::huffman_decode(bytes, to)) return std::nullopt;
    return to;
  }
};

HpackDecoder::Outcome HpackDecoder::decode(std::span<const std::uint8_t> block, HeaderBlock& out,
                                           std::size_t bytes_max) {
  Input in{block.data(), block.data() + block.size()};
  bool begun = false;
  while (!in.empty()) {
    const std::uint8_t first = *in.at;
    bool fine = false;
    if ((first & kIndexed) != 0) {
      fine = indexed(in, out);
    } else if ((first & kLiteralKept) != 0) {
      fine = literal(in, out, kKeptPrefix, true);
    } else if ((first & kSizeUpdate) != 0) {
      const auto size = in.number(kSizePrefix);
      if (begun || !size || !resize(*size)) return Outcome::kBroken;  // §4.2: only at the beginning
      continue;
    } else {
      fine = literal(in, out, kLiteralPrefix, false);
    }
    if (!fine) return Outcome::kBroken;
    if (out.bytes() > bytes_max) return Outcome::kTooLarge;
    begun = true;
  }
  return Outcome::kWhole;
}

bool HpackDecoder::indexed(Input& in, HeaderBlock& out) const {
  const auto index = in.number(kIndexedPrefix);
  if (!index || *index == 0) return false;
  if (*index <= hpack::kStaticFields) {
    const HeaderField& field = hpack::static_field(*index);
    out.add(field.name, field.value);
    return true;
  }
  const Entry* const found = entry(*index);
  if (found == nullptr) return false;
  const std::string_view all = text_;
  out.add(name_of(*found), all.substr(found->at + found->name, found->value));
  if (found->name_fine == 0 || found->value_fine == 0) out.malformed = true;
  return true;
}

bool HpackDecoder::literal(Input& in, HeaderBlock& out, unsigned prefix, bool keep) {
  thread_local std::string name_text;
  thread_local std::string value_text;
  const auto index = in.number(prefix);
  if (!index) return false;
  std::optional<std::string_view> name;
  bool name_fine = true;
  if (*index == 0) {
    name = in.string(name_text);
    if (!name) return false;
    name_fine = http2::well_formed_name(*name);
  } else if (*index <= hpack::kStaticFields) {
    name = hpack::static_field(*index).name;
  } else {
    const Entry* const found = entry(*index);
    if (found == nullptr) return false;
    name = name_of(*found);
    name_fine = found->name_fine != 0;
  }
  const auto value = in.string(value_text);
  if (!value) return false;
  const bool value_fine = http2::well_formed_value(*value);
  out.add(*name, *value);
  if (!name_fine || !value_fine) out.malformed = true;
  // From the copy: the name may stand in what is about to be moved.
  if (keep) insert(out.at(out.size() - 1), name_fine, value_fine);
  return true;
}

// --- the table ---------------------------------------------------------------------------------

const HpackDecoder::Entry* HpackDecoder::entry(std::uint32_t index) const {
  const std::size_t age = index - hpack::kStaticFields - 1;
  return age < entries_.size() - first_ ? &entries_[entries_.size() - 1 - age] : nullptr;
}

std::string_view HpackDecoder::name_of(const Entry& entry) const {
  return std::string_view(text_).substr(entry.at, entry.name);
}

bool HpackDecoder::resize(std::uint32_t bytes) {
  if (bytes > allowed_) return false;
  max_ = bytes;
  evict_to(max_);
  if (entries_.empty()) {
    std::string().swap(text_);
    std::vector<Entry>().swap(entries_);
  }
  return true;
}

void HpackDecoder::evict_to(std::size_t bytes) {
  while (bytes_ > bytes) {
    const Entry& oldest = entries_[first_++];
    bytes_ -= oldest.name + oldest.value + hpack::kEntryOverhead;
  }
  if (first_ < entries_.size()) return;
  entries_.clear();
  text_.clear();
  first_ = 0;
}

void HpackDecoder::insert(const HeaderField& field, bool name_fine, bool value_fine) {
  const std::size_t size = field.name.size() + field.value.size();
  if (size + hpack::kEntryOverhead > max_) return evict_to(0);  // RFC 7541 §4.4
  evict_to(max_ - size - hpack::kEntryOverhead);
  make_room(size);
  entries_.push_back({.at = static_cast<std::uint32_t>(text_.size()),
                      .name = static_cast<std::uint16_t>(field.name.size() & kNameMask),
                      .name_fine = name_fine,
                      .value_fine = value_fine,
                      .value = static_cast<std::uint16_t>(field.value.size())});
  text_.append(field.name);
  text_.append(field.value);
  bytes_ += static_cast<std::uint32_t>(size) + hpack::kEntryOverhead;
}

/// Memory for what is in the table and not much more.
void HpackDecoder::make_room(std::size_t bytes) {
  const bool text_fits = text_.size() + bytes <= text_.capacity();
  if (text_fits && entries_.size() < entries_.capacity()) return;
  if (first_ > 0) {
    const std::uint32_t gone = entries_[first_].at;
    text_.erase(0, gone);
    entries_.erase(entries_.begin(), entries_.begin() + first_);
    first_ = 0;
    for (Entry& entry : entries_) entry.at -= gone;
  }
  const std::size_t wanted = text_.size() + bytes;
  if (wanted > text_.capacity()) {
    std::string larger;  // one that grows would double
    larger.reserve((wanted / kRoomStep + 1) * kRoomStep - 1);
    larger += text_;
    text_ = std::move(larger);
  }
  if (entries_.size() == entries_.capacity()) entries_.reserve(entries_.size() + 8);
}

}  // namespace nb::net
