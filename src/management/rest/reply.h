// What a handler gives back, and how failures become answers.
// Source   contract/rest-api.md §1.3, §3.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nb::management::rest {

struct Reply {
  int status = 200;
  std::string body{};  // JSON without the newline at its end
  std::vector<std::pair<std::string, std::string>> headers{};
  /// Worth an ETag: the answer of a GET that clients poll.
  bool cacheable = false;
  /// The ETag, quoted, of a reply that knows it without its body; empty: from the body.
  std::string etag{};
  /// When the list changes by itself, because the time has come for something in it.
  std::optional<WallTime> changes_at{};
};

/// {}
[[nodiscard]] Reply nothing();

/// One table for the whole API. Failures of databases and buses, and our own mistakes, tell a
/// client nothing but that.
[[nodiscard]] int http_status(Code code);
/// {"message":…,"code":…}
[[nodiscard]] net::HttpResponse error_response(int status, std::string_view message);
[[nodiscard]] net::HttpResponse error_response(const Error& error);

}  // namespace nb::management::rest
