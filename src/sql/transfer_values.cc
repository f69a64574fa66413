#include "sql/transfer_values.h"

#include "base/text.h"
#include "crypto/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <utility>

namespace nb::sql::values {
namespace {

/// Without the time of day's fraction beyond PostgreSQL's microseconds.
std::optional<WallTime> microseconds(std::string_view text) {
  const auto time = parse_time(text);
  if (!time) return std::nullopt;
  return std::chrono::floor<std::chrono::microseconds>(*time);
}

/// "0001-01-01 00:00:00+00:00": outside of what parse_time() takes, but PostgreSQL does.
bool far_time(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd?dd:dd:dd";
  if (text.size() < kShape.size()) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    const bool good = kShape[i] == 'd'   ? digit
                      : kShape[i] == '?' ? text[i] == ' ' || text[i] == 'T'
                                         : text[i] == kShape[i];
    if (!good) return false;
  }
  const std::string_view zone = text.substr(kShape.size());
  return zone.empty() || zone == "Z" || zone == "+00" || zone == "+00:00";
}

/// PostgreSQL takes neither NUL nor what is not UTF-8: U+FFFD for each such byte.
std::string storable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = text[0] == '\0' ? 0 : utf8_length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace

std::string target_type(std::string_view type) {
  const auto has = [type](std::string_view part) { return type.find(part) != type.npos; };
  if (has("int")) return "bigint";
  if (has("bool") || type == "numeric") return "boolean";  // what upstream's library declares
  if (has("datetime") || has("timestamp")) return "timestamp with time zone";
  if (has("blob") || has("bytea")) return "bytea";
  if (has("real") || has("floa") || has("doub") || has("decimal")) return "double precision";
  return has("json") ? "json" : "text";
}

Column column_of(std::string name, std::string_view type) {
  Column out{.name = std::move(name), .cast = std::string(type)};
  if (type == "boolean") {
    out.kind = Kind::kBool;
  } else if (type == "bigint" || type == "integer" || type == "smallint") {
    out.kind = Kind::kInt;
  } else if (type == "numeric" || type == "double precision" || type == "real") {
    out.kind = Kind::kReal;
  } else if (type.starts_with("timestamp")) {
    out.kind = Kind::kTime;
  } else if (type == "bytea") {
    out.kind = Kind::kBytes;
  } else if (!type.starts_with("json")) {
    out.cast = "text";  // the column's own length is checked, not cut to
  }
  return out;
}

std::optional<std::string> canonical(const Row& row, std::size_t at, Kind kind, bool& changed) {
  if (row.null(at)) return std::nullopt;
  const std::string_view text = row.text(at);
  switch (kind) {
    case Kind::kBool:
      return row.boolean(at) ? "t" : "f";
    case Kind::kInt: {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error == std::errc() && end == text.data() + text.size()) return std::string(text);
      changed = true;
      return std::nullopt;
    }
    case Kind::kReal: {
      const std::string copy(text);
      char* end = nullptr;
      const double value = std::strtod(copy.c_str(), &end);
      if (end != copy.c_str() && *end == '\0') return fmt::format("{}", value);
      changed = true;
      return std::nullopt;
    }
    case Kind::kTime: {
      if (const auto time = microseconds(text)) return format_time(*time);
      if (far_time(text)) return fmt::format("{} {}+00:00", text.substr(0, 10), text.substr(11, 8));
      changed = true;
      return std::nullopt;
    }
    case Kind::kBytes:
      return std::string(text);
    case Kind::kText: {
      std::string kept = storable(text);
      changed = kept != text;
      return kept;
    }
  }
  return std::nullopt;
}

void Checksum::add(std::span<const std::optional<std::string>> values) {
  std::string bytes;
  for (const auto& value : values) {
    bytes += value ? fmt::format("{}:", value->size()) : "-";
    if (value) bytes += *value;
  }
  const auto digest = crypto::sha256(bytes);
  for (std::size_t word = 0; word < sums_.size(); ++word) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < 8; ++i) number = number << 8U | digest[word * 8 + i];
    sums_[word] += number;
  }
  ++rows_;
}

std::string Checksum::text() const {
  return fmt::format("{:016x}{:016x}", sums_[0], sums_[1]);
}

}  // namespace nb::sql::values
