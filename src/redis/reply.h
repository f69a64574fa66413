// What Redis answered, as a value.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nb::redis {

struct Reply {
  enum class Type : std::uint8_t { kNil, kText, kStatus, kInteger, kArray, kError };
  Type type = Type::kNil;
  std::int64_t integer = 0;
  std::string text;          // kText, kStatus ("OK"), kError ("WRONGTYPE Operation …")
  std::vector<Reply> items;  // kArray

  [[nodiscard]] bool is_nil() const { return type == Type::kNil; }
  [[nodiscard]] bool is_error() const { return type == Type::kError; }
  /// First word of an error reply ("NOSCRIPT"), empty for anything else.
  [[nodiscard]] std::string_view error_word() const;

  // Checked access. An error reply becomes to_error(); another type is kInternal.
  [[nodiscard]] Result<std::int64_t> as_integer() const;  // integers, and texts holding one
  [[nodiscard]] Result<std::string> as_text() const&;     // text or status
  [[nodiscard]] Result<std::string> as_text() &&;
  [[nodiscard]] Result<std::optional<std::string>> as_optional() &&;  // nil: nullopt
  [[nodiscard]] Result<std::vector<Reply>> as_array() &&;             // nil: empty
  /// HMGET, MGET, HVALS…: nil elements are nullopt.
  [[nodiscard]] Result<std::vector<std::optional<std::string>>> as_texts() &&;

  friend bool operator==(const Reply&, const Reply&) = default;
};

/// The failure an error reply stands for: LOADING, READONLY, BUSY, MASTERDOWN, CLUSTERDOWN,
/// TRYAGAIN kUnavailable; NOAUTH, WRONGPASS, NOPERM kPermissionDenied; OOM kResourceExhausted;
/// WRONGTYPE, EXECABORT kFailedPrecondition; others kInternal.
[[nodiscard]] Error to_error(const Reply& reply);

/// Cuts a byte stream into replies. Nothing of hiredis shows.
/// Limits   nesting 7; bytes and items of one reply as given.
class ReplyReader {
 public:
  struct Limits {
    std::size_t bytes_max = 64 * 1024 * 1024;
    std::size_t items_max = 1'000'000;
  };
  explicit ReplyReader(Limits limits);
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  /// Errors   kResourceExhausted: limit; the reader stays broken.
  Result<> feed(std::string_view bytes);
  /// The next whole reply; nullopt: feed more.
  /// Errors   kDataLoss: not RESP2; kResourceExhausted: limit. Then the reader stays broken.
  Result<std::optional<Reply>> next();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::redis
