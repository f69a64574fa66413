#include "load/target.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace nb::bench {
namespace {

std::optional<Target> running(const std::string& text) {
  const std::size_t comma = text.find(',');
  if (comma == std::string::npos) return std::nullopt;
  auto endpoint = parse_endpoint(text.substr(0, comma));
  pid_t pid = 0;
  const auto [end, ec] = std::from_chars(text.data() + comma + 1, text.data() + text.size(), pid);
  if (!endpoint || ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return Target{.endpoint = std::move(*endpoint), .pid = pid, .spawned = nullptr};
}

}  // namespace

Result<Target> open_target(const std::string& text) {
  if (auto up = running(text)) return std::move(*up);
  NB_LET(auto spawned, SpawnedServer::start(text));
  const Endpoint endpoint = spawned->endpoint();
  const pid_t pid = spawned->pid();
  return Target{.endpoint = endpoint, .pid = pid, .spawned = std::move(spawned)};
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace nb::bench
