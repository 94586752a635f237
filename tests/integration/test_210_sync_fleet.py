# SPDX-License-Identifier: Apache-2.0
"""l7shield-sync in a fleet: rollout, shared limits, bans, incidents, and what happens when
memcached, the daemon or both are away."""
import json
import signal
import time

import pytest

from httpd import wait_until
from sync_node import (TOOLS, Memcached, Node, Publisher, Tool, ban_entry, config, now_ms,
                       policy)


class Fleet:
    def __init__(self, servers=1):
        self.memcached = [Memcached() for _ in range(servers)]
        self.publisher = Publisher(self.memcached)
        self.nodes = []

    def start(self):
        for server in self.memcached:
            server.start()
        self.publisher.start()
        return self

    def node(self, name="web-1", start=True, **options):
        made = Node(name, memcached=self.memcached, keys=self.publisher.folder, **options)
        self.nodes.append(made)
        return made.start() if start else made

    def rollout(self, document, *nodes):
        """Publishes; returns how long the slowest of the nodes took to say so."""
        begin = time.monotonic()
        revision = self.publisher.config(document)
        for node in nodes or self.nodes:
            wait_until(lambda: self.publisher.seats().get(node.name, {})
                       .get("revision") == revision, 5, f"revision {revision}")
        return time.monotonic() - begin

    def close(self):
        unexpected = [line for node in self.nodes for line in node.close()]
        self.publisher.close()
        for server in self.memcached:
            server.close()
        return unexpected


@pytest.fixture
def make_fleet():
    fleets = []

    def make(**options):
        fleets.append(Fleet(**options))
        return fleets[-1].start()

    yield make
    unexpected = [line for fleet in fleets for line in fleet.close()]
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


@pytest.fixture
def fleet(make_fleet):
    return make_fleet()


def test_210_01_manifest_is_in_force_and_the_seat_says_so(fleet):
    node = fleet.node()
    assert node.state()["generation"] == 0 and node.admitted(20) == 20
    times = []
    for requests in (3, 4, 5, 6, 7, 8):
        times.append(fleet.rollout(config(policy(requests=requests, per_seconds=100))))
    assert sorted(times)[3] < 0.5, times
    assert node.admitted(20, client="192.0.2.7") == 8
    seat = fleet.publisher.seats()["web-1"]
    assert seat["config_epoch"] == 1 and seat["mode"] == "enforce"
    assert {"strict", "guard"} <= set(seat["features"])
    assert len(seat["instance"]) == 16
    assert seat["health"]["store_up"] == 1 and seat["secret_ids"]
    wait_until(lambda: fleet.publisher.seats()["web-1"]["policies"]["per-client"][1] == 12,
               2, "the policy's numbers")
    verdicts = fleet.publisher.seats()["web-1"]["verdicts"]
    assert verdicts["throttled"] == 12 and {"dropped", "challenged"} <= set(verdicts)


def test_210_02_two_nodes_share_a_limit(make_fleet):
    fleet = make_fleet(servers=2)
    one, two = fleet.node("web-1"), fleet.node("web-2")
    fleet.rollout(config(policy(requests=100, per_seconds=10)))
    wait_until(lambda: one.state()["live_nodes"] == 2 and two.state()["live_nodes"] == 2,
               5, "both nodes")
    begin = time.monotonic()
    admitted = 0
    while time.monotonic() - begin < 8:
        admitted += one.admitted() + two.admitted()
        time.sleep(0.01)
    allowed = 100 + 10 * (time.monotonic() - begin)
    assert 0.95 * allowed <= admitted <= 1.10 * allowed, (admitted, allowed)


def test_210_03_scope_node_is_not_shared_and_leaves_no_counter(fleet):
    one, two = fleet.node("web-1"), fleet.node("web-2")
    fleet.rollout(config(policy(requests=5, per_seconds=100, scope="node")))
    for _ in range(5):
        assert one.admitted() == 1 and two.admitted() == 1
        time.sleep(0.1)
    assert one.admitted() == 0 and two.admitted() == 0


