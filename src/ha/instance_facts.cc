#include "ha/instance_facts.h"

#include "base/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <utility>

namespace nb::ha {
namespace {

constexpr std::size_t kTextBytesMax = 160;
constexpr std::size_t kAddressBytesMax = 256;
constexpr std::size_t kLeasesMax = 8;
constexpr std::size_t kRecordBytesMax = 8'192;  // of others; ours are far smaller

bool plain(char c) {
  return c > ' ' && c != '%' && c != ',' && c != 0x7F;
}

/// Cut between two characters of UTF-8, so that JSON can hold what is read back.
std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0U) == 0x80U)
    --bytes_max;
  return text.substr(0, bytes_max);
}

std::string escape(std::string_view value) {
  std::string out;
  for (const char c : value) {
    // Bytes above ASCII too: a store's command line shows them in many ways.
    if (plain(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string unescape(std::string_view value, std::size_t bytes_max) {
  std::string out;
  while (!value.empty() && out.size() < bytes_max) {
    if (value.front() == '%' && value.size() >= 3) {
      if (const auto byte = from_hex(value.substr(1, 2)); byte) {
        out += *byte;
        value.remove_prefix(3);
        continue;
      }
    }
    out += value.front();
    value.remove_prefix(1);
  }
  return escape_control(out);
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

std::vector<std::string> lease_names(std::string_view value) {
  std::vector<std::string> out;
  for (const std::string& name : split(value, ','))
    if (!name.empty() && out.size() < kLeasesMax) out.push_back(unescape(name, kTextBytesMax));
  return out;
}

void read(InstanceFacts& out, std::string_view name, std::string_view value) {
  const auto text = [value] { return unescape(value, kTextBytesMax); };
  if (name == "version") out.version = text();
  if (name == "program") out.program = text();
  if (name == "state") out.state = text();
  if (name == "trouble") out.trouble = text();
  if (name == "redis") out.redis = text();
  if (name == "started") out.started_ms = number<std::int64_t>(value).value_or(0);
  if (name == "repaired") out.repaired_ms = number<std::int64_t>(value).value_or(0);
  if (name == "peers") out.peers = number<std::uint64_t>(value);
  if (name == "lag_us") out.bus_lag_us = number<std::int64_t>(value);
  if (name == "repairs") out.repairs = number<std::uint64_t>(value).value_or(0);
  if (name == "reclaimed") out.reclaimed = number<std::uint64_t>(value).value_or(0);
  if (name == "leases") out.leases = lease_names(value);
  if (name == "address") out.address = unescape(value, kAddressBytesMax);
}

}  // namespace

std::string facts_text(const InstanceFacts& facts) {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (!out.empty()) out += ' ';
    out.append(name).append("=").append(value);
  };
  const auto text = [&add](std::string_view name, std::string_view value) {
    add(name, escape(cut(value, kTextBytesMax)));
  };
  const auto count = [&add](std::string_view name, auto value) {
    if (value != 0) add(name, std::to_string(value));
  };
  text("version", facts.version);
  text("program", facts.program);
  count("started", facts.started_ms);
  text("state", facts.state);
  text("trouble", facts.trouble);
  text("redis", facts.redis);
  if (facts.peers) add("peers", std::to_string(*facts.peers));
  if (facts.bus_lag_us) add("lag_us", std::to_string(*facts.bus_lag_us));
  count("repairs", facts.repairs);
  count("reclaimed", facts.reclaimed);
  count("repaired", facts.repaired_ms);
  std::vector<std::string> leases;
  for (const std::string& lease : facts.leases)
    if (leases.size() < kLeasesMax) leases.push_back(escape(cut(lease, 32)));
  add("leases", fmt::format("{}", fmt::join(leases, ",")));
  add("address", escape(cut(facts.address, kAddressBytesMax)));
  return out;
}

InstanceFacts parse_facts(std::string_view text) {
  InstanceFacts out;
  text = text.substr(0, kRecordBytesMax);
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const auto equals = word.find('=');
    if (equals != std::string_view::npos)
      read(out, word.substr(0, equals), word.substr(equals + 1));
  }
  return out;
}

FactsTeller::Told FactsTeller::tell(InstanceFacts now, std::int64_t now_ms) {
  const bool repaired = now.repairs > last_.repairs || now.reclaimed > last_.reclaimed;
  now.repaired_ms = repaired ? now_ms : last_.repaired_ms;
  const bool news = !told_ || repaired || now.state != last_.state ||
                    now.trouble != last_.trouble || now.redis != last_.redis ||
                    now.leases != last_.leases ||
                    now.bus_lag_us.has_value() != last_.bus_lag_us.has_value();
  told_ = true;
  last_ = std::move(now);
  return {.text = facts_text(last_), .news = news};
}

}  // namespace nb::ha
