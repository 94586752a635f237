# SPDX-License-Identifier: Apache-2.0
"""A policy that a live node of an older version would refuse is answered with 409."""
import pytest

from daemon import POLICY
from httpd import wait_until
from test_640_epochs_and_secrets import Trust


@pytest.fixture
def bus():
    made, unexpected = Trust(), []
    try:
        yield made.start()
    finally:
        unexpected = made.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


def test_705_01_each_new_member_is_asked_of_the_nodes(bus):
    bus.node("old").live()
    new = bus.node("new").live()
    new.set("features", ["spine", "matching", "geo"])
    wait_until(lambda: "geo" in bus.api("GET", "/v1/nodes/new").json["status"]["features"], 3,
               "features")
    regex = {"name": "a", "is": "regex", "values": ["^x"]}
    matches = [{"path_regex": ["^/a"]}, {"headers": [regex]}, {"query": [regex]},
               {"cookies": [{"name": "a", "is": "present"}]}, {"any": [{"paths": ["/a"]}]},
               {"except": [{"path_regex": ["^/a"]}]}, {"client": {"in": ["country:XA"]}},
               {"except": [{"client": {"in": ["asn:64500"]}}]}]
    for match in matches:
        answer = bus.api("PUT", "/v1/policies/p", {**POLICY, "match": match})
        assert (answer.status, answer.code) == (409, "unsupported_by_nodes"), match
        assert "old" in answer.json["errors"][0]["message"]
        assert "new" not in answer.json["errors"][0]["message"]
    for by in ("cookie:sid", "asn", "country"):
        answer = bus.api("PUT", "/v1/policies/p", {**POLICY, "count": {"by": ["client", by]}})
        assert (answer.status, answer.code) == (409, "unsupported_by_nodes"), by
    for detect in ({"concurrency": {"max": 3}},
                   {"ratio": {"percent": 80, "min_requests": 50, "per_seconds": 60}}):
        answer = bus.api("PUT", "/v1/policies/p", {**POLICY, "detect": detect,
                                                   "action": {"throttle": {}}})
        assert (answer.status, answer.code) == (409, "unsupported_by_nodes"), detect
    for kind in ("countries", "asns"):
        answer = bus.api("PUT", "/v1/lists/l", {"kind": kind, "entries": []})
        assert (answer.status, answer.code) == (409, "unsupported_by_nodes"), kind
    answer = bus.api("PATCH", "/v1/settings", {"privacy": {"query_strings": "include"}})
    assert (answer.status, answer.code) == (409, "unsupported_by_nodes")
    answer = bus.api("PATCH", "/v1/settings", {"privacy": {"query_strings": "omit"}})
    assert answer.status == 200
    plain = {**POLICY, "match": {"paths": ["/a"], "headers": [
        {"name": "a", "is": "equals", "values": ["b"]}]}}
    assert bus.api("PUT", "/v1/policies/p", plain).status == 201
    both = [{"name": "s", **plain}, {"name": "t", **POLICY, "match": matches[0]}]
    answer = bus.api("PUT", "/v1/sets/web", {"policies": both})
    assert (answer.status, answer.errors) == (
        409, {("/policies/1/match", "unsupported_by_nodes")})
    override = {"mode": "off", "until": "2090-01-01T00:00:00Z"}
    answer = bus.api("PUT", "/v1/policies/p/override", override)
    assert (answer.status, answer.code) == (409, "unsupported_by_nodes")
    assert bus.api("PUT", "/v1/policies/p/override?force=true", override).status == 201