def test_210_04_older_revision_is_refused(fleet):
    node = fleet.node()
    fleet.publisher.revision = 7
    fleet.rollout(config(policy(requests=3, per_seconds=100)))
    node.expect("L7S2040")
    fleet.publisher.config(config(policy(requests=50, per_seconds=100)), revision=7 - 4)
    wait_until(lambda: node.lines("L7S2040"), 3, "the refusal")
    assert node.state()["revision"] == 8 and node.admitted(10) == 3


def test_210_05_policies_that_cannot_be_used_leave_those_in_force(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=3, per_seconds=100)))
    node.expect("L7S2041")
    fleet.publisher.config(config(policy(colour="red")))
    wait_until(lambda: node.lines("L7S2041"), 3, "the refusal")
    time.sleep(0.5)
    assert len(node.lines("/policies/0/colour")) == 1
    assert fleet.publisher.seats()["web-1"]["revision"] == 1
    assert node.admitted(10) == 3
    fleet.rollout(config(policy(requests=3, per_seconds=100, priority=9)))
    assert node.admitted(10) == 0, "the counters have stayed"


def test_210_06_lists_travel_in_parts_of_their_own(fleet):
    node = fleet.node()
    office = {"name": "office", "kind": "addresses", "effect": "allow",
              "entries": [{"value": "192.0.2.0/28"}]}
    crowd = {"name": "crowd", "kind": "addresses", "effect": "none", "entries": [
        {"value": f"10.{a}.{b}.{c}"} for a in range(20) for b in range(25)
        for c in range(0, 200, 4)]}
    limit = policy(requests=1, per_seconds=100)
    times = [fleet.rollout(config(limit, lists=[office, crowd]))]
    assert node.decide(5)["allow_listed"] == 5
    assert node.admitted(5, client="192.0.2.99") == 1
    times.append(fleet.rollout(config(policy(requests=2, per_seconds=100),
                                      lists=[office, crowd])))
    assert node.admitted(5, client="192.0.2.100") == 2
    assert max(times) < 3, times


def test_210_07_cold_start_without_anybody(fleet):
    node = fleet.node()
    fleet.publisher("mode", "observe", 1, 5, 0)
    fleet.rollout(config(policy(requests=3, per_seconds=100)))
    wait_until(lambda: node.state()["mode"] == "observe", 2, "observe")
    wait_until(lambda: node.kill(signal.SIGTERM) or node.ended() == 0, 2, "the end")
    fleet.memcached[0].close()
    again = fleet.node("web-1b", state=node.state_dir)
    again.expect("L7S2031")
    state = again.state()
    assert state["revision"] == 1 and state["config_epoch"] == 1
    assert state["mode"] == "observe" and state["because"] == "mode_item"
    assert again.decide(5)["observed"] == 2


def test_210_08_kill_switch_is_obeyed_and_ordered(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=1, per_seconds=100)))
    fleet.publisher("mode", "off", 1, 10, 0)
    wait_until(lambda: node.state()["mode"] == "off", 1, "off")
    fleet.publisher("mode", "enforce", 1, 9, 0)
    time.sleep(0.4)
    assert node.state()["mode"] == "off"
    fleet.publisher("mode", "observe", 1, 11, now_ms() + 1500)
    wait_until(lambda: node.state()["mode"] == "observe", 1, "observe")
    wait_until(lambda: node.state()["mode"] == "enforce", 3, "the end of it")
    fleet.rollout(config(policy(requests=1, per_seconds=100),
                         settings={"mode": "observe", "mode_until": None}))
    wait_until(lambda: node.state()["because"] == "settings", 1, "settings")


