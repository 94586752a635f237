# SPDX-License-Identifier: Apache-2.0
"""What happened: each type of event in the log, the stream and the long poll; each
revision once, whenever the daemon is killed."""
import concurrent.futures
import json
import threading
import time

import pytest

from bus import ban_entry, bus, incident_id, report  # noqa: F401
from daemon import POLICY, Daemon, daemon, started  # noqa: F401
from httpd import wait_until
from stream import Stream, events


def put_policy(daemon, name, **members):
    return daemon.call("PUT", f"/v1/policies/{name}", {**POLICY, **members},
                       shield_reason="because")


def ban(daemon, address, **members):
    return daemon.call("PUT", f"/v1/bans/ip:{address}",
                       {"key": {"client": address}, "seconds": 600, **members})


def types(found):
    return [event["type"] for event in found]


def told(daemon, kind, count=1, seconds=5):
    """The events of this type, once there are as many."""
    def enough():
        found = [event for event in events(daemon) if event["type"] == kind]
        return found if len(found) >= count else None
    return wait_until(enough, seconds, f"{count} of {kind}")


# ---------------------------------------------------------------- what is told


def test_350_01_changes_of_the_configuration(daemon):
    put_policy(daemon, "login")
    put_policy(daemon, "login")  # the same again is no change
    daemon.call("PUT", "/v1/policies/login?dry_run=true", {**POLICY, "mode": "off"})
    daemon.call("DELETE", "/v1/policies/login")
    first, second = told(daemon, "policy.changed", 2)
    assert first["data"] == {"revision": 1, "at": first["data"]["at"],
                             "author": "token:admin", "reason": "because",
                             "set": None, "change_count": 1, "changes": [
                                 {"kind": "policy", "name": "login", "op": "create"}]}
    assert second["data"]["changes"][0]["op"] == "delete"
    assert first["id"] < second["id"] and first["at"] <= second["at"]


def test_350_02_bans_by_hand(daemon):
    ban(daemon, "203.0.113.7", reason="scraper")
    ban(daemon, "203.0.113.7", reason="scraper")
    daemon.call("PUT", "/v1/bans/ip:203.0.113.9?dry_run=true",
                {"key": {"client": "203.0.113.9"}, "seconds": 60})
    daemon.call("DELETE", "/v1/bans/ip:203.0.113.7")
    added, lifted = events(daemon, query="&type=ban.*")
    assert types([added, lifted]) == ["ban.added", "ban.lifted"]
    assert added["data"]["id"] == "ip:203.0.113.7" and added["data"]["reason"] == "scraper"
    assert added["data"]["status"]["state"] == "active"
    assert lifted["data"]["status"]["state"] == "lifted"
    assert lifted["data"]["status"]["by"] == "token:admin"


def test_350_03_modes_and_their_end(daemon):
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    daemon.call("PATCH", "/v1/settings", {"mode": "observe", "mode_until": until})
    begun, ended = told(daemon, "mode.changed", 2, 8)
    assert begun["data"] == {"mode": "observe", "mode_until": begun["data"]["mode_until"],
                             "previous_mode": "enforce", "because": "settings"}
    assert ended["data"] == {"mode": "enforce", "mode_until": None,
                             "previous_mode": "observe", "because": "expired"}
    daemon.stop()
    daemon.start()
    daemon.call("PATCH", "/v1/settings", {"mode": "off", "mode_until": None})
    assert len(told(daemon, "mode.changed", 3)) == 3


def test_350_04_incidents_from_their_beginning_to_their_end(bus):  # noqa: F811
    node = bus.node("web-1").live()
    stream = Stream(bus.daemon, "?type=incident.*&type=guard.tripped")
    name = incident_id(1)
    node.incident(report("web-1", 1))
    opened = stream.next()
    assert (opened.type, opened.data["id"]) == ("incident.opened", name)
    assert opened.data == bus.api("GET", f"/v1/incidents/{name}").json
    bus.api("PATCH", f"/v1/incidents/{name}", {"note": "ours"})
    noted = stream.next()
    assert (noted.type, noted.data["note"]) == ("incident.updated", "ours")
    for requests in range(101, 111):  # counts alone are no news, this soon
        node.incident(report("web-1", 1, requests=requests))
    index = node.incident(report("web-1", 1, requests=120, state="ended"))
    wait_until(lambda: node.acknowledged() >= index, 3, "the acknowledgement")
    ended = stream.next()
    assert (ended.type, ended.data["counts"]["requests"]) == ("incident.ended", 120)
    node.incident(report("web-1", 2, detector="guard_tripped", action="observe",
                         key={"policy": "login"}, client="", limit=0, per_seconds=0))
    assert [stream.next().type, stream.next().type] == ["incident.opened", "guard.tripped"]
    stream.close()


