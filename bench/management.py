#!/usr/bin/python3
"""netbird-bench management against a server that is prepared and restarted for it.

    bench/management.py --bin build/bin crowd [--agents 2000] [-- OPTIONS]
    bench/management.py --bin build/bin networks [--agents 70] [--networks 200] [--routes 480]
    bench/management.py --bin build/bin load [--agents 500] [-- OPTIONS]
    bench/management.py --bin build/bin groups [--agents 5000] [--changes 20]

crowd: the agents register, the server is started anew, and all of them arrive at the same moment.
networks: through the REST API, networks with a router and resources, and routes beside them; then
the agents reconnect all the time. load: netbird-bench management as it is. groups: what a change
costs that the 100 agents of one group see, in an account of 100 agents and in one of many such
groups that do not see each other, in turn.

Starts servers of its own on free loopback ports: --engine sqlite, or postgres with two instances
and Redis (--instances 1: the agents stay at one of them). OPTIONS go to netbird-bench management.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tests/integration/rest"))

from client import Client, Description  # noqa: E402
from servers import Deployment  # noqa: E402
from tokens import Provider  # noqa: E402

SERVICES = 10  # groups of resources, one policy each
GATEWAYS = 4   # agents that route
GROUP = 100    # agents of a group of their own
SEEN = 2.0     # seconds in which a change has reached everybody: the window of maps is one


def cpu_seconds(pids):
    """Of all threads, from the clocks of the processes (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


class Site:
    def __init__(self, given, agents=None):
        self.given = given
        self.agents = agents or given.agents
        self.provider = Provider()
        self.deployment = Deployment(given.engine, os.path.abspath(given.bin),
                                     {"HttpConfig": self.provider.settings()}, log_level="warn")
        self.server = self.deployment.servers[0]
        self.others = self.deployment.servers[1:given.instances]
        self.owner = Client(self.server.port, Description(os.path.join(HERE, "../api/openapi.yaml")),
                            "Bearer " + self.provider.jwt("owner-1", email="o@example.org"))
        self.everybody = self.owner.get("/api/groups?name=All").json[0]["id"]
        self.key = self.post("/api/setup-keys", {
            "name": "bench", "type": "reusable", "expires_in": 0, "usage_limit": 0,
            "auto_groups": [], "ephemeral": False, "allow_extra_dns_labels": False})["key"]
        self.keys_file = os.path.join(self.deployment.folder, "agents")

    def post(self, path, body):
        """Thousands of answers need no schema."""
        answer = self.owner.raw("POST", path, body)
        assert answer.status in (200, 201), f"{path}: {answer.status} {answer.body[:300]!r}"
        return answer.json

    def pids(self):
        return [server.process.child.pid for server in [self.server, *self.others]]

    def command(self, *options):
        at = [f"127.0.0.1:{server.port},{server.process.child.pid}"
              for server in [self.server, *self.others]]
        return [os.path.join(self.given.bin, "netbird-bench"), "management",
                "--server", f"{at[0]},{self.key}", *(f"--instance={other}" for other in at[1:]),
                "--agents", str(self.agents), *options, *self.given.options]

    def bench(self, *options):
        sys.stdout.flush()
        status = subprocess.run(self.command(*options)).returncode
        if status:
            sys.exit(status)

    def hold(self):
        """Opens the agents' streams and keeps them until release()."""
        self.holder = subprocess.Popen(self.command("--keys", self.keys_file, "--hold"), text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.holder.stdout.readline().startswith("holding"):
            sys.exit(self.holder.wait() or 1)

    def release(self):
        said = self.holder.communicate("")[0]
        if self.holder.returncode:
            sys.exit(self.holder.returncode)
        return said

    def restart(self):
        for server in [self.server, *self.others]:
            server.stop()
            server.start()
            server.wait_ready()

    def stop(self):
        self.deployment.stop()
        self.provider.stop()


def crowd(site):
    site.bench("--keys", site.keys_file, "--register-only")
    site.restart()
    site.bench("--keys", site.keys_file, "--crowd")


def address(number):
    return f"10.{number // 256 % 256}.{number % 256}.0/24"


def networks(site):
    site.bench("--keys", site.keys_file, "--register-only")
    given = site.given
    began = time.monotonic()
    peers = sorted(peer["id"] for peer in site.owner.raw("GET", "/api/peers").json)
    gateways = peers[:GATEWAYS]
    services = [site.post("/api/groups", {"name": f"services {i}", "peers": []})["id"]
                for i in range(SERVICES)]
    for service in services:
        site.post("/api/policies", {
            "name": f"to {service}", "description": "", "enabled": True, "rules": [{
                "name": "r", "enabled": True, "action": "accept", "protocol": "tcp",
                "bidirectional": False, "ports": ["443", "8443"], "sources": [site.everybody],
                "destinations": [service]}]})
    made = [site.post("/api/networks", {"name": f"network {i}"})["id"]
            for i in range(given.networks)]
    for i, network in enumerate(made):
        site.post(f"/api/networks/{network}/routers", {
            "peer": gateways[i % GATEWAYS], "metric": 100, "masquerade": True, "enabled": True})
    # Two resources of each network as far as the number of routes allows, the rest without network.
    resources = min(given.routes, 2 * given.networks)
    for i in range(resources):
        site.post(f"/api/networks/{made[i % given.networks]}/resources", {
            "name": f"resource {i}", "address": address(i), "enabled": True,
            "groups": [services[i % SERVICES]]})
    for i in range(resources, given.routes):
        site.post("/api/routes", {
            "network_id": f"route {i}", "description": "", "enabled": True, "metric": 100,
            "masquerade": True, "groups": [site.everybody], "keep_route": False,
            "network": address(i), "peer": gateways[i % GATEWAYS]})
    print(f"{given.networks} networks, {resources} resources, {given.routes - resources} routes "
          f"beside them, made in {time.monotonic() - began:.1f} s through the REST API")
    site.bench("--keys", site.keys_file, "--burst", "0", "--churn", str(given.agents),
               "--churn-seconds", "20")


def load(site):
    site.bench()


def rule_among(group, ports):
    """A policy's body; its answer needs nothing of the account but the policy."""
    return {"name": f"in {group}", "description": "", "enabled": True, "rules": [{
        "name": "r", "enabled": True, "action": "accept", "protocol": "tcp", "bidirectional": True,
        "ports": ports, "sources": [group], "destinations": [group]}]}


def separate(site):
    """Groups of GROUP agents, each of which sees its own group only; (policy, group) of the first."""
    site.bench("--keys", site.keys_file, "--register-only")
    for policy in site.owner.raw("GET", "/api/policies").json:
        assert site.owner.raw("DELETE", f"/api/policies/{policy['id']}").status == 200
    peers = sorted(peer["id"] for peer in site.owner.raw("GET", "/api/peers").json)
    made = []
    for first in range(0, len(peers), GROUP):
        group = site.post("/api/groups", {"name": f"group {first // GROUP}",
                                          "peers": peers[first:first + GROUP]})["id"]
        made.append((site.post("/api/policies", rule_among(group, ["80"]))["id"], group))
    return made[0]


def change(site, where, number):
    """CPU of the server for the call that changes the rule of a group, and from then on until
    everybody in it has a map."""
    policy, group = where
    before = cpu_seconds(site.pids())
    answer = site.owner.raw("PUT", f"/api/policies/{policy}",
                            rule_among(group, [str(1000 + number)]))
    assert answer.status == 200, answer.body[:300]
    answered = cpu_seconds(site.pids())
    time.sleep(SEEN)
    return answered - before, cpu_seconds(site.pids()) - answered


def idle(site):
    before = cpu_seconds(site.pids())
    time.sleep(SEEN)
    return cpu_seconds(site.pids()) - before


def groups(large):
    """One server holds all agents, another one the hundred of a single group."""
    changes = large.given.changes
    small = Site(large.given, GROUP)
    sites = [small, large]
    try:
        where = [separate(site) for site in sites]
        for site in sites:
            site.hold()
        costs, idles = [[], []], [[], []]
        for number in range(changes):
            for i, site in enumerate(sites):
                idles[i].append(idle(site))
                costs[i].append(change(site, where[i], number))
        net = []
        for i, site in enumerate(sites):
            print(site.release().rstrip())
            rest = statistics.median(idles[i])
            call, told = (statistics.median(part) for part in zip(*costs[i]))
            net.append((call, told - rest))
            print(f"change     in one of {site.agents // GROUP} groups of {GROUP} (median of "
                  f"{changes}): {1000 * call:.2f} ms CPU until the call is answered, "
                  f"{1000 * net[i][1]:.2f} ms for the maps, beside {1000 * rest:.2f} ms that the "
                  f"same {SEEN:.0f} s cost when nothing happens\n")
        print(f"ratio      {sum(net[1]) / sum(net[0]):.2f} times the account of {GROUP}; of the "
              f"call {net[1][0] / net[0][0]:.2f}, of the maps {net[1][1] / net[0][1]:.2f}")
    finally:
        small.stop()


MODES = {"crowd": (crowd, 2_000), "networks": (networks, 70), "load": (load, 500),
         "groups": (groups, 5_000)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="where netbird-mgmt and netbird-bench are")
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("mode", choices=sorted(MODES))
    parser.add_argument("--agents", type=int)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--routes", type=int, default=480)
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--instances", type=int, choices=[1, 2], default=2,
                        help="that agents go to, with --engine postgres")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:cut])
    given.options = words[cut + 1:]
    mode, agents = MODES[given.mode]
    given.agents = given.agents or agents
    site = Site(given)
    try:
        mode(site)
    finally:
        site.stop()


main()
