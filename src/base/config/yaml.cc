#include "base/config/node.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>

namespace nb::config {

namespace {
constexpr std::size_t kNodesMax = 100'000;  // aliases repeat their anchor's nodes

bool any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

Node scalar(const YAML::Node& yaml) {
  std::string text = yaml.Scalar();
  if (yaml.Tag() == "!") return {Node::Kind::kString, std::move(text)};  // quoted
  if (any_of(text, {"", "~", "null", "Null", "NULL"})) return {};
  if (any_of(text, {"true", "True", "TRUE"})) return {Node::Kind::kBool, "true"};
  if (any_of(text, {"false", "False", "FALSE"})) return {Node::Kind::kBool, "false"};
  const auto digits = text.find_first_not_of("0123456789", text[0] == '-' ? 1 : 0);
  const bool number = digits == std::string::npos && text != "-";
  return {number ? Node::Kind::kNumber : Node::Kind::kString, std::move(text)};
}

class Converter {
 public:
  Result<Node> run(const YAML::Node& yaml, std::size_t depth) {
    if (depth > kNodeDepthMax) return fail(Code::kInvalidArgument, "YAML: nested too deeply");
    if (++nodes_ > kNodesMax) return fail(Code::kInvalidArgument, "YAML: too many values");
    if (!yaml.IsDefined() || yaml.IsNull()) return Node();
    if (yaml.IsScalar()) return scalar(yaml);
    if (yaml.IsSequence()) {
      Node list = Node::list();
      for (const auto& element : yaml) {
        NB_LET(auto value, run(element, depth + 1));
        list.push(std::move(value));
      }
      return list;
    }
    Node map = Node::map();
    for (const auto& member : yaml) {
      if (!member.first.IsScalar()) {
        return fail(Code::kInvalidArgument, "YAML: line {}: keys must be plain texts",
                    member.first.Mark().line + 1);
      }
      NB_LET(auto value, run(member.second, depth + 1));
      map.put(member.first.Scalar(), std::move(value));
    }
    return map;
  }

 private:
  std::size_t nodes_ = 0;
};
}  // namespace

Result<Node> parse_yaml(std::string_view text) {
  if (text.size() > kFileBytesMax) return fail(Code::kInvalidArgument, "larger than 4 MiB");
  try {
    return Converter().run(YAML::Load(std::string(text)), 0);
  } catch (const YAML::Exception& e) {
    // Only the place: yaml-cpp's text may quote what stands there.
    return fail(Code::kInvalidArgument, "YAML: line {}, column {}: not valid", e.mark.line + 1,
                e.mark.column + 1);
  }
}

}  // namespace nb::config