@pytest.mark.parametrize("how", ["hangs", "dies"])
def test_210_09_memcached_away_costs_nothing_but_the_sharing(fleet, how):
    node = fleet.node()
    node.expect("L7S2031", "L7S2071")
    fleet.rollout(config(policy(requests=20, per_seconds=100)))
    assert node.admitted(5) == 5
    time.sleep(0.3)
    server = fleet.memcached[0]
    if how == "hangs":
        server.pause()
    else:
        server.close()
    begin, admitted, beats = time.monotonic(), 0, [node.state()["beat"]]
    while time.monotonic() - begin < 3:
        admitted += node.admitted(1)
        beats.append(node.state()["beat"])
        time.sleep(0.01)
    assert admitted in (15, 16)
    assert len(set(beats)) >= 25, "ticks go on"
    assert max(b - a for a, b in zip(beats, beats[1:])) < 300
    assert node.lines("L7S2031")
    assert node.state()["store_up"] == 0 and node.state()["revision"] == 1
    if how == "hangs":
        server.go_on()
    else:
        server.start()
        fleet.publisher.tool.close()
        fleet.publisher.start()
        fleet.publisher.config(config(policy(requests=30, per_seconds=100)))
    wait_until(lambda: node.lines("L7S2032"), 5, "the return")
    wait_until(lambda: "web-1" in fleet.publisher.seats(), 5, "the seat")


def test_210_10_a_ban_reaches_the_other_node_and_lifting_forgives(fleet):
    one, two = fleet.node("web-1"), fleet.node("web-2")
    limits = config(policy(requests=3, per_seconds=1000, action={"ban": {"seconds": 600}}),
                    policy("network", requests=1000, per_seconds=1000, priority=200,
                           count={"by": ["network"]}))
    fleet.rollout(limits)
    assert one.decide(5)["banned"] == 2
    begin = time.monotonic()
    wait_until(lambda: two.bans() == ["ip:192.0.2.1"], 2, "the ban")
    assert time.monotonic() - begin < 1
    assert two.decide(1)["banned"] == 1
    entry = fleet.publisher("log", 1)
    assert entry["id"] == "ip:192.0.2.1" and entry["policy"] == "per-client", entry
    fleet.publisher("ban", 2, json.dumps(ban_entry(
        "192.0.2.1", op="lift", since_ms=now_ms() + 1, hold_until_ms=0)))
    wait_until(lambda: one.bans() == [] and two.bans() == [], 2, "the end")
    assert one.admitted(3) == 3, "lifting forgives the counter"
    assert one.lines("L7S2061") and fleet.publisher("log", 3) is None


def test_210_11_a_held_lift_keeps_the_key_free(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=1, per_seconds=1000,
                                action={"ban": {"seconds": 600}})))
    assert node.decide(2)["banned"] == 1
    wait_until(lambda: fleet.publisher("log", 1), 2, "the entry")
    fleet.publisher("ban", 2, json.dumps(ban_entry(
        "192.0.2.1", op="lift", since_ms=now_ms() + 1, hold_until_ms=now_ms() + 60000)))
    wait_until(lambda: node.bans() == [], 2, "the end")
    node.decide(5)
    assert node.bans() == []


def test_210_12_the_whole_set_brings_bans_and_ends_forgotten_ones(fleet):
    node = fleet.node()
    limits = config(policy(requests=1000))
    fleet.rollout(limits)
    fleet.publisher("ban", 1, json.dumps(ban_entry("192.0.2.1")))
    wait_until(lambda: node.bans() == ["ip:192.0.2.1"], 2, "the first ban")
    fleet.publisher.bans(1, 2, [ban_entry("192.0.2.1"), ban_entry("192.0.2.2")])
    fleet.publisher.config(limits, revision=1)
    wait_until(lambda: len(node.bans()) == 2, 2, "the second ban")
    assert node.state()["generation"] == 1, "bans alone compile nothing"
    late = fleet.node("web-2")
    wait_until(lambda: len(late.bans()) == 2, 2, "a late node")
    fleet.publisher("ban", 2, json.dumps(ban_entry("192.0.2.3")))
    wait_until(lambda: len(node.bans()) == 3, 2, "the third ban")
    fleet.publisher.bans(2, 2, [ban_entry("192.0.2.2")])
    fleet.publisher.config(limits, revision=1)
    for one in (node, late):
        wait_until(lambda: sorted(one.bans()) == ["ip:192.0.2.2", "ip:192.0.2.3"], 2,
                   "the end of the first")
        assert one.decide(1, client="192.0.2.2")["banned"] == 1


