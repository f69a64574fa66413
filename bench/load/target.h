// What a comparison is given: a server that runs already, or the command of one to be started.
#pragma once

#include "load/spawned_server.h"

#include <memory>
#include <string>
#include <vector>

namespace nb::bench {

struct Target {
  Endpoint endpoint;
  pid_t pid = 0;
  std::unique_ptr<SpawnedServer> spawned;  // null: it ran before
};

/// `text`: "127.0.0.1:10000,1234" (address and process id) or a command for SpawnedServer.
Result<Target> open_target(const std::string& text);

/// 0 when there are none.
[[nodiscard]] double median(std::vector<double> values);

}  // namespace nb::bench
