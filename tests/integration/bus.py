# SPDX-License-Identifier: Apache-2.0
"""The bus as nodes and attackers see it: bus_tool on a real memcached."""
import json
import socket
import subprocess
import time

import pytest

from daemon import Daemon, Memcached
from httpd import BUILD, wait_until

BUS_TOOL = BUILD / "tests" / "integration" / "bus_tool"


class Bus:
    """A daemon with its memcached servers, and everybody else on that bus."""

    def __init__(self, servers=1):
        self.pool = [Memcached() for _ in range(servers)]
        self.memcached = self.pool[0]
        self.addresses = [server.address for server in self.pool]
        self.daemon = Daemon(memcached=self.addresses)
        self.nodes = []

    def start(self):
        for server in self.pool:
            server.start()
        self.daemon.start()
        wait_until(lambda: self.get("head") is not None, 5, "the head")
        return self

    def close(self):
        """Stops everything; returns unexpected log lines."""
        for node in self.nodes:
            node.kill()
        unexpected = self.daemon.close()
        for server in self.pool:
            server.close()
        return unexpected

    def api(self, method, path, body=None, **options):
        return self.daemon.call(method, path, body, **options)

    # ---------------------------------------------------------------- looking

    def command(self, *arguments):
        return [BUS_TOOL, ",".join(self.addresses), self.daemon.secret_file,
                self.daemon.trust_file, *map(str, arguments)]

    def tool(self, *arguments):
        """What the tool printed, or None where there is no such thing."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              timeout=30, check=False)
        assert done.returncode in (0, 1), done.stderr
        return done.stdout if done.returncode == 0 else None

    def get(self, kind):
        text = self.tool("get", kind)
        return text if text is None or kind == "mode" else json.loads(text)

    def part(self, name):
        text = self.tool("part", name)
        return None if text is None else json.loads(text)

    def entries(self, first=1, count=64):
        """[(index, entry)] of the ban log."""
        lines = (line.split(" ", 1) for line in self.tool("bans", first, count).splitlines())
        return [(int(index), json.loads(entry)) for index, entry in lines]

    def bans(self):
        """{id: op} of the bans part."""
        part = self.part("bans")
        return None if part is None else {ban["id"]: ban["op"] for ban in part["bans"]}

    # ---------------------------------------------------------------- doing

    def flush(self):
        """Everything in memcached is gone."""
        with socket.create_connection(("127.0.0.1", self.memcached.port), 5) as connection:
            connection.sendall(b"flush_all\r\n")
            assert connection.recv(64) == b"OK\r\n"

    def node(self, name):
        node = Node(self, name)
        self.nodes.append(node)
        return node

    def states(self):
        """{name: state} of the nodes that the API shows."""
        return {node["name"]: node["status"]["state"]
                for node in self.api("GET", "/v1/nodes").json["items"]}

    def incidents(self, query=""):
        return self.api("GET", "/v1/incidents" + query).json["items"]


class Node:
    """A node without httpd: holds its seat, says what it is told to say."""

    def __init__(self, bus, name):
        self.bus, self.name = bus, name
        self.process = subprocess.Popen(bus.command("node", name), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        answer = self.process.stdout.readline()
        assert answer, f"{self.name} ended"
        return json.loads(answer)

    def live(self):
        wait_until(lambda: self.bus.states().get(self.name) == "live", 5, "a live node")
        return self

    def set(self, member, value):
        self.say(f"set {member} {json.dumps(value)}")

    def incident(self, report):
        return self.say("incident " + json.dumps(report)).get("index")

    def ban(self, entry):
        return self.say("ban " + json.dumps(entry)).get("index")

    def acknowledged(self):
        return self.say("ack")["sequence"]

    def stop(self):
        """Gives its seat up."""
        self.say("quit")
        self.process.wait(5)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def incident_id(number):
    """A valid id, the same for the same number."""
    digits = []
    for _ in range(26):
        digits.append(ALPHABET[number % 32])
        number //= 32
    return "inc_" + "".join(reversed(digits))


def report(node, number, **members):
    """A node's report of an episode that began two seconds ago."""
    now = int(time.time() * 1000)
    document = {
        "node": node, "id": incident_id(number), "state": "active", "policy": "login",
        "mode": "enforce", "detector": "rate", "action": "throttle",
        "key": {"client": "203.0.113.7"}, "ban_id": "", "app": "", "host": "example.com",
        "path": "/login", "method": "POST", "user_agent": "curl", "client": "203.0.113.7",
        "clients": "0" * 63 + "1", "campaign": False, "revision": 1,
        "started_ms": now - 2000, "last_ms": now - 500, "ban_until_ms": 0, "limit": 20,
        "per_seconds": 60, "requests": 100, "acted": 80, "passed": 20,
        "peak_per_second": 50}
    return {**document, **members}


def ban_entry(address, seconds=600, **members):
    """What a node appends to the ban log."""
    now = int(time.time() * 1000)
    return {"op": "put", "id": "ip:" + address, "digest": "0123456789abcdef" * 2,
            "network": address, "since_ms": now, "until_ms": now + seconds * 1000,
            "status": 403, "policy": "login", "incident": incident_id(1), "response": "",
            "origin": "node", **members}


def started(made):
    """Starts it, yields it, closes it; unexpected log lines fail the test."""
    unexpected = []
    try:
        yield made.start()
    finally:
        unexpected = made.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


@pytest.fixture
def bus():
    """A running daemon on an empty memcached."""
    yield from started(Bus())


@pytest.fixture
def wide_bus():
    """The same on three memcached servers."""
    yield from started(Bus(servers=3))
