// Rows of the provider's tables as values. Times are milliseconds since 1970 by the database's
// clock.
#pragma once

#include "management/app/identity_provider.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nb::idp {

using management::IdpSubject;
using management::kLocalConnector;
using Millis = std::int64_t;

struct LocalUser {
  std::string id;
  std::string email;
  std::string name;
  std::string hash;
  bool disabled = false;
};

/// What tokens say about somebody, local or from a connector.
struct Identity {
  IdpSubject subject;
  std::string email;
  bool email_verified = false;
  std::string name;
  std::string preferred_username;
  std::vector<std::string> groups;
};

enum class Stage : std::uint8_t { kLogin = 0, kMfa = 1, kConfirm = 2, kDone = 3 };

/// One login under way, from /auth or /device to its end.
struct AuthRequest {
  std::string id;
  std::string flow_hash;
  std::string client_id;
  std::string redirect_uri;
  std::string scopes;  // blank-separated, known ones only
  std::string state;
  bool has_state = false;
  std::string nonce;
  std::string challenge;
  std::string login_hint;
  std::string prompt;
  std::string device_hash;  // not empty: a device waits for this login
  Stage stage = Stage::kLogin;
  bool remember = false;
  // Login at a connector.
  std::string connector_id;
  std::string upstream_state_hash;
  std::string upstream_nonce;
  std::string upstream_verifier;
  // Who passed the first factor.
  IdpSubject subject;
  Millis auth_time = 0;
  Millis expires_at = 0;
};

struct LoginSession {
  std::string hash;
  IdpSubject subject;
  Millis auth_time = 0;
  Millis mfa_time = 0;
  Millis expires_at = 0;
  std::string upstream_id_token;
};

/// What a code, device code or refresh token stands for.
struct Grant {
  std::string client_id;
  std::string redirect_uri;
  std::string challenge;
  std::string scopes;
  std::string nonce;
  IdpSubject subject;
  Millis auth_time = 0;
  std::string session_hash;
  std::string family_id;
};

struct DeviceCode {
  std::string hash;
  std::string user_code;  // eight letters, without the dash
  std::string client_id;
  std::string scopes;
  std::string ip;
  std::string user_agent;
};

struct Totp {
  std::string secret;  // bytes
  bool confirmed = false;
};

struct Connector {
  std::string id;
  std::string type;
  std::string name;
  std::string issuer;
  std::string client_id;
  std::string config;  // JSON, opened
  std::int64_t version = 0;
};

struct KeyRow {
  std::string kid;
  std::string private_pem;  // opened; empty: verification only
  std::string public_jwk;
  Millis publish_at = 0;
  Millis activate_at = 0;
  Millis remove_at = 0;  // 0: not retired
};

}  // namespace nb::idp
