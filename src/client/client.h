// client: the protocols of a NetBird server, spoken from the other side.
//
// Purpose      management (login, sync), signal (offers and answers) and relay (packets, presence)
//              for tests, tools and the agent; Peer puts them together into an agent without a
//              tunnel device that exchanges packets through relays.
// Not here     WireGuard, ICE, routes, DNS: the agent's; load generation, which counts every byte
//              (bench/).
// Start with   Peer in peer.h; for one protocol RelayClient, SignalClient, ManagementClient.
// Threads      every object lives on the one executor it was given (home), run by one thread; all
//              calls and callbacks are made there. gRPC's own thread only posts to it.
// Limits       RelayOptions; a receiver that is not there yet gets 100 packets, then newer ones are
//              dropped, as in official agents.
// Failure      connections are made again with back-off; what was on its way is lost, as on a link.
// Decisions    docs/decisions/0105-client-library.md
// Source       contract/client-agent.md §1, contract/signal-relay-ops.md §1.6, §3
#pragma once
