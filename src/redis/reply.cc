#include "redis/reply.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace nb::redis {

std::string_view Reply::error_word() const {
  if (!is_error()) return {};
  const std::string_view view = text;
  return view.substr(0, view.find(' '));
}

namespace {

constexpr std::size_t kErrorTextMax = 200;

Error unexpected(const Reply& reply, std::string_view wanted) {
  if (reply.is_error()) return to_error(reply);
  static constexpr std::string_view kNames[] = {"nil",     "text",  "status",
                                                "integer", "array", "error"};
  return fail(Code::kInternal, "redis: {} where {} was expected",
              kNames[static_cast<std::size_t>(reply.type)], wanted);
}

bool is_any_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Code code_of(std::string_view word) {
  if (is_any_of(word, {"LOADING", "READONLY", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN",
                       "MISCONF", "NOREPLICAS"})) {
    return Code::kUnavailable;
  }
  if (is_any_of(word, {"NOAUTH", "WRONGPASS", "NOPERM"})) return Code::kPermissionDenied;
  if (word == "OOM") return Code::kResourceExhausted;
  if (is_any_of(word, {"WRONGTYPE", "EXECABORT"})) return Code::kFailedPrecondition;
  return Code::kInternal;
}

}  // namespace

Error to_error(const Reply& reply) {
  std::string_view text = reply.text;
  // "ERR unknown command 'X', with args beginning with: …" repeats arguments: not into logs.
  text = text.substr(0, text.find(", with args beginning with"));
  return fail(code_of(reply.error_word()), "redis: {}", text.substr(0, kErrorTextMax));
}

Result<std::int64_t> Reply::as_integer() const {
  if (type == Type::kInteger) return integer;
  if (type != Type::kText) return unexpected(*this, "integer");
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return unexpected(*this, "integer");
  return value;
}

Result<std::string> Reply::as_text() const& {
  if (type != Type::kText && type != Type::kStatus) return unexpected(*this, "text");
  return text;
}

Result<std::string> Reply::as_text() && {
  if (type != Type::kText && type != Type::kStatus) return unexpected(*this, "text");
  return std::move(text);
}

Result<std::optional<std::string>> Reply::as_optional() && {
  if (is_nil()) return std::optional<std::string>();
  if (type != Type::kText && type != Type::kStatus) return unexpected(*this, "text or nil");
  return std::optional<std::string>(std::move(text));
}

Result<std::vector<Reply>> Reply::as_array() && {
  if (is_nil()) return std::vector<Reply>();
  if (type != Type::kArray) return unexpected(*this, "array");
  return std::move(items);
}

Result<std::vector<std::optional<std::string>>> Reply::as_texts() && {
  NB_LET(std::vector<Reply> elements, std::move(*this).as_array());
  std::vector<std::optional<std::string>> texts;
  texts.reserve(elements.size());
  for (Reply& element : elements) {
    NB_LET(auto text_or_nil, std::move(element).as_optional());
    texts.push_back(std::move(text_or_nil));
  }
  return texts;
}

// hiredis walks the bytes and calls back for each object; the tree of replies is built in place.
// A pointer it keeps always points to a still incomplete array, whose siblings to come have no
// element yet, so that growing a vector never moves an object hiredis refers to.
struct ReplyReader::Impl {
  explicit Impl(Limits given) : limits(given) {
    functions.createString = &create_string;
    functions.createArray = &create_array;
    functions.createInteger = &create_integer;
    functions.createNil = &create_nil;
    functions.freeObject = nullptr;  // `root` owns everything
    reader.reset(redisReaderCreateWithFunctions(&functions));
    reader->privdata = this;
  }

  static Impl& of(const redisReadTask* task) { return *static_cast<Impl*>(task->privdata); }

  /// Null when the limit on elements is passed; hiredis then reports that it is out of memory.
  static Reply* place(const redisReadTask* task, Reply::Type type) {
    Impl& impl = of(task);
    if (++impl.items > impl.limits.items_max) {
      impl.too_many = true;
      return nullptr;
    }
    Reply* reply = &impl.root;
    if (task->parent != nullptr) {
      reply = &static_cast<Reply*>(task->parent->obj)->items.emplace_back();
    } else {
      impl.root = Reply();
    }
    reply->type = type;
    return reply;
  }

  static void* create_string(const redisReadTask* task, char* bytes, std::size_t size) {
    const auto type = task->type == REDIS_REPLY_STATUS  ? Reply::Type::kStatus
                      : task->type == REDIS_REPLY_ERROR ? Reply::Type::kError
                                                        : Reply::Type::kText;
    Reply* const reply = place(task, type);
    if (reply != nullptr) reply->text.assign(bytes, size);
    return reply;
  }
  static void* create_array(const redisReadTask* task, int elements) {
    constexpr int kReserveMax = 1024;  // the claimed size is not trusted with memory
    Reply* const reply = place(task, Reply::Type::kArray);
    if (reply != nullptr) {
      reply->items.reserve(static_cast<std::size_t>(std::clamp(elements, 0, kReserveMax)));
    }
    return reply;
  }
  static void* create_integer(const redisReadTask* task, long long value) {
    Reply* const reply = place(task, Reply::Type::kInteger);
    if (reply != nullptr) reply->integer = value;
    return reply;
  }
  static void* create_nil(const redisReadTask* task) { return place(task, Reply::Type::kNil); }

  struct Free {
    void operator()(redisReader* r) const { redisReaderFree(r); }
  };
  Limits limits;
  redisReplyObjectFunctions functions{};
  std::unique_ptr<redisReader, Free> reader;
  Reply root;
  std::size_t items = 0;  // of the reply under way
  std::size_t bytes = 0;
  bool too_many = false;
};

ReplyReader::ReplyReader(Limits limits) : impl_(std::make_unique<Impl>(limits)) {}

ReplyReader::~ReplyReader() = default;

Result<> ReplyReader::feed(std::string_view bytes) {
  if (impl_->bytes + bytes.size() > impl_->limits.bytes_max) {
    return fail(Code::kResourceExhausted, "redis: a reply exceeds {} bytes",
                impl_->limits.bytes_max);
  }
  impl_->bytes += bytes.size();
  if (redisReaderFeed(impl_->reader.get(), bytes.data(), bytes.size()) != REDIS_OK) {
    return fail(Code::kDataLoss, "redis: reader is broken");
  }
  return {};
}

Result<std::optional<Reply>> ReplyReader::next() {
  redisReader* const reader = impl_->reader.get();
  void* object = nullptr;
  if (redisReaderGetReply(reader, &object) != REDIS_OK) {
    if (impl_->too_many) {
      return fail(Code::kResourceExhausted, "redis: a reply has more than {} elements",
                  impl_->limits.items_max);
    }
    // hiredis' text may quote a byte of the input, never more.
    return fail(Code::kDataLoss, "redis: no valid reply: {}", std::string_view(reader->errstr));
  }
  if (object == nullptr) return std::optional<Reply>();
  impl_->items = 0;
  impl_->bytes = reader->len - reader->pos;
  return std::optional<Reply>(std::exchange(impl_->root, Reply()));
}

}  // namespace nb::redis
