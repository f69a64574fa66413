#!/usr/bin/python3
"""netbird-bench management against a server that is prepared and restarted for it.

    bench/management.py --bin build/bin crowd [--agents 2000] [-- OPTIONS]
    bench/management.py --bin build/bin networks [--agents 70] [--networks 200] [--routes 480]
    bench/management.py --bin build/bin load [--agents 500] [-- OPTIONS]

crowd: the agents register, the server is started anew, and all of them arrive at the same moment.
networks: through the REST API, networks with a router and resources, and routes beside them; then
the agents reconnect all the time. load: netbird-bench management as it is.

Starts servers of its own on free loopback ports (--engine sqlite or postgres, the latter with a
second instance that idles). OPTIONS go to netbird-bench management.
"""

import argparse
import os
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


class Site:
    def __init__(self, given):
        self.given = given
        self.provider = Provider()
        self.deployment = Deployment(given.engine, os.path.abspath(given.bin),
                                     {"HttpConfig": self.provider.settings()}, log_level="warn")
        self.server = self.deployment.servers[0]
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

    def bench(self, *options):
        server = f"127.0.0.1:{self.server.port},{self.server.process.child.pid},{self.key}"
        command = [os.path.join(self.given.bin, "netbird-bench"), "management", "--server", server,
                   "--agents", str(self.given.agents), *options, *self.given.options]
        sys.stdout.flush()
        status = subprocess.run(command).returncode
        if status:
            sys.exit(status)

    def restart(self):
        self.server.stop()
        self.server.start()
        self.server.wait_ready()

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


MODES = {"crowd": (crowd, 2_000), "networks": (networks, 70), "load": (load, 500)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, help="where netbird-mgmt and netbird-bench are")
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("mode", choices=sorted(MODES))
    parser.add_argument("--agents", type=int)
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--routes", type=int, default=480)
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
