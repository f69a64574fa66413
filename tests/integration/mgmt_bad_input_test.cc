// What nobody honest sends, to every call: the right status, and nothing written
// (contract/management-grpc.md §2, §5.2.4).
#include "integration/mgmt_harness.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>

namespace nb::test {
namespace {

using namespace std::chrono_literals;
using grpc::StatusCode;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

class MgmtBadInput : public testing::Test {
 protected:
  using Call = std::function<grpc::Status(pb::ManagementService::Stub&, grpc::ClientContext&,
                                          const pb::EncryptedMessage&)>;
  using Stub = pb::ManagementService::Stub;

  MgmtBadInput() : server({.postgres_dsn = postgres.dsn()}) {
    server.start();
    EXPECT_TRUE(agent.login(server.target(), server.setup_key()).ok());
    server_key = agent.server_key(server.target()).value;
    const auto sealed = [this](const std::string& name, auto method) {
      calls[name] = [method](Stub& at, grpc::ClientContext& context,
                             const pb::EncryptedMessage& message) {
        pb::EncryptedMessage response;
        return (at.*method)(&context, message, &response);
      };
    };
    const auto empty = [this](const std::string& name, auto method) {
      calls[name] = [method](Stub& at, grpc::ClientContext& context,
                             const pb::EncryptedMessage& message) {
        pb::Empty response;
        return (at.*method)(&context, message, &response);
      };
    };
    sealed("Login", &Stub::Login);
    sealed("GetDeviceAuthorizationFlow", &Stub::GetDeviceAuthorizationFlow);
    sealed("GetPKCEAuthorizationFlow", &Stub::GetPKCEAuthorizationFlow);
    sealed("ExtendAuthSession", &Stub::ExtendAuthSession);
    sealed("CreateExpose", &Stub::CreateExpose);
    sealed("RenewExpose", &Stub::RenewExpose);
    sealed("StopExpose", &Stub::StopExpose);
    empty("SyncMeta", &Stub::SyncMeta);
    empty("Logout", &Stub::Logout);
    calls["Sync"] = [](Stub& at, grpc::ClientContext& context,
                       const pb::EncryptedMessage& message) {
      const auto stream = at.Sync(&context, message);
      pb::EncryptedMessage response;
      while (stream->Read(&response)) {
      }
      return stream->Finish();
    };
    calls["Job"] = [](Stub& at, grpc::ClientContext& context, const pb::EncryptedMessage& message) {
      const auto stream = at.Job(&context);
      stream->Write(message);
      pb::EncryptedMessage response;
      while (stream->Read(&response)) {
      }
      return stream->Finish();
    };
  }

  grpc::Status send(const std::string& name, const pb::EncryptedMessage& message) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + patient(10s));
    return calls.at(name)(*service, context, message);
  }
  /// To all calls: refused as nothing that was sent.
  void expect_refused(const std::string& what, const pb::EncryptedMessage& message) {
    for (const auto& [name, call] : calls) {
      const auto status = send(name, message);
      EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT)
          << name << ", " << what << ": " << status.error_message();
      EXPECT_THAT(status.error_message(),
                  AnyOf("invalid request message", StartsWith("missing hello: "),
                        StartsWith("error while parsing peer's Wireguard public key "),
                        StartsWith("error while decrypting peer's message with Wireguard public "),
                        HasSubstr("is invalid")))
          << name << ", " << what;
    }
  }
  [[nodiscard]] pb::EncryptedMessage sealed(const std::string& plain) const {
    pb::EncryptedMessage out;
    out.set_wgpubkey(agent.key());
    out.set_body(agent.box(server_key).seal(plain, random));
    return out;
  }
  /// Everything that a call may write.
  [[nodiscard]] std::string rows() const {
    std::string out;
    for (const char* table : {"peers", "accounts", "users", "setup_keys", "group_peers", "jobs",
                              "services", "nb_peer_sessions", "nb_job_streams", "nb_token_claims"})
      out += postgres.psql(fmt::format(
                 "select '{0} ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '-') "
                 "from {0} t",
                 table)) +
             "\n";
    return out;
  }

  PostgresServer postgres;
  MgmtServer server;
  Agent agent{"honest"};
  std::string server_key;
  mutable crypto::SystemRandom random;
  std::unique_ptr<Stub> service = stub(server.target());
  std::map<std::string, Call> calls;
};

