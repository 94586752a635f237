# SPDX-License-Identifier: Apache-2.0
"""The policy guard, and nodes that are older than their daemon: what a mistake in the
configuration can do at most."""
import signal
import time

import pytest

from daemon import POLICY
from httpd import wait_until
from sync_node import Node, config, policy
from test_640_epochs_and_secrets import Trust

TRIPPED, REARMED = "L7S2096", "L7S2097"


@pytest.fixture
def bus():
    made, unexpected = Trust(), []
    try:
        yield made.start()
    finally:
        unexpected = made.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


@pytest.fixture
def embedded():
    nodes = []

    def make(document):
        node = Node(policies=document)
        node.expect(TRIPPED)
        nodes.append(node)
        return node.start()

    yield make
    unexpected = [line for node in nodes for line in node.close()]
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


def clients(count, network="10.1"):
    return [f"{network}.{number // 250}.{number % 250}" for number in range(count)]


def crowd(node, visitors, requests=1):
    """How many of their requests were not refused."""
    answers = [node.decide(requests, client=client) for client in visitors]
    return sum(answer["admitted"] + answer["observed"] for answer in answers)


def tripped(node, seconds=3):
    return wait_until(lambda: node.lines(TRIPPED), seconds, "the guard")


def limit(requests=1, **members):
    return policy("limit", requests=requests, per_seconds=1000, **members)


def test_650_01_policy_that_acts_on_too_many_only_observes(embedded):
    node = embedded(config(limit()))
    assert crowd(node, clients(100)) == 100
    assert crowd(node, clients(30)) == 0
    line = tripped(node)[0]
    assert "policy limit acted on about" in line and "incident inc_" in line
    assert crowd(node, clients(30)) == 30, "it lets everybody pass"
    assert node.decide(1, client="10.1.0.1")["observed"] == 1, "and goes on observing"
    # A crash of the sync process changes nothing.
    node.kill(signal.SIGKILL)
    assert node.ended() is not None
    node.start()
    time.sleep(1.3)
    assert crowd(node, clients(30)) == 30
    assert len(node.lines(TRIPPED)) == 1


def test_650_02_few_flooders_and_few_clients_are_none_of_its_business(embedded):
    node = embedded(config(limit()))
    assert crowd(node, clients(40), 2) == 40, "everybody is refused, yet they are few"
    time.sleep(1.5)
    assert not node.lines(TRIPPED)
    assert crowd(node, clients(400, "10.2")) == 400
    time.sleep(1.5)  # 40 of 440 are more than five percent, all of them in one window
    assert node.lines(TRIPPED)
    quiet = embedded(config(limit()))
    assert crowd(quiet, clients(400)) == 400
    assert crowd(quiet, clients(9), 5) == 0
    time.sleep(1.5)
    assert not quiet.lines(TRIPPED) and crowd(quiet, clients(9)) == 0


def test_650_03_change_of_the_policy_or_of_the_settings_rearms_it(embedded):
    node = embedded(config(limit()))
    crowd(node, clients(100))
    crowd(node, clients(50))
    tripped(node)
    # Another policy changes: nothing.
    node.write(config(limit(), policy("other", match={"paths": ["/x"]})))
    wait_until(lambda: len(node.lines("L7S2020")) == 2, 3, "the policies")
    time.sleep(0.3)
    assert crowd(node, clients(5)) == 5
    node.write(config(limit(labels={"seen": "yes"})))
    wait_until(lambda: node.lines(REARMED), 3, "the change")
    assert crowd(node, clients(5)) == 0
    wait_until(lambda: len(node.lines(TRIPPED)) == 2, 3, "it trips again")
    node.write(config(limit(labels={"seen": "yes"}),
                      settings={"guard": {"max_acted_clients_percent": 90}}))
    wait_until(lambda: len(node.lines(REARMED)) == 2, 3, "the settings")
    time.sleep(1.5)
    assert crowd(node, clients(5)) == 0 and len(node.lines(TRIPPED)) == 2


def test_650_04_policy_that_ignores_the_guard_acts_on(embedded):
    node = embedded(config(limit(guard="ignore"), settings={"guard": {"within_seconds": 2}}))
    crowd(node, clients(100))
    for _ in range(3):
        assert crowd(node, clients(100)) == 0
        time.sleep(0.7)
    assert not node.lines(TRIPPED)


def test_650_05_bans_of_a_demoted_policy_refuse_nobody(embedded):
    node = embedded(config(limit(action={"ban": {"seconds": 600}})))
    crowd(node, clients(100))
    assert crowd(node, clients(50)) == 0 and len(node.bans()) == 50
    tripped(node)
    assert crowd(node, clients(50)) == 50


