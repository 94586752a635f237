# SPDX-License-Identifier: Apache-2.0
"""The recipes of conf/recipes, as they stand, on a real httpd."""
import json
import re
from pathlib import Path

import pytest
from backend import MODULES, Backend
from daemon import daemon  # noqa: F401
from httpd import policy, wait_until

RECIPES = Path(__file__).resolve().parents[2] / "conf" / "recipes"
NAMES = sorted(path.stem for path in RECIPES.glob("*.json"))
PROXY = "RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n"
MEGABYTE = 1000000


def recipe(name):
    """A path stands for itself."""
    return json.loads((RECIPES / f"{name}.json" if isinstance(name, str) else name)
                      .read_text())


@pytest.fixture
def site(httpd):
    """site(recipe) → ask(client, path, …): an httpd in front of a back end that answers
    with the status that the query asks for."""
    backends = []

    def make(name, *more):
        backends.append(Backend())
        policies = recipe(name)
        policies["policies"] += more
        server = httpd(policies=policies, modules=("remoteip", *MODULES),
                       directives=PROXY, host=backends[0].config("/"))

        def ask(client, path="/", method="GET", headers=None, body=None, at_once=False):
            """The answer, whose request has been counted (unless the next one follows
            at once)."""
            lines = len(server.accesses()) if not at_once else -1
            answer = server.get(path, method, {"X-Forwarded-For": client, **(headers or {})},
                                body)
            wait_until(lambda: len(server.accesses()) > lines, 5, "the access log")
            return answer
        ask.server = server
        return ask
    yield make
    for one in backends:
        one.close()


def crowd(ask, path):
    """What the guard would call a policy that hits everybody."""
    return {ask(f"203.0.113.{number}", path).status for number in range(60)}


def statuses(ask, times, *arguments, **options):
    return [ask(*arguments, **options).status for _ in range(times)]


def test_734_01_wrong_passwords_ban_right_ones_cost_nothing(site):
    ask = site("failed-logins")
    login = {"method": "POST", "body": b"user=a"}
    assert statuses(ask, 20, "203.0.113.7", "/login?status=302", **login) == [302] * 20
    seen = statuses(ask, 7, "203.0.113.7", "/login?status=401", **login)
    assert seen[:5] == [401] * 5 and seen[-1] == 403, seen
    banned = ask("203.0.113.7", "/")
    assert banned.status == 403 and banned.headers["l7shield-policy"] == "failed-logins"
    assert 590 <= int(banned.headers["retry-after"]) <= 600
    assert ask("203.0.113.8", "/login?status=302", **login).status == 302
    assert statuses(ask, 40, "198.51.100.9", "/login?status=401", **login) == [401] * 40


def test_734_02_a_network_that_guesses_is_slowed_down(site):
    ask = site("failed-logins")
    seen = [ask(f"192.0.2.{number}", "/login?status=401", method="POST").status
            for number in range(1, 35)]
    assert seen[:30] == [401] * 30 and seen[-1] == 429, seen
    assert ask("192.0.2.99", "/").status == 200, "only its log-ins"


SAMPLE = RECIPES.parent / "policies.json"


@pytest.mark.parametrize("name, path, status", [
    ("api-keys", "/api/x", 401), ("wordpress", "/wp-content/uploads/x.php", 403),
    (SAMPLE, "/internal/", 403)])
def test_734_10_who_may_enter_is_no_question_of_how_many_try(site, name, path, status):
    """A crowd that is turned away does not open the door for the guard's sake."""
    ask = site(name, policy("control", {"deny": {}}, match={"paths": ["/control"]}))
    ask.server.expects("L7S2096")
    assert crowd(ask, path) == {status} and crowd(ask, "/control") == {403}
    wait_until(lambda: "L7S2096: policy control" in ask.server.errors(), 5, "the guard")
    assert crowd(ask, path) == {status}


def test_734_03_wordpress(site):
    ask = site("wordpress")
    form = {"method": "POST", "body": b"log=a&pwd=b"}
    assert statuses(ask, 12, "203.0.113.7", "/wp-login.php?status=302", **form) == [302] * 12
    assert statuses(ask, 12, "203.0.113.7", "/wp-login.php") == [200] * 12, "looking is free"
    seen = statuses(ask, 7, "203.0.113.7", "/wp-login.php", **form)
    assert seen[:5] == [200] * 5 and seen[-1] == 403, seen
    # To PHP the same page.
    assert statuses(ask, 7, "203.0.113.10", "/wp-login.php/x", **form)[-1] == 403
    assert statuses(ask, 7, "203.0.113.8", "/xmlrpc.php", **form)[-1] == 429
    assert ask("203.0.113.9", "/wp-content/uploads/2026/11/shell.PhP").status == 403
    assert ask("203.0.113.9", "/wp-content/uploads/2026/11/shell.php/x").status == 403
    assert ask("203.0.113.9", "/wp-content/uploads/2026/11/photo.jpg").status == 200
    assert ask("203.0.113.9", "/wp-admin/admin.php").status == 200


