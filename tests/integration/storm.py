# SPDX-License-Identifier: Apache-2.0
"""A storm of writes on an l7shieldd that is killed again and again, with a ledger of what
it acknowledged. What was acknowledged must be there in the end, what was not may be."""
import http.client
import random
import threading
import time

from httpd import policy, rate, wait_until

FAILURES = (OSError, http.client.HTTPException)


class Writer:
    """One writer with objects of its own, so that the order of its writes is known.
    `written` has by name what may be found in the end: the newest acknowledged state, and
    what was tried after it without an answer. None stands for deleted."""

    revises = True  # each change makes a revision of its own

    def __init__(self, daemon, name):
        self.daemon, self.name = daemon, name
        self.written, self.revisions, self.surprises = {}, [], []
        self.acknowledged, self.lost = 0, 0
        self._random = random.Random(name)
        self._number = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._write()
        except Exception as error:  # an assertion of the contract, for instance
            self.surprises.append(error)

    def _write(self):
        while not self._stop.is_set():
            self._number += 1
            name, state, call = self.next()
            self.written.setdefault(name, [None]).append(state)
            try:
                answer = self.daemon.call(*call)
            except FAILURES:
                self.lost += 1
                time.sleep(0.02)
                continue
            if answer.status not in (200, 201, 204, 404):
                self.surprises.append(answer)
                continue
            self.acknowledged += 1
            self.written[name] = [state]
            if self.revises and answer.headers.get("shield-changed") == "true":
                self.revisions.append(int(answer.headers["shield-revision"]))
            time.sleep(0.01)

    def stop(self):
        self._stop.set()
        self._thread.join(80)

    def is_new(self):
        return self._random.random() < 0.7


class PolicyWriter(Writer):
    def next(self):
        name = f"{self.name}-{self._random.randrange(8)}"
        if not self.is_new():
            return name, None, ("DELETE", f"/v1/policies/{name}")
        document = policy(name, {"log": {}}, {"paths": ["/nothing"]},
                          detect=rate(self._number, 60))
        return name, self._number, ("PUT", f"/v1/policies/{name}", document)

    def check(self):
        found = {}
        ours = [item for item in whole(self.daemon, "/v1/policies")
                if item["name"].startswith(self.name)]
        for item in ours:
            assert item["name"] not in found, f"{item['name']} is there twice"
            found[item["name"]] = item["detect"]["rate"]["requests"]
        for name, states in self.written.items():
            assert found.get(name) in states, f"{name}: {found.get(name)}, not {states}"


class BanWriter(Writer):
    revises = False

    def next(self):
        address = f"198.51.100.{self._random.randrange(200)}"
        if not self.is_new():
            return address, None, ("DELETE", f"/v1/bans/ip:{address}")
        reason = f"number {self._number}"
        return address, reason, ("PUT", f"/v1/bans/ip:{address}", {
            "key": {"client": address}, "seconds": 3600, "reason": reason})

    def check(self):
        found = {}
        ours = [item for item in whole(self.daemon, "/v1/bans")
                if item["id"].startswith("ip:198.51.100.")]
        for item in ours:
            assert item["id"] not in found, f"{item['id']} is there twice"
            found[item["id"]] = item["reason"]
        for address, states in self.written.items():
            reason = found.get(f"ip:{address}")
            assert reason in states, f"{address}: {reason}, not {states}"


class Attackers:
    """Clients, one after the other, that run into a limit: each is one incident with as
    many refusals as the client saw. Whatever happens, the limit acts. Not so many that
    they fold into a campaign."""

    def __init__(self, nodes, path, limit, seconds=1.5, disturbed=None):
        """`disturbed`: when, by node, connections last had a reason to break."""
        self.refused, self.admitted_too_much = {}, []
        self._disturbed = {} if disturbed is None else disturbed
        self._broken = set()
        self._stop = threading.Event()
        self._arguments = (nodes, path, limit, seconds)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        nodes, path, limit, seconds = self._arguments
        number = 0
        while not self._stop.wait(seconds):
            number += 1
            address = f"127.1.{number // 250}.{1 + number % 250}"
            node = nodes[number % len(nodes)]
            statuses = self._attack(node, address, path, limit + 3)
            if statuses is None:
                continue
            self.refused[address] = statuses.count(429)
            if statuses.count(200) > limit or statuses[-3:] != [429] * 3:
                self.admitted_too_much.append((address, statuses))

    def _attack(self, node, address, path, count):
        """None: a connection broke for a reason, and what was counted is not known."""
        client = node.client(address)
        try:
            return [client.get(path).status for _ in range(count)]
        except FAILURES as error:
            if time.monotonic() - self._disturbed.get(node.node, -60) > 3:
                self.admitted_too_much.append((address, repr(error)))
            self._broken.add(address)
            return None
        finally:
            client.close()

    def stop(self):
        self._stop.set()
        self._thread.join(30)

    def told(self, daemon, policy_name):
        """Are all incidents there, each once and with the right count?"""
        found = {}
        for item in whole(daemon, f"/v1/incidents?policy={policy_name}"):
            client = item["source"]["key"].get("client", "many")
            assert client not in found, f"two incidents of {client}"
            if client.startswith("127.1.") and client not in self._broken:
                found[client] = item["counts"]["acted"]
        return found == self.refused or None


def whole(daemon, path):
    """All pages of a list."""
    items, cursor = [], ""
    while cursor is not None:
        sign = "&" if "?" in path else "?"
        more = f"&cursor={cursor}" if cursor else ""
        page = daemon.call("GET", f"{path}{sign}limit=500{more}")
        assert page.status == 200, page
        items += page.json["items"]
        cursor = page.json.get("next_cursor")
    return items


def kill_in_a_storm(daemon, kills, say=lambda _: None):
    """Kills the daemon `kills` times at random moments while it is written to, and judges
    what it still knows. Returns (acknowledged, unanswered) writes."""
    writers = [PolicyWriter(daemon, "storm-a"), PolicyWriter(daemon, "storm-b"),
               BanWriter(daemon, "bans")]
    for number in range(kills):
        time.sleep(random.uniform(0.01, 0.25))
        daemon.kill()
        daemon.start()
        if number % 100 == 99:
            say(f"{number + 1} kills")
    for writer in writers:
        writer.stop()
    for writer in writers:
        assert not writer.surprises, writer.surprises[0]
        writer.check()
    revisions = sorted(revision for writer in writers for revision in writer.revisions)
    assert len(set(revisions)) == len(revisions), "a revision was given twice"
    # And so it stays: what is in memory is what is on disk.
    daemon.stop()
    daemon.start()
    for writer in writers:
        writer.check()
    return (sum(writer.acknowledged for writer in writers),
            sum(writer.lost for writer in writers))


def wait_for_incidents(daemon, attackers, policy_name, seconds=20):
    wait_until(lambda: attackers.told(daemon, policy_name), seconds,
               "every incident, once, with its count")
