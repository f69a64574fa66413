// Fields that HPACK knows without being told.
//
// Source   RFC 7541 §2.3.1, Appendix A.
#pragma once

#include "net/header_block.h"

#include <cstdint>
#include <string_view>

namespace nb::net::hpack {

inline constexpr std::uint32_t kStaticFields = 61;
inline constexpr std::uint32_t kEntryOverhead = 32;    // of each entry's size, §4.1
inline constexpr std::uint32_t kDefaultTable = 4'096;  // RFC 9113 §6.5.2

/// Shape   index: 1 to kStaticFields.
[[nodiscard]] const HeaderField& static_field(std::uint32_t index);
/// The first with this name; 0: none.
[[nodiscard]] std::uint32_t static_name(std::string_view name);
/// The one that is `field`; 0: none.
[[nodiscard]] std::uint32_t static_match(const HeaderField& field);

}  // namespace nb::net::hpack
