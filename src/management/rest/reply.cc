#include "management/rest/reply.h"

#include "base/text.h"
#include "management/rest/json_writer.h"

namespace nb::management::rest {

Reply nothing() {
  return {.body = "{}"};
}

int http_status(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kInvalidArgument:
      return 422;
    case Code::kOutOfRange:  // what the contract answers "directly" with 400
      return 400;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
      return 409;
    case Code::kPermissionDenied:
      return 403;
    case Code::kFailedPrecondition:
      return 412;
    case Code::kUnauthenticated:
      return 401;
    case Code::kResourceExhausted:
      return 429;
    case Code::kUnavailable:
    case Code::kDeadlineExceeded:
    case Code::kAborted:
    case Code::kCancelled:
      return 503;
    default:
      return 500;
  }
}

net::HttpResponse error_response(int status, std::string_view message) {
  JsonWriter json;
  json.object([&] {
    json.field("message", message);
    json.field("code", status);
  });
  return net::HttpResponse::json(status, std::move(json).take() + "\n");
}

namespace {

constexpr std::size_t kMessageBytesMax = 1'000;

/// Errors name what is wrong; a client that sent a megabyte there knows it already.
std::string shortened(const std::string& text) {
  if (text.size() <= kMessageBytesMax) return text;
  std::size_t end = kMessageBytesMax;
  const auto inside = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  while (end > 0 && inside(end)) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

net::HttpResponse error_response(const Error& error) {
  const int status = http_status(error.code);
  switch (status) {
    case 500:
      return error_response(500, "internal server error");
    case 503:
      return error_response(503, "service temporarily unavailable, please try again");
    case 400:
      return error_response(400, shortened(error.text));
    default:
      return error_response(status, lower(shortened(error.text)));
  }
}

}  // namespace nb::management::rest