TEST_F(MgmtBadInput, KeysAndBoxesThatAreNoneAreRefusedByEveryCall) {
  const std::string before = rows();
  pb::EncryptedMessage message;
  expect_refused("no key", message);
  const auto good = sealed("");
  for (const std::string& key :
       {std::string("not a key"), agent.key().substr(4), agent.key() + "AAAA",
        std::string(100'000, 'A'), std::string("\0\0\0\0", 4)}) {
    message = good;
    message.set_wgpubkey(key);
    expect_refused(fmt::format("a key of {} bytes", key.size()), message);
  }
  for (const std::size_t size : {0U, 1U, 23U, 24U, 39U}) {
    message = good;
    message.mutable_body()->resize(size);
    expect_refused(fmt::format("{} bytes of a box", size), message);
  }
  message = good;
  message.mutable_body()->back() = static_cast<char>(message.body().back() ^ 1);
  expect_refused("a changed box", message);
  // Somebody else's message, recorded.
  message = good;
  message.set_wgpubkey(Agent("other").key());
  expect_refused("a foreign box", message);
  expect_refused("no message in the box", sealed("\x0a\x7f"));
  EXPECT_EQ(rows(), before);
}

TEST_F(MgmtBadInput, DescriptionsOfMachinesBeyondAllMeasureAreRefusedByEveryCall) {
  const std::string before = rows();
  const auto text_of = [](const std::string& bytes) {
    return [bytes](pb::PeerSystemMeta& meta) { meta.set_kernelversion(bytes); };
  };
  const std::map<std::string, std::function<void(pb::PeerSystemMeta&)>> cases = {
      {"a megabyte of kernel version", text_of(std::string(1 << 20, 'x'))},
      {"no UTF-8", text_of("\xff\xfe")},
      {"half a character", text_of("\xe2\x82")},
      {"a NUL byte", text_of(std::string("a\0b", 3))},
      {"thousands of files",
       [](pb::PeerSystemMeta& meta) {
         for (int i = 0; i < 5'000; ++i) meta.add_files()->set_path("/f" + std::to_string(i));
       }},
      {"thousands of addresses",
       [](pb::PeerSystemMeta& meta) {
         for (int i = 0; i < 5'000; ++i) meta.add_networkaddresses()->set_netip("10.0.0.1/8");
       }},
      {"thousands of capabilities",
       [](pb::PeerSystemMeta& meta) {
         for (int i = 0; i < 5'000; ++i) meta.add_capabilities(pb::PeerCapabilityIPv6Overlay);
       }},
  };
  for (const auto& [what, spoil] : cases) {
    pb::LoginRequest login;
    pb::SyncRequest sync;
    pb::SyncMetaRequest sync_meta;
    for (pb::PeerSystemMeta* meta :
         {login.mutable_meta(), sync.mutable_meta(), sync_meta.mutable_meta()}) {
      *meta = agent.meta();
      spoil(*meta);
    }
    const std::map<std::string, std::string> requests = {
        {"Login", login.SerializeAsString()},
        {"Sync", sync.SerializeAsString()},
        {"SyncMeta", sync_meta.SerializeAsString()}};
    for (const auto& [name, plain] : requests) {
      const auto status = send(name, sealed(plain));
      EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT)
          << name << ", " << what << ": " << status.error_message();
    }
  }
  EXPECT_EQ(rows(), before);
  // A message that is too large to be one at all never becomes a string here.
  const auto status = send("SyncMeta", sealed(std::string(5 << 20, 'x')));
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_TRUE(agent.login(server.target()).ok());
}

TEST_F(MgmtBadInput, LoginsBeyondAllMeasureAreRefusedAndWriteNothing) {
  const std::string before = rows();
  const auto refused = [&](StatusCode code, const std::function<void(pb::LoginRequest&)>& spoil) {
    const Agent stranger("stranger");
    pb::LoginRequest request;
    *request.mutable_meta() = stranger.meta();
    spoil(request);
    const auto answer = stranger.login(server.target(), request);
    EXPECT_EQ(answer.status.error_code(), code) << answer.status.error_message();
  };
  refused(StatusCode::NOT_FOUND, [](auto& r) { r.set_setupkey(std::string(10'000, 'A')); });
  refused(StatusCode::INVALID_ARGUMENT, [](auto& r) { r.set_jwttoken(std::string(100'000, 'e')); });
  refused(StatusCode::INVALID_ARGUMENT,
          [](auto& r) { r.mutable_peerkeys()->set_sshpubkey(std::string(100'000, 's')); });
  refused(StatusCode::INVALID_ARGUMENT,
          [](auto& r) { r.mutable_peerkeys()->set_sshpubkey("\xff\xff"); });
  refused(StatusCode::INVALID_ARGUMENT, [](auto& r) {
    for (int i = 0; i < 5'000; ++i) r.add_dnslabels("l" + std::to_string(i));
  });
  EXPECT_EQ(rows(), before);
}

}  // namespace
}  // namespace nb::test
