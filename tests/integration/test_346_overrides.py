# SPDX-License-Identifier: Apache-2.0
"""Overrides and entries that expire: what begins and ends by the clock, and its effect on
a real node."""
from datetime import datetime, timedelta, timezone

import pytest

from daemon import POLICY, daemon  # noqa: F401
from fleet import Fleet
from httpd import config, policy, rate, wait_until


def after(seconds):
    moment = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lay(api, name, seconds=60, **document):
    return api("PUT", f"/v1/policies/{name}/override", {"until": after(seconds), **document})


# ------------------------------------------------------------------ the API

def test_346_01_lies_beside_the_policy_and_leaves_its_etag_alone(daemon):
    before = daemon.call("PUT", "/v1/policies/login", POLICY)
    answer = lay(daemon.call, "login", mode="observe", limit_percent=50, reason="partner")
    assert (answer.status, answer.headers["shield-revision"]) == (201, "2")
    assert answer.json["status"]["state"] == "running"
    policy_now = daemon.call("GET", "/v1/policies/login")
    assert policy_now.headers["etag"] == before.headers["etag"]
    status = policy_now.json["status"]
    assert policy_now.json["mode"] == "enforce" and status["effective"]["mode"] == "observe"
    assert status["effective"]["detect"]["rate"][0]["requests"] == 10
    assert (status["override"]["reason"], status["override"]["state"]) == ("partner", "running")
    assert status["revision"] == 1
    change = daemon.call("GET", "/v1/revisions/2").json["changes"][0]
    assert (change["kind"], change["name"], change["op"]) == ("override", "login", "create")
    assert "overrides" not in daemon.call("GET", "/v1/config").json
    assert daemon.call("DELETE", "/v1/policies/login/override").status == 204
    assert daemon.call("GET", "/v1/policies/login").json["status"]["override"] is None
    assert daemon.call("DELETE", "/v1/policies/login/override").status == 404


def test_346_02_identical_put_dry_run_and_preconditions(daemon):
    daemon.call("PUT", "/v1/policies/login", POLICY)
    document = {"mode": "off", "until": after(60)}
    path = "/v1/policies/login/override"
    assert daemon.call("PUT", path + "?dry_run=true", document).status == 201
    assert daemon.call("GET", "/v1").json["revision"] == 1
    first = daemon.call("PUT", path, document)
    again = daemon.call("PUT", path, document)
    assert (again.status, again.headers["shield-changed"]) == (200, "false")
    assert again.headers["etag"] == first.headers["etag"]
    assert daemon.call("PUT", path, document, if_none_match="*").status == 412
    assert daemon.call("DELETE", path, if_match='"x"').status == 412
    assert daemon.call("DELETE", path, if_match=first.headers["etag"]).status == 204


@pytest.mark.parametrize("document, errors", [
    ({"mode": "off"}, {("", "missing_key")}),
    ({"until": "2020-01-01T00:00:00Z", "mode": "off"}, {("/until", "in_the_past")}),
    ({"until": after(3600)}, {("", "missing_key")}),
    ({"until": after(3600), "starts_at": after(7200), "mode": "off"},
     {("/starts_at", "after_its_end")}),
    ({"until": after(3600), "limit_percent": 0}, {("/limit_percent", "out_of_range")}),
    ({"until": after(3600), "mod": "off"}, {("/mod", "unknown_key")}),
])
def test_346_03_every_error_has_its_pointer(daemon, document, errors):
    daemon.call("PUT", "/v1/policies/login", POLICY)
    answer = daemon.call("PUT", "/v1/policies/login/override", document)
    assert answer.status == 422 and errors <= answer.errors, answer
    assert daemon.call("GET", "/v1").json["revision"] == 1


