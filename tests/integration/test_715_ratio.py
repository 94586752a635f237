# SPDX-License-Identifier: Apache-2.0
"""The share of failing answers: who mostly asks for what is not there is stopped, who does
so now and then is not, and what the shield itself refuses tells nothing."""
import subprocess
import time

import pytest

from fleet import Fleet
from httpd import config, policy, wait_until

MISSING, PAGE = "/no-such-page", "/page.txt"
SCANNER = [MISSING] * 4 + [PAGE]  # 80 %
READER = [MISSING] * 3 + [PAGE] * 7  # 30 %
ANSWERS = """
Redirect 403 /forbidden
Redirect 503 /busy
"""


def share(percent, min_requests, per_seconds):
    return {"ratio": {"percent": percent, "min_requests": min_requests,
                      "per_seconds": per_seconds}}


def scanning(action=None, detect=None, **more):
    """Within an hour nothing is forgotten while a test runs."""
    return policy("scanning", action or {"throttle": {}}, detect=detect or share(70, 20, 3600),
                  **more)


def visit(server, paths, address="127.0.0.2"):
    """The statuses, each answer counted (and therefore logged) before the next request."""
    seen, client = [], server.client(address)
    for path in paths:
        lines = len(server.accesses())
        seen.append(client.get(path).status)
        wait_until(lambda: len(server.accesses()) > lines, 5, "a line of the log")
    client.close()
    return seen


def fetch(server, protocol, paths, address):
    """The same with one connection for all, answers counted a moment later."""
    port, scheme = ((server.tls_port, "https") if protocol == "2" else (server.port, "http"))
    words = [word for path in paths
             for word in ("-o", "/dev/null", f"{scheme}://127.0.0.1:{port}{path}")]
    done = subprocess.run(
        ["curl", "-sk", f"--http{protocol}", "--interface", address, "-w",
         "%{http_version} %{http_code}\n", *words], capture_output=True, text=True, timeout=60)
    answers = [line.split() for line in done.stdout.splitlines()]
    assert {version for version, _ in answers} == {protocol}, done.stderr
    return [int(status) for _, status in answers]


@pytest.mark.parametrize("protocol", ["1.1", "2"])
def test_715_01_scanner_is_stopped_and_a_reader_is_not(httpd, protocol):
    server = httpd(tls=True, children=2, policies=config(scanning()))
    scanner = fetch(server, protocol, SCANNER * 10, "127.0.0.2")
    admitted = len(scanner) - scanner.count(429)
    assert 20 <= admitted <= 25, scanner
    assert set(scanner[:20]) == {404, 200} and set(scanner[25:]) == {429}
    reader = fetch(server, protocol, READER * 10, "127.0.0.3")
    assert (reader.count(404), reader.count(200)) == (30, 70)
    refused = server.get(PAGE, address="127.0.0.2")
    assert refused.status == 429 and refused.headers["l7shield-policy"] == "scanning"
    assert 1 <= int(refused.headers["retry-after"]) <= 7200
    assert server.get(PAGE, address="127.0.0.3").status == 200


def test_715_02_few_answers_tell_nothing(httpd):
    server = httpd(policies=config(scanning()))
    assert visit(server, [MISSING] * 19) == [404] * 19
    assert visit(server, [PAGE]) == [200], "the twentieth has been admitted"
    assert visit(server, [PAGE])[0] in (200, 429), "an hour may just have begun"
    assert visit(server, [PAGE]) == [429]


def test_715_03_recovers_although_it_is_knocked_at(httpd):
    """Refused requests are no answers of the site's, so they do not put off the end."""
    server = httpd(policies=config(scanning(detect=share(50, 10, 2))))

    def stopped():
        return visit(server, [MISSING] * 12)[-1] == 429
    wait_until(stopped, 10, "ten answers within one window")
    refused = server.get(PAGE, address="127.0.0.2")
    assert refused.status == 429 and 1 <= int(refused.headers["retry-after"]) <= 4
    begin = time.monotonic()

    def free_again():
        return server.get(PAGE, address="127.0.0.2").status == 200
    wait_until(free_again, 6, "an end")
    assert time.monotonic() - begin < 5
    # Soon nothing is left of the bad ones, and it stays free.
    time.sleep(0.1)
    wait_until(lambda: visit(server, [PAGE] * 20) == [200] * 20, 8, "a client like others")


def test_715_04_observing_only_records(httpd):
    server = httpd(policies=config(scanning(mode="observe")))
    assert visit(server, SCANNER * 6) == [404, 404, 404, 404, 200] * 6
    lines = [line for line in server.accesses() if "policy=scanning" in line]
    assert any("action=would_throttle" in line for line in lines), lines
    assert all("action=would_throttle" in line or "action=log" in line for line in lines)


def test_715_05_statuses_say_what_fails(httpd):
    server = httpd(host=ANSWERS, policies=config(scanning(count={"statuses": ["503"]})))
    assert visit(server, [MISSING, "/forbidden"] * 15) == [404, 403] * 15
    assert visit(server, ["/busy"] * 21, "127.0.0.3")[:20] == [503] * 20
    wait_until(lambda: server.get(PAGE, address="127.0.0.3").status == 429, 3, "its refusal")
    assert server.get(PAGE, address="127.0.0.2").status == 200


def test_715_06_what_another_policy_refuses_is_no_failure(httpd):
    server = httpd(policies=config(
        policy("closed", {"deny": {"status": 404}}, {"paths": ["/closed/**"]}, priority=200),
        scanning()))
    assert visit(server, [PAGE, *["/closed/x"] * 4] * 10) == [200, 404, 404, 404, 404] * 10


