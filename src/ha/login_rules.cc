#include "ha/login_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace nb::ha {
namespace {

template <class T>
bool number(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

/// Cuts the next field off the front.
std::string_view cut(std::string_view& text, char by) {
  const auto at = text.find(by);
  const std::string_view field = text.substr(0, at);
  text = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  return field;
}

bool meta_window_open(const LoginFilterConfig& config, const LoginState& state, std::int64_t now) {
  return now < state.meta_start + config.meta_window.count();
}

}  // namespace

std::string encode(const LoginState& s) {
  return fmt::format("1|{:x}|{}|{}|{}|{}|{}|{}", s.hash, s.last_seen, s.banned_until, s.ban_level,
                     s.meta_start, s.meta_changes, fmt::join(s.attempts, ","));
}

std::optional<LoginState> parse_login_state(std::string_view text) {
  if (std::count(text.begin(), text.end(), '|') != 7) return std::nullopt;
  LoginState s;
  if (cut(text, '|') != "1" || !number(cut(text, '|'), s.hash, 16) ||
      !number(cut(text, '|'), s.last_seen) || !number(cut(text, '|'), s.banned_until) ||
      !number(cut(text, '|'), s.ban_level) || !number(cut(text, '|'), s.meta_start) ||
      !number(cut(text, '|'), s.meta_changes)) {
    return std::nullopt;
  }
  while (!text.empty()) {
    std::int64_t at = 0;
    if (!number(cut(text, ','), at)) return std::nullopt;
    s.attempts.push_back(at);
  }
  return s;
}

LoginVerdict judge(const LoginFilterConfig& config, const std::optional<LoginState>& state,
                   std::uint64_t hash, std::int64_t now) {
  using Kind = LoginVerdict::Kind;
  using Ms = std::chrono::milliseconds;
  if (!state) return {};
  if (now < state->banned_until) return {Kind::kBanned, Ms(state->banned_until - now)};
  if (hash != state->hash && meta_window_open(config, *state, now) &&
      state->meta_changes >= config.meta_changes_max) {
    return {Kind::kMetaFlap, Ms(state->meta_start + config.meta_window.count() - now)};
  }
  return {};
}

LoginState record(const LoginFilterConfig& config, std::optional<LoginState> known,
                  std::uint64_t hash, std::int64_t now) {
  if (!known) return {hash, now, 0, 0, now, 1, {now}};
  LoginState s = *std::move(known);
  // Nobody is recorded during a ban, so the calm counts from its end.
  if (now - std::max(s.last_seen, s.banned_until) > config.calm.count()) s.ban_level = 0;
  s.last_seen = now;
  if (hash != s.hash) {
    if (meta_window_open(config, s, now)) {
      s.meta_changes++;
    } else {
      s.meta_start = now;
      s.meta_changes = 1;
    }
    s.hash = hash;
    s.attempts.clear();
  }
  std::erase_if(s.attempts, [&](auto at) { return at <= now - config.window.count(); });
  s.attempts.push_back(now);
  if (s.attempts.size() > static_cast<std::size_t>(config.reconnects_max)) {
    s.ban_level = std::min(s.ban_level + 1, config.ban_level_max);
    s.banned_until = now + (config.ban.count() << (s.ban_level - 1));
    s.attempts.clear();
  }
  return s;
}

bool expired(const LoginFilterConfig& config, const LoginState& state, std::int64_t now) {
  // A ban's level outlives the ban by the calm time; the windows are shorter.
  const auto idle = std::max({config.calm, config.window, config.meta_window}).count();
  return now - std::max(state.last_seen, state.banned_until) > idle;
}

LoginVerdict LoginTable::check(const LoginFilterConfig& config, const LoginAttempt& attempt,
                               std::int64_t now) const {
  const auto it = states.find(attempt.peer);
  if (it == states.end()) return {};
  return judge(config, parse_login_state(it->second), attempt.meta_hash, now);
}

LoginVerdict LoginTable::check_and_add(const LoginFilterConfig& config, const LoginAttempt& attempt,
                                       std::int64_t now) {
  std::optional<LoginState> state;
  if (const auto it = states.find(attempt.peer); it != states.end()) {
    state = parse_login_state(it->second);
  }
  const LoginVerdict verdict = judge(config, state, attempt.meta_hash, now);
  if (verdict.allowed()) {
    states[attempt.peer] = encode(record(config, std::move(state), attempt.meta_hash, now));
    sweep(config, now);
  }
  return verdict;
}

/// Two entries with each new one, so that the table stays in proportion to the peers that live.
void LoginTable::sweep(const LoginFilterConfig& config, std::int64_t now) {
  for (int i = 0; i < 2; ++i) {
    auto it = states.upper_bound(swept_to_);
    if (it == states.end()) it = states.begin();
    swept_to_ = it->first;
    const auto state = parse_login_state(it->second);
    if (!state || expired(config, *state, now)) states.erase(it);
    if (states.empty()) return;
  }
}

}  // namespace nb::ha