def test_350_05_bans_of_nodes_and_nodes_that_are_lost(bus):  # noqa: F811
    bus.daemon.expect("L7S3523")  # lost
    node = bus.node("web-1").live()
    node.ban(ban_entry("198.51.100.7"))
    added, = told(bus.daemon, "ban.added")
    assert added["data"]["status"]["origin"] == "node"
    node.kill()
    lost, = told(bus.daemon, "node.lost", 1, 15)
    assert (lost["data"]["name"], lost["data"]["status"]["state"]) == ("web-1", "lost")
    # One that is lost while the daemon is away is told of as well, and neither twice.
    other = bus.node("web-2").live()
    wait_until(lambda: other.say("ack") is not None, 2, "the node")
    bus.daemon.stop()
    other.kill()
    bus.daemon.start()
    names = [event["data"]["name"] for event in told(bus.daemon, "node.lost", 2, 20)]
    assert names == ["web-1", "web-2"]


# ---------------------------------------------------------------- how it is read


def test_350_06_stream_has_the_form_that_browsers_read(daemon):
    stream = Stream(daemon)
    assert stream.head.startswith("HTTP/1.1 200 "), stream.head
    assert "Content-Type: text/event-stream" in stream.head
    assert "Cache-Control: no-store" in stream.head
    put_policy(daemon, "login")
    number, kind, data = stream.frame(5)
    assert (int(number), kind) == (1, "policy.changed")
    assert json.loads(data)["revision"] == 1
    stream.close()


def test_350_07_stream_goes_on_where_its_client_stood(daemon):
    for number in range(1, 6):
        put_policy(daemon, f"p{number}")
    wait_until(lambda: len(events(daemon)) == 5, 5, "the events")
    for options in ({"query": "?after=2"}, {"last_event_id": 2},
                    {"query": "?after=0", "last_event_id": 2}):
        stream = Stream(daemon, **options)
        assert [stream.next().id for _ in range(3)] == [3, 4, 5]
        stream.close()
    stream = Stream(daemon, "?after=0")
    assert [stream.next().id for _ in range(5)] == [1, 2, 3, 4, 5]
    stream.close()
    for lost in ("99", "-1", "x"):
        stream = Stream(daemon, last_event_id=lost)
        event = stream.next()
        assert (event.id, event.type) == (5, "reset")
        assert event.data == {"first_id": 1, "last_id": 5}
        stream.close()


def test_350_08_filters_by_type(daemon):
    stream = Stream(daemon, "?type=ban.added&type=mode.*")
    put_policy(daemon, "login")
    ban(daemon, "203.0.113.7")
    daemon.call("DELETE", "/v1/bans/ip:203.0.113.7")
    daemon.call("PATCH", "/v1/settings", {"mode": "observe"})
    assert [stream.next().type, stream.next().type] == ["ban.added", "mode.changed"]
    stream.close()
    for bad in ("bans", "*", "", "ban.added,mode.changed"):
        answer = daemon.call("GET", f"/v1/events?type={bad}")
        assert answer.status == 400 and answer.code == "invalid_parameter"


def test_350_09_long_poll_waits_for_the_first_event(daemon):
    assert daemon.call("GET", "/v1/events").json == {"items": [], "last_id": 0}
    begun = time.monotonic()
    answer = daemon.call("GET", "/v1/events?wait_seconds=1")
    assert answer.json == {"items": [], "last_id": 0}
    assert time.monotonic() - begun >= 0.9
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = [pool.submit(daemon.call, "GET",
                               "/v1/events?wait_seconds=30&type=ban.*&after=0")
                   for _ in range(8)]
        time.sleep(0.2)  # they wait by now, or find it at once
        put_policy(daemon, "login")  # not what they wait for
        ban(daemon, "203.0.113.7")
        for call in waiting:
            page = call.result(10).json
            assert types(page["items"]) == ["ban.added"]
            assert page["last_id"] >= page["items"][0]["id"]
    assert time.monotonic() - begun < 20


