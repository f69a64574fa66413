// ha: who is alive, which instance serves which peer, and who may do what next.
//
// Purpose      ports for membership, peer directory, bus, leases, login filter and deadlines, with
//              three adapters each: local (HA off), redis, sim (tests).
// Not here     what is sent over the bus (signal, management/app); SQL advisory locks (sql).
// Start with   the port headers: membership.h, peer_directory.h, message_bus.h, leases.h,
//              login_filter.h, deadlines.h; sealed_bus.h signs and checks what a bus carries.
//              Adapters: local/adapters.h, redis/adapters.h; simulations: sim/world.h.
// Inside       rules are pure tables without I/O (member_view, directory_table, lease_holder,
//              login_rules, deadline_table, envelope). local/ calls them in place, sim/ calls them
//              behind simulated links, redis/ says the same in Lua, compared by a property test.
//              Every adapter passes the contract suites <port>_contract.h. member_driver and
//              lease_driver are Membership and Leases over any of the stores.
// Threads      every object lives on the executor it was given (its home); calls are made there.
// Limits       instances <= 1000; a bus message <= 1 MiB; batches are cut into chunks of 1000;
//              lists are paged, never whole; leases <= 10'000 per instance.
// Failure      store away: calls end with kUnavailable at once (circuit breaker), at the latest
//              after the store's time-out; nothing here is needed to serve local peers. Safety of
//              data stays with PostgreSQL: everything in Redis may vanish at any time.
// Decisions    docs/decisions/0007-claims-and-leases.md
#pragma once

#include "ha/deadlines.h"
#include "ha/leases.h"
#include "ha/login_filter.h"
#include "ha/membership.h"
#include "ha/message_bus.h"
#include "ha/peer_directory.h"
