#include "base/strict_json.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_stack.hpp>

#include <cmath>
#include <string>
#include <unordered_set>
#include <vector>

namespace nb {
namespace {
namespace json = boost::json;

// What json::parser does, plus a set of the names seen in each open object.
class Handler {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  explicit Handler() { stack_.reset(); }
  json::value release() { return stack_.release(); }
  [[nodiscard]] bool duplicate() const { return duplicate_; }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t count, json::error_code&) {
    stack_.push_array(count);
    return true;
  }
  bool on_object_begin(json::error_code&) {
    open_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t count, json::error_code&) {
    open_.pop_back();
    stack_.push_object(count);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code& error) {
    key_.append(part.data(), part.size());
    stack_.push_key(part);
    const bool fresh = open_.back().insert(std::move(key_)).second;
    key_.clear();
    if (!fresh) {
      duplicate_ = true;
      error = json::error::syntax;
    }
    return fresh;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, json::error_code&) {
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) {
    stack_.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view, json::error_code& error) {
    // 1e999 is infinite here, which no JSON text can say again.
    if (!std::isfinite(value)) error = json::error::exponent_overflow;
    if (!error) stack_.push_double(value);
    return !error;
  }
  bool on_bool(bool value, json::error_code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  json::value_stack stack_;
  std::vector<std::unordered_set<std::string>> open_;
  std::string key_;
  bool duplicate_ = false;
};

}  // namespace

Result<json::value> parse_strict_json(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max)
    return fail(Code::kInvalidArgument, "JSON: longer than {} bytes", limits.bytes_max);
  json::parse_options options;
  options.max_depth = limits.depth_max;
  json::basic_parser<Handler> parser(options);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (parser.handler().duplicate())
    return fail(Code::kInvalidArgument, "JSON: an object names a member twice");
  if (error == json::error::too_deep)
    return fail(Code::kInvalidArgument, "JSON: nested deeper than {}", limits.depth_max);
  if (error) return fail(Code::kInvalidArgument, "JSON: malformed near byte {}", used);
  if (!parser.done() || used != text.size())
    return fail(Code::kInvalidArgument, "JSON: not one whole value");
  return parser.handler().release();
}

}  // namespace nb
