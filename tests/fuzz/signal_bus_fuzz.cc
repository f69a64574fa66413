// Bus messages of any origin: decoded, written again, compared; and fed to a router.
#include "signal/bus_codec.h"
#include "signal/router.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void same(const nb::signal::BusRecord& a, const nb::signal::BusRecord& b) {
  if (a.kind != b.kind || a.id != b.id || a.outcome != b.outcome || a.message != b.message ||
      a.peer != b.peer || a.token != b.token)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nb::signal;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);

  Router router(nb::ha::InstanceId("a"), 1, {}, [](const nb::ha::Holder&) { return true; });
  const nb::Instant now = nb::Instant{} + std::chrono::hours(1);
  router.received(payload, now);
  router.heard(payload);
  const auto effects = router.take_effects();
  for (const auto& deliver : effects.deliver)
    router.delivered(deliver.origin, deliver.peer, Outcome::kAccepted, now);
  static_cast<void>(router.take_effects());

  const auto batch = decode_bus(payload);
  if (!batch) return 0;
  BusWriter writer(batch->from);
  for (const BusRecord& record : batch->records) {
    switch (record.kind) {
      case RecordKind::kForward:
        writer.forward(record.id, record.message);
        break;
      case RecordKind::kAnswer:
        writer.answer(record.id, record.outcome);
        break;
      case RecordKind::kEvict:
        writer.evict(record.id, record.peer, record.token);
        break;
      case RecordKind::kArrived:
        writer.arrived(record.peer);
        break;
    }
  }
  const std::string written = writer.take();
  const auto again = decode_bus(written);
  if (!again || again->from != batch->from || again->records.size() != batch->records.size())
    std::abort();
  for (std::size_t i = 0; i < again->records.size(); ++i)
    same(again->records[i], batch->records[i]);
  return 0;
}
