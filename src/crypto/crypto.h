// crypto: the few constructions NetBird's wire and database formats need, over libsodium, OpenSSL
// and zlib; no primitive of our own.
//
// Purpose      envelope of RPC bodies (box.h), credentials handed to agents (relay_token.h),
//              encrypted columns (field_cipher.h), secrets users hold (access_token.h,
//              setup_key.h), ids (xid.h), hashes and texts (hash.h, encoding.h), randomness
//              (random.h), signed tokens and key sets (jose.h), passwords of people (password.h,
//              totp.h).
// Not here     TLS (net).
// Start with   BoxSession in box.h.
// Threads      values and pure functions; a const object may be used by many threads at once.
//              RandomSource says for itself.
// Limits       a box holds up to 64 MiB.
// Failure      wrong key or changed bytes: kInvalidArgument or kUnauthenticated, with no hint at
//              what was wrong inside. No error text holds key, token or plaintext.
#pragma once

#include "crypto/access_token.h"
#include "crypto/box.h"
#include "crypto/encoding.h"
#include "crypto/field_cipher.h"
#include "crypto/hash.h"
#include "crypto/jose.h"
#include "crypto/password.h"
#include "crypto/random.h"
#include "crypto/relay_token.h"
#include "crypto/setup_key.h"
#include "crypto/totp.h"
#include "crypto/xid.h"
