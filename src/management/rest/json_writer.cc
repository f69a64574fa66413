#include "management/rest/json_writer.h"

#include "base/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <iterator>

namespace nb::management::rest {
namespace {

constexpr std::string_view kZeroTime = "0001-01-01T00:00:00Z";

/// Bytes that stand for themselves. A table: every byte of an answer is asked for.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> out{};
  for (std::size_t c = 0x20; c < 0x80; ++c) out.at(c) = true;
  for (const char c : {'"', '\\', '<', '>', '&'}) out.at(static_cast<std::size_t>(c)) = false;
  return out;
}();

bool plain(unsigned char c) {
  return kPlain[c];
}

void escape(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
      out.append("\\\"");
      return;
    case '\\':
      out.append("\\\\");
      return;
    case '\n':
      out.append("\\n");
      return;
    case '\r':
      out.append("\\r");
      return;
    case '\t':
      out.append("\\t");
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
  }
}

}  // namespace

void JsonWriter::text(std::string_view value) {
  separate();
  out_ += '"';
  while (!value.empty()) {
    std::size_t run = 0;
    while (run < value.size() && plain(static_cast<unsigned char>(value[run]))) ++run;
    out_.append(value.substr(0, run));
    value.remove_prefix(run);
    if (value.empty()) break;
    const auto c = static_cast<unsigned char>(value[0]);
    std::size_t taken = 1;
    if (c < 0x80) {
      escape(out_, c);  // markup too, should a browser ever take the answer for a page
    } else if ((taken = utf8_length(value)) != 0) {
      out_.append(value.substr(0, taken));
    } else {
      out_.append("\\ufffd");
      taken = 1;
    }
    value.remove_prefix(taken);
  }
  out_ += '"';
}

namespace {

constexpr std::size_t kTimeBytesMax = 40;

/// Into `text`; how many bytes.
std::size_t format_time(WallTime time, char* text) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  // By hand: a list of peers has three times per peer, and a formatter took a tenth of its time.
  char* at = text;
  const auto put = [&at](auto value, int width) {
    auto rest = static_cast<std::uint64_t>(value);
    for (int i = width - 1; i >= 0; --i, rest /= 10) at[i] = static_cast<char>('0' + rest % 10);
    at += width;
  };
  put(static_cast<int>(date.year()), 4);
  *at++ = '-';
  put(static_cast<unsigned>(date.month()), 2);
  *at++ = '-';
  put(static_cast<unsigned>(date.day()), 2);
  *at++ = 'T';
  put(clock.hours().count(), 2);
  *at++ = ':';
  put(clock.minutes().count(), 2);
  *at++ = ':';
  put(clock.seconds().count(), 2);
  if (const auto fraction = clock.subseconds().count(); fraction != 0) {
    *at++ = '.';
    put(fraction, 9);
    while (at[-1] == '0') --at;
  }
  *at++ = 'Z';
  return static_cast<std::size_t>(at - text);
}

}  // namespace

std::string rfc3339(const std::optional<WallTime>& time) {
  if (!time) return std::string(kZeroTime);
  char text[kTimeBytesMax];
  return {text, format_time(*time, text)};
}

void JsonWriter::time(std::string_view name, const std::optional<WallTime>& value) {
  key(name);
  separate();
  char text[kTimeBytesMax];
  out_ += '"';
  out_.append(value ? std::string_view(text, format_time(*value, text)) : kZeroTime);
  out_ += '"';
}

}  // namespace nb::management::rest
