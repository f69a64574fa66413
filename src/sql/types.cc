#include "sql/types.h"

#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace nb::sql {
namespace {

using std::chrono::days;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// The years a 64-bit count of nanoseconds can hold with room to calculate.
constexpr int kYearMin = 1678;
constexpr int kYearMax = 2261;

void append_padded(std::string& out, std::int64_t value, std::size_t width) {
  const std::string digits = std::to_string(value);
  out.append(width > digits.size() ? width - digits.size() : 0, '0');
  out.append(digits);
}

/// Takes exactly `width` digits off the front.
std::optional<int> take_digits(std::string_view& text, std::size_t width) {
  if (text.size() < width) return {};
  int value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + width, value);
  if (ec != std::errc{} || end != text.data() + width || text.front() == '-') return {};
  text.remove_prefix(width);
  return value;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}

/// "+02", "+02:00", "+0200", "-00:30", "Z" or nothing; the offset east of UTC.
std::optional<seconds> take_zone(std::string_view& text) {
  if (text.empty()) return seconds(0);
  if (take(text, 'Z')) return seconds(0);
  const bool west = text.front() == '-';
  if (!west && text.front() != '+') return {};
  text.remove_prefix(1);
  const auto hours = take_digits(text, 2);
  if (!hours) return {};
  int minutes = 0;
  int secs = 0;
  if (!text.empty()) {
    take(text, ':');
    const auto value = take_digits(text, 2);
    if (!value) return {};
    minutes = *value;
  }
  if (!text.empty()) {
    take(text, ':');
    const auto value = take_digits(text, 2);
    if (!value) return {};
    secs = *value;
  }
  const seconds offset(*hours * 3600 + minutes * 60 + secs);
  return west ? -offset : offset;
}

/// Each byte that belongs to no character becomes U+FFFD.
std::string with_replacements(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0)
      out += "\xEF\xBF\xBD";
    else
      out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace

Param::Param(WallTime time) : Param(format_time(time)) {}

Param::Param(const std::optional<WallTime>& time) {
  if (time) *this = Param(*time);
}

Param Param::blob(std::string_view bytes) {
  Param out(bytes);
  out.kind_ = Kind::kBlob;
  return out;
}

std::string format_time(WallTime time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<nanoseconds>(time - day));
  std::string out;
  out.reserve(36);
  append_padded(out, static_cast<int>(date.year()), 4);
  out.push_back('-');
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out.push_back('-');
  append_padded(out, static_cast<unsigned>(date.day()), 2);
  out.push_back(' ');
  append_padded(out, clock.hours().count(), 2);
  out.push_back(':');
  append_padded(out, clock.minutes().count(), 2);
  out.push_back(':');
  append_padded(out, clock.seconds().count(), 2);
  if (clock.subseconds().count() != 0) {
    std::string fraction;
    append_padded(fraction, clock.subseconds().count(), 9);
    while (fraction.back() == '0') fraction.pop_back();
    out.push_back('.');
    out.append(fraction);
  }
  out.append("+00:00");
  return out;
}

std::optional<WallTime> parse_time(std::string_view text) {
  const auto year = take_digits(text, 4);
  if (!year || !take(text, '-')) return {};
  const auto month = take_digits(text, 2);
  if (!month || !take(text, '-')) return {};
  const auto day = take_digits(text, 2);
  if (!day) return {};
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *year < kYearMin || *year > kYearMax) return {};
  WallTime time = std::chrono::sys_days(date);
  if (text.empty()) return time;
  if (!take(text, ' ') && !take(text, 'T')) return {};
  const auto hour = take_digits(text, 2);
  if (!hour || !take(text, ':')) return {};
  const auto minute = take_digits(text, 2);
  if (!minute || !take(text, ':')) return {};
  const auto second = take_digits(text, 2);
  if (!second || *hour > 24 || *minute > 59 || *second > 60) return {};
  time += seconds(*hour * 3600 + *minute * 60 + *second);
  if (take(text, '.')) {
    std::int64_t fraction = 0;
    std::size_t digits = 0;
    for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; text.remove_prefix(1))
      if (digits < 9) {
        fraction = fraction * 10 + (text.front() - '0');
        ++digits;
      }
    if (digits == 0) return {};
    for (; digits < 9; ++digits) fraction *= 10;
    time += nanoseconds(fraction);
  }
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return {};
  return time - *zone;
}

bool Row::null(std::size_t column) const {
  return rows_->cells_.at(index_ * rows_->columns_ + column).size == Rows::kNull;
}

std::string_view Row::text(std::size_t column) const {
  const Rows::Cell& cell = rows_->cells_.at(index_ * rows_->columns_ + column);
  if (cell.size == Rows::kNull) return {};
  return std::string_view(rows_->bytes_).substr(cell.offset, cell.size);
}

std::int64_t Row::integer(std::size_t column) const {
  const std::string_view value = text(column);
  std::int64_t out = 0;
  // A real in an integer column ("3.0", SQLite) reads as its whole part.
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), out);
  return ec == std::errc{} ? out : 0;
}

bool Row::boolean(std::size_t column) const {
  const std::string_view value = text(column);
  if (value.empty()) return false;
  const char c = value.front();
  return c == 't' || c == 'T' || (c >= '1' && c <= '9');
}

std::optional<WallTime> Row::time(std::size_t column) const {
  if (null(column)) return {};
  return parse_time(text(column));
}

std::string RowReader::string() {
  const std::string_view text = row_.text(next_++);
  return is_utf8(text) ? std::string(text) : with_replacements(text);
}

}  // namespace nb::sql