def test_715_07_counted_by_host_it_tells_a_broken_site(httpd):
    server = httpd(host=ANSWERS, policies=config(scanning(
        {"deny": {"status": 502}}, count={"by": ["host"], "statuses": ["5xx"]})))
    for number in range(21):
        server.get("/busy", headers={"Host": "a.test"}, address=f"127.0.3.{number + 1}")
    wait_until(lambda: server.get(PAGE, headers={"Host": "a.test"}).status == 502, 3,
               "a site that is spared")
    assert server.get(PAGE, headers={"Host": "b.test"}).status == 200


@pytest.fixture(scope="module")
def fleet():
    made = Fleet(nodes=2)
    made.start()
    yield made
    unexpected = made.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


def statuses(fleet, address, path=PAGE):
    return [node.get(path, address=address).status for node in fleet.nodes]


def test_715_08_scanner_that_changes_nodes_is_stopped_on_both(fleet):
    """Each of them would let pass twenty by itself."""
    fleet.put_policy(scanning(detect=share(70, 20, 60)))
    seen = []
    while seen[-2:] != [429, 429] and len(seen) < 60:
        seen += statuses(fleet, "127.0.7.1", MISSING)
        time.sleep(0.15)
    assert seen[-2:] == [429, 429]
    assert 19 <= seen.count(404) <= 30, seen
    assert statuses(fleet, "127.0.7.2") == [200, 200]


def test_715_09_failures_on_one_node_are_few_of_all(fleet):
    """What one node sees alone looks like a scanner: 30 answers, all of them 404. The other
    one's 90 good ones make that a quarter."""
    fleet.put_policy(scanning(detect=share(50, 20, 60)))
    one, two = fleet.nodes
    for _ in range(30):
        for _ in range(3):
            assert two.get(PAGE, address="127.0.7.3").status == 200
        assert one.get(MISSING, address="127.0.7.3").status == 404
        time.sleep(0.1)
    assert statuses(fleet, "127.0.7.3") == [200, 200]


def test_715_10_check_tells_both_numbers(fleet):
    fleet.put_policy(scanning(detect=share(70, 20, 60)))

    def limit_of(address):
        document = fleet.api("POST", "/v1/check", {"client": address}).json
        item = next(item for item in document["policies"] if item["name"] == "scanning")
        return document["verdict"], item["trips"], item["limits"][0]
    verdict, trips, limit = limit_of("127.0.7.4")
    assert verdict["outcome"] == "admitted" and not trips
    assert limit == {"percent": 70, "min_requests": 20, "per_seconds": 60,
                     "known_to": "fleet", "answered": 0, "failed": 0, "wait_seconds": 0}

    def trips():
        statuses(fleet, "127.0.7.4", MISSING)
        found = limit_of("127.0.7.4")
        return found[1] and found
    verdict, _, limit = wait_until(trips, 15, "the fleet's numbers")
    assert verdict["outcome"] == "throttled" and verdict["by"] == "scanning"
    assert 20 <= limit["answered"] <= 30 and limit["failed"] == limit["answered"]
    assert 1 <= limit["wait_seconds"] <= 120
    wait_until(lambda: fleet.nodes[0].get(PAGE, address="127.0.7.4").status == 429, 5, "a stop")
    freed = fleet.api("POST", "/v1/check:release", {"client": "127.0.7.4", "hold_seconds": 0})
    assert {"kind": "counter", "name": "scanning"} in freed.json["lifted"], freed
    wait_until(lambda: fleet.nodes[0].get(PAGE, address="127.0.7.4").status == 200, 3,
               "its tallies begin anew")


def test_715_11_given_requests_meet_it_in_the_daemon(fleet):
    """At the full minute a window begins, in which all of the answers lie."""
    answer = fleet.api("POST", "/v1/policies:test", {
        "policies": [scanning(detect=share(70, 20, 60))],
        "requests": [{"client": "203.0.113.7", "path": "/", "status": 404, "repeat": 22,
                      "at": "2026-01-31T12:00:00Z", "every_ms": 100},
                     {"client": "203.0.113.7", "path": "/", "at": "2026-01-31T12:01:50Z"}]})
    assert [item["verdict"]["outcome"] for item in answer.json["items"]] == \
        ["admitted"] * 19 + ["logged", "throttled", "throttled", "admitted"]


def test_715_12_ban_and_the_incident(fleet):
    fleet.put_policy(scanning({"ban": {"seconds": 600}}, detect=share(70, 20, 60)))
    node = fleet.nodes[0]
    for path in SCANNER * 4:
        node.get(path, address="127.0.0.9")
    wait_until(lambda: node.get(MISSING, address="127.0.0.9").status == 403, 5, "a ban")
    item = fleet.wait_for_incident(lambda item: item["kind"] == "ratio" and
                                   item["source"]["key"] == {"client": "127.0.0.9"})
    assert item["policy"]["name"] == "scanning"
    measure = item["measure"]
    assert 75 <= measure.pop("observed") <= 84
    assert measure == {"limit": 70, "per_seconds": 60, "unit": "percent"}
    assert item["source"]["key"] == {"client": "127.0.0.9"}
    assert item["action"]["type"] == "ban" and item["action"]["ban_id"] == "ip:127.0.0.9"
    evidence = item["layer"]["evidence"][0]
    assert evidence["metric"] == "failing_responses_percent"
    assert evidence["observed"] >= 75 and evidence["normal"] == 70
    effective = fleet.api("GET", "/v1/policies/scanning").json["status"]["effective"]
    assert effective["count"]["statuses"] == ["4xx", "5xx"]
    assert effective["detect"] == share(70, 20, 60)
