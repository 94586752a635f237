# SPDX-License-Identifier: Apache-2.0
"""A whole fleet on loopback: memcached, l7shieldd and httpd nodes that share limits."""
import os
import shutil
import threading
import time

from daemon import Daemon, Memcached
from httpd import Httpd, wait_until

NODE = """
L7ShieldMemcached 127.0.0.1:{memcached}
L7ShieldSecretFile {secret}
L7ShieldTrustFile {trust}
"""


class Fleet:
    """`nodes` httpd servers web-1, web-2, … under one daemon and one memcached."""

    def __init__(self, nodes=2, children=2, **options):
        self.memcached = Memcached()
        self.daemon = Daemon(memcached=[self.memcached.address])
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
        node.directives += NODE.format(memcached=self.memcached.port,
                                       secret=node.root / "secret",
                                       trust=node.root / "trust")
        node.write_config()
        return node

    def start(self):
        self.memcached.start()
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
        self.memcached.close()
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
