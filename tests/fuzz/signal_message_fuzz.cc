// The scan of EncryptedMessage against protobuf's own parser.
#include "proto/signalexchange.pb.h"
#include "signal/message_scan.h"

#include <google/protobuf/stubs/logging.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const google::protobuf::LogSilencer silent;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto view = nb::signal::scan_message(bytes);
  signalexchange::EncryptedMessage reference;
  const bool parsed = reference.ParseFromArray(data, static_cast<int>(size));
  // What we take, protobuf takes as well, with the same fields; we are stricter with long tags and
  // deep groups only.
  if (view && !parsed) std::abort();
  if (view && (view->key != reference.key() || view->remote_key != reference.remotekey() ||
               view->body != reference.body()))
    std::abort();
  return 0;
}
