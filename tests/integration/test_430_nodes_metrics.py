# SPDX-License-Identifier: Apache-2.0
"""/v1/nodes, the rollout of a revision, /metrics, /livez and /readyz."""
import re
import threading
import time

from bus import ban_entry, bus, report  # noqa: F401
from daemon import POLICY
from httpd import wait_until

LOST = "L7S3523"
SAMPLE = re.compile(r'^([a-z_0-9]+)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (\S+)$')


def node_of(bus, name):  # noqa: F811
    return bus.api("GET", f"/v1/nodes/{name}").json["status"]


def metrics(bus):  # noqa: F811
    """{sample: value}; fails on what is not Prometheus text."""
    answer = bus.api("GET", "/metrics", headers={"Accept": "text/plain"})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples, typed, family = {}, set(), None
    for line in answer.text.splitlines():
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in typed and kind in ("gauge", "counter", "histogram")
            typed.add(family)
        elif not line.startswith("# HELP "):
            name, labels, value = SAMPLE.match(line).groups()
            assert name.startswith(family), line
            assert (name + (labels or "")) not in samples, line
            samples[name + (labels or "")] = float(value)
    return samples


def test_430_01_node_says_who_it_is_and_what_it_runs(bus):  # noqa: F811
    assert bus.api("GET", "/v1/nodes").json["items"] == []
    bus.node("web-1").live()
    status = node_of(bus, "web-1")
    assert status["state"] == "live" and status["version"] == "0.1.0"
    assert status["features"] == ["spine"] and status["secret_ids"] == ["k1"]
    assert (status["effective_mode"], status["because"]) == ("enforce", "default")
    assert status["applied_revision"] == 0 and status["config_epoch"] == 1
    assert abs(status["skew_ms"]) < 3000
    assert status["health"]["workers_total"] == 16
    assert bus.api("GET", "/v1/nodes/web-2").status == 404


def test_430_02_node_that_stops_is_lost_and_comes_back(bus):  # noqa: F811
    bus.daemon.expect(LOST)
    first, second = bus.node("web-1").live(), bus.node("web-2").live()
    # A clean stop gives the seat up: nobody waits for such a node for five seconds.
    second.stop()
    wait_until(lambda: bus.states()["web-2"] == "lost", 4, "the clean stop")
    assert bus.states()["web-1"] == "live"
    first.kill()
    wait_until(lambda: bus.states()["web-1"] == "lost", 8, "the dead node")
    assert [node["name"] for node in
            bus.api("GET", "/v1/nodes?state=lost").json["items"]] == ["web-1", "web-2"]
    assert bus.api("GET", "/v1/nodes?state=live").json["items"] == []
    bus.node("web-1").live()


def test_430_03_only_a_lost_node_can_be_forgotten(bus):  # noqa: F811
    bus.daemon.expect(LOST)
    node = bus.node("web-1").live()
    answer = bus.api("DELETE", "/v1/nodes/web-1")
    assert (answer.status, answer.code) == (409, "node_live")
    node.stop()
    wait_until(lambda: bus.states()["web-1"] == "lost", 4, "the stop")
    assert bus.api("DELETE", "/v1/nodes/web-1?dry_run=true").status == 204
    editor = bus.daemon.token_of("editor")
    assert bus.api("DELETE", "/v1/nodes/web-1", token=editor).status == 403
    assert bus.api("DELETE", "/v1/nodes/web-1").status == 204
    assert bus.api("DELETE", "/v1/nodes/web-1").status == 404
    assert bus.states() == {}


def test_430_04_nodes_are_known_after_a_restart(bus):  # noqa: F811
    bus.daemon.expect(LOST)
    first = bus.node("web-1").live()
    bus.node("web-2").live()
    first.stop()
    bus.daemon.kill()
    bus.daemon.start()
    assert set(bus.states()) == {"web-1", "web-2"}
    assert bus.states()["web-1"] == "lost"
    wait_until(lambda: bus.states()["web-2"] == "live", 3, "the living one")
    assert node_of(bus, "web-1")["version"] == "0.1.0"


def test_430_05_rollout_ends_as_soon_as_every_node_has_applied(bus):  # noqa: F811
    nodes = [bus.node("web-1").live(), bus.node("web-2").live()]
    nodes[1].say("apply off")
    revision = bus.api("PUT", "/v1/policies/login", POLICY).headers["shield-revision"]
    path = f"/v1/revisions/{revision}/rollout"
    late = bus.api("GET", path + "?wait_seconds=1&min_nodes=2")
    assert late.status == 202
    assert (late.json["live_nodes"], late.json["applied_nodes"]) == (2, 1)
    assert [node["name"] for node in late.json["laggards"]] == ["web-2"]
    failed = bus.api("GET", path + "?wait_seconds=0&min_nodes=2&on_timeout=error")
    assert (failed.status, failed.code) == (504, "rollout_incomplete")
    assert [error["message"].split()[0] for error in failed.json["errors"]] == ["web-2"]

    answers = []

    def wait():
        answers.append((bus.api("GET", path + "?wait_seconds=20&min_nodes=2"),
                        time.monotonic()))
    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    nodes[1].say("apply on")
    applied = time.monotonic()
    thread.join(10)
    answer, answered = answers[0]
    assert answer.status == 200 and answer.json["complete"]
    assert answered - applied < 0.25
    # More nodes than there are: nobody waits longer than asked.
    begun = time.monotonic()
    assert bus.api("GET", path + "?wait_seconds=1&min_nodes=3").status == 202
    assert 0.9 < time.monotonic() - begun < 2.5