def test_734_04_api_with_keys_and_plans(site):
    ask = site("api-keys")

    def key(value):
        return {"X-Api-Key": value}

    none = ask("203.0.113.7", "/api/x")
    assert none.status == 401 and none.headers["content-type"] == "application/json"
    assert json.loads(none.body)["incident"].startswith("inc_")
    assert ask("203.0.113.7", "/api/x", "OPTIONS").status != 401
    assert ask("203.0.113.7", "/").status == 200

    def passed(value, most=300):
        """How many pass in a row; the slower the machine, the more are given back."""
        for count in range(most):
            if ask("203.0.113.8", "/api/x", headers=key(value), at_once=True).status == 429:
                return count
        return most

    assert passed("example-key-1") == 300
    assert 50 <= passed("example-key-2") < 300
    assert 10 <= passed("example-key-3") < 50
    guessed = [ask("203.0.113.9", "/api/x", headers=key(f"guess-{number}"), at_once=True)
               for number in range(30)]
    assert {answer.status for answer in guessed} == {401}


def test_734_05_uploads_have_a_budget_of_bytes(site):
    ask = site("uploads")
    body = b"z" * (6 * MEGABYTE)
    seen = statuses(ask, 5, "203.0.113.7", "/upload/x", method="POST", body=body)
    assert seen == [200, 200, 200, 200, 429], "24 MB have passed, of 20"
    refused = ask("203.0.113.7", "/upload", method="PUT", body=b"z")
    assert refused.status == 429
    # 24 of 20 MB: 4 MB and a byte come back in 72 s at 200 MB an hour.
    assert 55 <= int(refused.headers["retry-after"]) <= 73
    assert ask("203.0.113.7", "/download").status == 200
    assert ask("203.0.113.8", "/upload/x", method="POST", body=b"z" * 1000).status == 200
    small = statuses(ask, 32, "203.0.113.9", "/upload/x", method="POST", body=b"z")
    assert small[:30] == [200] * 30 and small[-1] == 429, small


def test_734_06_good_bots_by_the_networks_that_their_operators_publish(site):
    ask = site("ai-crawlers")

    def agent(name):
        return {"User-Agent": f"Mozilla/5.0 (compatible; {name}/2.1; +http://bots.example)"}

    for name in ("Googlebot", "bingbot", "GPTBot"):
        assert ask("203.0.113.7", "/", headers=agent(name)).status == 403, name
        assert ask("192.0.2.77", "/", headers=agent(name)).status == 200, name
        assert ask("2001:db8:b07::1", "/", headers=agent(name)).status == 200, name
    fast = statuses(ask, 70, "192.0.2.77", "/", headers=agent("Googlebot"), at_once=True)
    assert fast[:50] == [200] * 50 and fast[-1] == 429
    assert ask("203.0.113.7", "/", headers=agent("CCBot")).status == 403
    assert ask("203.0.113.7", "/robots.txt", headers=agent("CCBot")).status == 200
    assert ask("203.0.113.7", "/", headers={"User-Agent": "Mozilla/5.0 Firefox/128.0"}).status == 200


def test_734_07_each_recipe_is_a_configuration_that_the_daemon_takes(daemon):  # noqa: F811
    assert len(NAMES) >= 5
    for name in NAMES:
        assert daemon.call("PUT", "/v1/config", recipe(name)).status == 200, name
        assert f"`{name}.json`" in (RECIPES / "README.md").read_text()


def blocks():
    """The policies of the recipes' README, and of the project's, each as it stands."""
    top = RECIPES.parents[1]
    for path in (RECIPES / "README.md", top / "README.md"):
        for block in re.findall(r"(?:^    .*\n)+", path.read_text(), re.MULTILINE):
            reader, at = json.JSONDecoder(), 0
            text = block.strip()
            while text.startswith("{", at):
                document, end = reader.raw_decode(text, at)
                yield document
                at = end + len(text[end:]) - len(text[end:].lstrip())


LISTS = {"office": "addresses", "good-bots": "addresses", "api-keys": "strings",
         "countries-we-serve-not": "countries"}


def test_734_08_policies_of_both_readmes_are_valid(daemon):  # noqa: F811
    for name, kind in LISTS.items():
        answer = daemon.call("PUT", f"/v1/lists/{name}", {"kind": kind, "entries": []})
        assert answer.status == 201
    assert daemon.call("PUT", "/v1/apps/shop", {"hosts": ["shop.example"]}).status == 201
    policies = [document for document in blocks() if "detect" in document]
    assert len(policies) >= 23
    for policy in policies:
        answer = daemon.call("PUT", "/v1/policies/one?dry_run=true", policy)
        assert answer.status == 201, (policy, answer)