def test_210_13_many_bans_at_once_all_travel(fleet):
    one, two = fleet.node("web-1"), fleet.node("web-2")
    fleet.rollout(config(policy(requests=1, per_seconds=1000,
                                action={"ban": {"seconds": 600}})))
    for node in (one, two):
        node.expect("L7S2067")
    for number in range(1, 151):
        one.decide(2, client=f"198.51.100.{number}")
        two.decide(2, client=f"203.0.113.{number}")
    wait_until(lambda: len(one.bans()) == 300 and len(two.bans()) == 300, 10, "all bans")


def incidents_of(fleet, node):
    log = fleet.publisher.seats()[node.name]["incident_log"]
    return log["first"], [fleet.publisher("incident", node.name, number)
                          for number in range(log["first"], log["next"])]


def test_210_14_incidents_wait_in_the_log_until_acknowledged(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=1, per_seconds=100)))
    incident = node.decide(3)["incident"]
    wait_until(lambda: incidents_of(fleet, node)[1], 2, "the report")
    first, reports = incidents_of(fleet, node)
    assert reports[0]["id"] == incident and reports[0]["state"] == "active"
    assert reports[0]["node"] == "web-1" and reports[0]["policy"] == "per-client"
    spool = node.state_dir / "spool.json"
    wait_until(lambda: spool.exists() and incident in spool.read_text(), 3, "the spool")
    node.kill()
    node.ended()
    node.start(ready=False)
    wait_until(lambda: incidents_of(fleet, node)[0] > first
               and incidents_of(fleet, node)[1], 3, "the report again")
    first, reports = incidents_of(fleet, node)
    assert {report["id"] for report in reports} == {incident}
    wait_until(lambda: incidents_of(fleet, node)[1][-1]["acted"] == 2, 3, "the counts")
    fleet.publisher("ack", "web-1", fleet.publisher.seats()["web-1"]
                    ["incident_log"]["next"] - 1)
    wait_until(lambda: incidents_of(fleet, node)[1] == [], 3, "an empty log")
    wait_until(lambda: json.loads(spool.read_text())["reports"] == [], 3, "an empty spool")


def test_210_15_a_lost_incident_log_is_written_again(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=1, per_seconds=100)))
    node.decide(3)
    wait_until(lambda: incidents_of(fleet, node)[1], 2, "the report")
    fleet.memcached[0].ask(b"flush_all\r\n")
    fleet.publisher("epoch", "00000000000000a1", 1)
    wait_until(lambda: "web-1" in fleet.publisher.seats(), 3, "the seat")
    assert node.state()["revision"] == 1
    wait_until(lambda: any(incidents_of(fleet, node)[1]), 4, "the report again")


def test_210_16_a_second_node_of_the_same_name_is_not_seen(fleet):
    one = fleet.node("web-1")
    fleet.rollout(config(policy(requests=2, per_seconds=100)))
    two = fleet.node("web-1")
    two.expect("L7S2090")
    wait_until(lambda: two.lines("L7S2090"), 3, "the refusal")
    assert two.admitted(5) == 2, "it works all the same"
    instance = fleet.publisher.seats()["web-1"]["instance"]
    one.kill(signal.SIGTERM)
    assert one.ended() == 0
    wait_until(lambda: fleet.publisher.seats().get("web-1", {"instance": instance})
               ["instance"] != instance, 4, "the seat of the other")


def test_210_17_clean_stop_gives_up_the_seat_and_a_new_configuration_keeps_it(fleet):
    node = fleet.node()
    fleet.rollout(config(policy()))
    seat = fleet.publisher.seats()["web-1"]
    node.generation = 2
    node.start(ready=False)
    wait_until(lambda: node.lines("L7S2002"), 2, "the hand-over")
    wait_until(lambda: fleet.publisher.seats()["web-1"]["started_ms"] > seat["started_ms"],
               2, "the new process")
    assert fleet.publisher.seats()["web-1"]["instance"] == seat["instance"]
    assert node.state()["live_nodes"] == 1
    node.kill(signal.SIGTERM)
    assert node.ended() == 0
    assert fleet.publisher.seats() == {}


