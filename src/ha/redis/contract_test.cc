#include "ha/contract_suites.h"
#include "ha/redis/contract_rig.h"

namespace nb::ha {
namespace {
using Rigs = testing::Types<RedisRig>;
NB_HA_CONTRACTS(Redis, Rigs);
}  // namespace
}  // namespace nb::ha
