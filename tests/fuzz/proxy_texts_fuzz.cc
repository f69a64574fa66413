// What proxies and browsers bring back (one-time tokens, states, sessions), and what a provider
// answers: nothing passes that was not sealed or signed.
#include "base/assert.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/session_token.h"
#include "crypto/sign_key.h"
#include "management/app/proxy_seals.h"
#include "management/auth/proxy_sign_in.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using namespace nb;

struct Rig {
  crypto::SeededRandom random{1};
  crypto::SignKeyPair keys = crypto::generate_sign_key(random);
  management::app::ProxySeals seals{[] { return std::vector<Secret>{Secret("secret")}; }, random};
  WallTime now{std::chrono::seconds(1'800'000'000)};
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Rig rig;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  NB_ASSERT(!rig.seals.open_token(text, "a", "s", rig.now));
  NB_ASSERT(!rig.seals.open_state(text, rig.now));
  NB_ASSERT(!rig.seals.verifier(text));
  NB_ASSERT(!crypto::session_user(text, rig.keys.public_key, "d", rig.now));
  // Whatever an address holds, it comes back as it was.
  const auto opened =
      rig.seals.open_state(rig.seals.state(text.substr(0, 2'000), rig.now), rig.now);
  NB_ASSERT(opened && opened->url == text.substr(0, 2'000));
  if (const auto found = management::auth::read_discovery(text, "https://idp.example.net"))
    NB_ASSERT(found->token.find("://") != std::string::npos);
  if (const auto token = management::auth::read_id_token(text)) NB_ASSERT(!token->empty());
  return 0;
}
