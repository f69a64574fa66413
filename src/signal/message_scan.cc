#include "signal/message_scan.h"

#include "base/text.h"

#include <cstdint>
#include <optional>

namespace nb::signal {
namespace {

constexpr std::uint32_t kFieldKey = 2;
constexpr std::uint32_t kFieldRemoteKey = 3;
constexpr std::uint32_t kFieldBody = 4;
constexpr std::uint64_t kFieldNumberMax = (1U << 29U) - 1;
constexpr int kGroupDepthMax = 32;

enum class Wire : std::uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

struct Tag {
  std::uint32_t field = 0;
  Wire wire = Wire::kVarint;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::optional<std::uint64_t> varint(unsigned bytes_max = 10) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes_max && i < rest_.size(); ++i) {
      const auto byte = static_cast<std::uint8_t>(rest_[i]);
      if (i == 9 && byte > 1) return std::nullopt;  // would not fit 64 bits
      value |= static_cast<std::uint64_t>(byte & 0x7fU) << (7 * i);
      if ((byte & 0x80U) == 0) {
        rest_.remove_prefix(i + 1);
        return value;
      }
    }
    return std::nullopt;
  }

  std::optional<Tag> tag() {
    const auto value = varint(5);
    if (!value) return std::nullopt;
    const std::uint64_t field = *value >> 3U;
    const auto wire = static_cast<unsigned>(*value & 7U);
    if (field == 0 || field > kFieldNumberMax || wire > 5) return std::nullopt;
    return Tag{static_cast<std::uint32_t>(field), static_cast<Wire>(wire)};
  }

  std::optional<std::string_view> bytes() {
    const auto size = varint();
    if (!size || *size > rest_.size()) return std::nullopt;
    return take(static_cast<std::size_t>(*size));
  }

  bool skip(Tag tag) {
    switch (tag.wire) {
      case Wire::kVarint:
        return varint().has_value();
      case Wire::kFixed64:
        return take(8).has_value();
      case Wire::kFixed32:
        return take(4).has_value();
      case Wire::kBytes:
        return bytes().has_value();
      case Wire::kGroup:
        return skip_group(tag.field);
      case Wire::kEndGroup:
        return false;  // without its beginning
    }
    return false;
  }

 private:
  std::optional<std::string_view> take(std::size_t size) {
    if (size > rest_.size()) return std::nullopt;
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  bool skip_group(std::uint32_t first) {
    std::uint32_t open[kGroupDepthMax] = {first};
    int depth = 1;
    while (depth > 0) {
      const auto next = tag();
      if (!next) return false;
      if (next->wire == Wire::kGroup) {
        if (depth == kGroupDepthMax) return false;
        open[depth++] = next->field;
      } else if (next->wire == Wire::kEndGroup) {
        if (open[--depth] != next->field) return false;
      } else if (!skip(*next)) {
        return false;
      }
    }
    return true;
  }

  std::string_view rest_;
};

Error malformed(std::string_view what) {
  return fail(Code::kInternal, "error unmarshalling request: {}", what);
}

}  // namespace

Result<MessageView> scan_message(std::string_view bytes) {
  MessageView view;
  Reader reader(bytes);
  while (!reader.at_end()) {
    const auto tag = reader.tag();
    if (!tag) return malformed("invalid field tag");
    const bool known =
        tag->wire == Wire::kBytes &&
        (tag->field == kFieldKey || tag->field == kFieldRemoteKey || tag->field == kFieldBody);
    if (!known) {
      if (!reader.skip(*tag)) return malformed("invalid wire data");
      continue;
    }
    const auto value = reader.bytes();
    if (!value) return malformed("field is longer than the message");
    if (tag->field == kFieldBody) {
      view.body = *value;
      continue;
    }
    if (!is_utf8(*value)) return malformed("string field contains invalid UTF-8");
    (tag->field == kFieldKey ? view.key : view.remote_key) = *value;
  }
  return view;
}

}  // namespace nb::signal
