#include "base/config/node.h"

#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace nb::config {

namespace {
namespace json = boost::json;

Node convert(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return {};
    case json::kind::bool_:
      return {Node::Kind::kBool, value.get_bool() ? "true" : "false"};
    case json::kind::int64:
      return {Node::Kind::kNumber, std::to_string(value.get_int64())};
    case json::kind::uint64:
      return {Node::Kind::kNumber, std::to_string(value.get_uint64())};
    case json::kind::double_: {
      const double number = value.get_double();
      // 4.32e13 is a whole number of nanoseconds too.
      const bool whole = std::abs(number) < 9e15 && number == std::floor(number);
      return {Node::Kind::kNumber,
              whole ? fmt::format("{:.0f}", number) : fmt::format("{}", number)};
    }
    case json::kind::string:
      return {Node::Kind::kString, std::string(value.get_string())};
    case json::kind::array: {
      Node list = Node::list();
      for (const auto& element : value.get_array()) list.push(convert(element));
      return list;
    }
    case json::kind::object: {
      Node map = Node::map();
      for (const auto& [key, member] : value.get_object()) {
        map.put(std::string(key), convert(member));
      }
      return map;
    }
  }
  return {};
}

std::string position(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto lines = std::count(before.begin(), before.end(), '\n');
  const auto newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? at : at - newline - 1;
  return fmt::format("line {}, column {}", lines + 1, column + 1);
}
}  // namespace

Result<Node> parse_json(std::string_view text) {
  if (text.size() > kFileBytesMax) return fail(Code::kInvalidArgument, "larger than 4 MiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // what Windows editors put first
  json::parse_options options;
  options.max_depth = kNodeDepthMax;
  json::stream_parser parser(json::storage_ptr{}, options);
  json::error_code error;
  const std::size_t used = parser.write_some(text.data(), text.size(), error);
  if (!error) parser.finish(error);
  if (!error) {
    const auto rest = text.substr(used);
    if (const auto extra = rest.find_first_not_of(" \t\r\n"); extra != std::string_view::npos) {
      return fail(Code::kInvalidArgument, "JSON: {}: text after the end",
                  position(text, used + extra));
    }
    return convert(parser.release());
  }
  return fail(Code::kInvalidArgument, "JSON: {}: {}", position(text, used), error.message());
}

}  // namespace nb::config
