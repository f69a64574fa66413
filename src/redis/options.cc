#include "redis/options.h"

#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace nb::redis {

namespace {

constexpr std::uint16_t kRedisPort = 6379;
constexpr std::uint16_t kSentinelPort = 26379;
constexpr int kDbMax = 65'535;

// No text below repeats its input: an address typed in the wrong place may hold the password.
Error bad(std::string_view what) {
  return fail(Code::kInvalidArgument, "redis address: {}", what);
}

template <class T>
std::optional<T> parse_number(std::string_view text, T min, T max) {
  T value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (value < min || value > max) return std::nullopt;
  return value;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == ':';
}

/// "host", "host:port", "[v6]", "[v6]:port"; a bare v6 address has no port.
Result<Address> parse_address(std::string_view text, std::uint16_t default_port) {
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad("'[' without ']'");
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return bad("only a port may follow ']'");
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = true;
  }
  if (host.empty()) return bad("no host");
  if (host.size() > 253 || !std::all_of(host.begin(), host.end(), is_host_character)) {
    return bad("the host may hold letters, digits, '-', '.', '_' and, in brackets, ':'");
  }
  Address address{std::string(host), default_port};
  if (has_port) {
    const auto number = parse_number<std::uint16_t>(port, 1, 65'535);
    if (!number) return bad("the port must be a number from 1 to 65535");
    address.port = *number;
  }
  return address;
}

Result<std::string> decoded(std::string_view text) {
  if (auto out = percent_decode(text)) return std::move(*out);
  return bad("'%' must be followed by two hexadecimal digits");
}

Result<> apply_db(Options& options, std::string_view text) {
  const auto db = parse_number<int>(text, 0, kDbMax);
  if (!db) return bad("the database must be a number from 0 to 65535");
  options.db = *db;
  return {};
}

Result<> apply_user_info(Options& options, std::string_view text) {
  const auto colon = text.find(':');
  NB_LET(options.user, decoded(text.substr(0, colon)));
  if (colon == std::string_view::npos) return {};
  NB_LET(std::string password, decoded(text.substr(colon + 1)));
  options.password = Secret(std::move(password));
  return {};
}

Result<> apply_query(Options& options, std::string_view query) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (!pair.starts_with("db=")) return bad("the only query parameter known is db");
    NB_TRY(apply_db(options, pair.substr(3)));
  }
  return {};
}

}  // namespace

Result<> apply_url(Options& given, std::string_view text) {
  Options options = given;  // a bad address changes nothing
  const auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) {
    if (text.find('@') != std::string_view::npos) return bad("user and password need redis://");
    NB_LET(given.address, parse_address(text, kRedisPort));
    return {};
  }
  const std::string_view scheme = text.substr(0, scheme_end);
  if (scheme != "redis" && scheme != "rediss") {
    return bad("a URL must begin with redis:// or rediss://");
  }
  options.tls.enabled = scheme == "rediss";
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find('#') != std::string_view::npos) return bad("'#' must be written %23");
  std::string_view query;
  if (const auto mark = rest.find('?'); mark != std::string_view::npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  std::string_view path;
  if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
    path = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    NB_TRY(apply_user_info(options, rest.substr(0, at)));
    rest = rest.substr(at + 1);
  }
  NB_LET(options.address, parse_address(rest, kRedisPort));
  if (!path.empty()) NB_TRY(apply_db(options, path));
  NB_TRY(apply_query(options, query));
  given = std::move(options);
  return {};
}

Result<std::vector<Address>> parse_sentinels(std::string_view text) {
  std::vector<Address> addresses;
  while (!text.empty()) {
    const auto end = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item.empty()) continue;
    NB_LET(Address address, parse_address(item, kSentinelPort));
    addresses.push_back(std::move(address));
  }
  if (addresses.empty()) return bad("the list of Sentinels is empty");
  return addresses;
}

}  // namespace nb::redis
