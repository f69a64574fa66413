#include "redis/command.h"

#include "base/assert.h"
#include "crypto/encoding.h"

#include <hiredis/hiredis.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

namespace nb::redis {

namespace {

std::string sha1_hex(std::string_view text) {
  // Redis names scripts by SHA-1; nothing secret depends on it.
  std::array<std::uint8_t, 20> digest;
  NB_ASSERT(EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr) == 1);
  return crypto::to_hex(digest);
}

/// Few arguments, the usual case, need no allocation for the pointers.
template <class Texts>
void append_command(std::string& wire, const Texts& args) {
  constexpr std::size_t kFew = 8;
  std::array<const char*, kFew> few_pointers;
  std::array<std::size_t, kFew> few_sizes;
  std::vector<const char*> many_pointers;
  std::vector<std::size_t> many_sizes;
  const char** pointers = few_pointers.data();
  std::size_t* sizes = few_sizes.data();
  if (args.size() > kFew) {
    many_pointers.resize(args.size());
    many_sizes.resize(args.size());
    pointers = many_pointers.data();
    sizes = many_sizes.data();
  }
  std::size_t count = 0;
  for (const auto& arg : args) {
    pointers[count] = arg.data();
    sizes[count] = arg.size();
    ++count;
  }
  char* bytes = nullptr;
  const int size = redisFormatCommandArgv(&bytes, static_cast<int>(count), pointers, sizes);
  NB_ASSERT(size > 0);
  wire.append(bytes, static_cast<std::size_t>(size));
  redisFreeCommand(bytes);
}

}  // namespace

Script::Script(std::string_view source)
    : text_(std::make_shared<const Text>(Text{std::string(source), sha1_hex(source)})) {}

Batch& Batch::add_args(std::span<const std::string_view> args) {
  NB_ASSERT(!args.empty());
  append_command(wire_, args);
  ++count_;
  return *this;
}

Batch& Batch::add_args(std::span<const std::string> args) {
  NB_ASSERT(!args.empty());
  append_command(wire_, args);
  ++count_;
  return *this;
}

Batch& Batch::eval(const Script& script, std::span<const std::string_view> keys,
                   std::span<const std::string_view> args) {
  ScriptCall call{count_, script, {}, keys.size()};
  call.keys_and_args.reserve(keys.size() + args.size());
  call.keys_and_args.insert(call.keys_and_args.end(), keys.begin(), keys.end());
  call.keys_and_args.insert(call.keys_and_args.end(), args.begin(), args.end());
  add_script(call, "EVALSHA", script.sha1());
  scripts_.push_back(std::move(call));
  return *this;
}

void Batch::add_script(const ScriptCall& call, std::string_view verb, std::string_view body) {
  const std::string keys = std::to_string(call.keys);
  std::vector<std::string_view> words{verb, body, keys};
  words.insert(words.end(), call.keys_and_args.begin(), call.keys_and_args.end());
  add_args(words);
}

Batch Batch::again(const std::vector<ScriptCall>& calls) {
  Batch batch;
  std::vector<std::string_view> sent;  // hashes the server will know once it has run the first
  for (const ScriptCall& call : calls) {
    const bool known =
        std::find(sent.begin(), sent.end(), std::string_view(call.script.sha1())) != sent.end();
    if (known) {
      batch.add_script(call, "EVALSHA", call.script.sha1());
    } else {
      batch.add_script(call, "EVAL", call.script.source());
      sent.push_back(call.script.sha1());
    }
  }
  return batch;
}

}  // namespace nb::redis
