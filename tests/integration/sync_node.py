# SPDX-License-Identifier: Apache-2.0
"""l7shield-sync without httpd: a segment of its own per node, real memcached, and a small
signer in the daemon's place. Used by test_2xx_sync_*.py."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from httpd import BUILD, free_port, wait_until

TOOLS = BUILD / "tests" / "integration"
SYNC = BUILD / "mod_l7shield" / "l7shield-sync"
LEVEL = re.compile(r"^\[[^]]+\] \[l7shield:(\w+)\] \[pid \d+\] (L7S\d+): ")


class Tool:
    """A program that answers each line with one line of JSON."""

    def __init__(self, arguments, stderr=None):
        self.process = subprocess.Popen([str(word) for word in arguments], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=stderr)
        self.lock = threading.Lock()  # a thread gets the answer to its own line

    def __call__(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


class Node:
    """One node. `options` are those of the program; policies and state have folders here."""

    def __init__(self, name="web-1", policies=None, memcached=(), keys=None, state=None):
        self.name = name
        self.root = Path(tempfile.mkdtemp(prefix="l7s-node-"))
        self.state_dir = Path(state) if state else self.root / "state"
        self.state_dir.mkdir(mode=0o700, exist_ok=True)
        self.policy_file = self.root / "policies.json"
        self.error_log = self.root / "error.log"
        self.expected = []
        self.generation = 1
        options = [f"--node={name}", f"--state-dir={self.state_dir}", "--tick-ms=100"]
        if policies is not None:
            self.write(policies)
            options.append(f"--policy-file={self.policy_file}")
        for server in memcached:
            options.append(f"--memcached={server.address}")
        if keys:
            for kind in ("secret", "trust"):
                shutil.copy(keys / kind, self.root / kind)
                options.append(f"--{kind}-file={self.root / kind}")
        with open(self.error_log, "ab") as log:
            self.tool = Tool([TOOLS / "segment_tool", 32, SYNC] + options, stderr=log)

    def start(self, ready=True):
        self.tool("spawn", self.generation)
        if ready:
            wait_until(lambda: self.state()["ready"], 5, f"{self.name} ready")
        return self

    def write(self, policies):
        text = policies if isinstance(policies, str) else json.dumps(policies)
        self.policy_file.write_text(text)

    def state(self):
        return self.tool("state")

    def decide(self, count=1, client="192.0.2.1", path="/", method="GET",
               host="www.example.com"):
        return self.tool("decide", count, client, method, host, path)

    def admitted(self, count=1, **request):
        return self.decide(count, **request)["admitted"]

    def bans(self):
        return self.tool("bans")

    def kill(self, number=signal.SIGKILL):
        self.tool("kill", int(number))

    def ended(self, milliseconds=1000):
        """Waits for the process started last; its status, or None while it runs."""
        answer = self.tool("wait", milliseconds)
        return answer.get("status") if answer["ended"] else None

    def lines(self, tag=""):
        text = self.error_log.read_text()
        return [line for line in text.splitlines() if tag in line]

    def expect(self, *tags):
        """These tags may stand in the log as warnings or errors."""
        self.expected += tags

    def close(self):
        """Stops it cleanly; returns what the log should not hold."""
        unexpected = []
        if self.tool.process.poll() is None:
            self.kill(signal.SIGTERM)
            status = self.ended(3000)
            if status != 0:
                unexpected.append(f"{self.name}: ended with {status}")
            self.tool.close()
        for line in self.lines():
            match = LEVEL.match(line)
            if not match or (match[1] != "info" and match[2] not in self.expected):
                unexpected.append(f"{self.name}: {line}")
        shutil.rmtree(self.root, ignore_errors=True)
        return unexpected


class Memcached:
    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-m", "64", "-U", "0",
             "-u", "nobody"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 5, "memcached")
        return self

    def _answers(self):
        try:
            return b"VERSION" in self.ask(b"version\r\n")
        except OSError:
            return False

    def ask(self, command):
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.sendall(command)
            return connection.recv(65536)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # all its threads

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process:
            self.go_on()
            self.process.kill()
            self.process.wait(10)
            self.process = None


class Publisher:
    """In the daemon's place: signs what it is told."""

    def __init__(self, memcached):
        self.folder = Path(tempfile.mkdtemp(prefix="l7s-keys-"))
        subprocess.run([TOOLS / "publish_tool", "init", self.folder], check=True)
        self.memcached = memcached
        self.tool = None
        self.revision = 0

    def start(self, bus_epoch="00000000000000a1", config_epoch=1):
        self.tool = Tool([TOOLS / "publish_tool", "serve", self.folder]
                         + [server.address for server in self.memcached])
        self.tool("epoch", bus_epoch, config_epoch)
        return self

    def __call__(self, *words):
        return self.tool(*words)

    def config(self, document, revision=None):
        self.revision = revision or self.revision + 1
        path = self.folder / "config.json"
        path.write_text(json.dumps(document))
        self.tool("config", self.revision, path)
        return self.revision

    def bans(self, generation, first, entries):
        self.tool("bans", generation, first, json.dumps({"bans": entries}))

    def seats(self):
        return {seat["name"]: seat for seat in self.tool("seats")}

    def close(self):
        if self.tool:
            self.tool.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def policy(name="per-client", requests=10, per_seconds=10, action=None, **members):
    document = {"name": name, "mode": "enforce",
                "detect": {"rate": {"requests": requests, "per_seconds": per_seconds}},
                "action": action or {"throttle": {}}}
    document.update(members)
    return document


def config(*policies, **others):
    return {"policies": list(policies), **others}


def now_ms():
    return int(time.time() * 1000)


def ban_entry(address, seconds=600, op="put", since_ms=None, **members):
    since = since_ms or now_ms()
    entry = {"op": op, "id": f"ip:{address}", "digest": "0" * 31 + "1", "network": address,
             "since_ms": since, "until_ms": since + seconds * 1000, "status": 403,
             "policy": "", "incident": "", "response": "", "origin": "daemon"}
    entry.update(members)
    return entry


def as_file(path, text):
    """What an operator does with echo."""
    temporary = Path(str(path) + ".tmp")
    temporary.write_text(text)
    os.rename(temporary, path)
