#include "idp/html.h"

#include <fmt/format.h>
#include <qrencode.h>

#include <memory>

namespace nb::idp {

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string qr_svg(const std::string& text) {
  const std::unique_ptr<QRcode, void (*)(QRcode*)> code(
      QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_M), QRcode_free);
  if (!code) return {};
  constexpr int kMargin = 4;  // ISO/IEC 18004: the quiet zone is four modules wide
  const int side = code->width + 2 * kMargin;
  std::string path;
  for (int y = 0; y < code->width; ++y)
    for (int x = 0; x < code->width; ++x)
      if ((code->data[y * code->width + x] & 1) != 0)
        path += fmt::format("M{},{}h1v1h-1z", x + kMargin, y + kMargin);
  return fmt::format(
      "<svg class=\"qr\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {0}\" role=\"img\" "
      "aria-label=\"QR\"><rect width=\"{0}\" height=\"{0}\" fill=\"#fff\"/><path d=\"{1}\" "
      "fill=\"#000\"/></svg>",
      side, path);
}

}  // namespace nb::idp