def test_210_18_new_bus_epoch_begins_anew(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=3, per_seconds=1000,
                                action={"ban": {"seconds": 600}})))
    node.decide(4)
    wait_until(lambda: fleet.publisher("log", 1), 2, "the ban")
    fleet.publisher("epoch", "00000000000000b2", 2)
    assert fleet.publisher("log", 1) is None
    fleet.publisher.revision = 0
    fleet.rollout(config(policy(requests=5, per_seconds=1000)))
    assert node.state()["config_epoch"] == 2
    wait_until(lambda: fleet.publisher("log", 1), 2, "the ban in the new log")
    node.expect("L7S2035")
    fleet.publisher("epoch", "00000000000000c3", 1)
    wait_until(lambda: node.lines("L7S2035"), 2, "the refusal")


def test_210_19_secrets_rotate_without_a_gap(fleet):
    node = fleet.node()
    limits = config(policy(requests=3, per_seconds=1000, action={"ban": {"seconds": 600}}))
    fleet.rollout(limits)
    node.decide(4)
    wait_until(lambda: fleet.publisher("log", 1), 2, "the ban")
    old = (fleet.publisher.folder / "secret").read_text()
    new = "k2:" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=\n"
    secret = node.root / "secret"
    secret.write_text(old + new)
    wait_until(lambda: len(fleet.publisher.seats().get("web-1", {"secret_ids": []})
                           ["secret_ids"]) == 2, 4, "both secrets")
    (fleet.publisher.folder / "secret").write_text(new + old)
    fleet.publisher.tool.close()
    fleet.publisher.start()
    fleet.rollout(limits)
    assert node.state()["revision"] == 2
    assert node.bans() != [] and node.decide(1)["banned"] == 1, "bans move to the new key"


def test_210_20_unknown_secret_keeps_what_is_in_force(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=3, per_seconds=1000)))
    node.expect("L7S2030")
    (node.root / "secret").write_text("nonsense\n")
    wait_until(lambda: node.lines("L7S2030"), 3, "the line")
    fleet.rollout(config(policy(requests=4, per_seconds=1000)))


def test_210_21_garbage_on_the_bus_is_refused_and_said(fleet):
    node = fleet.node(start=False)
    node.expect("L7S2033")
    other = Publisher(fleet.memcached).start("00000000000000d4", 9)
    try:
        (node.root / "secret").write_text((other.folder / "secret").read_text())
        node.start()
        wait_until(lambda: node.lines("L7S2033"), 3, "the refusal")
        assert node.state()["generation"] == 0
    finally:
        other.close()


def test_210_22_only_the_daemon_lifts_bans(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=1000)))
    fleet.publisher("ban", 1, json.dumps(ban_entry("192.0.2.1")))
    wait_until(lambda: node.bans() == ["ip:192.0.2.1"], 2, "the ban")
    keys = fleet.publisher.folder
    other = Tool([TOOLS / "bus_tool", fleet.memcached[0].address, keys / "secret",
                  keys / "trust", "node", "web-9"])
    try:
        node.expect("L7S2062")
        lift = ban_entry("192.0.2.1", op="lift", since_ms=now_ms() + 1000,
                         hold_until_ms=now_ms() + 60000)
        other("ban", json.dumps(lift))
        wait_until(lambda: node.lines("L7S2062"), 2, "the refusal")
        assert node.bans() == ["ip:192.0.2.1"]
        other("ban", json.dumps(ban_entry("192.0.2.2")))
        wait_until(lambda: len(node.bans()) == 2, 2, "a ban may come from a node")
    finally:
        other.close()


def test_210_23_damaged_state_files_are_said_and_the_fleet_heals_them(fleet, tmp_path):
    for name in ("snapshot.json", "bans.json", "spool.json"):
        (tmp_path / name).write_text('{"version":1,"manifest":{},"parts"')
    node = fleet.node(state=tmp_path)
    node.expect("L7S2044", "L7S2068", "L7S2081")
    fleet.rollout(config(policy(requests=2)))
    for tag in node.expected:
        assert len(node.lines(tag)) == 1, tag
    snapshot = json.loads((tmp_path / "snapshot.json").read_text())
    assert snapshot["seen"] == [1, 1] and "policies" in snapshot["parts"]


