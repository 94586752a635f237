# SPDX-License-Identifier: Apache-2.0
"""Attackers who try to look like many, and many who are one attack. Their addresses are
those that a trusted proxy on loopback tells mod_remoteip."""
import ipaddress
import random
import threading

import pytest

from httpd import config, policy, rate

PROXY = """
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
L7ShieldTrustedProxy 127.0.0.1
"""
BROWSERS = [f"Mozilla/5.0 (X11; Linux x86_64) Browser/{version}.0" for version in range(5)]
PER_CLIENT = policy("per-client", {"throttle": {}}, detect=rate(10, 600))


def behind_proxy(httpd, *policies):
    return httpd(modules=("remoteip",), directives=PROXY, children=2,
                 policies=config(*policies))


class Sender:
    """Requests in the names of others, on one kept connection."""

    def __init__(self, server):
        self._client = server.client()

    def __call__(self, address, path="/page.txt", agent=BROWSERS[0]):
        return self._client.get(path, headers={"X-Forwarded-For": str(address),
                                               "User-Agent": agent}).status

    def close(self):
        self._client.close()


def admitted(server, requests):
    send = Sender(server)
    statuses = [send(*request) for request in requests]
    send.close()
    assert set(statuses) <= {200, 404, 429}
    return len(statuses) - statuses.count(429)


# ------------------------------------------------------------------- one as many


def test_740_01_ipv6_client_that_rotates_through_its_64_is_one_client(httpd):
    server = behind_proxy(httpd, PER_CLIENT)
    net = ipaddress.ip_network("2001:db8:74:1::/64")
    attack = [(net[random.getrandbits(64)],) for _ in range(300)]
    assert admitted(server, attack) == 10
    assert admitted(server, [("2001:db8:74:2::1",)] * 5) == 5, "the next network is another"


def test_740_02_rotating_user_agents_are_one_client(httpd):
    server = behind_proxy(httpd, PER_CLIENT)
    attack = [("203.0.113.7", "/page.txt", f"Agent/{number}") for number in range(300)]
    assert admitted(server, attack) == 10


def test_740_03_rotating_paths_with_random_queries_are_one_client(httpd):
    server = behind_proxy(httpd, PER_CLIENT)
    attack = [("203.0.113.7", f"/{random.getrandbits(40):x}/p.txt?q={random.getrandbits(40)}")
              for _ in range(300)]
    assert admitted(server, attack) == 10


def test_740_04_random_queries_do_not_lead_past_a_budget_of_the_path(httpd):
    """However it is asked for, and by whomever: the cache behind it sees 20."""
    server = behind_proxy(httpd, policy("search", {"throttle": {}}, {"paths": ["/page.txt"]},
                                        count={"by": ["path"]}, detect=rate(20, 600),
                                        guard="ignore"))
    attack = [(f"198.51.100.{number}", f"/./page.txt?q={random.getrandbits(40)}")
              for number in range(200)]
    assert admitted(server, attack) == 20


# ------------------------------------------------------------------- one for all


def test_740_05_noisy_client_cannot_drain_a_budget_shared_by_all(httpd):
    server = behind_proxy(
        httpd, {**PER_CLIENT, "priority": 10},
        policy("shared", {"throttle": {}}, count={"by": ["global"]}, detect=rate(210, 600)))
    assert admitted(server, [("203.0.113.7",)] * 1000) == 10
    others = [(f"198.51.100.{number}",) for number in range(100) for _ in range(2)]
    assert admitted(server, others) == 200, "its refused requests cost them nothing"
    assert admitted(server, [("192.0.2.1",)] * 5) == 0, "and here it ends"


# ------------------------------------------------------------------- many as one

SWARM, LEGITIMATE, EACH = 2000, 50, 20


class Crowd:
    """Requests of many at once over several connections; counts what is refused."""

    def __init__(self, server, requests, connections):
        self.asked, self.refused = len(requests), 0
        self._lock, self._server = threading.Lock(), server
        self._threads = [threading.Thread(target=self._run,
                                          args=(requests[number::connections],))
                         for number in range(connections)]
        for thread in self._threads:
            thread.start()

    def _run(self, requests):
        send = Sender(self._server)
        statuses = [send(*request) for request in requests]
        send.close()
        with self._lock:
            self.refused += statuses.count(429)

    def join(self):
        for thread in self._threads:
            thread.join()
        return self


def scattered(number):
    """Addresses of which no two share a network."""
    return ipaddress.ip_address((11 << 24) + number * 0x1003f)


def in_ten_networks(number):
    return f"203.0.{number % 10}.{1 + number // 10}"


BY_NETWORK = policy("network", {"throttle": {}}, count={"by": ["network"]},
                    detect=rate(50, 60), guard="ignore")
BY_PATH = policy("path", {"throttle": {}}, {"paths": ["/search/**"]}, count={"by": ["path"]},
                 detect=rate(200, 60), guard="ignore")
BY_AGENT = policy("agent", {"throttle": {}}, count={"by": ["header:user-agent"]},
                  detect=rate(500, 60), guard="ignore")
SWARMS = {  # policy, what one of the swarm asks, how many are admitted at most
    "network": (BY_NETWORK, lambda number: (in_ten_networks(number),), 10 * 50),
    "path": (BY_PATH, lambda number: (scattered(number), "/search/?q=" + str(number)), 200),
    "agent": (BY_AGENT, lambda number: (scattered(number), "/page.txt", "kit/1.0"), 500),
}


@pytest.mark.parametrize("kind", SWARMS)
def test_740_06_swarm_below_every_limit_of_a_client_is_stopped(httpd, kind):
    """2,000 addresses with two requests each, beside 50 ordinary clients with twenty each:
    pages of their own, five browsers, networks of their own."""
    level, ask, most = SWARMS[kind]
    server = behind_proxy(httpd, policy("per-client", {"throttle": {}}, detect=rate(30, 60)),
                          level)
    swarm = [ask(number) for number in range(SWARM) for _ in range(2)]
    random.shuffle(swarm)
    ordinary = [(f"192.{number}.2.1", random.choice(("/", "/page.txt")),
                 BROWSERS[number % len(BROWSERS)])
                for _ in range(EACH) for number in range(LEGITIMATE)]
    attack, visit = Crowd(server, swarm, 4), Crowd(server, ordinary, 2)
    visit.join(), attack.join()
    passed = attack.asked - attack.refused
    print(f"{kind}: {passed} of {attack.asked} of the swarm passed, "
          f"{visit.refused} of {visit.asked} ordinary requests were refused")
    assert visit.refused <= visit.asked / 100
    assert most <= passed <= most * 1.25, "the bucket, and what drains meanwhile"
