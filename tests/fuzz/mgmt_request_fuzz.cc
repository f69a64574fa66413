// What anybody may send to Login, Sync and Job: as an envelope, and inside a valid one.
#include "base/assert.h"
#include "crypto/random.h"
#include "management/grpc/envelope.h"
#include "management/grpc/meta.h"
#include "proto/management.pb.h"

#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {
using namespace nb;

struct Keys {
  Keys() {
    google::protobuf::SetLogHandler(nullptr);
    crypto::SeededRandom random(1);
    const auto server = crypto::PrivateKey::generate(random);
    const auto agent = crypto::PrivateKey::generate(random);
    agent_text = agent.public_key().base64();
    session.emplace(*crypto::BoxSession::create(agent, server.public_key()));
    NB_ASSERT(ring.set({server}));
  }
  nb::management::grpc::ServerKeyRing ring;
  std::string agent_text;
  std::optional<crypto::BoxSession> session;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keys keys;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto raw = nb::management::grpc::open_envelope(bytes, keys.ring);
  NB_ASSERT(raw || raw.error().code == Code::kInvalidArgument);

  crypto::SeededRandom random(size + 1);
  ::management::EncryptedMessage envelope;
  envelope.set_wgpubkey(keys.agent_text);
  envelope.set_body(keys.session->seal(bytes, random));
  const auto opened = nb::management::grpc::open_envelope(envelope.SerializeAsString(), keys.ring);
  NB_ASSERT(opened && opened->plain == bytes && opened->channel.peer.value() == keys.agent_text);
  ::management::LoginRequest login;
  if (!login.ParseFromString(opened->plain)) return 0;
  const auto meta = nb::management::grpc::meta_from(login.meta());
  NB_ASSERT(!meta || meta->hostname.size() <=
                         static_cast<std::size_t>(nb::management::grpc::kMetaTextBytesMax));
  return 0;
}
