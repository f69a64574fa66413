// All contract suites at once, for the adapters' tests.
#pragma once

#include "ha/deadlines_contract.h"
#include "ha/leases_contract.h"
#include "ha/login_filter_contract.h"
#include "ha/membership_contract.h"
#include "ha/message_bus_contract.h"
#include "ha/peer_directory_contract.h"

#include <list>

#define NB_HA_CONTRACTS(name, types)                                  \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, PeerDirectoryContract, types); \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, MembershipContract, types);    \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, MessageBusContract, types);    \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, LeasesContract, types);        \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, LoginFilterContract, types);   \
  INSTANTIATE_TYPED_TEST_SUITE_P(name, DeadlinesContract, types)
