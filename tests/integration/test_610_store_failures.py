# SPDX-License-Identifier: Apache-2.0
"""Whatever memcached does, no request waits for it, limits hold on each node meanwhile
and on the whole fleet two seconds after its return."""
import socket
import threading
import time

import pytest
from fleet import Fleet, Flood, Late, Watch, on_a_noisy_machine
from httpd import Httpd, policy, rate, wait_until

PER_SECOND, BURST = 10, 30
BEFORE, AWAY, SETTLED, AFTER = 3.5, 4, 2, 4
SPARES_NOBODY = policy("shared", {"throttle": {}}, {"paths": ["/limited.txt"]},
                       detect=rate(10 * PER_SECOND, 10, BURST))
# Counts every request of the watch, far from its limit.
COUNTS_ALL = policy("all", {"throttle": {}}, detect=rate(100000, 10))
LINES = r"L7S20(31|71|33)"


def started(stores):
    fleet = Fleet(nodes=2, children=2, stores=stores)
    control = Httpd(shield=False, children=2)
    for node in fleet.nodes:
        (node.document_root / "limited.txt").write_text("limited\n")
        node.expects(LINES)
    fleet.daemon.expect("L7S35")
    try:
        fleet.start()
        control.start()
        fleet.put_policy(SPARES_NOBODY)
        fleet.put_policy(COUNTS_ALL)
        yield fleet, control
    finally:
        unexpected = fleet.close() + control.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


@pytest.fixture(scope="module")
def single():
    yield from started(1)


@pytest.fixture(scope="module")
def three():
    yield from started(3)


class Ordeal:
    """A fault and its end under traffic: what was admitted in each phase."""

    def __init__(self, fleet, control, address):
        self.fleet = fleet
        self.back = None
        self.children = [node.child_pids() for node in fleet.nodes]
        self.watch = Watch(fleet.nodes, control)
        self.flood = Flood(fleet.nodes, 5 * PER_SECOND, address)
        time.sleep(BEFORE)
        self.begin = time.monotonic()

    def end(self):
        """The fault is over: lets the fleet settle, measures, and judges. Each node took no
        more than its share of the limit meanwhile."""
        back = self.back = time.monotonic()
        time.sleep(SETTLED + AFTER)
        self.flood.stop()
        self.watch.stop()
        admitted = self.flood.admitted
        away = (admitted(self.begin, back), (back - self.begin) * PER_SECOND)
        after = (admitted(back + SETTLED, back + SETTLED + AFTER), AFTER * PER_SECOND)
        print(f"away {away[0]} of {away[1]:.0f}, after {after[0]} of {after[1]}, "
              f"late {len(self.watch.late())} of {len(self.watch.seen)}, of the control "
              f"{len(self.watch.late_control())} of {len(self.watch.control)}")
        assert self.flood.statuses() <= {200, 429}
        assert not self.watch.failures()
        assert away[0] <= away[1] * 1.25 + 6, "the nodes' shares of the limit"
        assert after[1] * 0.6 <= after[0] <= after[1] * 1.15 + 2, "the limit of the fleet"
        for node, before in zip(self.fleet.nodes, self.children):
            assert set(before) <= set(node.child_pids()), "a worker died"
        if len(self.watch.late()) > len(self.watch.late_control()):
            raise Late(f"20 ms later than the control: {self.watch.late()}")


def degraded(fleet, store, state="ended"):
    """The incident about this server, told by both nodes."""
    def ours(item):
        return (item["kind"] == "store_degraded" and item["state"] == state and
                item["source"]["key"] == {"server": store.address} and
                item["nodes"] == ["web-1", "web-2"])
    return fleet.wait_for_incident(ours, 10)


def incidents_about_stores(fleet):
    return len(fleet.incidents("?kind=store_degraded"))


FIRST_FAULT = []  # an ordeal that had to be repeated soon is still one incident


@on_a_noisy_machine
def test_610_01_killed_and_started_again(single):
    fleet, control = single
    ordeal = Ordeal(fleet, control, "127.0.61.1")
    FIRST_FAULT.append(ordeal.begin)
    fleet.memcached.close()
    time.sleep(AWAY)
    fleet.memcached.start()
    ordeal.end()
    incident = degraded(fleet, fleet.memcached)
    assert incident["layer"] is None and incident["policy"] is None
    assert incident["started_at"] < incident["ended_at"]
    away = ordeal.back - FIRST_FAULT[0]
    assert away - 2 <= incident["measure"]["observed"] <= away + 3
    assert incident["measure"]["unit"] == "seconds"
    for node in fleet.nodes:
        assert node.errors().count("L7S2031") == node.errors().count("L7S2032") >= 1


