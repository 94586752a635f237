# SPDX-License-Identifier: Apache-2.0
"""The packs: what each would stop, what it leaves alone, and that it only watches."""
import json
import re
from pathlib import Path

import pytest
from daemon import daemon  # noqa: F401
from httpd import wait_until

PACKS = Path(__file__).resolve().parents[2] / "conf" / "packs"
NAMES = sorted(path.stem for path in PACKS.glob("*.json"))
# The clients of these tests have documentation addresses: loopback is exempt.
PROXY = """
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
Redirect 401 /api/denied
Redirect 401 /accounts/login/denied
"""
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}


def pack_of(name):
    return json.loads((PACKS / f"{name}.json").read_text())


def enforced(pack):
    return {**pack, "policies": [{**policy, "mode": "enforce"} for policy in pack["policies"]]}


class Site:
    """An httpd with one pack; every client asks through a proxy."""

    def __init__(self, httpd, pack):
        self.server = httpd(policies=pack, modules=("remoteip",), directives=PROXY)
        self.server.expects("AH00135: Invalid method in request DEBUG")  # httpd's own word
        self.number = 0

    def client(self):
        """A client that nobody has seen, in a network of its own."""
        self.number += 1
        return f"203.0.{self.number}.7"

    def ask(self, client, path="/", method="GET", headers=None, times=1, agent=True):
        """The statuses of `times` requests."""
        sent = {"X-Forwarded-For": client, **(BROWSER if agent else {}), **(headers or {})}
        connection = self.server.client()
        statuses = [connection.get(path, method, sent).status for _ in range(times)]
        connection.close()
        return statuses

    def actions(self, client):
        """What the access log says about a client: {(action, policy)}."""
        return {(match[1], match[2]) for line in self.server.accesses()
                if line.startswith(client + " ")
                for match in [re.search(r"action=(\S+) policy=(\S+)", line)]
                if match[1] != "-"}


def refused(statuses):
    return [status for status in statuses if status in (403, 405, 429)]


# What each policy would stop: (pack, policy, request, how many of them in a row).
STOPS = [
    ("baseline", "baseline-odd-methods", {"method": "DEBUG"}, 1),
    ("baseline", "baseline-scanners", {"path": "/.git/config"}, 5),
    ("baseline", "baseline-scanners", {"path": "/shop/.env"}, 5),
    ("baseline", "baseline-scanners", {"path": "/dump.sql"}, 5),
    ("baseline", "baseline-errors", {"path": "/nothing-here"}, 45),
    ("baseline", "baseline-no-agent", {"agent": False}, 32),
    ("baseline", "baseline-per-client", {}, 330),
    ("wordpress", "wordpress-login", {"path": "/wp-login.php", "method": "POST"}, 12),
    ("wordpress", "wordpress-login", {"path": "/blog/wp-login.php", "method": "POST"}, 12),
    ("wordpress", "wordpress-login", {"path": "/wp-login.php/x", "method": "POST"}, 12),
    ("wordpress", "wordpress-xmlrpc", {"path": "/xmlrpc.php/", "method": "POST"}, 7),
    ("wordpress", "wordpress-install", {"path": "/wp-admin/install.php/x"}, 1),
    ("wordpress", "wordpress-xmlrpc", {"path": "/xmlrpc.php", "method": "POST"}, 7),
    ("wordpress", "wordpress-uploads", {"path": "/wp-content/uploads/2026/x.php"}, 1),
    ("wordpress", "wordpress-uploads", {"path": "/a/wp-content/uploads/X.PHP/y"}, 1),
    ("wordpress", "wordpress-install", {"path": "/wp-admin/install.php"}, 1),
    ("wordpress", "wordpress-users", {"path": "/wp-json/wp/v2/users/1"}, 12),
    ("wordpress", "wordpress-comments", {"path": "/wp-comments-post.php", "method": "POST"}, 7),
    ("login", "login-guessing", {"path": "/login", "method": "POST"}, 12),
    ("login", "login-guessing", {"path": "/api/v2/login", "method": "POST"}, 12),
    ("login", "login-guessing", {"path": "/signin/", "method": "POST"}, 12),
    ("login", "login-guessing", {"path": "/sessions/", "method": "POST"}, 12),
    ("login", "login-signup", {"path": "/users/", "method": "POST"}, 7),
    ("login", "login-failures", {"path": "/accounts/login/denied", "method": "POST"}, 8),
    ("login", "login-reset", {"path": "/forgot-password", "method": "POST"}, 7),
    ("login", "login-signup", {"path": "/register", "method": "POST"}, 7),
    ("api", "api-per-key", {"path": "/api/x", "headers": {"X-Api-Key": "k-1"}}, 65),
    ("api", "api-per-key", {"path": "/graphql"}, 65),
    ("api", "api-refused-keys", {"path": "/api/denied"}, 24),
    ("ai-crawlers", "ai-crawlers-training",
     {"headers": {"User-Agent": "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)"}}, 33),
    ("ai-crawlers", "ai-crawlers-training", {"headers": {"User-Agent": "CCBot/2.0"}}, 33),
    ("ai-crawlers", "ai-crawlers-answers",
     {"headers": {"User-Agent": "Mozilla/5.0; compatible; ChatGPT-User/1.0"}}, 104),
    ("ai-crawlers", "ai-crawlers-impostors",
     {"headers": {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}}, 64),
]


