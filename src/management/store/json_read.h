// Tolerant reading of JSON that anybody may have written. Private to store/.
#pragma once

#include "management/store/json_columns.h"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace nb::management::columns {

/// Null for everything that stands for "nothing": NULL, '', null and damaged text.
boost::json::value parsed(std::string_view text, Damage& damage);
/// The elements of a list, or none.
const boost::json::array& elements(const boost::json::value& value, Damage& damage);
const boost::json::object& members(const boost::json::value& value, Damage& damage);
/// Empty, false or zero unless the member is there and of the kind.
std::string text_of(const boost::json::object& object, std::string_view key);
bool flag_of(const boost::json::object& object, std::string_view key);
/// The same where a wrong kind may not pass for "nothing", because it decides who may do what.
std::string text_of(const boost::json::object& object, std::string_view key, Damage& damage);
bool flag_of(const boost::json::object& object, std::string_view key, Damage& damage);
std::int64_t number_of(const boost::json::value& value);
/// Null when absent.
const boost::json::value* member(const boost::json::object& object, std::string_view key);

}  // namespace nb::management::columns
