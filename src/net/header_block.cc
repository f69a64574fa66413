#include "net/header_block.h"

#include <cstring>

namespace nb::net {

void HeaderBlock::clear() {
  text_.clear();
  spans_.clear();
  too_large = false;
  malformed = false;
}

void HeaderBlock::add(std::string_view name, std::string_view value) {
  spans_.push_back({static_cast<std::uint32_t>(text_.size()),
                    static_cast<std::uint32_t>(name.size()),
                    static_cast<std::uint32_t>(value.size())});
  text_.append(name);
  text_.append(value);
}

HeaderField HeaderBlock::at(std::size_t index) const {
  const Span& span = spans_[index];
  const std::string_view all = text_;
  return {all.substr(span.at, span.name), all.substr(span.at + span.name, span.value)};
}

std::string_view HeaderBlock::find(std::string_view name) const {
  const char* const text = text_.data();
  for (const Span& span : spans_) {
    if (span.name == name.size() && std::memcmp(text + span.at, name.data(), name.size()) == 0)
      return {text + span.at + span.name, span.value};
  }
  return {};
}

std::string HeaderBlock::joined(std::string_view name) const {
  std::string all;
  for (std::size_t i = 0; i < spans_.size(); ++i) {
    if (spans_[i].name != name.size() || at(i).name != name) continue;
    if (!all.empty()) all += ", ";
    all += at(i).value;
  }
  return all;
}

}  // namespace nb::net
