#include "management/rest/list_tag.h"

#include "base/text.h"
#include "management/rest/http_extras.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

namespace nb::management::rest {
namespace {

constexpr std::int64_t kForEver = 0;

std::int64_t seconds(WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// The end of a tag "<end>.<digest>", if that is its digest.
std::optional<std::int64_t> end_of(std::string_view tag, std::string_view digest) {
  if (tag.starts_with("W/")) tag.remove_prefix(2);
  if (tag.size() < 2 || tag.front() != '"' || tag.back() != '"') return std::nullopt;
  tag = tag.substr(1, tag.size() - 2);
  std::int64_t end = 0;
  const auto read = std::from_chars(tag.data(), tag.data() + tag.size(), end);
  tag.remove_prefix(static_cast<std::size_t>(read.ptr - tag.data()));
  if (read.ec != std::errc{} || !tag.starts_with('.') || tag.substr(1) != digest)
    return std::nullopt;
  return end;
}

std::string tag(std::int64_t end, std::string_view digest) {
  return fmt::format("\"{}.{}\"", end, digest);
}

}  // namespace

ListTag::ListTag(const Call& call, std::string_view program) : if_none_match_(call.if_none_match) {
  // No byte of one can be taken for one of another: lengths come first.
  const auto add = [this](std::string_view text) {
    asked_ += fmt::format("{}:{},", text.size(), text);
  };
  add(program);
  add(call.user().id.value());
  add(call.user().role);
  add(call.query);
  for (const std::string& param : call.params) add(param);
}

std::string ListTag::digest(std::string_view stamp) const {
  return short_digest(fmt::format("{}{}", asked_, stamp));
}

std::string ListTag::of(std::string_view stamp, std::optional<WallTime> changes_at) const {
  // Rounded down: at that second the list is made anew, at the latest.
  return tag(changes_at ? seconds(*changes_at) : kForEver, digest(stamp));
}

std::string ListTag::known(std::string_view stamp, WallTime now) const {
  if (if_none_match_.empty() || stamp.empty()) return {};
  const std::string wanted = digest(stamp);
  for (const std::string& item : split(if_none_match_, ',')) {
    const auto end = end_of(item, wanted);
    if (end && (*end == kForEver || seconds(now) < *end)) return tag(*end, wanted);
  }
  return {};
}

}  // namespace nb::management::rest