def stops_of(pack):
    return [case[1:] for case in STOPS if case[0] == pack]


@pytest.mark.parametrize("name", NAMES)
def test_733_01_pack_in_observe_mode_stops_nobody_and_says_whom_it_would(httpd, name):
    site = Site(httpd, pack_of(name))
    asked = []
    for policy, request, times in stops_of(name):
        client = site.client()
        statuses = site.ask(client, times=times, **request)
        assert not set(statuses) & {403, 429}, (policy, statuses)
        asked.append((client, policy))
    assert asked

    def told():
        return all(any(found == policy and action.startswith("would_")
                       for action, found in site.actions(client)) for client, policy in asked)
    wait_until(told, 5, f"would_… of {asked}, not {[site.actions(c) for c, _ in asked]}")


@pytest.mark.parametrize("name", NAMES)
def test_733_02_enforced_pack_stops_what_it_says(httpd, name):
    site = Site(httpd, enforced(pack_of(name)))
    for policy, request, times in stops_of(name):
        client = site.client()
        statuses = site.ask(client, times=times, **request)
        assert refused(statuses[-1:]), (policy, request, statuses)
        assert times == 1 or not refused(statuses[:1]), (policy, request, statuses)
        answer = site.server.get(request.get("path", "/"), request.get("method", "GET"), {
            "X-Forwarded-For": client, **(BROWSER if request.get("agent", True) else {}),
            **request.get("headers", {})})
        assert answer.headers["l7shield-policy"] == policy, answer


