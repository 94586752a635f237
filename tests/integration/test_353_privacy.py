# SPDX-License-Identifier: Apache-2.0
"""settings.privacy: no whole address leaves by a record, an event or an export, and the
defence goes on as before."""
import json

from bus import ban_entry, bus, incident_id, report  # noqa: F401
from daemon import daemon  # noqa: F401
from fleet import Fleet
from httpd import policy, wait_until
from stream import Stream, events

CLIENT, NETWORK = "203.0.113.7", "203.0.113.0/24"
LINES = {"Accept": "application/x-ndjson"}


def privacy(daemon, addresses):
    answer = daemon.call("PATCH", "/v1/settings", {"privacy": {"addresses": addresses}})
    assert answer.status == 200, answer
    assert answer.json["privacy"] == {"addresses": addresses, "query_strings": "omit"}


def everything(bus, token):  # noqa: F811
    """What a viewer can see of incidents and events, as texts by where they come from."""
    name = incident_id(1)
    call = bus.api
    stream = Stream(bus.daemon, "?after=0&type=incident.*&type=ban.*", token=token)
    frames = stream.until(lambda event: event.type == "ban.added")
    stream.close()
    return {"list": call("GET", "/v1/incidents", token=token).text,
            "lines": call("GET", "/v1/incidents", token=token, headers=LINES).text,
            "one": call("GET", f"/v1/incidents/{name}", token=token).text,
            "check": call("GET", f"/v1/check?incident={name}", token=token).text,
            "poll": call("GET", "/v1/events?after=0", token=token).text,
            "event lines": call("GET", "/v1/events", token=token, headers=LINES).text,
            "stream": json.dumps(frames)}


def attack(bus):  # noqa: F811
    """An incident and the ban that came of it."""
    node = bus.node("web-1").live()
    node.incident(report("web-1", 1, ban_id="ip:" + CLIENT))
    node.ban(ban_entry(CLIENT))
    wait_until(lambda: {event["type"] for event in events(bus.daemon)} >=
               {"incident.opened", "ban.added"}, 5, "the events")


def test_353_01_no_whole_address_is_shown(bus):  # noqa: F811
    bus.daemon.expect("L7S3523")
    attack(bus)
    token = bus.daemon.token_of("viewer")
    for text in everything(bus, token).values():
        assert CLIENT in text
    privacy(bus.daemon, "truncated")
    for where, text in everything(bus, token).items():
        assert CLIENT not in text and NETWORK in text, (where, text)
    privacy(bus.daemon, "pseudonym")
    hidden = everything(bus, token)
    for where, text in hidden.items():
        assert "203.0.113" not in text and "p:" in text, (where, text)
    # One address has one pseudonym, wherever it stands and after a restart.
    record = json.loads(hidden["one"])
    pseudonym = record["source"]["key"]["client"]
    assert pseudonym.startswith("p:") and record["action"]["ban_id"] == "ip:" + pseudonym
    assert all(pseudonym in text for text in hidden.values())
    bus.daemon.stop()
    bus.daemon.start()
    assert everything(bus, token)["one"] == hidden["one"]
    # Nothing was lost: it is shown again when the settings say so.
    privacy(bus.daemon, "full")
    for text in everything(bus, token).values():
        assert CLIENT in text


def test_353_02_streams_follow_the_settings(daemon):
    def ban(number):
        daemon.call("PUT", f"/v1/bans/ip:198.51.100.{number}",
                    {"key": {"client": f"198.51.100.{number}"}, "seconds": 60})
    stream = Stream(daemon, "?type=ban.added")
    ban(1)
    assert stream.next().data["key"] == {"client": "198.51.100.1"}
    privacy(daemon, "truncated")
    wait_until(lambda: events(daemon, query="&type=policy.changed"), 5, "the revision")
    ban(2)
    assert stream.next().data["key"] == {"client": "198.51.100.0/24"}
    stream.close()


def test_353_03_bans_are_for_those_who_may_lift_them(daemon):
    path = "/v1/bans/ip:" + CLIENT
    daemon.call("PUT", path, {"key": {"client": CLIENT}, "seconds": 60})
    viewer, operator = daemon.token_of("viewer"), daemon.token_of("operator")
    privacy(daemon, "truncated")
    for question in ("/v1/bans", path, "/v1/bans?format=nft", "/v1/bans?format=plain"):
        assert daemon.call("GET", question, token=viewer).status == 403
        answer = daemon.call("GET", question, token=operator)
        assert answer.status == 200 and CLIENT in answer.text
    privacy(daemon, "full")
    assert daemon.call("GET", path, token=viewer).status == 200
    assert daemon.call("DELETE", path, token=operator).status == 204


def test_353_04_only_what_is_kept_can_be_asked_for(daemon):
    for bad in ({"addresses": "none"}, {"query_strings": "hash"}, {"ip": "full"}):
        assert daemon.call("PATCH", "/v1/settings", {"privacy": bad}).status == 422, bad
    operator = daemon.token_of("operator")
    answer = daemon.call("PATCH", "/v1/settings", {"privacy": {"addresses": "full"}},
                         token=operator)
    assert answer.status == 403


def queries(fleet, value):
    answer = fleet.api("PATCH", "/v1/settings", {"privacy": {"query_strings": value}})
    assert answer.status == 200 and answer.json["privacy"]["query_strings"] == value
    fleet.rollout(int(answer.headers["shield-revision"]))


def sample(fleet, address):
    """The sample of this client's incident."""
    return fleet.wait_for_incident(
        lambda item: item["source"]["key"] == {"client": address})["samples"][0]


def test_353_05_queries_are_recorded_only_while_the_settings_say_so():
    fleet = Fleet(nodes=1)
    try:
        fleet.start()
        server, token = fleet.nodes[0], fleet.daemon.token_of("viewer")
        fleet.put_policy(policy("closed", {"deny": {}}, {"paths": ["/page.txt"]}))
        assert server.get("/page.txt?secret=one", address="127.0.0.2").status == 403
        assert sample(fleet, "127.0.0.2")["path"] == "/page.txt"
        queries(fleet, "include")
        assert server.get("/page.txt?secret=two%22&b", address="127.0.0.3").status == 403
        assert sample(fleet, "127.0.0.3")["query"] == "secret=two%22&b"
        assert "query" not in sample(fleet, "127.0.0.2")

        def shown():
            stream = Stream(fleet.daemon, "?after=0&type=incident.opened", token=token)
            frames = json.dumps([stream.next().data, stream.next().data])
            stream.close()
            return [frames, *(fleet.api("GET", path, token=token).text for path in (
                "/v1/incidents", f"/v1/incidents/{name}", "/v1/events?after=0"))]

        name = server.get("/page.txt?secret=three", address="127.0.0.3").headers[
            "l7shield-incident"]
        assert all("secret=two" in text for text in shown())
        queries(fleet, "omit")
        assert not any("secret" in text for text in shown())
        assert server.get("/page.txt?secret=four", address="127.0.0.4").status == 403
        assert "query" not in sample(fleet, "127.0.0.4")
        # What was recorded while they were included is hidden, not lost; the rest never was.
        queries(fleet, "include")
        assert all("secret=two" in text for text in shown())
        assert not any("secret=one" in text or "secret=four" in text for text in shown())
    finally:
        unexpected = fleet.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)