def test_650_06_window_forgets(embedded):
    node = embedded(config(limit(requests=2), settings={"guard": {"within_seconds": 2}}))
    crowd(node, clients(45), 3)
    time.sleep(3.5)
    crowd(node, clients(100, "10.9"))
    time.sleep(1.5)
    assert not node.lines(TRIPPED)


def test_650_07_fleet_shows_the_demotion_and_its_incident(bus):
    node = bus.join(expect=(TRIPPED,))
    wait_until(lambda: bus.states().get("web-1") == "live", 3, "live")
    assert bus.api("PATCH", "/v1/settings",
                   {"guard": {"max_acted_clients_percent": 20}}).status == 200
    bus.limit(1)
    crowd(node, clients(100))
    crowd(node, clients(50))
    tripped(node)

    def demoted():
        return bus.api("GET", "/v1/nodes/web-1").json["status"]["demoted_policies"]

    def incident():
        found = [item for item in bus.incidents() if item["kind"] == "guard_tripped"]
        return found[0] if found else None

    wait_until(lambda: demoted() == ["limit"], 3, "the seat")
    record = wait_until(incident, 3, "the incident")
    assert record["policy"]["name"] == "limit" and record["nodes"] == ["web-1"]
    assert record["state"] == "active" and record["layer"] is None
    assert record["id"] in node.lines(TRIPPED)[0]
    answer = bus.api("PATCH", "/v1/policies/limit", {"guard": "ignore"})
    assert answer.status == 200, answer
    wait_until(lambda: demoted() == [], 3, "the seat")
    wait_until(lambda: incident()["state"] == "ended", 3, "the end")
    assert crowd(node, clients(50)) == 0


# -------------------------------------------------------------------- older nodes


def test_650_08_policy_that_a_live_node_cannot_do_is_refused(bus):
    strict = {**POLICY, "consistency": "strict"}
    assert bus.api("PUT", "/v1/policies/early", strict).status == 201, "no live node"
    old, new = bus.node("old").live(), bus.node("new").live()
    new.set("features", ["spine", "strict", "guard"])
    wait_until(lambda: "strict" in
               bus.api("GET", "/v1/nodes/new").json["status"]["features"], 3, "features")
    answer = bus.api("PUT", "/v1/policies/late", strict)
    assert (answer.status, answer.code) == (409, "unsupported_by_nodes")
    error = answer.json["errors"][0]
    assert error["pointer"] == "/consistency" and "old" in error["message"]
    assert "new" not in error["message"]
    assert bus.api("PUT", "/v1/policies/late?dry_run=true", strict).status == 409
    assert bus.api("PATCH", "/v1/settings",
                   {"guard": {"within_seconds": 30}}).code == "unsupported_by_nodes"
    assert bus.api("PUT", "/v1/policies/plain", POLICY).status == 201
    assert bus.api("PUT", "/v1/policies/late?force=true", strict).status == 201
    assert bus.api("PATCH", "/v1/settings?force=true",
                   {"guard": {"within_seconds": 30}}).status == 200
    # The kill switch waits for nobody's update.
    assert bus.api("PATCH", "/v1/settings", {"mode": "off"}).status == 200
    old.set("features", ["spine", "strict", "guard"])
    wait_until(lambda: bus.api("PUT", "/v1/policies/later", strict).status in (200, 201), 3,
               "every node can")


def test_650_09_node_that_is_older_than_its_daemon_keeps_what_it_has(bus):
    node = bus.join(expect=("L7S2041", "L7S2042"))
    revision = bus.limit(3)
    # What a later daemon says: the same keys, a member that nobody here knows.
    bus.daemon.stop()
    later = bus.later_daemon({"policies": [limit(colour="red")]}, revision + 1)
    wait_until(lambda: node.lines("L7S2041"), 3, "the line")
    assert node.state()["revision"] == revision and node.admitted(9) == 3
    wait_until(lambda: "refused_revision" in later.seats().get("web-1", {}), 3, "the seat")
    seat = later.seats()["web-1"]
    assert seat["revision"] == revision
    assert seat["refused_revision"]["revision"] == revision + 1
    assert "/policies/0/colour" in seat["refused_revision"]["why"]
    later("mode", "off", 1, 1000, 0)
    wait_until(lambda: node.state()["mode"] == "off", 2, "the kill switch")
    later("mode", "enforce", 1, 1001, 0)
    later.config(config(limit(requests=5)), revision + 2)
    wait_until(lambda: node.state()["revision"] == revision + 2, 3, "one that it knows")
    wait_until(lambda: "refused_revision" not in later.seats().get("web-1", {}), 3, "the seat")
    later.tool.close()