def test_346_04_what_it_cannot_lie_beside(daemon):
    assert lay(daemon.call, "nothing", mode="off").status == 404
    daemon.call("PUT", "/v1/policies/gate",
                {"match": {"paths": ["/x"]}, "detect": {"always": {}}, "action": {"deny": {}}})
    answer = lay(daemon.call, "gate", limit_percent=50)
    assert answer.errors == {("/limit_percent", "no_limit")}
    ban = {"mode": "observe", "detect": {"always": {}}, "action": {"ban": {"seconds": 60}}}
    assert daemon.call("PUT", "/v1/policies/all", ban).status == 201
    answer = lay(daemon.call, "all", mode="enforce")
    assert (answer.status, answer.code) == (422, "bans_own_address")


def test_346_05_operators_may_and_it_survives_the_sets_next_put(daemon):
    document = {"policies": [{"name": "login", **POLICY}, {"name": "slow", **POLICY}]}
    daemon.call("PUT", "/v1/sets/web", document)
    operator, viewer = daemon.token_of("operator"), daemon.token_of("viewer")
    body = {"mode": "observe", "until": after(60)}
    path = "/v1/policies/login/override"
    assert daemon.call("PUT", path, body, token=viewer).status == 403
    assert daemon.call("PUT", path, body, token=operator).status == 201
    answer = daemon.call("PUT", "/v1/sets/web", document)
    assert answer.headers["shield-changed"] == "false"
    assert answer.json["overridden"] == ["policies/login"]
    document["policies"][0]["priority"] = 7
    assert daemon.call("PUT", "/v1/sets/web", document).json["updated"] == ["policies/login"]
    status = daemon.call("GET", "/v1/policies/login").json["status"]
    assert status["effective"]["mode"] == "observe" and status["override"]["mode"] == "observe"
    bound = daemon.call("PUT", "/v1/tokens/infra", {"role": "operator", "sets": ["infra"]})
    assert daemon.call("DELETE", path, token=bound.json["token"]).status == 403


def test_346_06_goes_with_its_policy_and_stays_out_of_restores(daemon):
    daemon.call("PUT", "/v1/policies/login", POLICY)
    lay(daemon.call, "login", mode="off")
    daemon.call("DELETE", "/v1/policies/login")
    daemon.call("PUT", "/v1/policies/login", POLICY)
    assert daemon.call("GET", "/v1/policies/login").json["status"]["override"] is None
    lay(daemon.call, "login", mode="off")
    daemon.call("PATCH", "/v1/policies/login", {"priority": 9})
    assert daemon.call("POST", "/v1/revisions/2:restore").status == 200
    status = daemon.call("GET", "/v1/policies/login").json["status"]
    assert status["override"]["mode"] == "off"


def test_346_07_is_gone_by_itself_from_the_moment_on_at_which_it_ends(daemon):
    daemon.call("PUT", "/v1/policies/login", POLICY)
    lay(daemon.call, "login", 2, mode="off", starts_at=after(0.5))

    def override():
        return daemon.call("GET", "/v1/policies/login").json["status"]["override"]
    assert override()["state"] == "waiting"
    wait_until(lambda: (override() or {}).get("state") == "running", 5, "its begin")
    wait_until(lambda: override() is None, 5, "its end")
    assert daemon.call("DELETE", "/v1/policies/login/override").status == 404
    assert lay(daemon.call, "login", mode="off").status == 201


def test_346_08_entries_that_expired_are_gone_and_leave_with_the_next_write(daemon):
    entries = [{"value": "192.0.2.1", "expires_at": after(0.4)}, {"value": "192.0.2.2"}]
    daemon.call("PUT", "/v1/lists/blocked", {"effect": "deny", "entries": entries})
    path = "/v1/lists/blocked/entries"

    def values():
        return [entry["value"] for entry in daemon.call("GET", path).json["items"]]
    etag = daemon.call("GET", "/v1/lists/blocked").headers["etag"]
    wait_until(lambda: values() == ["192.0.2.2"], 3, "the end of the entry")
    assert daemon.call("GET", path + "/192.0.2.1").status == 404
    assert daemon.call("DELETE", path + "/192.0.2.1").status == 404
    # Nobody wrote: the document is as it was sent, and no revision came of it.
    whole = daemon.call("GET", "/v1/lists/blocked")
    assert (whole.headers["etag"], len(whole.json["entries"])) == (etag, 2)
    assert whole.json["status"]["entry_count"] == 1
    assert daemon.call("GET", "/v1").json["revision"] == 1
    assert daemon.call("PUT", path + "/192.0.2.3", {"value": "192.0.2.3"}).status == 201
    assert [entry["value"] for entry in daemon.call("GET", "/v1/lists/blocked").json["entries"]] \
        == ["192.0.2.2", "192.0.2.3"]