def test_350_10_long_poll_pages_and_refuses_lost_positions(daemon):
    daemon.call("POST", "/v1/bans:batch", {"put": [
        {"key": {"client": f"198.51.100.{number}"}, "seconds": 60} for number in range(25)]})
    page = daemon.call("GET", "/v1/events?after=0&limit=10").json
    assert [item["id"] for item in page["items"]] == list(range(1, 11))
    assert len(events(daemon)) == 25
    answer = daemon.call("GET", "/v1/events?after=26")
    assert answer.status == 410 and answer.code == "position_too_old"
    assert "no position of this event log" in answer.json["detail"]
    for bad in ("after=-1", "after=x", "limit=0", "wait_seconds=61"):
        assert daemon.call("GET", "/v1/events?" + bad).status == 400, bad


def test_350_11_retention_takes_events_and_positions_with_it(daemon):
    for begin in range(0, 1500, 500):
        daemon.call("POST", "/v1/bans:batch", {"put": [
            {"key": {"client": f"10.1.{number // 250}.{number % 250}"}, "seconds": 60}
            for number in range(begin, begin + 500)]})
    assert daemon.call("PATCH", "/v1/settings", {"retention": {"rows": 1000}}).status == 200
    wait_until(lambda: daemon.call("GET", "/v1/events?after=1500").json["items"], 5,
               "the change of settings")
    daemon.stop()
    daemon.start()  # prunes at once
    wait_until(lambda: daemon.call("GET", "/v1/events?after=1").status == 410, 5,
               "the loss of the oldest")
    assert len(events(daemon)) == 1000
    stream = Stream(daemon, last_event_id=1)
    assert stream.next().type == "reset"
    stream.close()


def test_350_12_stop_ends_streams_and_polls(daemon):
    streams = [Stream(daemon) for _ in range(20)]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        poll = pool.submit(daemon.call, "GET", "/v1/events?wait_seconds=60")
        time.sleep(0.2)
        begun = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begun < 5
        assert poll.result(5).json["items"] == []
    for stream in streams:
        assert stream.next(5) is None and stream.ended
        stream.close()
    daemon.start()


def test_350_14_no_poll_outlives_its_token(daemon):
    token = daemon.token_of("viewer")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        poll = pool.submit(daemon.call, "GET", "/v1/events?wait_seconds=30", token=token)
        time.sleep(0.3)  # it waits by now; else it is refused at once
        daemon.call("DELETE", "/v1/tokens/test-viewer")
        put_policy(daemon, "login")
        assert poll.result(10).status == 401


# ---------------------------------------------------------------- nothing lost, nothing twice


@pytest.fixture
def killed():
    yield from started(Daemon())


def test_350_13_each_revision_is_told_once_whenever_it_is_killed(killed):
    """The outbox: kill -9 again and again, while policies change."""
    stored = 0
    for round_number in range(8):
        stop = threading.Event()
        seen = [0]

        def change(number=round_number):
            try:
                while not stop.is_set():
                    answer = put_policy(killed, "login", description=f"{number}.{seen[0]}")
                    if answer.status in (200, 201):
                        seen[0] += 1
            except (OSError, AssertionError):
                pass  # killed
            except Exception:  # http.client's, for half an answer
                pass

        thread = threading.Thread(target=change)
        thread.start()
        wait_until(lambda: seen[0] >= 3, 10, "some changes")
        time.sleep(0.005 * round_number)
        killed.kill()
        stop.set()
        thread.join()
        stored += seen[0]
        killed.start()
    newest = killed.call("GET", "/v1/revisions?limit=1").json["items"][0]["revision"]
    assert newest >= stored
    found = told(killed, "policy.changed", newest, 10)
    assert [event["data"]["revision"] for event in found] == list(range(1, newest + 1))
    ids = [event["id"] for event in events(killed)]
    assert ids == sorted(set(ids))
