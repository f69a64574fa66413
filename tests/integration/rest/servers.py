"""Servers of the REST tests: PostgreSQL, Redis, HAProxy and netbird-mgmt on free loopback ports."""

import ctypes
import glob
import json
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../support"))
from ports import free_port

DATA_KEY = "bmV0YmlyZC1nb2xkZW4tZXhhbXBsZS1rZXktMDAwMDE="


def eventually(condition, limit=30.0):
    """Waits for a condition, not for a time; returns its last value."""
    until = time.monotonic() + limit
    while True:
        value = condition()
        if value or time.monotonic() > until:
            return value
        time.sleep(0.02)


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
        return True
    except OSError:
        return False


PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


class Process:
    """Ends with the interpreter at the latest, should that be killed."""

    def __init__(self, argv, env=None, user=None, log=None):
        def become():
            if user:
                entry = pwd.getpwnam(user)
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user takes it back

        self.log = log
        self.out = open(log, "ab") if log else subprocess.DEVNULL
        self.child = subprocess.Popen(argv, env={**os.environ, **(env or {})}, stdout=self.out,
                                      stderr=subprocess.STDOUT, cwd="/",
                                      preexec_fn=become)

    def running(self):
        return self.child.poll() is None

    def stop(self, how=signal.SIGTERM, limit=15):
        if self.running():
            self.child.send_signal(how)
            try:
                self.child.wait(limit)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.log:
            self.out.close()

    def output(self):
        with open(self.log, errors="replace") as text:
            return text.read()


