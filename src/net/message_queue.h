// Messages waiting to be sent on one stream: one allocation each, none when empty. A large one that
// its writer gives away is not copied.
#pragma once

#include "net/output.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nb::net {

class MessageQueue {
 public:
  MessageQueue() = default;
  ~MessageQueue() { clear(); }
  MessageQueue(const MessageQueue&) = delete;
  MessageQueue& operator=(const MessageQueue&) = delete;

  /// Prefix and payload of one gRPC message.
  void push(bool compressed, std::string_view payload);
  void push(bool compressed, std::string&& payload);
  /// Moves the first `size` bytes over.
  void take(OutputBuffer& out, std::size_t size);
  void clear();
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] bool empty() const { return first_ == nullptr; }

 private:
  struct Chunk;  // header of an allocation whose bytes follow it
  Chunk& add(std::size_t size);
  static void free(Chunk* chunk);

  Chunk* first_ = nullptr;
  Chunk* last_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace nb::net
