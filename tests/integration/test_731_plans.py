# SPDX-License-Identifier: Apache-2.0
"""Plans: an API key's limits by what a list of strings knows of the key."""
import hashlib
import time

import pytest
from fleet import Fleet
from httpd import config, policy, wait_until


def per_minute(requests):
    return [{"requests": requests, "per_seconds": 60}]


KEYS = {"name": "api-keys", "kind": "strings", "entries": [
    {"value": "k-gold", "attributes": {"plan": "gold"}},
    {"value": "k-silver", "attributes": {"plan": "silver", "owner": "gold"}},
    {"value": "k-plain"}]}
PLANS = {"list": "api-keys", "attribute": "plan", "default": per_minute(2),
         "rates": {"silver": per_minute(4), "gold": [*per_minute(8), {
             "requests": 1000, "per_seconds": 3600}]}}
API = policy("api", {"throttle": {}}, {"paths": ["/page.txt"]}, detect={"plans": PLANS},
             count={"by": ["header:X-Api-Key"]})


def admitted(server, key, address="127.0.7.1", most=40):
    """How many requests pass in a row before one is refused."""
    client, count = server.client(address), 0
    headers = {} if key is None else {"X-Api-Key": key}
    while count < most and client.get("/page.txt", headers=headers).status == 200:
        count += 1
    client.close()
    return count


def admitted_by_turns(nodes, key, requests, per_second=12):
    """At a pace at which the nodes hear of each other."""
    begin, count = time.monotonic(), 0
    for number in range(requests):
        time.sleep(max(0, begin + number / per_second - time.monotonic()))
        count += admitted(nodes[number % len(nodes)], key, most=1)
    return count


def test_731_01_each_key_is_held_to_its_plan(httpd):
    server = httpd(policies=config(API, lists=[KEYS]), children=2)
    assert admitted(server, "k-gold") == 8
    assert admitted(server, "k-silver") == 4
    assert admitted(server, "k-plain") == 2
    assert admitted(server, "k-invented") == 2
    assert admitted(server, None, address="127.0.7.2") == 2, "by client, without a key"
    assert admitted(server, "k-gold", address="127.0.7.3") == 0, "from wherever it comes"


def test_731_02_change_of_plan_begins_its_counters_without_a_reload(httpd):
    server = httpd(policies=config(API, lists=[KEYS]))
    assert admitted(server, "k-silver") == 4
    entries = [{"value": "k-silver", "attributes": {"plan": "gold"}}, *KEYS["entries"][::2]]
    server.write_policies(config(API, lists=[{**KEYS, "entries": entries}]))
    wait_until(lambda: admitted(server, "k-silver", most=1) == 1, 3, "the other plan")
    assert admitted(server, "k-silver") == 7
    server.write_policies(config(API, lists=[KEYS]))
    wait_until(lambda: admitted(server, "k-silver", most=1) == 0, 3, "the plan it had")


def test_731_03_refusal_names_neither_key_nor_plan(httpd):
    server = httpd(policies=config(API, lists=[KEYS]))
    admitted(server, "k-gold")
    refused = server.get("/page.txt", headers={"X-Api-Key": "k-gold"}, address="127.0.7.1")
    assert refused.status == 429 and 1 <= int(refused.headers["retry-after"]) <= 8
    assert b"gold" not in refused.body and "gold" not in str(refused.headers)
    assert "gold" not in server.error_log.read_text()


def test_731_04_plans_of_a_fleet_by_the_api():
    """One limit over two nodes; an operator moves a key to another plan; the incident
    tells the limit of the plan."""
    fleet = Fleet(nodes=2).start()
    try:
        fleet.put("/v1/lists/api-keys", KEYS)
        fleet.put_policy(API)
        effective = fleet.api("GET", "/v1/policies/api").json["status"]["effective"]
        assert effective["detect"]["plans"]["rates"]["silver"] == [
            {"requests": 4, "per_seconds": 60, "burst": 4}]
        gone = fleet.api("DELETE", "/v1/lists/api-keys")
        assert (gone.status, gone.code) == (409, "list_in_use")

        passed = admitted_by_turns(fleet.nodes, "k-silver", 20)
        assert 4 <= passed <= 6, passed
        incident = fleet.wait_for_incident(
            lambda item: (item["policy"] or {}).get("name") == "api")
        assert incident["measure"]["limit"] == 4
        assert "k-silver" not in str(incident)

        entry = hashlib.sha256(b"k-silver").hexdigest()
        fleet.put(f"/v1/lists/api-keys/entries/{entry}",
                  {"value": "k-silver", "attributes": {"plan": "gold"}})
        passed = admitted_by_turns(fleet.nodes, "k-silver", 30)
        assert 8 <= passed <= 11, passed
    finally:
        unexpected = fleet.close()
    assert not unexpected, "\n".join(unexpected)


@pytest.mark.parametrize("by, lists, error", [
    (["client"], [KEYS], ("/policies/0/detect/plans", "needs_header")),
    (["header:x-api-key"], [], ("/policies/0/detect/plans/list", "list_unknown")),
    (["header:x-api-key"], [{"name": "api-keys", "entries": []}],
     ("/policies/0/detect/plans/list", "list_kind")),
])
def test_731_05_plans_that_cannot_work_are_refused_with_their_place(httpd, by, lists, error):
    server = httpd(policies=config({**API, "count": {"by": by}}, lists=lists), start=False)
    status, said = server.configtest()
    assert status != 0
    assert error[0] in said, said
