#include "ha/contract_suites.h"

namespace nb::ha {
namespace {
using Rigs = testing::Types<LocalRig, SimRig>;
NB_HA_CONTRACTS(Memory, Rigs);
}  // namespace
}  // namespace nb::ha
