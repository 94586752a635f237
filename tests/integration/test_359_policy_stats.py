# SPDX-License-Identifier: Apache-2.0
"""GET /v1/policies/{name}/stats: what both nodes counted, over time, through a restart of
the daemon; and the warning that follows from it."""
import pytest
from fleet import Fleet
from httpd import config, policy, rate, wait_until

LIMIT = policy("limit", {"throttle": {}}, {"paths": ["/page.txt"]}, detect=rate(10, 3600))
WATCH = policy("watch", {"throttle": {}}, {"paths": ["/index.html"]}, mode="observe",
               detect=rate(10, 3600))


@pytest.fixture(scope="module")
def fleet():
    made = Fleet(nodes=2)
    made.start()
    yield made
    unexpected = made.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


def stats(fleet, name, query=""):
    answer = fleet.api("GET", f"/v1/policies/{name}/stats{query}")
    assert answer.status == 200, answer
    return answer.json


def flood(fleet, path, address, requests):
    """Over both nodes, on a connection each."""
    for node in fleet.nodes:
        client = node.client(address)
        for _ in range(requests // 2):
            client.get(path)
        client.close()


def test_359_01_sums_of_both_nodes_over_time(fleet):
    fleet.put("/v1/config", config(LIMIT, WATCH))
    assert stats(fleet, "limit")["total"] == {"matched": 0, "acted": 0, "would_act": 0, "logged": 0}
    flood(fleet, "/page.txt", "127.0.9.1", 60)
    flood(fleet, "/page.txt", "127.0.9.2", 40)
    flood(fleet, "/index.html", "127.0.9.3", 50)
    document = wait_until(lambda: (now := stats(fleet, "limit", "?step_seconds=300"))
                          ["total"]["matched"] == 100 and now, 25, "what the nodes counted")
    assert document["total"]["acted"] >= 60 and document["total"]["would_act"] == 0, document
    assert document["standing_percent"] is None
    assert document["distinct_clients"] == 2
    assert [item["key"] for item in document["top_keys"]] == [
        {"client": "127.0.9.1"}, {"client": "127.0.9.2"}]
    assert 1 <= len(document["items"]) <= 2 and sum(
        item["matched"] for item in document["items"]) == 100
    watched = stats(fleet, "watch")
    assert watched["total"]["would_act"] >= 30 and watched["total"]["acted"] == 0


def test_359_02_nothing_counts_twice_when_the_daemon_restarts(fleet):
    """Nor is anything lost. So many requests are over the limit then that it is a warning;
    of fewer than ten thousand one in a hundred says nothing."""
    assert fleet.api("POST", "/v1/policies:validate", LIMIT).json["warnings"] == []
    fleet.daemon.stop()
    flood(fleet, "/page.txt", "127.0.9.5", 10400)
    fleet.daemon.start()
    wait_until(lambda: stats(fleet, "limit")["total"]["matched"] == 10500, 25,
               "what was counted meanwhile")
    assert [warning["code"] for warning in
            fleet.api("POST", "/v1/policies:validate", LIMIT).json["warnings"]] == [
                "threshold_below_p99"]


def test_359_03_what_is_asked_for_wrongly(fleet):
    for query in ("?since=yesterday", "?step_seconds=60", "?step_seconds=0", "?step_seconds=x",
                  "?since=-30d&step_seconds=300"):
        answer = fleet.api("GET", "/v1/policies/limit/stats" + query)
        assert answer.status == 400 and answer.code == "invalid_parameter", (query, answer)
    assert fleet.api("GET", "/v1/policies/none/stats").status == 404
    assert stats(fleet, "limit", "?since=-7d&step_seconds=3600")["total"]["matched"] == 10500