# ------------------------------------------------------------------ on a node

@pytest.fixture(scope="module")
def fleet():
    made = Fleet(nodes=1, children=1)
    made.start()
    yield made
    unexpected = made.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


@pytest.fixture(autouse=True)
def clean(request):
    yield
    if "fleet" in request.fixturenames:
        request.getfixturevalue("fleet").put("/v1/config?force=true", config())


def status_of(fleet, address, path="/page.txt"):
    return fleet.nodes[0].get(path, address=address).status


def test_346_20_a_node_begins_and_ends_it_by_itself(fleet):
    fleet.put_policy(policy("gate", {"deny": {}}, {"paths": ["/page.txt"]}, mode="observe"))
    assert status_of(fleet, "127.0.5.1") == 200
    answer = lay(fleet.api, "gate", 5, mode="enforce", starts_at=after(3))
    revision = int(answer.headers["shield-revision"])
    fleet.rollout(revision)
    assert status_of(fleet, "127.0.5.1") == 200
    wait_until(lambda: status_of(fleet, "127.0.5.1") == 403, 15, "its begin")
    checked = fleet.api("GET", "/v1/check?client=127.0.5.1&path=/page.txt").json
    assert checked["policies"][0]["mode"] == "enforce"
    wait_until(lambda: status_of(fleet, "127.0.5.1") == 200, 15, "its end")
    assert fleet.api("GET", "/v1").json["revision"] == revision  # nobody wrote
    assert fleet.live()[0]["status"]["applied_revision"] == revision


def test_346_21_it_ends_on_a_node_that_nobody_can_reach(fleet):
    fleet.put_policy(policy("gate", {"deny": {}}, {"paths": ["/page.txt"]}))
    answer = lay(fleet.api, "gate", 4, mode="off")
    fleet.rollout(int(answer.headers["shield-revision"]))
    assert status_of(fleet, "127.0.5.2") == 200
    fleet.daemon.stop()
    try:
        wait_until(lambda: status_of(fleet, "127.0.5.2") == 403, 15, "its end")
    finally:
        fleet.daemon.start()
    wait_until(lambda: fleet.live(), 10, "the node")


def test_346_22_limits_at_half_and_back(fleet):
    def admitted(address):
        return [status_of(fleet, address) for _ in range(12)].count(200)
    fleet.put_policy(policy("limit", {"throttle": {}}, detect=rate(8, 600)))
    assert admitted("127.0.5.3") == 8
    answer = lay(fleet.api, "limit", limit_percent=50)
    fleet.rollout(int(answer.headers["shield-revision"]))
    assert admitted("127.0.5.4") == 4
    answer = fleet.api("DELETE", "/v1/policies/limit/override")
    fleet.rollout(int(answer.headers["shield-revision"]))
    assert admitted("127.0.5.5") == 8
    assert admitted("127.0.5.3") == 0  # its counters were waiting


def test_346_23_an_entry_is_enforced_until_it_expires(fleet):
    fleet.put("/v1/lists/blocked", {"effect": "deny", "entries": [{"value": "127.0.5.7"}]})
    answer = fleet.api("PUT", "/v1/lists/blocked/entries/127.0.5.6",
                       {"value": "127.0.5.6", "expires_at": after(4)})
    revision = int(answer.headers["shield-revision"])
    fleet.rollout(revision)
    assert status_of(fleet, "127.0.5.6") == 403
    wait_until(lambda: status_of(fleet, "127.0.5.6") == 200, 15, "its end")
    assert status_of(fleet, "127.0.5.7") == 403
    assert fleet.api("GET", "/v1").json["revision"] == revision
