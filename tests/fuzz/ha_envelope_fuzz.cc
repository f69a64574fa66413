// Bus envelopes and claim tokens: whatever opens is sealed again to the same bytes.
#include "ha/envelope.h"
#include "ha/login_rules.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::vector<Secret> none;
  const auto opened = ha::open_envelope(text, "c", none);
  if (opened.ok && !opened.is_signed) {
    const ha::Envelope envelope{std::string(opened.sender), opened.sent_ms, opened.boot,
                                opened.counter, std::string(opened.payload)};
    if (ha::encode_envelope(envelope, "c", Secret()) != text) std::abort();
  }
  std::vector<Secret> secrets;
  secrets.emplace_back("secret");
  if (ha::open_envelope(text, "c", secrets).ok) std::abort();  // nobody guesses an HMAC
  if (const auto claim = ha::parse_token(text); claim && ha::token(*claim) != text) std::abort();
  if (const auto state = ha::parse_login_state(text)) {
    if (ha::parse_login_state(ha::encode(*state)) != state) std::abort();
  }
  return 0;
}
