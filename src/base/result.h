// Expected failures are values: Result<T> is a T or an Error (a code and a text for operators).
#pragma once

#include <boost/system/result.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace nb {

/// Numbers are gRPC's status codes, so the gRPC edge maps by a cast (contract/management-grpc.md
/// §4).
enum class Code : std::uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// "INVALID_ARGUMENT" and so on; never null.
[[nodiscard]] std::string_view code_name(Code code);

/// Text says what was tried, on what, with which limit. Never a secret, a key or a token.
struct Error {
  Code code = Code::kUnknown;
  std::string text;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T = void>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
  using Base = boost::system::result<T, Error>;

 public:
  using Base::Base;
  /// A default-made Result<T> is an error (Asio's && and || make such), Result<> a success.
  Result() requires(!std::is_void_v<T>) : Base(boost::system::in_place_error, Error{}) {}
  Result() requires std::is_void_v<T>
  = default;

  /// Unchecked access by exception is not our way: test, then dereference.
  void value() const = delete;
};

// Boost calls this when a library's own `.value()` fails; ours never does.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

[[nodiscard]] inline Error fail(Code code, std::string text) {
  return Error{code, std::move(text)};
}

template <class First, class... Rest>
[[nodiscard]] Error fail(Code code, fmt::format_string<First, Rest...> format, First&& first,
                         Rest&&... rest) {
  return Error{code, fmt::format(format, std::forward<First>(first), std::forward<Rest>(rest)...)};
}

/// Drops a failure on purpose; `why` is for the reader.
template <class T>
void ignore(const Result<T>& /*result*/, std::string_view /*why*/) {}

}  // namespace nb

#define NB_CONCAT_INNER(a, b) a##b
#define NB_CONCAT(a, b) NB_CONCAT_INNER(a, b)

/// Passes a failure up: NB_TRY(store.save(peer));
#define NB_TRY(...)                                              \
  do {                                                           \
    auto nb_try_result = (__VA_ARGS__);                          \
    if (!nb_try_result) return std::move(nb_try_result).error(); \
  } while (false)
#define NB_CO_TRY(...)                                              \
  do {                                                              \
    auto nb_try_result = (__VA_ARGS__);                             \
    if (!nb_try_result) co_return std::move(nb_try_result).error(); \
  } while (false)

/// Declares or passes up: NB_LET(const auto port, parse_port(text));
#define NB_LET(declaration, ...) \
  NB_LET_INNER(NB_CONCAT(nb_let_, __LINE__), declaration, return, __VA_ARGS__)
#define NB_CO_LET(declaration, ...) \
  NB_LET_INNER(NB_CONCAT(nb_let_, __LINE__), declaration, co_return, __VA_ARGS__)
#define NB_LET_INNER(name, declaration, leave, ...) \
  auto name = (__VA_ARGS__);                        \
  if (!name) leave std::move(name).error();         \
  declaration = *std::move(name)
