#include "net/hpack_encoder.h"

#include <algorithm>

namespace nb::net {

namespace {
constexpr std::array<HeaderField, HpackEncoder::kKept> kKeptFields{{
    {"content-type", "application/grpc"},
    {"grpc-status", "0"},
    {"grpc-encoding", "gzip"},
    {"grpc-accept-encoding", "identity,gzip"},
    {"content-type", "application/json; charset=UTF-8"},
}};

constexpr std::uint32_t table_needed() {
  std::size_t sum = 0;
  for (const HeaderField& field : kKeptFields)
    sum += field.name.size() + field.value.size() + hpack::kEntryOverhead;
  return static_cast<std::uint32_t>(sum);
}

/// Our own answers' statuses; any other has its name from the table.
constexpr std::uint32_t kStatus200 = 8;

void put_number(std::string& out, std::uint8_t first, unsigned prefix, std::size_t value) {
  const std::size_t full = (std::size_t{1} << prefix) - 1;
  if (value < full) {
    out.push_back(static_cast<char>(first | value));
    return;
  }
  out.push_back(static_cast<char>(first | full));
  for (value -= full; value >= 0x80; value >>= 7)
    out.push_back(static_cast<char>(0x80 | (value & 0x7f)));
  out.push_back(static_cast<char>(value));
}

void put_string(std::string& out, std::string_view text) {
  put_number(out, 0, 7, text.size());
  out += text;
}

/// RFC 7541 §6.2: `first` says whether it enters the table, `prefix` has the bits for its name.
void put_literal(std::string& out, const HeaderField& field, std::uint8_t first, unsigned prefix) {
  const std::uint32_t name = hpack::static_name(field.name);
  put_number(out, first, prefix, name);
  if (name == 0) put_string(out, field.name);
  put_string(out, field.value);
}

/// RFC 7541 §7.1.3: no proxy may put it into a table either.
bool secret(std::string_view name) {
  return name == "set-cookie" || name == "authorization";
}
}  // namespace

void HpackEncoder::limit(std::uint32_t bytes) {
  if (bytes >= size_) return;
  size_ = bytes >= table_needed() ? static_cast<std::uint16_t>(bytes) : 0;
  announce_ = true;  // RFC 7541 §4.2
  if (size_ > 0) return;
  entered_ = {};
  count_ = 0;
}

void HpackEncoder::encode(std::span<const HeaderField> fields, std::string& out) {
  if (announce_) {
    put_number(out, 0x20, 5, size_);
    announce_ = false;
  }
  for (const HeaderField& field : fields) encode(field, out);
}

void HpackEncoder::encode(const HeaderField& field, std::string& out) {
  if (field.name == ":status" && field.value == "200") return put_number(out, 0x80, 7, kStatus200);
  if (size_ > 0) {
    for (std::size_t i = 0; i < kKept; ++i) {
      if (field.value != kKeptFields[i].value || field.name != kKeptFields[i].name) continue;
      if (entered_[i] > 0)
        return put_number(out, 0x80, 7, hpack::kStaticFields + 1U + count_ - entered_[i]);
      entered_[i] = ++count_;
      return put_literal(out, field, 0x40, 6);
    }
  }
  if (const std::uint32_t index = hpack::static_match(field); index > 0)
    return put_number(out, 0x80, 7, index);
  put_literal(out, field, secret(field.name) ? 0x10 : 0, 4);
}

}  // namespace nb::net
