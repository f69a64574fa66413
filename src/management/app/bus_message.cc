#include "management/app/bus_message.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

namespace nb::management::app {
namespace {

// Lines: head, kind, account, origin, then the kind's own.
constexpr std::string_view kHead = "nbmgmt1";

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

void line(std::string& out, std::string_view text) {
  if (!out.empty()) out += '\n';
  out += text;
}

class Lines {
 public:
  explicit Lines(std::string_view rest) : rest_(rest) {}
  std::optional<std::string_view> next() {
    if (done_) return std::nullopt;
    const std::size_t end = rest_.find('\n');
    const std::string_view text = rest_.substr(0, end);
    done_ = end == std::string_view::npos;
    if (!done_) rest_.remove_prefix(end + 1);
    return text;
  }
  std::optional<std::string> id() {
    const auto text = next();
    if (!text || text->empty() || text->size() > kBusIdBytesMax) return std::nullopt;
    return std::string(*text);
  }
  template <class Number>
  std::optional<Number> number() {
    const auto text = next();
    Number value{};
    if (!text) return std::nullopt;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return value;
  }
  [[nodiscard]] bool done() const { return done_; }

 private:
  std::string_view rest_;
  bool done_ = false;
};

std::optional<Changed> decode_changed(Lines& lines) {
  const auto serial = lines.number<Serial>();
  // Lines after the serial are for later versions.
  return serial ? std::optional(Changed{*serial}) : std::nullopt;
}

template <class Message>
std::optional<Message> decode_epoch(Lines& lines) {
  auto peer = lines.id();
  const auto epoch = lines.number<std::int64_t>();
  if (!peer || !epoch || !lines.done()) return std::nullopt;
  return Message{std::move(*peer), *epoch};
}

std::optional<JobWaiting> decode_waiting(Lines& lines) {
  auto peer = lines.id();
  if (!peer || !lines.done()) return std::nullopt;
  return JobWaiting{std::move(*peer)};
}

std::optional<Ended> decode_ended(Lines& lines) {
  auto peer = lines.id();
  const auto reason = lines.number<unsigned>();
  if (!peer || !reason || *reason > static_cast<unsigned>(EndReason::kDraining) || !lines.done())
    return std::nullopt;
  return Ended{std::move(*peer), static_cast<EndReason>(*reason)};
}

}  // namespace

std::string encode(const BusMessage& message) {
  std::string out(kHead);
  const auto head = [&](std::string_view kind) {
    line(out, kind);
    line(out, message.account);
    line(out, message.origin);
  };
  std::visit(Overloaded{
                 [&](const Changed& changed) {
                   head("changed");
                   line(out, std::to_string(changed.serial));
                 },
                 [&](const Superseded& superseded) {
                   head("superseded");
                   line(out, superseded.peer);
                   line(out, std::to_string(superseded.epoch));
                 },
                 [&](const JobWaiting& waiting) {
                   head("job-waiting");
                   line(out, waiting.peer);
                 },
                 [&](const JobSuperseded& superseded) {
                   head("job-superseded");
                   line(out, superseded.peer);
                   line(out, std::to_string(superseded.epoch));
                 },
                 [&](const Ended& ended) {
                   head("ended");
                   line(out, ended.peer);
                   line(out, std::to_string(static_cast<unsigned>(ended.reason)));
                 },
             },
             message.body);
  return out;
}

Result<BusMessage> decode_bus_message(std::string_view bytes) {
  const auto bad = [] { return fail(Code::kInvalidArgument, "bus message: not understood"); };
  Lines lines(bytes);
  if (lines.next() != kHead) return bad();
  const auto kind = lines.next();
  auto account = lines.id();
  auto origin = lines.id();
  if (!kind || !account || !origin) return bad();
  BusMessage message{std::move(*account), std::move(*origin), {}};
  const auto take = [&](auto body) -> Result<BusMessage> {
    if (!body) return bad();
    message.body = std::move(*body);
    return std::move(message);
  };
  if (*kind == "changed") return take(decode_changed(lines));
  if (*kind == "superseded") return take(decode_epoch<Superseded>(lines));
  if (*kind == "ended") return take(decode_ended(lines));
  if (*kind == "job-waiting") return take(decode_waiting(lines));
  if (*kind == "job-superseded") return take(decode_epoch<JobSuperseded>(lines));
  return bad();
}

}  // namespace nb::management::app
