// Building pages: markup only from the program, everything else escaped.
#pragma once

#include <string>
#include <string_view>

namespace nb::idp {

/// For element content and double-quoted attributes; the only two places where text is put.
[[nodiscard]] std::string escape_html(std::string_view text);

/// A literal of the program. Made from string literals only, so text from outside does not compile.
class Markup {
 public:
  template <std::size_t N>
  consteval Markup(const char (&literal)[N]) : text_(literal, N - 1) {}  // NOLINT: implicit
  [[nodiscard]] std::string_view view() const { return text_; }

 private:
  std::string_view text_;
};

class Html {
 public:
  Html& operator<<(Markup markup) {
    out_ += markup.view();
    return *this;
  }
  Html& operator<<(const Html& part) {
    out_ += part.out_;
    return *this;
  }
  /// Escaped.
  Html& text(std::string_view value) {
    out_ += escape_html(value);
    return *this;
  }
  /// Drawn by the program itself (QR code).
  Html& drawing(std::string_view svg) {
    out_ += svg;
    return *this;
  }
  [[nodiscard]] const std::string& str() const { return out_; }
  [[nodiscard]] bool empty() const { return out_.empty(); }

 private:
  std::string out_;
};

/// A QR code as inline SVG; empty if `text` is too long for one.
[[nodiscard]] std::string qr_svg(const std::string& text);

}  // namespace nb::idp
