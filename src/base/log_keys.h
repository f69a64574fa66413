// Keys of log fields: the same thing has the same key everywhere.
#pragma once

#include <string_view>

namespace nb::log {

inline constexpr std::string_view kAccount = "accountID";
inline constexpr std::string_view kAddress = "address";
inline constexpr std::string_view kCode = "code";
inline constexpr std::string_view kContext = "context";
inline constexpr std::string_view kCount = "count";
inline constexpr std::string_view kError = "error";
inline constexpr std::string_view kInstance = "instance";
inline constexpr std::string_view kMethod = "method";
inline constexpr std::string_view kPath = "path";
inline constexpr std::string_view kPeer = "peerID";
inline constexpr std::string_view kReason = "reason";
inline constexpr std::string_view kRequest = "requestID";
inline constexpr std::string_view kSerial = "serial";
inline constexpr std::string_view kTookMs = "tookMs";
inline constexpr std::string_view kUser = "userID";

}  // namespace nb::log
