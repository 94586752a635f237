# SPDX-License-Identifier: Apache-2.0
"""From the nodes' reports to the records of /v1/incidents, and nothing lost on the way."""
import json
import time

from bus import bus, incident_id, report  # noqa: F401
from httpd import wait_until


def send(bus, node, number, **members):  # noqa: F811
    """Sends a report and returns when it is acknowledged."""
    index = node.incident(report(node.name, number, **members))
    assert index is not None
    wait_until(lambda: node.acknowledged() >= index, 3, "the acknowledgement")
    return incident_id(number)


def shown(bus, query=""):  # noqa: F811
    return [item["id"] for item in bus.incidents(query)]


def test_420_01_report_becomes_a_record(bus):  # noqa: F811
    node = bus.node("web-1").live()
    name = send(bus, node, 1)
    record = bus.api("GET", f"/v1/incidents/{name}").json
    assert bus.incidents() == [record]
    assert (record["id"], record["state"], record["kind"]) == (name, "active", "rate")
    assert record["policy"]["name"] == "login"
    assert record["source"]["key"] == {"client": "203.0.113.7"}
    assert record["nodes"] == ["web-1"]
    assert record["counts"]["acted"] == 80
    assert record["ended_at"] is None and record["ack"] is None
    assert not [member for member in record if member.startswith("_")]
    assert bus.api("GET", "/v1/incidents/" + incident_id(2)).status == 404


def test_420_02_reports_of_two_nodes_are_one_incident(bus):  # noqa: F811
    first, second = bus.node("web-1").live(), bus.node("web-2").live()
    name = send(bus, first, 1)
    alias = send(bus, second, 2, requests=50, acted=40, passed=10)
    other = send(bus, second, 3, key={"client": "203.0.113.8"}, client="203.0.113.8")
    record = bus.api("GET", f"/v1/incidents/{alias}").json
    assert record["id"] == name and record["aliases"] == [alias]
    assert record["nodes"] == ["web-1", "web-2"]
    assert record["counts"]["requests"] == 150 and record["counts"]["acted"] == 120
    assert shown(bus) == [other, name]


def test_420_03_reports_are_cumulative_and_may_come_twice(bus):  # noqa: F811
    node = bus.node("web-1").live()
    name = send(bus, node, 1)
    grown = report("web-1", 1, requests=300, acted=270, passed=30)
    for _ in range(2):
        index = node.incident(grown)
        wait_until(lambda index=index: node.acknowledged() == index, 3, "the ack")
        assert bus.incidents()[0]["counts"]["requests"] == 300
    send(bus, node, 1, state="ended", requests=310, acted=280)
    record = bus.api("GET", f"/v1/incidents/{name}").json
    assert record["state"] == "ended"
    assert record["ended_at"] == record["last_seen_at"]
    assert record["counts"]["requests"] == 310
    assert shown(bus, "?state=active") == [] and shown(bus, "?state=ended") == [name]


def test_420_04_another_episode_of_the_same_key_is_another_record(bus):  # noqa: F811
    node = bus.node("web-1").live()
    now = int(time.time() * 1000)
    old = send(bus, node, 1, state="ended", started_ms=now - 400000, last_ms=now - 300000)
    new = send(bus, node, 2)
    assert shown(bus) == [new, old]
    assert bus.api("GET", f"/v1/incidents/{new}").json["aliases"] == []


