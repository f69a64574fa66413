"""Free loopback ports, as free_port of process.cc gives them and with its locks.

    ports.py COUNT

prints that many, and keeps them until its input ends: for tests that cannot lock files themselves.
"""

import fcntl
import os
import random
import socket
import sys
import tempfile

PORTS_FIRST = 20_000
port_locks = []  # open to the end of the process, and so long the ports are ours


def free_port():
    """No port that the system gives to outgoing connections, and none that another test means to
    listen on."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
        outgoing = int(file.read().split()[0])
    end = 65_536 if outgoing < PORTS_FIRST + 1_000 else outgoing
    folder = os.path.join(tempfile.gettempdir(), "nb-test-ports")
    if not os.path.isdir(folder):
        os.makedirs(folder, exist_ok=True)
        os.chmod(folder, 0o1777)
    for port in random.sample(range(PORTS_FIRST, end), end - PORTS_FIRST):
        lock = open(os.path.join(folder, str(port)), "a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        port_locks.append(lock)
        return port
    raise RuntimeError("no free port on 127.0.0.1")


if __name__ == "__main__":
    print(*[free_port() for _ in range(int(sys.argv[1]))], flush=True)
    sys.stdin.read()
