// Commands as bytes ready to send: one, or a batch that leaves in one piece.
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nb::redis {

/// A Lua script and its SHA-1; a cheap handle. Make one per script, once.
class Script {
 public:
  explicit Script(std::string_view source);
  [[nodiscard]] const std::string& source() const { return text_->source; }
  [[nodiscard]] const std::string& sha1() const { return text_->sha1; }  // 40 hex digits

 private:
  struct Text {
    std::string source;
    std::string sha1;
  };
  std::shared_ptr<const Text> text_;
};

namespace detail {
/// Texts as they are, integers in decimal. Arguments are length-prefixed: nothing is escaped.
inline std::string_view argument(std::string_view text, std::string& /*room*/) {
  return text;
}
template <std::integral T>
requires(!std::same_as<T, bool> && !std::same_as<T, char>) std::string_view
    argument(T number, std::string& room) {
  return room = std::to_string(number);
}
}  // namespace detail

/// Commands that are sent back to back on one connection, nothing of others between them; so
/// MULTI … EXEC may be a batch. Replies come in the order of the commands.
/// Not here  commands that block (BLPOP, WAIT) or change the connection (SUBSCRIBE, SELECT, AUTH):
///           the connection is shared.
class Batch {
 public:
  /// batch.add("HSET", key, field, value).add("EXPIRE", key, 300);
  template <class... Args>
  Batch& add(const Args&... args) {
    static_assert(sizeof...(Args) > 0);
    std::string rooms[sizeof...(Args)];
    std::size_t index = 0;
    // Evaluated left to right inside braces.
    const std::string_view views[] = {detail::argument(args, rooms[index++])...};
    return add_args(views);
  }
  Batch& add_args(std::span<const std::string_view> args);
  Batch& add_args(std::span<const std::string> args);
  /// EVALSHA; if the server does not know the script, the client sends it and tries again.
  /// Not inside MULTI.
  Batch& eval(const Script& script, std::span<const std::string_view> keys,
              std::span<const std::string_view> args);
  Batch& eval(const Script& script, std::initializer_list<std::string_view> keys,
              std::initializer_list<std::string_view> args) {
    return eval(script, std::span(keys.begin(), keys.size()), std::span(args.begin(), args.size()));
  }

  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t bytes() const { return wire_.size(); }
  /// RESP2 as it is sent.
  [[nodiscard]] const std::string& wire() const { return wire_; }

 private:
  friend class Client;
  /// Enough of a script call to send it again with its source.
  struct ScriptCall {
    std::size_t index;  // of the command in the batch
    Script script;
    std::vector<std::string> keys_and_args;
    std::size_t keys;
  };
  void add_script(const ScriptCall& call, std::string_view verb, std::string_view body);
  /// The calls once more, each script's source with the first that needs it.
  static Batch again(const std::vector<ScriptCall>& calls);

  std::string wire_;
  std::size_t count_ = 0;
  std::vector<ScriptCall> scripts_;
};

}  // namespace nb::redis
