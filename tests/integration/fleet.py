# SPDX-License-Identifier: Apache-2.0
"""A whole fleet on loopback: memcached, l7shieldd and httpd nodes that share limits."""
import functools
import http.client
import os
import shutil
import subprocess
import sys
import threading
import time

from daemon import Daemon, Memcached
from httpd import Httpd, wait_until

NODE = """
L7ShieldMemcached {memcached}
L7ShieldSecretFile {secret}
L7ShieldTrustFile {trust}
"""


class Fleet:
    """`nodes` httpd servers web-1, web-2, … under one daemon and `stores` memcached."""

    def __init__(self, nodes=2, children=2, stores=1, **options):
        self.stores = [Memcached() for _ in range(stores)]
        self.memcached = self.stores[0]
        self.daemon = Daemon(memcached=[store.address for store in self.stores])
        self.nodes = []
        for number in range(1, nodes + 1):
            self.nodes.append(self._node(f"web-{number}", children, options))

    def _node(self, name, children, options):
        node = Httpd(node=name, children=children, **options)
        for kind in ("secret", "trust"):
            target = node.root / kind
            shutil.copy(getattr(self.daemon, f"{kind}_file"), target)
            target.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(target, "www-data", "www-data")
        node.directives += NODE.format(memcached=" ".join(store.address for store in self.stores),
                                       secret=node.root / "secret",
                                       trust=node.root / "trust")
        node.write_config()
        return node

    def start(self):
        for store in self.stores:
            store.start()
        self.daemon.start()
        for node in self.nodes:
            node.start()
        wait_until(lambda: len(self.live()) == len(self.nodes), 10, "all nodes live")
        return self

    def close(self):
        """Stops everything; returns unexpected log lines."""
        unexpected = []
        for node in self.nodes:
            unexpected += node.close()
        unexpected += self.daemon.close() or []
        for store in self.stores:
            store.close()
        return unexpected

    # ---------------------------------------------------------------- API

    def api(self, method, path, body=None, **options):
        return self.daemon.call(method, path, body, **options)

    def live(self):
        items = self.api("GET", "/v1/nodes").json["items"]
        return [item for item in items if item["status"]["state"] == "live"]

    def rollout(self, revision):
        answer = self.api("GET", f"/v1/revisions/{revision}/rollout?wait_seconds=10"
                                 f"&min_nodes={len(self.nodes)}")
        assert answer.status == 200, answer
        return answer

    def put(self, path, document, statuses=(200, 201)):
        """PUTs a document and returns when every node enforces it."""
        answer = self.api("PUT", path, document)
        assert answer.status in statuses, answer
        self.rollout(int(answer.headers["shield-revision"]))
        return answer

    def put_policy(self, document):
        return self.put(f"/v1/policies/{document['name']}", document)

    def incidents(self, query=""):
        return self.api("GET", f"/v1/incidents{query}").json["items"]

    def wait_for_incident(self, condition, seconds=5):
        def found():
            return next((item for item in self.incidents() if condition(item)), None)
        return wait_until(found, seconds, "the incident")


def alternate(nodes, requests, per_second, path="/page.txt", address="127.0.0.1",
              keep=True):
    """`requests` at an even pace, node after node, from one client. Returns the statuses
    and the time from the first request to the last answer in seconds."""
    clients = [node.client(address) for node in nodes]
    statuses, begin = [], time.monotonic()
    for number in range(requests):
        pause = begin + number / per_second - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        client = clients[number % len(clients)]
        statuses.append(client.get(path).status)
        if not keep:
            client.close()
    elapsed = time.monotonic() - begin
    for client in clients:
        client.close()
    return statuses, elapsed


class Background:
    """A steady trickle of requests in a thread; stop() returns what it saw."""

    def __init__(self, nodes, per_second, address="127.0.0.1", path="/page.txt"):
        self.seen, self._stop = [], threading.Event()
        self._arguments = (nodes, per_second, address, path)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        nodes, per_second, address, path = self._arguments
        number = 0
        while not self._stop.wait(1 / per_second):
            node = nodes[number % len(nodes)]
            number += 1
            begin = time.monotonic()
            try:
                status = node.get(path, address=address).status
            except OSError as error:
                status = repr(error)
            self.seen.append((status, time.monotonic() - begin))

    def stop(self):
        self._stop.set()
        self._thread.join(30)
        return self.seen