LEFT_ALONE = [
    {"path": "/.well-known/acme-challenge/token", "times": 700},
    {"path": "/healthz", "times": 700},
    {"path": "/page.txt", "times": 40},
    {"path": "/login", "times": 20},
    {"path": "/login", "method": "POST", "times": 5},
    {"path": "/wp-login.php", "method": "POST", "times": 5},
    {"path": "/wp-content/uploads/2026/photo.php.jpg", "times": 20},
    {"path": "/wp-admin/admin-ajax.php", "method": "POST", "times": 20},
    {"path": "/api/x", "times": 35},
    {"path": "/", "method": "OPTIONS", "times": 20},
    {"path": "/", "method": "HEAD", "times": 20},
    {"path": "/", "headers": {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "times": 30},
]


@pytest.mark.parametrize("name", NAMES)
def test_733_03_enforced_pack_leaves_ordinary_visitors_alone(httpd, name):
    site = Site(httpd, enforced(pack_of(name)))
    for request in LEFT_ALONE:
        statuses = site.ask(site.client(), **request)
        assert not refused(statuses), (request, statuses)
    # Loopback itself: no header, so the client is the machine's own.
    connection = site.server.client("127.0.0.9")
    statuses = [connection.get("/.env", "POST").status for _ in range(10)]
    statuses += [connection.get("/", headers=BROWSER).status for _ in range(700)]
    connection.close()
    assert not refused(statuses)


def test_733_04_swarm_of_a_network_is_stopped_by_the_baseline(httpd):
    site = Site(httpd, enforced(pack_of("baseline")))
    connection = site.server.client()
    statuses = [connection.get("/", headers={
        **BROWSER, "X-Forwarded-For": f"198.51.100.{number % 250}"}).status
        for number in range(3300)]
    connection.close()
    assert refused(statuses), "250 addresses, 13 requests each"
    assert not refused(statuses[:3000])


def test_733_05_verified_bots_and_keys_are_the_operators_to_fill(httpd):
    bots = enforced(pack_of("ai-crawlers"))
    bots["lists"][0]["entries"] = [{"value": "203.0.0.0/16"}]
    site = Site(httpd, bots)
    agent = {"User-Agent": "Mozilla/5.0 (compatible; GPTBot/1.2)"}
    assert not refused(site.ask(site.client(), headers=agent, times=100))
    api = enforced(pack_of("api"))
    api["lists"][0]["entries"] = [{"value": "k-1", "attributes": {"plan": "silver"}}]
    site = Site(httpd, api)
    assert not refused(site.ask(site.client(), "/api/x", headers={"X-Api-Key": "k-1"}, times=500))
    invented = site.client()
    statuses = []
    for number in range(70):
        statuses += site.ask(invented, "/api/x", headers={"X-Api-Key": f"made-up-{number}"})
    assert refused(statuses), "a new invented key for each request is no way out"


# ------------------------------------------------------------------------- API

def test_733_10_packs_are_listed_and_come_as_they_stand(daemon):  # noqa: F811
    page = daemon.call("GET", "/v1/packs").json
    assert [item["name"] for item in page["items"]] == NAMES and page["next_cursor"] is None
    for item in page["items"]:
        answer = daemon.call("GET", f"/v1/packs/{item['name']}")
        assert answer.json == pack_of(item["name"])
        assert list(answer.json) == ["policies", "lists", "apps", "responses"]
        assert [policy["name"] for policy in answer.json["policies"]] == item["policies"]
        assert answer.headers["etag"]
    assert daemon.call("GET", "/v1/packs?limit=2").json["next_cursor"]
    assert daemon.call("GET", "/v1/packs/nope").status == 404


@pytest.mark.parametrize("name", NAMES)
def test_733_11_every_policy_of_a_pack_only_watches_and_spares_the_house(name):
    for policy in pack_of(name)["policies"]:
        assert policy["name"].startswith(f"{name}-") and policy["mode"] == "observe"
        spared = json.dumps(policy["match"]["except"])
        for wanted in ("/.well-known/acme-challenge/**", "/healthz", "127.0.0.0/8", "::1"):
            assert wanted in spared, (policy["name"], wanted)
        assert len(policy["description"]) > 20


def test_733_12_all_packs_together_are_one_configuration(daemon):  # noqa: F811
    """As the README says: merged into the configuration that is there."""
    whole = daemon.call("GET", "/v1/config?view=spec").json
    for name in NAMES:
        pack = daemon.call("GET", f"/v1/packs/{name}").json
        for member in ("policies", "lists"):
            whole[member] += pack[member]
    answer = daemon.call("PUT", "/v1/config", whole)
    assert answer.status == 200 and answer.headers["shield-changed"] == "true"
    entry = daemon.call("POST", "/v1/lists/verified-bots/entries:batch",
                        {"put": [{"value": "198.51.100.0/24"}]})
    assert entry.status == 200
    again = daemon.call("PUT", "/v1/config", whole)
    assert again.headers["shield-changed"] == "false", "the entries are the operator's"
