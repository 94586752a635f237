# SPDX-License-Identifier: Apache-2.0
"""/v1/check explains predicate by predicate why a client is stopped; :release frees it."""
import time
import urllib.parse

import pytest
from fleet import Fleet
from httpd import config, policy, rate, wait_until

LOGIN = policy("login", {"ban": {"seconds": 600}}, {
    "methods": ["POST"], "hosts": ["www.example.com"], "paths": ["/login", "/api/**"],
    "headers": [{"name": "User-Agent", "is": "contains", "values": ["curl"]},
                {"name": "X-Api-Key", "is": "equals", "list": "api-keys"}],
    "client": {"in": ["@near"]},
    "except": [{"client": {"in": ["127.0.6.99"]}}, {"paths": ["/api/health"]}]},
    detect=rate(3, 60))
LISTS = [{"name": "near", "entries": [{"value": "127.0.6.0/24"}]},
         {"name": "api-keys", "kind": "strings", "entries": [{"value": "k-secret-1"}]}]


@pytest.fixture(scope="module")
def fleet():
    made = Fleet(nodes=2, children=2)
    made.start()
    yield made
    unexpected = made.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


@pytest.fixture(autouse=True)
def clean(fleet):
    yield
    for ban in fleet.api("GET", "/v1/bans").json["items"]:
        fleet.api("DELETE", f"/v1/bans/{ban['id']}")
    fleet.put("/v1/config", config())


def check(fleet, **asked):
    answer = fleet.api("POST", "/v1/check", asked)
    assert answer.status == 200, answer
    return answer.json


def of_policy(document, name):
    return next(item for item in document["policies"] if item["name"] == name)


def stops(document):
    return {(stop["kind"], stop["name"]) for stop in document["stopped_by"]}


def statuses(fleet, address, **options):
    return [node.get("/page.txt", address=address, **options).status for node in fleet.nodes]


def all_answer(fleet, address, status, seconds=1.0):
    begin = time.monotonic()
    wait_until(lambda: statuses(fleet, address) == [status] * 2, seconds, f"{status} on both")
    return time.monotonic() - begin


# ------------------------------------------------------------------- explaining

@pytest.mark.parametrize("change, failed", [
    ({}, []),
    ({"method": "GET"}, ["/match/methods"]),
    ({"host": "example.com"}, ["/match/hosts"]),
    ({"host": "WWW.Example.com:8443", "path": "/api//v1/../v2"}, []),
    ({"path": "/logout"}, ["/match/paths"]),
    ({"headers": {"user-agent": "Mozilla", "x-api-key": "k-secret-1"}}, ["/match/headers/0"]),
    ({"headers": {"USER-AGENT": "curl/8", "x-api-key": "other"}}, ["/match/headers/1"]),
    ({"headers": {}}, ["/match/headers/0", "/match/headers/1"]),
    ({"client": "127.0.7.1"}, ["/match/client"]),
    ({"client": "127.0.6.99"}, ["/match/except/0"]),
    ({"path": "/api/health", "method": "PUT"}, ["/match/methods", "/match/except/1"]),
])
def test_732_01_the_predicate_that_failed_is_named(fleet, change, failed):
    fleet.put("/v1/config", config(LOGIN, lists=LISTS))
    asked = {"client": "127.0.6.1", "method": "POST", "host": "www.example.com",
             "path": "/login", "headers": {"User-Agent": "curl/8", "X-Api-Key": "k-secret-1"}}
    document = check(fleet, **{**asked, **change})
    login = of_policy(document, "login")
    assert login["matches"] == (failed == []), login
    assert login["failed"] == failed, login
    assert [item["pointer"] for item in login["predicates"]] == [
        "/match/methods", "/match/hosts", "/match/paths", "/match/headers/0",
        "/match/headers/1", "/match/client", "/match/except/0", "/match/except/1"]
    assert "secret" not in str(document), "values of headers are not repeated"