class Watch:
    """Steady requests to every server at once, each on a connection of its own, with a
    control: an httpd without the shield. What the machine itself makes slow, slows the
    control as well."""

    def __init__(self, nodes, control, per_second=50, path="/page.txt"):
        self._stop = threading.Event()
        self.seen, self.control = [], []
        targets = [(node, f"127.0.9.{number}", self.seen, per_second)
                   for number, node in enumerate(nodes, 1)]
        # The control is asked more often, so that it does not miss what others see.
        targets += [(control, f"127.0.9.{100 + number}", self.control, 2 * per_second)
                    for number in range(2)]
        self._threads = [threading.Thread(target=self._run, daemon=True,
                                          args=(*target, path))
                         for target in targets]
        for thread in self._threads:
            thread.start()

    def _run(self, node, address, seen, per_second, path):
        client, due = node.client(address), time.monotonic()
        while not self._stop.is_set():
            due = max(due + 1 / per_second, time.monotonic() - 0.1)
            time.sleep(max(0, due - time.monotonic()))
            begin = time.monotonic()
            try:
                status = client.get(path).status
            except OSError as error:
                status = repr(error)
                client.close()
            seen.append((begin, time.monotonic() - begin, status))
        client.close()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def failures(self):
        return [one for one in self.seen if one[2] != 200]

    def late(self):
        """Requests that took 20 ms longer than the slowest of the control at that time."""
        return later(self.seen, self.control)

    def late_control(self):
        """Requests of the control that took 20 ms longer than all others at that time:
        what a machine that is busy with other things does to one and spares another."""
        return later(self.control, self.seen)


def later(these, those, seconds=0.02):
    usual = sorted(took for _, took, _ in those)[len(those) // 2]

    def excuse(begin, took):
        around = [other for at, other, _ in those
                  if at < begin + took + 0.15 and begin < at + other + 0.15]
        return max(around, default=usual)
    return [(begin, took) for begin, took, _ in these
            if took > usual + seconds and took > excuse(begin, took) + seconds]


SLEEPER = """
import signal, time
stop, late = [], 0
signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
while not stop:
    begin = time.monotonic()
    time.sleep(0.001)
    late += time.monotonic() - begin > 0.004
print(late)
"""


class Pulse:
    """A control without servers: two processes that sleep a millisecond at a time. `late`:
    how often the machine let them sleep three longer, as it does to others, then."""

    def __enter__(self):
        self.late = 0
        self._sleepers = [subprocess.Popen([sys.executable, "-c", SLEEPER], text=True,
                                           stdout=subprocess.PIPE) for _ in range(2)]
        time.sleep(0.1)  # until they can be told to stop
        return self

    def __exit__(self, *_):
        for sleeper in self._sleepers:
            sleeper.terminate()
            self.late += int(sleeper.communicate(timeout=10)[0] or 0)


class Late(AssertionError):
    """A request waited, and the control did not."""


def on_a_noisy_machine(test):
    """Runs a test up to three times while only its `Late` fails it: a machine that stops
    for a moment hits one process and spares another, but hardly three times in a row; a
    request that waits for the store does so each time."""
    @functools.wraps(test)
    def run(*arguments, **named):
        for attempt in range(3):
            try:
                return test(*arguments, **named)
            except Late as late:
                print(f"attempt {attempt + 1}: {late}")
                if attempt == 2:
                    raise
    return run


class Flood:
    """One client that asks the nodes in turn at an even pace, from its own thread. Each
    answer is kept with its time, so that what was admitted when can be asked."""

    def __init__(self, nodes, per_second, address, path="/limited.txt"):
        self.seen, self._stop = [], threading.Event()
        self._clients = [node.client(address) for node in nodes]
        self._arguments = (per_second, path)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        per_second, path = self._arguments
        due, number = time.monotonic(), 0
        while not self._stop.is_set():
            due = max(due + 1 / per_second, time.monotonic() - 0.1)
            time.sleep(max(0, due - time.monotonic()))
            which = number % len(self._clients)
            number += 1
            try:
                status = self._clients[which].get(path).status
            except (OSError, http.client.HTTPException) as error:
                status = repr(error)
                self._clients[which].close()
            self.seen.append((time.monotonic(), which, status))

    def stop(self):
        self._stop.set()
        self._thread.join(30)
        for client in self._clients:
            client.close()

    def admitted(self, begin, end, which=None):
        return sum(1 for at, node, status in self.seen
                   if begin <= at < end and status == 200 and which in (None, node))

    def statuses(self):
        return {status for _, _, status in self.seen}