@on_a_noisy_machine
def test_610_02_hanging_for_four_seconds(single):
    fleet, control = single
    ordeal = Ordeal(fleet, control, "127.0.61.2")
    fleet.memcached.pause()
    time.sleep(AWAY)
    fleet.memcached.go_on()
    ordeal.end()
    degraded(fleet, fleet.memcached)


@on_a_noisy_machine
def test_610_03_flushed_again_and_again(single):
    fleet, control = single
    before = incidents_about_stores(fleet)
    ordeal = Ordeal(fleet, control, "127.0.61.3")
    for _ in range(AWAY):
        fleet.memcached.flush()
        time.sleep(1)
    ordeal.end()
    assert incidents_about_stores(fleet) == before, "it answered all the time"


@on_a_noisy_machine
def test_610_04_restarted_at_once(single):
    fleet, control = single
    ordeal = Ordeal(fleet, control, "127.0.61.4")
    for _ in range(2):
        fleet.memcached.close()
        fleet.memcached.start()
        time.sleep(AWAY / 2)
    ordeal.end()


@on_a_noisy_machine
def test_610_05_one_of_three_killed(three):
    fleet, control = three
    lost = fleet.stores[1]
    ordeal = Ordeal(fleet, control, "127.0.61.5")
    lost.close()
    time.sleep(AWAY)
    lost.start()
    ordeal.end()
    degraded(fleet, lost)


class Impostor:
    """Something else in memcached's place. `replies`: what each question is answered
    with, by its first word; "" answers all others."""

    def __init__(self, port, replies):
        self._replies, self.connections = replies, 0
        self._socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self._stop = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            connection.settimeout(2)
            try:
                while not self._stop.is_set() and (data := connection.recv(65536)):
                    word = data.split(b" ", 1)[0].strip()
                    connection.sendall(self._replies.get(word, self._replies[b""]))
            except OSError:
                pass

    def close(self):
        self._stop.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Working:
    """The longest time in which no sync process of this node was at work. One that lives
    for a moment only is seen by what it wrote."""

    def __init__(self, node):
        self.gap, self._node = 0, node
        self._begun, self._since = 0, time.monotonic()

    def look(self):
        begun = self._node.errors().count("L7S2001")
        if begun != self._begun or self._node.sync_pids():
            self._since = time.monotonic()
        self._begun = begun
        self.gap = max(self.gap, time.monotonic() - self._since)


WEB_SERVER = {b"": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html></html>"}
# A store that is empty when it is read; to what is written it gives an answer that this
# command never has: libmemcached ends the process.
HOSTILE = {b"mn": b"MN\r\n", b"ma": b"VA 99999999999999999999999\r\n", b"set": b"OK\r\n",
           b"add": b"OK\r\n", b"version": b"VERSION 1.6.18\r\n", b"": b"END\r\n"}


@on_a_noisy_machine
def with_impostor(fleet, control, address, replies):
    ordeal = Ordeal(fleet, control, address)
    fleet.memcached.close()
    impostor = Impostor(fleet.memcached.port, replies)
    working = [Working(node) for node in fleet.nodes]
    try:
        end = time.monotonic() + AWAY
        while time.monotonic() < end:
            for one in working:
                one.look()
            time.sleep(0.05)
    finally:
        impostor.close()
    fleet.memcached.start()
    ordeal.end()
    assert impostor.connections > 0
    return max(one.gap for one in working)


def test_610_06_garbage_in_its_place(single):
    fleet, control = single
    pids = [node.sync_pids() for node in fleet.nodes]
    with_impostor(fleet, control, "127.0.61.6", WEB_SERVER)
    assert [node.sync_pids() for node in fleet.nodes] == pids, "nothing crashed"
    assert fleet.api("GET", "/livez").status == 200
    degraded(fleet, fleet.memcached)


def test_610_07_hostile_answers_crash_at_most_the_sync_process(single):
    fleet, control = single
    for node in fleet.nodes:
        node.expects("L7S1012", "L7S2007", "l7shield-sync: .*Assertion", "exit signal")
    fleet.daemon.stop()
    gap = with_impostor(fleet, control, "127.0.61.7", HOSTILE)
    assert gap < 1, "it is back within a second"
    crashes = sum(node.errors().count("L7S1012") for node in fleet.nodes)
    assert crashes > 0, "this library is better than the one that this test is about"
    print(f"{crashes} crashes, back within {gap:.2f} s")
    fleet.daemon.start()
    wait_until(lambda: len(fleet.live()) == 2, 10, "both nodes")