@pytest.mark.parametrize("path, headers, failed", [
    ("/a.php?q=7", {"Cookie": "x=1; sid=abc", "User-Agent": "bot/9"}, []),
    ("/a.html?q=7", {"Cookie": "sid=abc", "User-Agent": "bot/9"}, ["/match/path_regex"]),
    ("/a.php?q=x", {"Cookie": "sid=abc", "User-Agent": "bot/9"}, ["/match/query/0"]),
    ("/a.php", {"Cookie": "Sid=abc", "User-Agent": "bot/x"},
     ["/match/headers/0", "/match/query/0", "/match/cookies/0"]),
    ("/b.php?q=1", {"Cookie": "sid=abc", "User-Agent": "bot/9"}, ["/match/any"]),
])
def test_732_50_patterns_query_cookies_and_any(fleet, path, headers, failed):
    fleet.put("/v1/config", config(policy("p", {"deny": {}}, {
        "path_regex": ["\\.php$"], "headers": [
            {"name": "user-agent", "is": "regex", "values": ["^bot/[0-9]+$"]}],
        "query": [{"name": "q", "is": "regex", "values": ["^[0-9]+$"]}],
        "cookies": [{"name": "sid", "is": "present"}],
        "any": [{"paths": ["/a.php"]}, {"paths": ["/a.html"]}]})))
    seen = of_policy(check(fleet, client="127.0.6.1", path=path, headers=headers), "p")
    assert sorted(p["pointer"] for p in seen["predicates"] if not p["holds"]) == sorted(failed)



def test_732_02_what_is_left_of_a_limit_of_the_fleet(fleet):
    fleet.put("/v1/config", config(
        policy("limit", {"throttle": {}}, detect=rate(10, 60)),
        policy("by-path", {"throttle": {}}, {"methods": ["POST"]}, detect=rate(5, 60))))
    client = "127.0.6.2"
    fresh = of_policy(check(fleet, client=client), "limit")
    assert fresh["counted_by"] == {"client": client} and not fresh["trips"]
    assert fresh["limits"] == [{"requests": 10, "unit": "requests", "per_seconds": 60, "burst": 10,
                                "known_to": "fleet", "used": 0, "left": 10,
                                "wait_seconds": 0}]
    for _ in range(20):
        statuses(fleet, client)
        time.sleep(0.05)

    def used_up():
        document = check(fleet, client=client)
        limit = of_policy(document, "limit")
        return limit["trips"] and document
    document = wait_until(used_up, 3, "the limit is known to be used up")
    assert document["verdict"] == {"outcome": "throttled", "refused": True, "by": "limit",
                                   "action": "throttle", "status": 429}
    assert stops(document) == {("policy", "limit")}
    limit = of_policy(document, "limit")["limits"][0]
    assert limit["left"] == 0 and 1 <= limit["wait_seconds"] <= 60
    assert of_policy(document, "by-path")["limits"] == []
    assert check(fleet, client="127.0.6.3")["verdict"]["outcome"] == "admitted"


def test_732_03_who_knows_a_counter(fleet):
    fleet.put("/v1/config", config(
        policy("here", {"throttle": {}}, detect=rate(10, 60), scope="node"),
        policy("exact", {"throttle": {}}, detect=rate(2, 60), consistency="strict"),
        policy("keys", {"throttle": {}}, detect=rate(2, 60),
               count={"by": ["header:x-api-key"], "when_absent": "skip"})))
    client = "127.0.6.4"
    assert statuses(fleet, client) == [200, 200]
    document = check(fleet, client=client)
    here = of_policy(document, "here")["limits"][0]
    assert (here["known_to"], here["used"], here["left"]) == ("each_node", None, None)
    exact = of_policy(document, "exact")["limits"][0]
    assert (exact["known_to"], exact["left"]) == ("store", 0)
    keys = of_policy(document, "keys")
    assert keys["matches"] and keys["counted_by"] is None and keys["limits"] == []
    document = check(fleet, client=client, headers={"X-Api-Key": "k-secret-1"})
    assert of_policy(document, "keys")["counted_by"]["header:x-api-key"].startswith("h:")


