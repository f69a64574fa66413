// Bytes of a server through ReplyReader: the result must not depend on how they were cut, and what
// was read must survive being written and read again.
#include "base/assert.h"
#include "redis/reply.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {
using nb::redis::Reply;
using nb::redis::ReplyReader;

struct Outcome {
  std::vector<Reply> replies;
  bool failed = false;
};

Outcome read(std::string_view bytes, std::size_t step) {
  ReplyReader reader({.bytes_max = 1 << 20, .items_max = 10'000});
  Outcome outcome;
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    if (!reader.feed(piece)) {
      outcome.failed = true;
      return outcome;
    }
    for (;;) {
      auto reply = reader.next();
      if (!reply) {
        outcome.failed = true;
        return outcome;
      }
      if (!*reply) break;
      outcome.replies.push_back(**std::move(reply));
    }
  }
  return outcome;
}

void write(std::string& out, const Reply& reply) {
  switch (reply.type) {
    case Reply::Type::kNil:
      out += "$-1\r\n";
      break;
    case Reply::Type::kText:
      out += "$" + std::to_string(reply.text.size()) + "\r\n" + reply.text + "\r\n";
      break;
    case Reply::Type::kStatus:
      out += "+" + reply.text + "\r\n";
      break;
    case Reply::Type::kError:
      out += "-" + reply.text + "\r\n";
      break;
    case Reply::Type::kInteger:
      out += ":" + std::to_string(reply.integer) + "\r\n";
      break;
    case Reply::Type::kArray:
      out += "*" + std::to_string(reply.items.size()) + "\r\n";
      for (const Reply& item : reply.items) write(out, item);
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::size_t step = std::max<std::size_t>(1, data[0]);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = read(bytes, bytes.size());
  const Outcome pieces = read(bytes, step);
  NB_ASSERT(whole.failed == pieces.failed);
  NB_ASSERT(whole.replies == pieces.replies);
  std::string again;
  for (const Reply& reply : whole.replies) {
    write(again, reply);
    nb::redis::Reply copy = reply;
    nb::ignore(reply.as_integer(), "any type will do");
    nb::ignore(std::move(copy).as_texts(), "any type will do");
    if (reply.is_error()) NB_ASSERT(!nb::redis::to_error(reply).text.empty());
  }
  const Outcome second = read(again, again.size());
  NB_ASSERT(again.empty() || (!second.failed && second.replies == whole.replies));
  return 0;
}
