# SPDX-License-Identifier: Apache-2.0
"""Policies that count by the authenticated user, over HTTP/1.1 with Basic authentication."""
import base64
import hashlib

import pytest

from httpd import config, policy, rate, wait_until

AUTH = ("auth_basic", "authn_core", "authn_file", "authz_user")
PROTECTED = """
<Location {where}>
    AuthType Basic
    AuthName test
    AuthBasicProvider file
    AuthUserFile {root}/users
    Require valid-user
</Location>
"""
SECTION = "<Location /x>\nL7ShieldApp shop\n</Location>"


def by_user(action, requests=3, **more):
    count = {"by": ["user"], **more.pop("count", {})}
    return policy("by-user", action, count=count, detect=rate(requests, 600), **more)


def guarded(httpd, *policies, where="/", host="", **options):
    server = httpd(start=False, modules=AUTH, policies=config(*policies), **options)
    digest = base64.b64encode(hashlib.sha1(b"open").digest()).decode()
    (server.root / "users").write_text(
        "".join(f"{name}:{{SHA}}{digest}\n" for name in ("alice", "bob")))
    server.host = host + PROTECTED.format(where=where, root=server.root)
    server.expects("AH01617", "AH01618")
    server.write_config()
    return server.start()


def login(name, password="open"):
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": "Basic " + token}


def ask(server, name=None, path="/page.txt", password="open", **options):
    return server.get(path, headers=login(name, password) if name else {}, **options).status


@pytest.mark.parametrize("section", ["", SECTION])
def test_746_01_user_is_counted_wherever_it_comes_from(httpd, section):
    server = guarded(httpd, by_user({"throttle": {}}), host=section)
    addresses = [f"127.0.0.{number}" for number in range(2, 7)]
    assert [ask(server, "alice", address=address) for address in addresses] == \
        [200] * 3 + [429] * 2
    assert ask(server, "bob", address=addresses[0]) == 200
    refused = server.get("/page.txt", headers=login("alice"))
    assert refused.headers["l7shield-policy"] == "by-user"
    assert int(refused.headers["retry-after"]) > 0

    def told():
        return any("key=user=alice" in line for line in server.accesses())
    wait_until(told, 3, "the access log")


def test_746_02_anonymous_requests_count_by_client(httpd):
    server = guarded(httpd, by_user({"throttle": {}}), where="/secret")
    assert [ask(server) for _ in range(5)] == [200] * 3 + [429] * 2
    assert ask(server, address="127.0.0.2") == 200
    # Who sends a name where nobody asks for one has none.
    assert [ask(server, "alice", address="127.0.0.3") for _ in range(5)] == \
        [200] * 3 + [429] * 2


def test_746_03_when_absent_skip_and_shared(httpd):
    server = guarded(httpd, by_user({"throttle": {}}, count={"when_absent": "skip"}),
                     where="/secret")
    assert [ask(server) for _ in range(9)] == [200] * 9
    server = guarded(httpd, by_user({"throttle": {}}, count={"when_absent": "shared"}),
                     where="/secret")
    assert [ask(server, address=f"127.0.0.{number}") for number in range(2, 7)] == \
        [200] * 3 + [429] * 2


@pytest.mark.parametrize("section", ["", SECTION])
def test_746_04_guessing_costs_the_guesser_and_not_the_user(httpd, section):
    server = guarded(httpd, by_user({"ban": {"seconds": 600}}), host=section)
    guesser = "127.0.0.9"
    assert {ask(server, "alice", password=f"guess{number}", address=guesser)
            for number in range(10)} == {401}
    assert [ask(server, "alice", address="127.0.0.2") for _ in range(3)] == [200] * 3

    def counted():
        return any(f"{guesser} 401" in line and "policy=by-user" in line
                   for line in server.accesses())
    wait_until(counted, 3, "the guesser's episode")


def test_746_05_banned_user_is_banned_everywhere_and_others_are_not(httpd):
    server = guarded(httpd, by_user({"ban": {"seconds": 2}}))
    assert [ask(server, "alice") for _ in range(4)] == [200] * 3 + [403]
    assert ask(server, "alice", address="127.0.0.2") == 403
    assert ask(server, "bob") == 200
    assert ask(server, "alice", password="wrong") == 401, "who that is, is not known"


@pytest.mark.parametrize("section", ["", SECTION])
def test_746_06_others_policies_are_charged_once(httpd, section):
    server = guarded(httpd, by_user({"throttle": {}}, 100), host=section)
    assert [ask(server, "alice") for _ in range(9)] == [200] * 9
    server.write_policies(config(by_user({"throttle": {}}, 100),
                                 policy("per-client", {"throttle": {}},
                                        detect=rate(4, 600))))
    wait_until(lambda: server.errors().count("L7S2020") == 2, 3, "the new policies")
    assert [ask(server, "alice", address="127.0.0.5") for _ in range(6)] == \
        [200] * 4 + [429] * 2


def test_746_07_failed_log_ins_by_status_and_user_count_by_client(httpd):
    document = policy("guessing", {"ban": {"seconds": 600}}, detect=rate(3, 600),
                      count={"by": ["client"], "statuses": ["401"]})
    server = guarded(httpd, by_user({"throttle": {}}, 5), document)
    guesser = "127.0.0.9"

    def banned():
        return ask(server, "alice", password="guess", address=guesser) == 403
    wait_until(banned, 3, "the ban")
    assert ask(server, "alice") == 200


def test_746_08_internal_redirects_and_folders_count_once(httpd):
    server = guarded(httpd, by_user({"throttle": {}}, 4))
    assert [ask(server, "alice", path) for path in
            ("/", "/nothing", "/", "/page.txt", "/")] == [200, 404, 200, 200, 429]


@pytest.mark.parametrize("section", ["", SECTION])
def test_746_09_flood_of_one_user_does_not_drain_what_all_share(httpd, section):
    shared = policy("shared", {"throttle": {}}, detect=rate(8, 600), count={"by": ["path"]})
    server = guarded(httpd, by_user({"throttle": {}}), shared, host=section)
    assert [ask(server, "alice") for _ in range(20)] == [200] * 3 + [429] * 17
    # Five are left: whoever fails to sign in is charged one, a user who is admitted, too.
    assert ask(server, "bob", password="guess") == 401
    assert [ask(server, "bob") for _ in range(3)] == [200] * 3
    assert ask(server, "carol", password="guess") == 401
    assert ask(server, "carol", password="guess") == 429