def test_420_05_filters_times_and_cursor(bus):  # noqa: F811
    node = bus.node("web-1").live()
    now = int(time.time() * 1000)
    for number in range(1, 26):
        begun = now - number * 60000
        node.incident(report("web-1", number, started_ms=begun, last_ms=begun + 1000,
                             key={"client": f"198.51.100.{number}"}, state="ended",
                             client=f"198.51.100.{number}",
                             policy="odd" if number % 2 else "even"))
    wait_until(lambda: node.acknowledged() == 25, 5, "the acknowledgement")
    newest_first = [incident_id(number) for number in range(1, 26)]
    assert shown(bus) == newest_first
    assert shown(bus, "?policy=even") == newest_first[1::2]
    assert shown(bus, "?policy=even&policy=odd&kind=rate") == newest_first
    assert shown(bus, "?client=198.51.100.3") == [incident_id(3)]
    assert shown(bus, "?client=198.51.100.0/30") == newest_first[:3]
    assert shown(bus, "?since=-10m")[:5] == newest_first[:5]
    assert len(shown(bus, "?since=-10m")) in (9, 10)
    assert len(shown(bus, "?until=-10m")) in (15, 16)
    seen, cursor = [], ""
    while cursor is not None:
        page = bus.api("GET", "/v1/incidents?limit=7" + cursor).json
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    assert seen == newest_first
    lines = bus.api("GET", "/v1/incidents", headers={"Accept": "application/x-ndjson"}).text
    assert [json.loads(line)["id"] for line in lines.splitlines()] == newest_first
    for query in ("client=x", "since=yesterday", "cursor=AAAA", "colour=red"):
        assert bus.api("GET", "/v1/incidents?" + query).status == 400


def test_420_06_summary_counts(bus):  # noqa: F811
    node = bus.node("web-1").live()
    send(bus, node, 1)
    send(bus, node, 2, policy="other", state="ended")
    summary = bus.api("GET", "/v1/incidents/summary").json
    assert (summary["total"], summary["active"]) == (2, 1)
    assert summary["state"] == {"active": 1, "ended": 1}
    assert summary["policy"] == {"login": 1, "other": 1}
    assert sum(summary["severity"].values()) == sum(summary["signature"].values()) == 2
    assert bus.api("GET", "/v1/incidents/summary?since=-1s").json["total"] <= 2


def test_420_07_ack_note_and_labels_stay_over_later_reports(bus):  # noqa: F811
    node = bus.node("web-1").live()
    path = "/v1/incidents/" + send(bus, node, 1)
    answer = bus.api("PATCH", path, {"ack": True, "note": "mine", "labels": {"team": "web"}})
    assert (answer.status, answer.headers["shield-changed"]) == (200, "true")
    ack = answer.json["ack"]
    assert ack["by"] == "token:admin" and ack["at"].endswith("Z")
    again = bus.api("PATCH", path, {"ack": True, "note": "mine"})
    assert again.headers["shield-changed"] == "false"
    send(bus, node, 1, requests=500)
    record = bus.api("GET", path).json
    assert (record["ack"], record["note"], record["labels"]) == \
        (ack, "mine", {"team": "web"})
    assert record["counts"]["requests"] == 500
    dry = bus.api("PATCH", path + "?dry_run=true", {"ack": None})
    assert dry.json["ack"] is None and bus.api("GET", path).json["ack"] == ack
    assert len(bus.api("GET", "/v1/incidents?label=team=web").json["items"]) == 1
    assert bus.api("GET", "/v1/incidents?label=team=db").json["items"] == []
    bus.api("PATCH", path, {"ack": None, "labels": {"team": None, "shift": "night"}})
    record = bus.api("GET", path).json
    assert (record["ack"], record["labels"]) == (None, {"shift": "night"})


def test_420_08_patch_refuses_everything_else(bus):  # noqa: F811
    node = bus.node("web-1").live()
    path = "/v1/incidents/" + send(bus, node, 1)
    answer = bus.api("PATCH", path, {"state": "ended", "note": 7, "ack": "yes",
                                     "labels": {"a": 1}})
    assert answer.status == 422
    assert answer.errors == {("/state", "unknown_key"), ("/note", "wrong_type"),
                             ("/ack", "wrong_type"), ("/labels/a", "wrong_type")}, answer
    many = {f"l{number}": "x" for number in range(32)}
    assert bus.api("PATCH", path, {"labels": many}).status == 200
    assert bus.api("PATCH", path, {"labels": {"more": "x"}}).errors == {
        ("/labels", "wrong_members")}
    assert bus.api("PATCH", path, {"labels": {"more": "x", "l0": None}}).status == 200
    assert bus.api("PATCH", path, {"labels": None, "note": None}).json["labels"] == {}
    assert bus.api("PATCH", "/v1/incidents/" + incident_id(9), {"ack": True}).status == 404
    viewer = bus.daemon.token_of("viewer")
    assert bus.api("PATCH", path, {"ack": True}, token=viewer).status == 403
    assert bus.api("GET", path, token=viewer).json["note"] == ""


