// The few facts the server needs of an EncryptedMessage, read from its bytes without a copy.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <string_view>

namespace nb::signal {

/// Views into the scanned bytes. The bytes themselves travel on unchanged.
struct MessageView {
  std::string_view key;         // sender, base64 text; may be empty
  std::string_view remote_key;  // receiver
  std::string_view body;        // sealed
};

/// Reads one serialized signalexchange.EncryptedMessage.
/// Shape    any valid protobuf: unknown fields are skipped, the last of repeated fields counts, a
///          known field with another wire type is an unknown field.
/// Errors   kInternal, as official servers answer (contract/signal-relay-ops.md §1.1): truncated or
///          invalid wire data, groups nested deeper than 32, text that is not UTF-8.
[[nodiscard]] Result<MessageView> scan_message(std::string_view bytes);

}  // namespace nb::signal
