#include "base/config/node.h"

#include "base/text.h"

namespace nb::config {

const Node* Node::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  const Node* found = nullptr;
  bool exact = false;
  for (const auto& [name, value] : children_) {
    if (name == key) {
      found = &value;
      exact = true;
    } else if (!exact && equals_ignore_case(name, key)) {
      found = &value;
    }
  }
  return found;
}

const Node* Node::find_path(std::string_view path) const {
  const Node* node = this;
  while (node != nullptr && !path.empty()) {
    const auto dot = std::min(path.find('.'), path.size());
    node = node->find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return node;
}

}  // namespace nb::config