def test_732_04_ban_list_and_observing_policy(fleet):
    fleet.put("/v1/config", config(
        policy("closed", {"deny": {}}, {"paths": ["/page.txt"]}),
        policy("watching", {"deny": {}}, {"paths": ["/page.txt"]}, mode="observe"),
        lists=[{"name": "enemies", "effect": "deny", "entries": [{"value": "127.0.6.5"}]},
               {"name": "elsewhere", "effect": "deny", "apps": ["blog"],
                "entries": [{"value": "127.0.6.0/24"}]},
               {"name": "friends", "effect": "allow", "entries": [{"value": "127.0.6.6"}]}]))
    fleet.api("PUT", "/v1/bans/net:127.0.6.0_24", {"key": {"network": "127.0.6.0/24"}})
    document = check(fleet, client="127.0.6.5", path="/page.txt")
    assert document["verdict"]["outcome"] == "banned"
    assert stops(document) == {("ban", "net:127.0.6.0_24"), ("list", "enemies"),
                               ("policy", "closed")}
    assert document["bans"][0]["of"] == "network" and document["bans"][0]["in_force"]
    friend = check(fleet, client="127.0.6.6", path="/page.txt")
    assert friend["verdict"]["outcome"] == "allow_listed" and stops(friend) == set()
    fleet.api("PATCH", "/v1/settings", {"mode": "observe"})
    assert check(fleet, client="127.0.6.5")["verdict"]["refused"] is False
    fleet.api("PATCH", "/v1/settings", {"mode": "enforce"})


def test_732_05_an_incident_is_enough_to_ask(fleet):
    fleet.put_policy(policy("short", {"ban": {"seconds": 300}}, {"paths": ["/page.txt"]},
                            detect=rate(2, 60)))
    client = "127.0.6.7"
    for _ in range(4):
        statuses(fleet, client)
    refused = fleet.nodes[0].get("/page.txt", address=client)
    incident = fleet.wait_for_incident(
        lambda item: (item["source"] or {}).get("key") == {"client": client})
    wait_until(lambda: fleet.api("GET", f"/v1/bans/ip:{client}").status == 200, 3, "the ban")
    alias = refused.headers["l7shield-incident"]  # this node's, which may be told later
    wait_until(lambda: fleet.api("GET", f"/v1/incidents/{alias}").status == 200, 3, "the alias")
    for asked in ({"incident": incident["id"]}, {"incident": alias}):
        document = check(fleet, **asked)
        assert document["request"]["client"] == client
        assert document["request"]["path"] == "/page.txt"
        assert document["verdict"]["outcome"] == "banned"
        assert ("ban", f"ip:{client}") in stops(document)
    simple = fleet.api("GET", f"/v1/check?incident={incident['id']}").json
    assert simple["verdict"] == document["verdict"]
    simple = fleet.api("GET", f"/v1/check?client={client}&path=/page.txt&pretty=true")
    assert simple.json["verdict"]["by"] == "short"


def test_732_09_query_cookies_origin_and_plans(fleet):
    plans = {"list": "api-keys", "attribute": "plan",
             "rates": {"gold": [{"requests": 90, "per_seconds": 60}]},
             "default": [{"requests": 9, "per_seconds": 60}]}
    for node in fleet.nodes:
        node.expects("L7S2023")  # they have no database here
    lists = [{**LISTS[1], "entries": [{"value": "k-secret-1", "attributes": {"plan": "gold"}}]},
             {"name": "far", "kind": "countries", "effect": "deny",
              "entries": [{"value": "XX"}]}]
    fleet.put("/v1/config", config(
        policy("search", {"throttle": {}}, {
            "query": [{"name": "q", "is": "present"}, {"name": "page", "is": "absent"}],
            "cookies": [{"name": "sid", "is": "absent"}],
            "any": [{"methods": ["GET"]}, {"client": {"in": ["asn:64500"]}}]},
            detect=rate(5, 60)),
        policy("plans", {"throttle": {}}, detect={"plans": plans},
               count={"by": ["header:x-api-key"]}),
        policy("volume", {"throttle": {}}, detect=rate(1000000, 60),
               count={"cost": "bytes_out"}), lists=lists))
    asked = {"client": "127.0.6.16", "path": "/search?q=x%20y"}
    assert of_policy(check(fleet, **asked), "search")["matches"]
    for change, failed in (({"path": "/search"}, ["/match/query/0"]),
                           ({"path": "/search?q=1&page=2"}, ["/match/query/1"]),
                           ({"headers": {"Cookie": "sid=1"}}, ["/match/cookies/0"]),
                           ({"method": "POST"}, ["/match/any"])):
        assert of_policy(check(fleet, **{**asked, **change}), "search")["failed"] == failed
    document = check(fleet, **asked, method="POST", country="XX", asn=64500)
    assert of_policy(document, "search")["matches"] and document["unknown"] == []
    assert ("list", "far") in stops(document) and document["verdict"]["outcome"] == "listed"
    document = check(fleet, **asked)
    assert "country" in document["unknown"][0] and stops(document) == set()
    assert of_policy(document, "plans")["limits"][0]["burst"] == 9
    document = check(fleet, **asked, headers={"X-Api-Key": "k-secret-1"})
    assert of_policy(document, "plans")["limits"][0]["burst"] == 90
    assert of_policy(document, "volume")["limits"][0]["unit"] == "bytes"


