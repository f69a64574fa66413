// What anybody may send to Login, Sync and Job: as an envelope, and inside a valid one.
#include "base/assert.h"
#include "crypto/random.h"
#include "management/grpc/envelope.h"
#include "management/grpc/expose.h"
#include "management/grpc/meta.h"
#include "management/grpc/text.h"
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

void try_login(const std::string& plain) {
  ::management::LoginRequest login;
  if (!login.ParseFromString(plain)) return;
  const auto meta = nb::management::grpc::meta_from(login.meta());
  if (!meta) return;
  NB_ASSERT(meta->hostname.size() <=
            static_cast<std::size_t>(nb::management::grpc::kMetaTextBytesMax));
  for (const std::string* text : {&meta->hostname, &meta->os, &meta->wt_version, &meta->ui_version})
    NB_ASSERT(nb::management::grpc::is_storable(*text));
}

void try_expose(const std::string& plain) {
  ::management::ExposeServiceRequest expose;
  if (!expose.ParseFromString(plain)) return;
  const auto command = nb::management::grpc::expose_command(expose);
  NB_ASSERT(!command || (command->port > 0 && command->port <= 65'535));
}

void try_job_result(const std::string& plain) {
  ::management::JobResponse result;
  if (!result.ParseFromString(plain)) return;
  const std::string reason = nb::management::grpc::storable_prefix(result.reason(), 64);
  NB_ASSERT(reason.size() <= 64 && nb::management::grpc::is_storable(reason));
}
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
  try_login(opened->plain);
  try_expose(opened->plain);
  try_job_result(opened->plain);
  return 0;
}
