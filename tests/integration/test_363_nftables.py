# SPDX-License-Identifier: Apache-2.0
"""Bans exported into nftables, in a network namespace of the test's own: what is banned
gets no packet through, everybody else does."""
import json
import os
import signal
import subprocess
import sys

import pytest

from daemon import Daemon, started
from examples import EXAMPLES, environment, run
from httpd import wait_until

NFTABLES = EXAMPLES / "nftables"
CLIENTS = ["203.0.113.7", "203.0.113.8", "198.51.100.20", "192.0.2.1", "2001:db8:7::7",
           "2001:db8:8::7"]

# Serves on every address and asks itself from each one; a packet that is dropped is
# answered by nobody, so silence is waited for a moment only.
PROBE = """
import json, socket, sys, threading
server = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
def serve():
    while True:
        server.accept()[0].close()
threading.Thread(target=serve, daemon=True).start()
reached = []
for address in sys.argv[1:]:
    try:
        socket.create_connection((address, server.getsockname()[1]), 0.5,
                                 (address, 0)).close()
        reached.append(address)
    except TimeoutError:
        pass
print(json.dumps(reached))
"""


class Namespace:
    """A network of its own, held by a sleeping process."""

    def __init__(self):
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "600"],
                                        stderr=subprocess.PIPE, text=True)

    def run(self, *command, **options):
        done = run(["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", *map(str, command)],
                   **options)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def is_apart(self):
        """Has unshare done it (yet)?"""
        try:
            return os.readlink(f"/proc/{self._holder.pid}/ns/net") != \
                os.readlink("/proc/self/ns/net")
        except OSError:
            return False

    def failed(self):
        return self._holder.poll() is not None

    def close(self):
        self._holder.send_signal(signal.SIGKILL)
        self._holder.communicate()


@pytest.fixture
def namespace():
    made = Namespace()
    try:
        wait_until(lambda: made.is_apart() or made.failed(), 10, "the namespace")
        if not made.is_apart():
            pytest.skip("no network namespace can be made here (are you root?)")
        made.run("ip", "link", "set", "lo", "up")
        for address in CLIENTS:
            made.run("ip", "address", "add", address, "dev", "lo",
                     *(["nodad"] if ":" in address else []))
        yield made
    finally:
        made.close()


@pytest.fixture
def daemon():
    """Its unix socket is reached from every network namespace."""
    yield from started(Daemon(unix_socket=True))


def ban(daemon, ban_id, client):
    answer = daemon.call("PUT", f"/v1/bans/{ban_id}", {"key": client, "seconds": 600})
    assert answer.status == 201, answer


def test_363_01_the_firewall_drops_what_is_banned_until_it_is_lifted(daemon, namespace):
    own = environment(daemon, SHIELD_SOCKET=str(daemon.socket_path))

    def reached():
        namespace.run(NFTABLES / "sync-bans.sh", env=own)
        return json.loads(namespace.run(sys.executable, "-c", PROBE, *CLIENTS))

    namespace.run("nft", "--file", NFTABLES / "l7shield.nft")
    assert reached() == CLIENTS
    ban(daemon, "ip:203.0.113.7", {"client": "203.0.113.7"})
    ban(daemon, "net:198.51.100.0_24", {"network": "198.51.100.0/24"})
    ban(daemon, "net:2001:db8:7::_64", {"client": "2001:db8:7::7"})
    assert reached() == ["203.0.113.8", "192.0.2.1", "2001:db8:8::7"]
    # Loading the rules again forgets nothing; lifting a ban opens the way.
    namespace.run("nft", "--file", NFTABLES / "l7shield.nft")
    daemon.call("DELETE", "/v1/bans/ip:203.0.113.7")
    assert reached() == ["203.0.113.7", "203.0.113.8", "192.0.2.1", "2001:db8:8::7"]
    # A daemon that does not answer changes nothing.
    daemon.stop()
    gone = run(["nsenter", f"--net=/proc/{namespace._holder.pid}/ns/net",
                NFTABLES / "sync-bans.sh"], env=own)
    assert gone.returncode != 0
    assert json.loads(namespace.run(sys.executable, "-c", PROBE, *CLIENTS)) == \
        ["203.0.113.7", "203.0.113.8", "192.0.2.1", "2001:db8:8::7"]
    daemon.start()
