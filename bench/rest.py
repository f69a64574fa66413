#!/usr/bin/python3
"""CPU of netbird-mgmt per REST call on a large account.

    bench/rest.py --bin build/bin [--engine sqlite|postgres] [--peers 5000] [--groups 500] [--calls 20]

Starts servers of its own on free loopback ports, fills the tables, and prints for each way of
asking the user and system time of the server process per call. The database's own time is not in
it: PostgreSQL is a process of its own, SQLite is not.
"""

import argparse
import gzip
import json
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../tests/integration/rest"))

from client import Client, Description  # noqa: E402
from large import fill  # noqa: E402
from servers import Deployment  # noqa: E402
from tokens import Provider, new_token, token_hash  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="where netbird-mgmt is")
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--peers", type=int, default=5_000)
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--calls", type=int, default=20)
    given = parser.parse_args()
    provider = Provider()
    site = Deployment(given.engine, os.path.abspath(given.bin),
                      {"HttpConfig": provider.settings()}, log_level="info")
    try:
        description = Description(os.path.join(HERE, "../api/openapi.yaml"))
        server = site.servers[0]
        owner = Client(server.port, description,
                       "Bearer " + provider.jwt("owner-1", email="o@example.org"))
        account = owner.get("/api/accounts").json[0]["id"]
        everybody = owner.get("/api/groups?name=All").json[0]["id"]
        fill(site.database, account, everybody, given.peers, given.groups)
        token = new_token()
        site.database.run(
            "INSERT INTO personal_access_tokens (id, user_id, name, hashed_token, expiration_date, "
            f"created_by, created_at) VALUES ('t', 'owner-1', 't', '{token_hash(token)}', "
            "'2100-01-01 00:00:00', 'owner-1', '2026-01-01 00:00:00')")
        client = Client(server.port, description, "Token " + token)
        print(f"{given.engine}, {given.peers} peers, {given.groups} groups, "
              f"{given.calls} calls each")
        print(f"{'':38}{'CPU ms':>8}{'wall ms':>9}{'KiB':>8}")
        for path in ("/api/peers", "/api/groups", "/api/instance"):
            first = client.raw("GET", path)
            assert first.status == 200, first.body
            ways = [("", {}, 200), ("gzip", {"Accept-Encoding": "gzip"}, 200)]
            if first.header("ETag"):
                ways.append(("unchanged", {"If-None-Match": first.header("ETag")}, 304))
            for name, headers, status in ways:
                before, began = cpu_seconds(server.process.child.pid), time.monotonic()
                for _ in range(given.calls):
                    answer = client.raw("GET", path, headers=headers)
                    assert answer.status == status, answer.status
                wall = time.monotonic() - began
                cpu = cpu_seconds(server.process.child.pid) - before
                if name == "gzip" and answer.header("Content-Encoding") == "gzip":
                    assert gzip.decompress(answer.body) == first.body
                print(f"GET {path:<14} {name:<18} {cpu / given.calls * 1e3:8.1f}"
                      f"{wall / given.calls * 1e3:9.1f}{len(answer.body) / 1024:8.0f}")
        assert len(json.loads(client.raw("GET", "/api/peers").body)) == given.peers
        if os.environ.get("NB_HOLD"):
            print("pid", server.process.child.pid, "port", server.port, "token", token, flush=True)
            sys.stdin.readline()
    finally:
        site.stop()
        provider.stop()


main()
