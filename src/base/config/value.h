// Text and file values into the members that settings are bound to. Internal to base/config.
#pragma once

#include "base/config/node.h"
#include "base/config/table.h"

#include <string>
#include <string_view>

namespace nb::config {

enum class ListMode : std::uint8_t { kReplace, kAppend };

/// Parses, checks bounds, stores. `given` names the flag, variable or key in errors. On failure the
/// member keeps its value.
Result<> set_text(Setting& setting, std::string_view text, std::string_view given,
                  ListMode mode = ListMode::kReplace);
Result<> set_node(Setting& setting, const Node& node, std::string_view given);

/// The value as a user would write it; secrets as "(set)", "(not set)" or what redact leaves.
[[nodiscard]] std::string shown(const Setting& setting);
/// What may be written: "true or false", "0..15", "one of console, syslog".
[[nodiscard]] std::string allowed_values(const Setting& setting);
/// The type's name in help: "uint16", "duration", "strings"; empty for booleans.
[[nodiscard]] std::string_view type_name(const Setting& setting);
/// Same member value in both? The settings must be of one row.
[[nodiscard]] bool same_value(const Setting& a, const Setting& b);

Result<bool> parse_bool(std::string_view text);

}  // namespace nb::config