def test_210_24_another_daemon_begins_its_revisions_anew(fleet):
    node = fleet.node()
    fleet.publisher.revision = 40
    fleet.rollout(config(policy(requests=3, per_seconds=1000)))
    fleet.publisher("mode", "off", 1, 41, 0)
    wait_until(lambda: node.state()["mode"] == "off", 2, "off")
    fleet.publisher.close()
    fleet.publisher = Publisher(fleet.memcached).start("00000000000000e5", 1)
    for kind in ("secret", "trust"):
        (node.root / kind).write_text((fleet.publisher.folder / kind).read_text())
    fleet.rollout(config(policy(requests=4, per_seconds=1000)))
    node.expect("L7S2033")
    assert node.state()["revision"] == 1 and node.lines("L7S2046")
    assert node.state()["mode"] == "enforce"


def test_210_25_an_incident_that_ended_says_so(fleet):
    node = fleet.node()
    fleet.rollout(config(policy(requests=1, per_seconds=100)))
    node.decide(3)
    wait_until(lambda: incidents_of(fleet, node)[1], 2, "the report")
    node.tool("age", 61000)
    wait_until(lambda: incidents_of(fleet, node)[1][-1]["state"] == "ended", 3, "the end")


def test_210_26_reports_made_without_memcached_arrive_when_it_is_back(fleet):
    node = fleet.node()
    node.expect("L7S2031", "L7S2071")
    fleet.rollout(config(policy(requests=1, per_seconds=100)))
    fleet.memcached[0].pause()
    wait_until(lambda: node.lines("L7S2031"), 5, "the line")
    incidents = {node.decide(2, client=f"192.0.2.{n}")["incident"] for n in range(1, 6)}
    node.kill(signal.SIGTERM)
    assert node.ended() == 0
    node.start(ready=False)
    time.sleep(0.5)
    fleet.memcached[0].go_on()

    def arrived():  # beside the outage's own incident
        return "web-1" in fleet.publisher.seats() and {
            report["id"] for report in incidents_of(fleet, node)[1]
            if report["policy"] == "per-client"} == incidents
    wait_until(arrived, 8, "all reports")


def test_210_27_a_counter_used_up_elsewhere_is_known_before_its_first_request(fleet):
    one, two = fleet.node("web-1"), fleet.node("web-2")
    fleet.rollout(config(policy(requests=20, per_seconds=100)))
    wait_until(lambda: one.state()["live_nodes"] == 2 and two.state()["live_nodes"] == 2,
               5, "both nodes")
    for number in range(1, 40):
        client = f"192.0.2.{number}"
        assert one.admitted(30, client=client) == 20
    time.sleep(0.6)
    assert [two.admitted(30, client=f"192.0.2.{number}") for number in range(1, 40)] == \
        [0] * 39
    assert two.admitted(30, client="192.0.2.77") == 20


def test_210_28_cold_start_without_the_store_takes_its_share_only(fleet):
    one, two = fleet.node("web-1"), fleet.node("web-2")
    fleet.rollout(config(policy(requests=20, per_seconds=100)))
    wait_until(lambda: one.state()["live_nodes"] == 2 and two.state()["live_nodes"] == 2,
               5, "both nodes")
    wait_until(lambda: one.kill(signal.SIGTERM) or one.ended() == 0, 2, "the end")
    fleet.memcached[0].close()
    two.expect("L7S2031", "L7S2071")
    again = fleet.node("web-1b", state=one.state_dir)
    again.expect("L7S2031")
    assert again.state()["live_nodes"] == 2
    admitted = 0
    for _ in range(40):
        admitted += again.admitted(1)
        time.sleep(0.04)
    assert 9 <= admitted <= 13, admitted
    again.kill(signal.SIGTERM)
    assert again.ended() == 0
