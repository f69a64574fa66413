// Strings of HPACK in Huffman code.   Source   RFC 7541 §5.2, Appendix B.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace nb::net::hpack {

/// Appends the text that `code` stands for. False: it is not the code of any text (a symbol for the
/// end inside, or padding that is too long or not all ones); `out` then holds a part of it.
[[nodiscard]] bool huffman_decode(std::span<const std::uint8_t> code, std::string& out);

}  // namespace nb::net::hpack
