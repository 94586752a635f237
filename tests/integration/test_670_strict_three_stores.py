# SPDX-License-Identifier: Apache-2.0
"""Strict policies on three memcached servers, one of which goes away: its keys take
when_store_down, in time; the keys of the other two stay exact."""
import itertools
import time

import pytest
from fleet import Fleet, Late, on_a_noisy_machine
from httpd import policy, rate, wait_until

LIMIT = 5
CLIENTS = 30
DEADLINE = 0.005  # of a request's wait for its verdict
NEW_CLIENTS = (f"127.0.{net}.{host}" for net in range(70, 80) for host in range(1, 250))


@pytest.fixture(scope="module")
def fleet():
    made = Fleet(nodes=2, children=2, stores=3)
    for node in made.nodes:
        node.expects(r"L7S2110:", r"L7S20(31|71):")
    made.daemon.expect("L7S35")
    made.start()
    made.put_policy(policy("exact", {"throttle": {}}, {"paths": ["/page.txt"]},
                           detect=rate(LIMIT, 3600), consistency="strict",
                           guard="ignore"))
    yield made
    unexpected = made.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


def ask_all(fleet):
    """New clients, each with two requests too many for both nodes together. Returns how
    many each was admitted, and what the slowest waited."""
    admitted, slowest = [], 0
    for address in itertools.islice(NEW_CLIENTS, CLIENTS):
        clients = [node.client(address) for node in fleet.nodes]
        statuses = []
        for number in range(2 * LIMIT + 2):
            begin = time.monotonic()
            statuses.append(clients[number % 2].get("/page.txt").status)
            slowest = max(slowest, time.monotonic() - begin)
        for client in clients:
            client.close()
        assert set(statuses) <= {200, 429}
        admitted.append(statuses.count(200))
    print(f"admitted {sorted(admitted)}, slowest {1000 * slowest:.1f} ms")
    return admitted, slowest


def is_exact(fleet):
    return set(ask_all(fleet)[0]) == {LIMIT}


@pytest.mark.parametrize("how", ["killed", "stopped"])
@on_a_noisy_machine
def test_670_01_keys_of_the_lost_server_only_take_when_store_down(fleet, how):
    wait_until(lambda: is_exact(fleet), 10, "exact limits")
    lost = fleet.stores[1]
    if how == "killed":
        lost.close()
    else:
        lost.pause()
    try:
        admitted, slowest = ask_all(fleet)
    finally:
        if how == "killed":
            lost.start()
        else:
            lost.go_on()
    wait_until(lambda: is_exact(fleet), 10, "exact limits again")
    # A key of the lost server is counted by each node for itself.
    if not set(admitted) <= {LIMIT, 2 * LIMIT}:
        raise Late(f"a verdict of a server that is there came too late: {admitted}")
    assert 1 <= admitted.count(2 * LIMIT) <= CLIENTS * 2 / 3
    if slowest > DEADLINE + 0.020:
        raise Late(f"a request took {slowest:.3f} s")