def test_430_06_metrics_tell_of_nodes_bans_and_incidents(bus):  # noqa: F811
    node = bus.node("web-1").live()
    bus.api("PUT", "/v1/bans/ip:203.0.113.9", {"key": {"client": "203.0.113.9"}})
    node.ban(ban_entry("203.0.113.10"))
    node.incident(report("web-1", 1))
    node.set("policies", {"login": [100, 80, 0, 1], 'odd"name\\': [1, 2, 3, 4]})
    wait_until(lambda: node.acknowledged() == 1, 3, "the incident")
    wait_until(lambda: bus.api("GET", "/v1/bans/ip:203.0.113.10").status == 200, 3, "the ban")
    wait_until(lambda: node_of(bus, "web-1")["policies"], 3, "the numbers")
    revision = int(bus.api("PUT", "/v1/policies/login", POLICY).headers["shield-revision"])
    wait_until(lambda: node_of(bus, "web-1")["applied_revision"] == revision, 3, "applied")
    seen = metrics(bus)
    wanted = {
        'l7shield_decisions_total{node="web-1",app="",policy="login",verdict="acted"}': 80,
        'l7shield_decisions_total{node="web-1",app="",policy="login",verdict="logged"}': 1,
        'l7shield_decisions_total{node="web-1",app="",policy="",verdict="admitted"}': 7,
        'l7shield_decisions_total{node="web-1",app="",policy="odd\\"name\\\\",'
        'verdict="would_act"}': 3,
        'l7shield_policy_matches_total{node="web-1",policy="login"}': 100,
        'l7shield_snapshot_revision{node="web-1"}': revision,
        "l7shieldd_revision": revision,
        'l7shield_node_up{node="web-1"}': 1,
        'l7shield_nodes{state="live"}': 1,
        'l7shield_keys{node="web-1"}': 12,
        'l7shield_sync_lag_seconds{node="web-1"}': 0.015,
        'l7shield_workers{node="web-1",state="busy"}': 3,
        'l7shield_workers{node="web-1",state="idle"}': 13,
        'l7shield_bans{origin="daemon"}': 1,
        'l7shield_bans{origin="node"}': 1,
        "l7shield_incidents_active": 1,
        'l7shield_incidents_total{signature="request_flood",layer="application"}': 1,
        f'l7shield_store_up{{server="{bus.memcached.address}"}}': 1,
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert 0 <= seen['l7shield_snapshot_age_seconds{node="web-1"}'] < 60
    assert any(name.startswith("l7shieldd_http_requests_total") for name in seen)
    assert any(name.startswith("l7shieldd_build_info") for name in seen)
    token = bus.daemon.token_of("metrics")
    assert bus.api("GET", "/metrics", token=token).status == 200
    assert bus.api("GET", "/v1/nodes", token=token).status == 403


def test_430_07_ready_says_why_not(bus):  # noqa: F811
    bus.daemon.expect("L7S3501|L7S3503")
    assert bus.api("GET", "/livez", token=None).status == 200
    ready = bus.api("GET", "/readyz?verbose=true", token=None)
    assert ready.status == 200
    assert ready.json["bus"]["servers"] == [{"server": bus.memcached.address, "up": True}]
    assert "bus" not in bus.api("GET", "/livez", token=None).json
    bus.memcached.close()
    wait_until(lambda: bus.api("GET", "/readyz", token=None).status == 503, 5, "503")
    alive = bus.api("GET", "/livez?verbose=true", token=None).json
    assert alive["status"] == "alive" and alive["store"] == {"writable": True}
    assert alive["bus"]["reachable"] is False
    answer = bus.api("GET", "/readyz", token=None)
    assert answer.code == "bus_unavailable"
    assert answer.errors == {("/bus", "bus_unavailable")}
    assert bus.api("GET", "/livez", token=None).status == 200
    bus.memcached.start()
    wait_until(lambda: bus.api("GET", "/readyz", token=None).status == 200, 5, "200")


def test_430_08_other_seat_of_the_same_name_does_not_flap(bus):  # noqa: F811
    """A restarted httpd holds a new seat while the old one has not run out yet."""
    bus.daemon.expect(LOST)
    first = bus.node("web-1").live()
    first.kill()
    second = bus.node("web-1")
    second.set("instance", "fedcba9876543210")
    wait_until(lambda: node_of(bus, "web-1")["instance"] == "fedcba9876543210", 3, "new one")
    for _ in range(20):
        assert node_of(bus, "web-1")["instance"] == "fedcba9876543210"
        assert bus.states() == {"web-1": "live"}
        time.sleep(0.05)


def test_430_09_seat_with_nonsense_in_it_does_no_harm(bus):  # noqa: F811
    bus.daemon.expect("L7S3521")
    node = bus.node("web-1").live()
    node.say("apply off")
    for member, value in (("health", 7), ("policies", {"x": "y", "z": [None]}),
                          ("verdicts", [1]), ("revision", "many"), ("secret_ids", {}),
                          ("incident_log", "none"), ("started_ms", -5)):
        node.set(member, value)
    wait_until(lambda: node_of(bus, "web-1")["health"] is None, 3, "the odd seat")
    assert node_of(bus, "web-1")["applied_revision"] is None
    assert bus.states() == {"web-1": "live"}
    assert metrics(bus)['l7shield_node_up{node="web-1"}'] == 1
    # A name that is no host name is not shown at all.
    node.set("name", "../../etc")
    time.sleep(0.7)
    assert set(bus.states()) == {"web-1"}
