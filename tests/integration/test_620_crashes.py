# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed, enforcement goes on, and what was acknowledged is there in the end,
once."""
import os
import signal
import time

import pytest
from fleet import Background, Fleet, alternate
from httpd import policy, rate, wait_until
from storm import Attackers, kill_in_a_storm, wait_for_incidents

KILLS = 200
LIMIT = 5


@pytest.fixture(scope="module")
def fleet():
    made = Fleet(nodes=2, children=2)
    for node in made.nodes:
        (node.document_root / "limited.txt").write_text("limited\n")
        node.expects("L7S1012", r"L7S20(07|31|71|33)", "exit signal Killed",
                     "AH00098: pid file")
    made.daemon.expect("L7S35")
    made.start()
    made.put_policy(policy("closed", {"deny": {}}, {"paths": ["/page.txt"]}))
    made.put_policy(policy("per-client", {"throttle": {}}, {"paths": ["/limited.txt"]},
                           detect=rate(LIMIT, 3600)))
    yield made
    unexpected = made.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


def always_refused(seen):
    assert seen and {status for status, _ in seen} == {403}, seen


def works(node):
    """The number of sync processes that have begun to work."""
    return node.errors().count("L7S2001")


def incident_of(fleet, client, policy_name):
    return [item for item in fleet.incidents(f"?policy={policy_name}")
            if item["source"]["key"] == {"client": client}]


def test_620_01_sync_process_killed_ten_times_in_a_row(fleet):
    node, client = fleet.nodes[0], "127.0.62.1"
    background = Background(fleet.nodes, 50)
    refused, gaps = 0, []
    for _ in range(10):
        before, pid = works(node), node.sync_pids()[0]
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        statuses, _ = alternate([node], 4, 100, "/limited.txt", client)
        refused += statuses.count(429)
        wait_until(lambda before=before: works(node) > before, 3, "the next one's work")
        gaps.append(time.monotonic() - killed)
    assert max(gaps) < 1, gaps
    assert refused == 40 - LIMIT, "its counter lives on in the segment"
    always_refused(background.stop())
    wait_until(lambda: [item["counts"]["acted"]
                        for item in incident_of(fleet, client, "per-client")] == [refused],
               8, "one incident with every refusal")
    # The last one does all of its work.
    fleet.put_policy(policy("late", {"deny": {}}, {"paths": ["/late"]}))
    assert node.get("/late").status == 403


def test_620_02_killed_children_lose_no_count(fleet):
    node, client = fleet.nodes[0], "127.0.62.2"
    refused = 0
    statuses, _ = alternate([node], LIMIT + 2, 50, "/limited.txt", client)
    refused += statuses.count(429)
    for pid in node.child_pids():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _status(node), 5, "new children")
    statuses, _ = alternate([node], 10, 50, "/limited.txt", client)
    assert set(statuses) == {429}, "the counter is as full as before"
    refused += statuses.count(429)
    wait_until(lambda: [item["counts"]["acted"]
                        for item in incident_of(fleet, client, "per-client")] == [refused],
               8, "one incident with every refusal")


def _status(node):
    try:
        return node.get("/page.txt").status == 403
    except OSError:
        return False


def test_620_03_parent_stopped_and_started(fleet):
    node, banned = fleet.nodes[0], "127.0.62.3"
    answer = fleet.api("PUT", f"/v1/bans/ip:{banned}",
                       {"key": {"client": banned}, "seconds": 600, "reason": "test"})
    assert answer.status == 201
    wait_until(lambda: node.get("/", address=banned).status == 403, 2, "the ban")
    for how in (signal.SIGTERM, signal.SIGKILL):
        children, sync = node.child_pids(), node.sync_pids()
        node.stopped_at = len(node.errors())
        node.process.send_signal(how)
        node.process.wait(15)
        for pid in children if how == signal.SIGKILL else []:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda sync=sync: not any(os.path.exists(f"/proc/{pid}") for pid in sync),
                   3, "the end of the sync process")
        node.start()
        # The very first requests.
        assert node.get("/page.txt").status == 403
        assert node.get("/", address=banned).status == 403
        assert node.get("/").status == 200
        wait_until(lambda: len(fleet.live()) == 2, 8, "both nodes")
    assert fleet.api("DELETE", f"/v1/bans/ip:{banned}").status == 204
    wait_until(lambda: node.get("/", address=banned).status == 200, 2, "the lifting")


def test_620_04_cold_start_without_store_and_daemon(fleet):
    node, client, banned = fleet.nodes[0], "127.0.62.4", "127.0.62.5"
    fleet.put_policy(policy("banning", {"ban": {"seconds": 600}}, {"paths": ["/guess"]},
                            detect=rate(2, 600)))
    fleet.api("PUT", f"/v1/bans/ip:{banned}",
              {"key": {"client": banned}, "seconds": 600, "reason": "test"})
    wait_until(lambda: node.get("/", address=banned).status == 403, 2, "the ban")
    node.stop()
    fleet.daemon.kill()
    fleet.memcached.close()
    node.start()
    assert node.get("/page.txt").status == 403, "its last good snapshot"
    assert node.get("/", address=banned).status == 403, "its bans"
    guesses = [node.get("/guess", address=client).status for _ in range(4)]
    assert guesses == [404, 404, 403, 403]
    time.sleep(1.5)
    # Even what it learned alone survives a violent end.
    os.kill(node.sync_pids()[0], signal.SIGKILL)
    fleet.memcached.start()
    fleet.daemon.start()
    wait_until(lambda: len(fleet.live()) == 2, 10, "both nodes")
    wait_until(lambda: [item["counts"]["acted"]
                        for item in incident_of(fleet, client, "banning")] == [2],
               10, "the incident, once")
    wait_until(lambda: sorted(ban["id"] for ban in fleet.api("GET", "/v1/bans").json["items"])
               == [f"ip:{client}", f"ip:{banned}"], 10, "both bans, once")
    wait_until(lambda: fleet.nodes[1].get("/", address=client).status == 403, 3,
               "the ban on the other node")
    for address in (client, banned):
        assert fleet.api("DELETE", f"/v1/bans/ip:{address}").status == 204


def test_620_05_daemon_killed_at_random_moments_of_a_storm(fleet):
    background = Background(fleet.nodes, 20)
    attackers = Attackers(fleet.nodes, "/limited.txt", LIMIT)
    begin = time.monotonic()
    acknowledged, lost = kill_in_a_storm(fleet.daemon, KILLS)
    print(f"{KILLS} kills in {time.monotonic() - begin:.0f} s, {acknowledged} writes "
          f"acknowledged, {lost} unanswered, {len(attackers.refused)} attackers")
    attackers.stop()
    always_refused(background.stop())
    assert not attackers.admitted_too_much
    wait_for_incidents(fleet.daemon, attackers, "per-client")
    # And the nodes run what the daemon says.
    fleet.put_policy(policy("after", {"deny": {}}, {"paths": ["/after"]}))
    assert [node.get("/after").status for node in fleet.nodes] == [403, 403]