def test_420_09_acknowledged_incident_survives_kill(bus):  # noqa: F811
    node = bus.node("web-1").live()
    for number in range(1, 6):
        send(bus, node, number, key={"client": f"203.0.113.{number}"})
        bus.daemon.kill()
        bus.daemon.start()
        assert len(shown(bus)) == number
    bus.api("PATCH", "/v1/incidents/" + incident_id(1), {"note": "kept"})
    bus.daemon.kill()
    bus.daemon.start()
    assert bus.api("GET", "/v1/incidents/" + incident_id(1)).json["note"] == "kept"
    # The log goes on where it was, nothing is counted twice.
    send(bus, node, 6, key={"client": "203.0.113.6"})
    assert len(shown(bus)) == 6


def test_420_10_unread_reports_come_again_after_a_flush(bus):  # noqa: F811
    bus.daemon.expect("L7S3503")
    node = bus.node("web-1").live()
    send(bus, node, 1)
    bus.daemon.kill()
    lost = report("web-1", 2, key={"client": "203.0.113.9"})
    assert node.incident(lost) == 2
    bus.flush()
    bus.daemon.start()
    wait_until(lambda: bus.states().get("web-1") == "live", 5, "the node")
    # The acknowledgement went with the flush: it is said again.
    wait_until(lambda: node.acknowledged() == 1, 4, "the acknowledgement")
    assert len(shown(bus)) == 1
    assert node.say("resend 2 " + json.dumps(lost))["index"] == 2
    wait_until(lambda: node.acknowledged() == 2, 4, "the lost report")
    assert len(shown(bus)) == 2


def test_420_11_position_follows_a_node_that_begins_elsewhere(bus):  # noqa: F811
    node = bus.node("web-1").live()
    send(bus, node, 1)
    # A new spool: its numbers go on far ahead (or behind).
    node.set("incident_log", {"first": 1000, "next": 1000})
    assert node.incident(report("web-1", 2, key={"client": "203.0.113.9"})) == 1000
    wait_until(lambda: node.acknowledged() == 1000, 3, "the acknowledgement")
    node.set("incident_log", {"first": 500, "next": 500})
    assert node.incident(report("web-1", 3, key={"client": "203.0.113.8"})) == 500
    wait_until(lambda: node.acknowledged() == 500, 3, "the acknowledgement")
    assert len(shown(bus)) == 3


def test_420_12_silent_incident_is_ended(bus):  # noqa: F811
    node = bus.node("web-1").live()
    now = int(time.time() * 1000)
    silent = send(bus, node, 1, started_ms=now - 300000, last_ms=now - 125000)
    loud = send(bus, node, 2, key={"client": "203.0.113.9"})
    wait_until(lambda: shown(bus, "?state=active") == [loud], 8, "the end")
    record = bus.api("GET", f"/v1/incidents/{silent}").json
    assert record["ended_at"] == record["last_seen_at"]
    # A node that comes back with more goes on with it.
    send(bus, node, 1, started_ms=now - 300000, requests=900)
    assert bus.api("GET", f"/v1/incidents/{silent}").json["state"] == "active"


def test_420_13_many_reports_of_many_nodes_arrive(bus):  # noqa: F811
    nodes = [bus.node(f"web-{number}").live() for number in range(1, 5)]
    for number in range(100):
        for place, node in enumerate(nodes):
            node.incident(report(node.name, 1000 * (place + 1) + number,
                                 key={"client": f"203.0.113.{number}"},
                                 client=f"203.0.113.{number}"))
    for node in nodes:
        wait_until(lambda node=node: node.acknowledged() == 100, 10, "all of them")
    records = bus.api("GET", "/v1/incidents?limit=1000").json["items"]
    assert len(records) == 100
    assert all(record["nodes"] == [f"web-{n}" for n in range(1, 5)] for record in records)
    assert all(len(record["aliases"]) == 3 for record in records)
