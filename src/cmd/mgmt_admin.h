// Verbs of netbird-mgmt that work on the database: setup-key create|list|revoke, migrate,
// doctor, serial raise.
#pragma once

#include "base/config/cli.h"
#include "cmd/mgmt_config.h"

#include <list>

namespace nb::cmd {

/// Settings of all verbs; lives as long as the command line.
class MgmtAdmin {
 public:
  void add_to(config::Cli& cli);

 private:
  struct Verb;
  std::list<std::shared_ptr<Verb>> verbs_;
};

}  // namespace nb::cmd