@pytest.mark.parametrize("path", ["/%ff%fe", "/%00", "/" + "%2e%2e/" * 200 + "login",
                                  "/" + "a" * 1990, "/login?x=%zz#f"])
def test_732_08_any_path_can_be_asked_about(fleet, path):
    fleet.put("/v1/config", config(LOGIN, lists=LISTS))
    document = check(fleet, client="127.0.6.9", path=path, host="\u00e4.example.com",
                     method="POST")
    assert document["request"]["path"].startswith("/")
    holds = {item["pointer"]: item["holds"]
             for item in of_policy(document, "login")["predicates"]}
    assert holds["/match/paths"] == ("login" in path)


@pytest.mark.parametrize("body, status, error", [
    ({"path": "/"}, 422, ("", "missing_key")),
    ({"client": "nobody"}, 422, ("/client", "bad_address")),
    ({"client": "127.0.0.1", "incident": "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, 422,
     ("/client", "not_allowed")),
    ({"incident": "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV", "path": "/x"}, 422,
     ("/path", "not_allowed")),
    ({"client": "127.0.0.1", "method": "post"}, 422, ("/method", "bad_format")),
    ({"client": "127.0.0.1", "path": "login"}, 422, ("/path", "bad_format")),
    ({"incident": "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, 404, None),
    ({"client": "127.0.0.1", "paht": "/"}, 422, ("/paht", "unknown_key")),
])
def test_732_06_questions_that_cannot_be_answered(fleet, body, status, error):
    answer = fleet.api("POST", "/v1/check", body)
    assert answer.status == status, answer
    assert error is None or error in answer.errors
    if "paht" not in body:
        simple = fleet.api("GET", "/v1/check?" + urllib.parse.urlencode(body))
        assert (simple.status, simple.json["errors"]) == (status, answer.json["errors"])


def test_732_07_memcached_away_is_said_and_nothing_is_invented(fleet):
    fleet.put_policy(policy("limit", {"throttle": {}}, detect=rate(10, 60)))
    fleet.memcached.pause()
    try:
        begin = time.monotonic()
        limit = of_policy(check(fleet, client="127.0.6.8"), "limit")["limits"][0]
        assert time.monotonic() - begin < 2
        assert (limit["known_to"], limit["used"]) == ("unknown", None)
    finally:
        fleet.memcached.go_on()
    wait_until(lambda: of_policy(check(fleet, client="127.0.6.8"), "limit")["limits"][0][
        "known_to"] == "fleet", 5, "memcached is back")


# -------------------------------------------------------------------- releasing

def ban_by_policy(fleet, client):
    """Bans the client on both nodes by its own requests; counters are used up, too."""
    fleet.put_policy(policy("guessing", {"ban": {"seconds": 600}}, detect=rate(3, 600)))
    for _ in range(5):
        statuses(fleet, client)
    all_answer(fleet, client, 403, 3)
    wait_until(lambda: fleet.api("GET", f"/v1/bans/ip:{client}").status == 200, 3, "the ban")


def test_732_10_one_call_frees_a_banned_client_on_both_nodes_within_a_second(fleet):
    client = "127.0.6.10"
    ban_by_policy(fleet, client)
    document = check(fleet, client=client, path="/page.txt")
    assert document["verdict"]["outcome"] == "banned"
    assert of_policy(document, "guessing")["matches"]
    dry = fleet.api("POST", "/v1/check:release?dry_run=true", {"client": client})
    assert dry.status == 200 and statuses(fleet, client) == [403, 403]
    freed = fleet.api("POST", "/v1/check:release", {"client": client, "hold_seconds": 60,
                                                    "reason": "the head office"})
    assert freed.status == 200 and freed.headers["shield-changed"] == "true"
    assert {"kind": "ban", "name": f"ip:{client}"} in freed.json["lifted"]
    assert freed.json["remaining"] == [] and freed.json["held_until"]
    took = all_answer(fleet, client, 200, 1.0)
    print(f"free on both nodes after {took * 1000:.0f} ms")
    for _ in range(8):  # the hold: over the limit again, and only observed
        assert statuses(fleet, client) == [200, 200]
    assert check(fleet, client=client)["verdict"]["refused"] is False
    assert "was released for 60 s by" in fleet.daemon.log()


def test_732_11_without_a_hold_it_may_be_banned_again(fleet):
    client = "127.0.6.11"
    ban_by_policy(fleet, client)
    freed = fleet.api("POST", "/v1/check:release", {"client": client, "hold_seconds": 0})
    assert freed.json["held_until"] is None
    wait_until(lambda: 200 in statuses(fleet, client), 1, "a first answer")
    for _ in range(4):
        statuses(fleet, client)
    all_answer(fleet, client, 403, 3)


def test_732_12_covering_ban_and_deny_list_stay_for_the_others(fleet):
    client, neighbour = "127.0.6.12", "127.0.6.13"
    fleet.put("/v1/config", config(lists=[
        {"name": "enemies", "effect": "deny", "entries": [{"value": "127.0.6.0/24"}]}]))
    fleet.api("PUT", "/v1/bans/net:127.0.6.0_24", {"key": {"network": "127.0.6.0/24"}})
    all_answer(fleet, client, 403, 3)
    nothing = fleet.api("POST", "/v1/check:release", {"client": client, "hold_seconds": 0})
    assert {stop["name"] for stop in nothing.json["remaining"]} == {
        "net:127.0.6.0_24", "enemies"}
    freed = fleet.api("POST", "/v1/check:release", {"client": client, "hold_seconds": 30})
    assert {stop["name"] for stop in freed.json["exempt_from"]} == {
        "net:127.0.6.0_24", "enemies"}
    all_answer(fleet, client, 200, 1.0)
    assert statuses(fleet, neighbour) == [403, 403]
    document = check(fleet, client=client)
    assert document["verdict"]["outcome"] == "admitted" and stops(document) == set()
    assert document["bans"][0]["in_force"] is False
    assert stops(check(fleet, client=neighbour)) == {("ban", "net:127.0.6.0_24"),
                                                     ("list", "enemies")}


def test_732_13_what_was_not_lifted_is_said(fleet):
    fleet.put("/v1/config", config(
        policy("closed", {"deny": {}}, {"paths": ["/page.txt"]})))
    freed = fleet.api("POST", "/v1/check:release", {"client": "127.0.6.14"})
    assert freed.json["remaining"] == []
    statuses(fleet, "127.0.6.14")
    incident = fleet.wait_for_incident(
        lambda item: (item["policy"] or {}).get("name") == "closed")
    freed = fleet.api("POST", "/v1/check:release", {"incident": incident["id"]})
    assert [(stop["kind"], stop["name"]) for stop in freed.json["remaining"]] == [
        ("policy", "closed")]
    assert "allow list" in freed.json["remaining"][0]["why"]


def test_732_14_viewers_ask_and_operators_release(fleet):
    viewer, operator = fleet.daemon.token_of("viewer"), fleet.daemon.token_of("operator")
    body = {"client": "127.0.6.15"}
    assert fleet.api("POST", "/v1/check", body, token=viewer).status == 200
    denied = fleet.api("POST", "/v1/check:release", body, token=viewer)
    assert (denied.status, denied.code) == (403, "forbidden")
    assert fleet.api("POST", "/v1/check:release", body, token=operator).status == 200


def test_732_30_user_that_is_counted_by(fleet):
    fleet.put("/v1/config", config(policy("by-user", {"throttle": {}}, detect=rate(3, 60),
                                          count={"by": ["user"]})))
    keys = [of_policy(check(fleet, client="127.0.6.1", **asked), "by-user")["counted_by"]
            for asked in ({"user": "alice"}, {})]
    assert keys == [{"user": "alice"}, {"user": None, "client": "127.0.6.1"}]
    assert check(fleet, client="127.0.6.1", user="alice")["request"]["user"] == "alice"


def test_732_31_verdict_knows_policies_by_user(fleet):
    count = {"by": ["user"], "when_absent": "skip"}
    fleet.put("/v1/config", config(policy("by-user", {"deny": {}}, count=count,
                                          detect={"always": {}})))
    verdicts = [check(fleet, client="127.0.6.2", **asked)["verdict"]
                for asked in ({"user": "alice"}, {})]
    assert [verdict["outcome"] for verdict in verdicts] == ["denied", "admitted"]
    assert verdicts[0]["by"] == "by-user"
