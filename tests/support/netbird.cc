#include "support/netbird.h"

#include <unistd.h>

#include <stdexcept>

namespace nb::test {

std::map<std::string, std::string> ha_environment(const std::string& redis,
                                                  const std::string& instance) {
  if (redis.empty()) return {};
  return {
      {"NB_HA_ENABLED", "true"}, {"NB_HA_REDIS_ADDRESS", redis}, {"NB_HA_INSTANCE_ID", instance}};
}

double metric_line(std::uint16_t metrics_port, const std::string& line, const std::string& host) {
  const std::string page = "\n" + http_get(metrics_port, "/metrics", host).body;
  const auto at = page.find("\n" + line + " ");
  if (at == std::string::npos) return -1;
  return std::stod(page.substr(at + line.size() + 2));
}

std::string own_address() {
  const auto pid = static_cast<unsigned>(::getpid());
  return "127.77." + std::to_string(pid / 250 % 250) + "." + std::to_string(pid % 250 + 1);
}

std::string printed_setup_key(const Finished& done) {
  constexpr std::string_view kLabel = "Setup key: ";
  const std::size_t at = done.output.find(kLabel);
  if (done.status != 0 || at == std::string::npos)
    throw std::runtime_error("setup-key create: " + done.output);
  const std::size_t begin = at + kLabel.size();
  return done.output.substr(begin, done.output.find('\n', begin) - begin);
}

}  // namespace nb::test