class Postgres:
    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.process = None

    def start(self):
        folder = self.folder
        root = os.getuid() == 0
        user = "postgres" if root else None
        os.makedirs(folder)
        os.chmod(folder, 0o777)
        data = os.path.join(folder, "data")
        self.process = Process(
            [f"{self.bin}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E",
             "UTF8", "--locale=C.UTF-8"], user=user, log=os.path.join(folder, "initdb.log"))
        assert self.process.child.wait() == 0, self.process.output()
        self.process.stop()
        self.process = Process(
            [f"{self.bin}/postgres", "-D", data, "-p", str(self.port), "-c",
             "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={folder}", "-c",
             "fsync=off", "-c", "max_connections=200", "-c", "timezone=UTC"],
            user=user, log=os.path.join(folder, "postgres.log"))
        ready = [f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        assert eventually(lambda: subprocess.run(ready).returncode == 0), self.process.output()
        self.run("CREATE DATABASE netbird", "postgres")
        self.run("CREATE DATABASE netbird_auth", "postgres")

    def dsn(self, database="netbird"):
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def run(self, sql, database="netbird"):
        done = subprocess.run(
            ["psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U",
             "postgres", "-d", database, "-c", sql], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self):
        if self.process:
            self.process.stop(signal.SIGQUIT)


class Sqlite:
    def __init__(self, file):
        self.file = file

    def run(self, sql):
        with sqlite3.connect(self.file, timeout=30) as database:
            rows = database.execute(sql).fetchall()
        return "\n".join("|".join("" if v is None else str(v) for v in row) for row in rows)


class Management:
    """One netbird-mgmt."""

    def __init__(self, binary, folder, settings, env, log_level):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.port, self.metrics_port = free_port(), free_port()
        config = os.path.join(folder, "management.json")
        with open(config, "w") as out:
            json.dump(settings, out)
        self.argv = [binary, "management", "--config", config, "--datadir", folder, "--port",
                     str(self.port), "--metrics-port", str(self.metrics_port), "--listen-address",
                     "127.0.0.1", "--disable-legacy-port", "--log-file", "console", "--log-level",
                     log_level]
        self.env = {"NB_DATASTORE_ENCRYPTION_KEY": DATA_KEY, "NB_DRAIN_DELAY": "0s", **env}
        self.process = None

    def start(self):
        # A file of hosts of its own, in a namespace of its own.
        hosts = os.path.join(self.folder, "hosts")
        if os.path.exists(hosts):
            script = 'mount --bind "$0" /etc/hosts && exec "$@"'
            self.argv = ["unshare", "-m", "sh", "-c", script, hosts] + self.argv
        self.process = Process(self.argv, self.env, log=os.path.join(self.folder, "log"))

    def ready(self):
        try:
            page = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/readyz", timeout=2)
            return page.status == 200
        except OSError:
            return False

    def wait_ready(self):
        eventually(lambda: self.ready() or not self.process.running(), 60)
        assert self.ready(), self.process.output()[-4000:]

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None


BALANCER = """
global
  maxconn 1000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  option redispatch
  retries 2
  option forwardfor
frontend web
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /readyz
  default-server inter 250ms fall 1 rise 1
"""


class Balancer:
    """Every request goes to the next server."""

    def __init__(self, folder, servers):
        self.port = free_port()
        text = BALANCER.format(port=self.port)
        for i, server in enumerate(servers):
            text += f"  server m{i} 127.0.0.1:{server.port} check port {server.metrics_port}\n"
        file = os.path.join(folder, "haproxy.cfg")
        with open(file, "w") as out:
            out.write(text)
        self.process = Process(["haproxy", "-db", "-f", file],
                               log=os.path.join(folder, "haproxy.log"))

    def wait_ready(self):
        assert eventually(lambda: accepts(self.port)), self.process.output()

    def stop(self):
        self.process.stop()


class Deployment:
    """`engine` postgres: two instances over Redis behind HAProxy; sqlite: one alone.

    `prepare` is given the data directory of each instance before it starts."""

    def __init__(self, engine, binaries, settings=None, env=None, prepare=None,
                 log_level="debug"):
        self.engine = engine
        self.folder = tempfile.mkdtemp(prefix="nb-rest-")
        os.chmod(self.folder, 0o711)  # PostgreSQL has a user of its own where root runs it
        self.parts = []
        try:
            self.start(binaries, settings, env, prepare, log_level)
        except BaseException:  # nobody has it yet who could stop it
            self.stop()
            raise

    def start(self, binaries, settings, env, prepare, log_level):
        engine = self.engine
        binary = os.path.join(binaries, "netbird-mgmt")
        env = dict(env or {})
        # Tests write accesses of long ago.
        settings = {"ReverseProxy": {"AccessLogRetentionDays": -1}, **(settings or {})}
        if engine == "postgres":
            self.database = Postgres(os.path.join(self.folder, "pg"))
            self.parts.append(self.database)
            self.database.start()
            redis_port = free_port()
            redis = Process(["redis-server", "--port", str(redis_port), "--bind", "127.0.0.1",
                             "--save", "", "--dir", self.folder],
                            log=os.path.join(self.folder, "redis.log"))
            self.parts.append(redis)
            env.update(NETBIRD_STORE_ENGINE="postgres",
                       NB_STORE_ENGINE_POSTGRES_DSN=self.database.dsn(),
                       NB_ACTIVITY_EVENT_STORE_ENGINE="postgres",
                       NB_ACTIVITY_EVENT_POSTGRES_DSN=self.database.dsn(),
                       NB_AUTH_STORE_DSN=self.database.dsn("netbird_auth"),
                       NB_HA_ENABLED="true", NB_HA_REDIS_ADDRESS=f"127.0.0.1:{redis_port}")
            assert eventually(lambda: accepts(redis_port))
        names = ["m1", "m2"] if engine == "postgres" else ["m1"]
        self.servers = [
            Management(binary, os.path.join(self.folder, name), settings,
                       {**env, "NB_HA_INSTANCE_ID": name} if engine == "postgres" else env,
                       log_level)
            for name in names]
        if engine == "sqlite":
            self.database = Sqlite(os.path.join(self.folder, "m1", "store.db"))
        for server in self.servers:
            self.parts.append(server)
            if prepare:
                prepare(server.folder)
            server.start()
        for server in self.servers:
            server.wait_ready()
        if engine == "postgres":
            balancer = Balancer(self.folder, self.servers)
            self.parts.append(balancer)
            balancer.wait_ready()
            self.port = balancer.port
        else:
            self.port = self.servers[0].port

    def stop(self):
        for part in reversed(self.parts):
            part.stop()
        if not os.environ.get("NB_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
