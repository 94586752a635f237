# SPDX-License-Identifier: Apache-2.0
"""Whoever comes back meets a stronger action, on whichever node."""
import time

import pytest

from fleet import Fleet
from httpd import config, policy, rate, wait_until

STEPS = [{"after": 3, "within_seconds": 600, "action": {"ban": {"seconds": 7200, "status": 410}}}]


def guard(**more):
    return policy("guard", {"ban": {"seconds": 2}}, match={"paths": ["/trap"]},
                  escalate=STEPS, **more)


def knock_until_free(ask):
    """Knocks on while the ban lasts; the statuses it met."""
    met = []

    def free():
        met.append(ask().status)
        return met[-1] != 403
    wait_until(free, 8, "the end of the ban")
    return met


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_721_01_third_ban_in_time_is_the_long_one(httpd, mode):
    """And that of a client that never lets go, so that its first episode never ends."""
    server = httpd(policies=config(guard(mode=mode)))

    def ask(path):
        return server.get(path, address="127.0.0.9")

    for _ in range(2):
        first = ask("/trap")
        if mode == "observe":
            assert first.status == 404
            time.sleep(2.1)
            continue
        assert (first.status, first.headers["retry-after"]) == (403, "2")
        knock_until_free(lambda: ask("/page.txt"))
    last = ask("/trap")
    if mode == "observe":
        assert last.status == 404
        time.sleep(2.1)
        assert ask("/trap").status == 404
        lines = wait_until(lambda: [line for line in server.accesses() if "/trap" in line][3:],
                           3, "the last line")
        assert "action=would_ban policy=guard" in lines[0]
        return
    assert (last.status, last.headers["retry-after"]) == (410, "7200")
    assert ask("/page.txt").status == 410
    assert server.get("/trap", address="127.0.0.8").headers["retry-after"] == "2"


def test_721_02_bans_of_all_nodes_count_once_each():
    fleet = Fleet(nodes=2, children=1)
    try:
        fleet.start()
        fleet.put_policy(guard())
        client = "127.0.5.9"

        def both(path):
            return [node.get(path, address=client) for node in fleet.nodes]

        for ban in range(2):
            first = fleet.nodes[ban].get("/trap", address=client)
            assert (first.status, first.headers["retry-after"]) == (403, "2")
            wait_until(lambda: {answer.status for answer in both("/page.txt")} == {403}, 1.5,
                       "the ban on both nodes")
            wait_until(lambda: {answer.status for answer in both("/page.txt")} == {200}, 8,
                       "its end")
        # The third, on a node that has made one of the two itself.
        last = fleet.nodes[0].get("/trap", address=client)
        assert (last.status, last.headers["retry-after"]) == (410, "7200")
        wait_until(lambda: fleet.nodes[1].get("/", address=client).status == 410, 3,
                   "the long ban on the other node")
        incident = fleet.wait_for_incident(
            lambda item: (item["policy"] or {}).get("name") == "guard" and
            item["action"]["until"] is not None)
        assert incident["action"]["type"] == "ban"
        assert incident["action"]["ban_id"] == f"ip:{client}"
    finally:
        unexpected = fleet.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


def test_721_03_step_of_another_kind_stands_until_the_episode_ends(httpd):
    """A throttled client whose second episode is denied. An episode ends after a minute."""
    server = httpd(policies=config(policy(
        "slow-down", {"throttle": {}}, detect=rate(2, 2, burst=1),
        escalate=[{"after": 2, "within_seconds": 3600, "action": {"deny": {"status": 418}}}])))

    def trip():
        return [server.get("/page.txt").status for _ in range(3)]

    assert set(trip()) == {200, 429}
    time.sleep(61)
    wait_until(lambda: 418 in trip(), 20, "the second episode")
    assert set(trip()) == {418} or set(trip()) == {200, 418}
