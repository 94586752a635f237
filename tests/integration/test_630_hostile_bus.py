# SPDX-License-Identifier: Apache-2.0
"""What an attacker who can write to memcached does to nodes and daemon: whatever lies on
the bus, it is ignored, reported and harmless."""
import json
import os
import signal
import socket
import time

import pytest

from bus import Bus, ban_entry
from httpd import wait_until
from sync_node import Node, now_ms
from test_400_bus import other_fleet, revision_of

REFUSED = "L7S2033"  # a node found an item that is not what it seems
LIMIT = {"mode": "enforce", "detect": {"rate": {"requests": 5, "per_seconds": 1000}},
         "action": {"throttle": {}}}


class Hostile(Bus):
    """A daemon, real sync processes on its bus, and bytes of any kind between them."""

    def __init__(self):
        super().__init__()
        self.real, self.names = [], {}

    def join(self, name="web-1", **options):
        node = Node(name, memcached=self.pool, keys=self.daemon.root, **options)
        self.real.append(node)
        return node.start()

    def limit(self, requests, **members):
        """A policy that every real node enforces when this returns."""
        document = {**LIMIT, **members,
                    "detect": {"rate": {"requests": requests, "per_seconds": 1000}}}
        revision = revision_of(self.api("PUT", "/v1/policies/limit", document))
        self.rollout(revision)
        return revision

    def rollout(self, revision):
        wait_until(lambda: all(node.state()["revision"] == revision for node in self.real
                               if not getattr(node, "gone", False)), 5,
                   f"revision {revision}")

    def ask(self, command):
        with socket.create_connection(("127.0.0.1", self.memcached.port), 5) as connection:
            connection.sendall(command)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(1 << 20):
                answer += chunk
            return answer

    def name(self, kind, detail="", index=0):
        place = (kind, detail, index)
        if place not in self.names:  # a spoiled head hides where the rest lies
            self.names[place] = self.tool("name", *place).strip().encode()
        return self.names[place]

    def raw(self, kind, detail="", index=0):
        """The bytes of an item, or None."""
        head, _, rest = self.ask(b"get %s\r\n" % self.name(kind, detail, index)).partition(b"\r\n")
        return rest[:int(head.split()[3])] if head.startswith(b"VALUE") else None

    def put_raw(self, data, kind, detail="", index=0):
        answer = self.ask(b"set %s 0 0 %d\r\n%s\r\n" % (self.name(kind, detail, index),
                                                        len(data), data))
        assert answer == b"STORED\r\n", answer

    def seal(self, kind, detail, index, document, sender="web-1", later_ms=0):
        """Sealed with the fleet's true keys: a node, or the daemon, in the wrong hands."""
        text = document if isinstance(document, str) else json.dumps(document)
        assert self.tool("seal", kind, detail, index, self.daemon.root, sender, later_ms,
                         text) is not None

    def hold(self):
        """The daemon mends nothing for a while."""
        self.daemon.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.daemon.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.daemon.process is not None:
            self.go_on()
        unexpected = [line for node in self.real for line in node.close()]
        return unexpected + super().close()


@pytest.fixture
def bus():
    made, unexpected = Hostile(), []
    made.daemon.expect("L7S35[0-5][0-9]")
    try:
        yield made.start()
    finally:
        unexpected = made.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


