// The address under which peers find this relay instance.
// Source   contract/signal-relay-ops.md §3.5
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace nb::relay {

/// The instance URL of an exposed address: `rel://` or `rels://` is put before one without scheme.
/// Errors   kInvalidArgument: empty, another scheme, several schemes, rel:// with TLS, no host, a
///          port outside 1..65535.
Result<std::string> instance_url(std::string_view exposed, bool tls);

}  // namespace nb::relay
