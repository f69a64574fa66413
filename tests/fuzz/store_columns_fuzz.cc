// Structured text columns: whatever a row holds is read without harm, and what was read is written
// in a form that reads back the same.
#include "management/store/json_columns.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

using namespace nb::management;
using namespace nb::management::columns;

template <class Read, class Write>
void check(std::string_view text, Read read, Write write) {
  Damage damage;
  const std::string once = write(read(text, damage));
  Damage none;
  const std::string twice = write(read(once, none));
  if (once != twice || none.fields != 0) std::abort();
}

PeerMeta environment_of(std::string_view text, Damage& damage) {
  PeerMeta meta;
  read_environment(text, meta, damage);
  return meta;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text, read_strings, strings);
  check(text, read_address, address);
  check(text, read_prefix, prefix);
  check(text, read_network, network);
  check(text, read_network_addresses, network_addresses);
  check(text, environment_of, environment);
  check(text, read_flags, flags);
  check(text, read_files, files);
  check(text, read_integers, integers);
  check(text, read_resource, resource);
  check(text, read_resources, resources);
  check(text, read_port_ranges, port_ranges);
  check(text, read_authorized_groups, authorized_groups);
  check(text, read_name_servers, name_servers);
  check(text, read_posture_checks, posture_checks);
  check(text, read_event, [](const Event& e) { return event(e); });
  return 0;
}
