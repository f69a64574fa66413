#include "signal/bus_codec.h"

#include <optional>
#include <utility>

namespace nb::signal {
namespace {

constexpr std::size_t kInstanceIdBytesMax = 128;
constexpr std::uint8_t kOutcomeMax = static_cast<std::uint8_t>(Outcome::kGone);

void put_number(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80U));
    value >>= 7U;
  }
  out.push_back(static_cast<char>(value));
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out.append(text);
}

class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  std::optional<std::uint8_t> byte() {
    if (rest_.empty()) return std::nullopt;
    const auto value = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::optional<std::uint64_t> number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto next = byte();
      if (!next || (shift == 63 && *next > 1)) return std::nullopt;
      value |= static_cast<std::uint64_t>(*next & 0x7fU) << shift;
      if ((*next & 0x80U) == 0) return value;
    }
    return std::nullopt;
  }
  std::optional<std::string_view> text() {
    const auto size = number();
    if (!size || *size > rest_.size()) return std::nullopt;
    const auto value = rest_.substr(0, static_cast<std::size_t>(*size));
    rest_.remove_prefix(static_cast<std::size_t>(*size));
    return value;
  }

 private:
  std::string_view rest_;
};

std::optional<BusRecord> read_record(Reader& in) {
  const auto kind = in.byte();
  const auto id = kind ? in.number() : std::nullopt;
  if (!id) return std::nullopt;
  BusRecord record{.id = *id};
  switch (*kind) {
    case static_cast<std::uint8_t>(RecordKind::kForward): {
      record.kind = RecordKind::kForward;
      const auto message = in.text();
      if (!message) return std::nullopt;
      record.message = *message;
      return record;
    }
    case static_cast<std::uint8_t>(RecordKind::kAnswer): {
      record.kind = RecordKind::kAnswer;
      const auto outcome = in.byte();
      if (!outcome || *outcome > kOutcomeMax) return std::nullopt;
      record.outcome = static_cast<Outcome>(*outcome);
      return record;
    }
    case static_cast<std::uint8_t>(RecordKind::kEvict): {
      record.kind = RecordKind::kEvict;
      const auto peer = in.text();
      const auto token = peer ? in.text() : std::nullopt;
      if (!token || peer->empty()) return std::nullopt;
      record.peer = *peer;
      record.token = *token;
      return record;
    }
    case static_cast<std::uint8_t>(RecordKind::kArrived): {
      record.kind = RecordKind::kArrived;
      const auto peer = in.text();
      if (!peer || peer->empty() || record.id != 0) return std::nullopt;
      record.peer = *peer;
      return record;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace

BusWriter::BusWriter(std::string_view from) : from_(from) {}

void BusWriter::begin() {
  ++records_;
  if (!out_.empty()) return;
  out_.push_back(static_cast<char>(kBusVersion));
  put_text(out_, from_);
}

void BusWriter::forward(std::uint64_t id, std::string_view message) {
  begin();
  out_.push_back(static_cast<char>(RecordKind::kForward));
  put_number(out_, id);
  put_text(out_, message);
}

void BusWriter::answer(std::uint64_t id, Outcome outcome) {
  begin();
  out_.push_back(static_cast<char>(RecordKind::kAnswer));
  put_number(out_, id);
  out_.push_back(static_cast<char>(outcome));
}

void BusWriter::evict(std::uint64_t id, std::string_view peer, std::string_view token) {
  begin();
  out_.push_back(static_cast<char>(RecordKind::kEvict));
  put_number(out_, id);
  put_text(out_, peer);
  put_text(out_, token);
}

void BusWriter::arrived(std::string_view peer) {
  begin();
  out_.push_back(static_cast<char>(RecordKind::kArrived));
  put_number(out_, 0);
  put_text(out_, peer);
}

std::string BusWriter::take() {
  records_ = 0;
  return std::exchange(out_, {});
}

Result<BusBatch> decode_bus(std::string_view payload) {
  const auto bad = [](std::string_view what) {
    return fail(Code::kInvalidArgument, "bus message: {}", what);
  };
  Reader in(payload);
  const auto version = in.byte();
  if (!version) return bad("empty");
  if (*version != kBusVersion)
    return fail(Code::kUnimplemented, "bus message: version {}", *version);
  const auto from = in.text();
  if (!from || from->empty() || from->size() > kInstanceIdBytesMax) return bad("no sender");
  BusBatch batch{.from = *from, .records = {}};
  while (!in.at_end()) {
    if (batch.records.size() == kBusRecordsMax) return bad("too many records");
    const auto record = read_record(in);
    if (!record) return bad("record cut or of unknown kind");
    batch.records.push_back(*record);
  }
  if (batch.records.empty()) return bad("no records");
  return batch;
}

}  // namespace nb::signal
