#include "management/rest/json_writer.h"

#include "base/text.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

namespace nb::management::rest {
namespace {

bool plain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
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

std::string rfc3339(const std::optional<WallTime>& time) {
  if (!time) return "0001-01-01T00:00:00Z";
  const auto day = std::chrono::floor<std::chrono::days>(*time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(*time - day);
  // By hand: a list of peers has three times per peer, and a formatter took a tenth of its time.
  char text[40];
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
  return {text, at};
}

}  // namespace nb::management::rest