def mangled(data):
    """Every way to spoil the bytes of a good item."""
    flipped = bytearray(data)
    flipped[-1] ^= 1
    later = bytearray(data)
    later[8:16] = (now_ms() + 10_000_000).to_bytes(8, "little")
    payload = bytearray(data)
    payload[120] ^= 0x20
    longer = bytearray(data + b"x" * 64)
    promises = bytearray(data)
    promises[16:20] = (0xFFFFFFFF).to_bytes(4, "little")
    return {"flipped": flipped, "dated": later, "payload": payload, "longer": longer,
            "promises": promises, "empty": b"", "head": data[:100],
            "truncated": data[:-1], "half": data[:len(data) // 2],
            "oversized": data + b"\0" * (300 * 1024), "zeros": b"\0" * 500,
            "noise": os.urandom(1000)}


def test_630_01_spoiled_items_change_nothing_on_a_node(bus):
    node = bus.join()
    node.expect(REFUSED, "L7S2040", "L7S2042")
    revision = bus.limit(5)
    assert node.admitted(8) == 5
    originals = {kind: bus.raw(kind) for kind in ("head", "mode", "manifest")}
    bus.hold()
    for kind in ("head", "mode", "manifest"):
        for how, data in mangled(originals[kind]).items():
            bus.put_raw(bytes(data), kind)
            beat = node.state()["beat"]
            wait_until(lambda beat=beat: node.state()["beat"] > beat + 100, 2, "two ticks")
            state = node.state()
            assert (state["revision"], state["mode"]) == (revision, "enforce"), (kind, how)
    assert node.lines(REFUSED), "reported"
    assert node.admitted(5) == 0 and node.admitted(8, client="192.0.2.2") == 5
    for kind in ("manifest", "mode", "head"):
        bus.put_raw(originals[kind], kind)
    bus.go_on()
    bus.limit(6)
    assert node.admitted(9, client="192.0.2.3") == 6


def test_630_02_forged_and_moved_items_are_refused(bus, tmp_path):
    node = bus.join()
    node.expect(REFUSED, "L7S2040")
    revision = bus.limit(5)
    wrong = other_fleet(tmp_path / "wrong")
    manifest, mode = bus.raw("manifest"), bus.raw("mode")
    bus.hold()
    for kind, text in (("mode", "off 99 99 0\n"), ("manifest", '{"config_epoch":9}'),
                       ("head", '{"bus_epoch":"0123456789abcdef","config_epoch":99}')):
        bus.tool("forge", kind, "", 0, wrong, text)
    # Another item's seal under this name; a node's seal in the daemon's place.
    bus.put_raw(mode, "manifest")
    time.sleep(0.3)
    bus.put_raw(manifest, "mode")
    bus.tool("forge", "ban", "", 1, wrong, json.dumps(ban_entry("192.0.2.9")))
    time.sleep(0.3)
    bus.put_raw(manifest, "manifest")
    bus.put_raw(mode, "mode")
    state = node.state()
    assert (state["revision"], state["mode"]) == (revision, "enforce")
    assert not node.bans() and node.admitted(1, client="192.0.2.9") == 1
    assert node.lines(REFUSED)


def test_630_03_replayed_items_are_old_news(bus):
    node = bus.join()
    node.expect("L7S2040")
    bus.limit(5)
    old = bus.raw("manifest")
    bus.api("PATCH", "/v1/settings", {"mode": "off"})
    wait_until(lambda: node.state()["mode"] == "off", 2, "off")
    off = bus.raw("mode")
    bus.api("PATCH", "/v1/settings", {"mode": "enforce"})
    wait_until(lambda: node.state()["mode"] == "enforce", 2, "enforce")
    revision = bus.limit(7)
    bus.hold()
    bus.put_raw(old, "manifest")
    bus.put_raw(off, "mode")
    wait_until(lambda: node.lines("L7S2040"), 3, "the refusal")
    state = node.state()
    assert (state["revision"], state["mode"]) == (revision, "enforce")
    assert node.admitted(9) == 7
    # A whole old set of items does no more: also a node that starts now knows better.
    node.kill(signal.SIGKILL)
    assert node.ended(3000) is not None
    node.start()
    time.sleep(0.5)
    assert (node.state()["revision"], node.state()["mode"]) == (revision, "enforce")
    bus.go_on()
    wait_until(lambda: bus.raw("manifest") != old, 3, "the daemon mends it")


def test_630_04_items_from_the_future_are_refused_and_the_skew_is_shown(bus):
    node = bus.join()
    node.expect(REFUSED)
    bus.limit(5)
    wait_until(lambda: bus.states().get("web-1") == "live", 3, "web-1")
    hour = 3_600_000
    bus.seal("ban", "", 1, ban_entry("192.0.2.9"), later_ms=hour)
    bus.seal("seat", "", 9, {"name": "web-9", "instance": "f" * 16}, "web-9", hour)
    bus.seal("seat", "", 10, {"name": "web-10", "instance": "a" * 16}, "web-10", 20_000)
    wait_until(lambda: node.lines(REFUSED), 3, "the node's line")
    wait_until(lambda: "clock is more than 30 s off" in bus.daemon.log(), 3, "the line")
    wait_until(lambda: bus.states().get("web-10") == "live", 3, "a small skew is shown")
    assert "web-9" not in bus.states() and not node.bans()
    skew = bus.api("GET", "/v1/nodes/web-10").json["status"]["skew_ms"]
    assert 15_000 < skew <= 20_000
    assert bus.api("GET", "/v1/bans").json["items"] == []


def test_630_05_second_node_of_a_name_works_and_is_not_seen(bus):
    first = bus.join("web-1")
    wait_until(lambda: bus.states().get("web-1") == "live", 3, "web-1")
    instance = bus.api("GET", "/v1/nodes/web-1").json["status"]["instance"]
    second = bus.join("web-1")
    second.expect("L7S2090")
    first.expect("L7S2090")
    bus.limit(4)
    wait_until(lambda: second.lines("L7S2090"), 3, "the line")
    assert not first.lines("L7S2090")
    assert second.admitted(9, client="192.0.2.50") == 4, "it enforces all the same"
    nodes = bus.api("GET", "/v1/nodes").json["items"]
    assert [(node["name"], node["status"]["instance"]) for node in nodes] == \
        [("web-1", instance)]
    # When the first one leaves, the second takes its place.
    first.kill(signal.SIGTERM)
    assert first.ended(3000) == 0
    first.gone = True
    wait_until(lambda: bus.api("GET", "/v1/nodes/web-1").json["status"]["instance"] !=
               instance, 5, "the second one is seen")


def test_630_06_unreadable_log_entries_do_not_stop_the_log(bus, tmp_path):
    one, two = bus.join("web-1"), bus.join("web-2")
    for node in (one, two):
        node.expect(REFUSED, "L7S2061", "L7S2062", "L7S2063")
    wrong = other_fleet(tmp_path / "wrong")
    bus.limit(1, action={"ban": {"seconds": 300}})
    good = ban_entry("192.0.2.77")
    bus.hold()  # a node that the daemon overtakes takes the bans from it and skips the log
    bus.tool("forge", "ban", "", 1, wrong, json.dumps(good))
    bus.tool("garble", "ban", "", 2)
    bus.put_raw(b"", "ban", "", 3)
    bus.put_raw(os.urandom(300 * 1024), "ban", "", 4)
    bus.seal("ban", "", 5, "[]")
    bus.seal("ban", "", 6, {**good, "op": "lift"})
    bus.seal("ban", "", 7, {**good, "network": "0.0.0.0/0", "id": "net:0.0.0.0_0"})
    one.decide(3, client="192.0.2.88")
    wait_until(lambda: two.admitted(1, client="192.0.2.88") == 0, 3, "the ban behind them")
    wait_until(lambda: two.lines("L7S2062"), 3, "the line of what is no ban")
    bus.go_on()
    wait_until(lambda: bus.api("GET", "/v1/bans/ip:192.0.2.88").status == 200, 3, "the ban")
    assert two.admitted(1, client="192.0.2.77") == 1


def test_630_07_node_that_floods_bans_is_capped_and_overridden(bus):
    allowed = {"effect": "allow", "entries": [{"value": "10.1.0.0/16"}]}
    bus.api("PUT", "/v1/lists/office", allowed)
    node = bus.join("web-1")
    node.expect("L7S2068")
    bus.limit(1, action={"ban": {"seconds": 300}})
    bus.daemon.expect("L7S3533")
    hostile = bus.node("evil").live()
    flood = [ban_entry(f"10.{1 + i // 65536}.{i // 256 % 256}.{i % 256}",
                       digest=f"{i + 1:032x}") for i in range(6000)]
    begin = time.monotonic()
    for entry in flood:
        hostile.process.stdin.write("ban " + json.dumps(entry) + "\n")
        hostile.process.stdout.readline()
    seconds = time.monotonic() - begin
    wait_until(lambda: node.lines("L7S2068"), 5, "the node's line")
    wait_until(lambda: "L7S3533" in bus.daemon.log(), 5, "the daemon's line")
    most = 2048 + 64 * (seconds + 5)
    assert len(node.bans()) <= most
    assert node.decide(1, client="10.1.0.5")["allow_listed"] == 1
    wait_until(lambda: bus.api("GET", "/v1/nodes/evil").json["status"]["bans_refused"] > 0,
               3, "the count")
    # Others' bans still arrive, on the nodes and in the daemon.
    node.decide(3, client="192.0.2.99")
    wait_until(lambda: bus.api("GET", "/v1/bans/ip:192.0.2.99").status == 200, 5, "the ban")
    assert "evil" in [line for line in bus.daemon.log().splitlines() if "L7S3533" in line][0]
