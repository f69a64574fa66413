#include "net/grpc_wire.h"

#include "base/assert.h"
#include "base/text.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace nb::net::grpc_wire {

std::optional<std::chrono::nanoseconds> parse_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  std::int64_t number = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  using namespace std::chrono;
  // 8 digits of hours overflow 64 bits of nanoseconds: cap at a century, which nobody waits for.
  constexpr std::int64_t kHoursMax = 100LL * 366 * 24;
  switch (text.back()) {
    case 'H':
      return hours(std::min(number, kHoursMax));
    case 'M':
      return minutes(std::min(number, kHoursMax * 60));
    case 'S':
      return seconds(number);
    case 'm':
      return milliseconds(number);
    case 'u':
      return microseconds(number);
    case 'n':
      return nanoseconds(number);
    default:
      return std::nullopt;
  }
}

std::string percent_encode(std::string_view message) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(message.size());
  for (const char c : message) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

namespace {
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_reverse(char c62, char c63) {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < 62; ++i) {
    table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  table[static_cast<unsigned char>(c62)] = 62;
  table[static_cast<unsigned char>(c63)] = 63;
  return table;
}
constexpr auto kReverse = make_reverse('+', '/');
constexpr auto kReverseUrl = make_reverse('-', '_');

std::optional<std::string> decode(std::string_view text,
                                  const std::array<std::int8_t, 256>& table) {
  for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::int8_t value = table[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return out;
}
}  // namespace

std::string percent_decode(std::string_view text) {
  return nb::percent_decode(text, {.keep_broken = true}).value_or("");
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    count += 8;
    while (count >= 6) {
      count -= 6;
      out.push_back(kAlphabet[bits >> count & 63]);
    }
  }
  if (count > 0) out.push_back(kAlphabet[bits << (6 - count) & 63]);
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  return decode(text, kReverse);
}
std::optional<std::string> base64url_decode(std::string_view text) {
  return decode(text, kReverseUrl);
}

bool is_grpc_content_type(std::string_view value) {
  constexpr std::string_view kType = "application/grpc";
  if (!value.starts_with(kType)) return false;
  if (value.size() == kType.size()) return true;
  const char next = value[kType.size()];
  return next == '+' || next == ';' || next == ' ';
}

bool lists_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (item.starts_with(' ') || item.starts_with('\t')) item.remove_prefix(1);
    while (item.ends_with(' ') || item.ends_with('\t')) item.remove_suffix(1);
    const auto same = [](char a, char b) {
      return std::tolower(static_cast<unsigned char>(a)) ==
             std::tolower(static_cast<unsigned char>(b));
    };
    if (std::equal(item.begin(), item.end(), token.begin(), token.end(), same)) return true;
  }
  return false;
}

void put_prefix(std::uint8_t* to, bool compressed, std::size_t size) {
  to[0] = compressed ? 1 : 0;
  to[1] = static_cast<std::uint8_t>(size >> 24);
  to[2] = static_cast<std::uint8_t>(size >> 16);
  to[3] = static_cast<std::uint8_t>(size >> 8);
  to[4] = static_cast<std::uint8_t>(size);
}

namespace {
constexpr int kGzipWindow = 15 + 16;  // zlib: +16 selects the gzip wrapper

struct Deflater {
  z_stream stream{};
  Deflater() {
    NB_ASSERT(deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) ==
              Z_OK);
  }
  ~Deflater() { deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
};
struct Inflater {
  z_stream stream{};
  Inflater() { NB_ASSERT(inflateInit2(&stream, kGzipWindow) == Z_OK); }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

Bytef* zlib_bytes(std::string_view bytes) {
  // zlib's next_in is not const in old headers but never written to.
  return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
}
}  // namespace

std::string gzip(std::string_view bytes) {
  thread_local Deflater deflater;
  z_stream& z = deflater.stream;
  deflateReset(&z);
  std::string out(deflateBound(&z, static_cast<uLong>(bytes.size())), '\0');
  z.next_in = zlib_bytes(bytes);
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  NB_ASSERT(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.erase(out.size() - z.avail_out);
  return out;
}

Result<std::string> gunzip(std::string_view bytes, std::size_t limit) {
  thread_local Inflater inflater;
  z_stream& z = inflater.stream;
  inflateReset(&z);
  z.next_in = zlib_bytes(bytes);
  z.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::size_t used = 0;
  for (;;) {
    out.resize(std::min(limit + 1, std::max<std::size_t>(out.size() * 2, 4096)));
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(out.size() - used);
    const int code = inflate(&z, Z_NO_FLUSH);
    used = out.size() - z.avail_out;
    if (used > limit) {
      return fail(Code::kResourceExhausted,
                  "grpc: received message after decompression larger than max {}", limit);
    }
    if (code == Z_STREAM_END) break;
    if (code != Z_OK && code != Z_BUF_ERROR) {
      return fail(Code::kInternal, "grpc: failed to decompress the received message");
    }
    if (z.avail_out > 0) {  // wants more input than there is
      return fail(Code::kInternal, "grpc: the compressed message is cut off");
    }
  }
  if (z.avail_in > 0) return fail(Code::kInternal, "grpc: bytes after the compressed message");
  out.erase(used);
  return out;
}

}  // namespace nb::net::grpc_wire
