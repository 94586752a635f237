# SPDX-License-Identifier: Apache-2.0
"""POST /v1/policies:test: what requests of anybody's making would meet, each at its time."""
import pytest

from daemon import daemon  # noqa: F401 (a fixture)

CLIENT = "203.0.113.7"
THROTTLE = {"name": "login", "mode": "enforce", "match": {"paths": ["/login"]},
            "detect": {"rate": {"requests": 3, "per_seconds": 60}}, "action": {"throttle": {}}}
BAN = {"name": "scan", "mode": "enforce", "count": {"statuses": ["404"]},
       "detect": {"rate": {"requests": 2, "per_seconds": 60}}, "action": {"ban": {"seconds": 600}}}


def run(daemon, *requests, **given):
    answer = daemon.call("POST", "/v1/policies:test", {"requests": list(requests), **given})
    assert answer.status == 200, answer
    return answer.json


def outcomes(document):
    return [item["verdict"]["outcome"] for item in document["items"]]


def test_355_01_given_policies_meet_each_request_at_its_time(daemon):
    document = run(daemon,
                   {"client": CLIENT, "path": "/login", "at": "2026-01-31T12:00:00Z",
                    "repeat": 5, "every_ms": 100},
                   {"client": CLIENT, "path": "/"},
                   {"client": "203.0.113.8", "path": "/login"},
                   {"client": CLIENT, "path": "/login", "at": "2026-01-31T12:00:20Z", "repeat": 2},
                   policies=[THROTTLE])
    assert outcomes(document) == ["admitted"] * 3 + ["throttled"] * 2 + ["admitted"] * 2 + [
        "admitted", "throttled"]
    assert [item["request"] for item in document["items"]] == [0] * 5 + [1, 2, 3, 3]
    third, last = document["items"][3], document["items"][-1]
    assert third["at"] == "2026-01-31T12:00:00.300Z" and third["retry_after_seconds"] == 20
    assert third["verdict"] == {"outcome": "throttled", "refused": True, "by": "login",
                                "action": "throttle", "status": 429}
    assert third["key"] == f"client={CLIENT}" and last["at"] == "2026-01-31T12:00:20.000Z"
    assert document["policies"] == [{"name": "login", "mode": "enforce", "matched": 8,
                                     "acted": 3, "would_act": 0, "logged": 0}]


def test_355_02_stored_policies_are_tried_where_none_are_given(daemon):
    watched = {**THROTTLE, "mode": "observe"}
    assert daemon.call("PUT", "/v1/policies/login", watched).status == 201
    assert daemon.call("PUT", "/v1/lists/office", {
        "name": "office", "effect": "allow", "entries": [{"value": "198.51.100.0/24"}]}).status == 201
    requests = [{"client": CLIENT, "path": "/login", "repeat": 4},
                {"client": "198.51.100.9", "path": "/login", "repeat": 4}]
    document = run(daemon, *requests)
    assert outcomes(document) == ["admitted"] * 3 + ["observed"] + ["allow_listed"] * 4
    assert document["items"][3]["verdict"]["action"] == "would_throttle"
    assert outcomes(run(daemon, *requests, lists=[])) == ["admitted"] * 3 + ["observed"] + [
        "admitted"] * 3 + ["observed"]
    assert daemon.call("GET", "/v1/bans").json["items"] == []


def test_355_03_answers_headers_users_and_origins_count(daemon):
    document = run(daemon, {"client": CLIENT, "path": "/x", "status": 404, "repeat": 4},
                   {"client": CLIENT, "path": "/"}, policies=[BAN])
    assert outcomes(document) == ["admitted"] * 2 + ["logged"] + ["banned"] * 2
    by_header = {"name": "h", "mode": "enforce", "detect": {"always": {}}, "action": {"deny": {}},
                 "match": {"headers": [{"name": "x-a", "is": "equals", "values": ["1"]}]}}
    by_user = {"name": "u", "mode": "enforce", "action": {"deny": {}},
               "count": {"by": ["user"], "when_absent": "skip"},
               "detect": {"rate": {"requests": 1, "per_seconds": 9}}}
    country = {"name": "c", "mode": "enforce", "detect": {"always": {}}, "action": {"deny": {}},
               "match": {"client": {"in": ["country:XX"]}}}
    document = run(daemon, {"client": CLIENT, "headers": {"X-A": "1"}},
                   {"client": CLIENT, "user": "anne", "repeat": 2},
                   {"client": CLIENT, "user": "bob"},
                   {"client": "192.0.2.1", "country": "XX"},
                   policies=[by_header, by_user, country])
    assert [item["verdict"]["by"] for item in document["items"]] == ["h", None, "u", None, "c"]


@pytest.mark.parametrize("body, errors", [
    ({"requests": []}, {("/requests", "min_items")}),
    ({"requests": [{"client": "nobody"}], "policies": []},
     {("/requests/0/client", "bad_address")}),
    ({"requests": [{"client": CLIENT, "at": "2026-01-31T12:00:01Z"},
                   {"client": CLIENT, "at": "2026-01-31T12:00:00Z"}]},
     {("/requests/1/at", "not_ascending")}),
    ({"requests": [{"client": CLIENT, "at": "soon"}]}, {("/requests/0/at", "bad_time")}),
    ({"requests": [{"client": CLIENT, "repeat": 6000}] * 2}, {("/requests", "too_many")}),
    ({"requests": [{"client": CLIENT, "colour": "red"}]},
     {("/requests/0/colour", "unknown_key")}),
])
def test_355_04_what_cannot_be_tried_is_refused_with_its_place(daemon, body, errors):
    answer = daemon.call("POST", "/v1/policies:test", body)
    assert answer.status == 422, answer
    assert {pointer for pointer, _ in answer.errors} == {pointer for pointer, _ in errors}, answer


def test_355_05_a_bad_policy_is_told_where_it_stands(daemon):
    answer = daemon.call("POST", "/v1/policies:test", {
        "requests": [{"client": CLIENT}],
        "policies": [THROTTLE, {**THROTTLE, "name": "b", "match": {
            "client": {"in": ["203.0.113.7/24"]}}}]})
    assert answer.status == 422, answer
    assert answer.json["errors"][0]["pointer"] == "/policies/1/match/client/in/0"


def test_355_06_a_viewer_may(daemon):
    token = daemon.token_of("viewer")
    assert daemon.call("POST", "/v1/policies:test", {"requests": [{"client": CLIENT}]},
                       token=token).status == 200
