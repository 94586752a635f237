# SPDX-License-Identifier: Apache-2.0
"""Headers by regex, parameters of the query, cookies: matched and counted by."""
import subprocess

import pytest

from daemon import POLICY, daemon  # noqa: F401
from httpd import config, policy, rate


def deny(name, match, **more):
    return policy(name, {"deny": {}}, match=match, **more)


def test_701_01_header_by_regex(httpd):
    server = httpd(policies=config(
        deny("agent", {"headers": [{"name": "User-Agent", "is": "regex",
                                    "values": ["^(curl|python)", "(?i)bot/[0-9]+$"]}]})))

    def status(agent):
        return server.get("/page.txt", headers={"User-Agent": agent}).status

    assert [status(a) for a in ("curl/8", "Good BOT/12", "Mozilla", "not curl", "bot/x")] == [
        403, 403, 200, 200, 200]
    assert server.get("/page.txt").status == 200, "an absent header matches nothing"


@pytest.mark.parametrize("condition, hits, misses", [
    ({"name": "q", "is": "present"}, ["?q", "?x=1&q=", "?%71=1"], ["", "?Q=1", "?x=q", "?="]),
    ({"name": "q", "is": "absent"}, ["", "?x=q"], ["?q", "?%71"]),
    ({"name": "q", "is": "equals", "values": ["a b", "1"]},
     ["?q=a+b", "?q=a%20b", "?q=x&q=1"], ["?q=a%2bb", "?q=a%2520b", "?q=11"]),
    ({"name": "q", "is": "contains", "values": ["../"]}, ["?q=x%2e%2e%2fy"], ["?q=..x"]),
    ({"name": "q", "is": "glob", "values": ["*.php"]}, ["?q=a.php"], ["?q=a.php5"]),
    ({"name": "q", "is": "regex", "values": [r"(?i)union\s+select", "^[0-9]{9}$"]},
     ["?q=1%20UNION+%0A+select", "?q=a&q=123456789"], ["?q=unionselect", "?q=1234567890"]),
    ({"name": "a b", "is": "present"}, ["?a+b=1", "?a%20b"], ["?a=b"]),
])
def test_701_02_query(httpd, condition, hits, misses):
    server = httpd(policies=config(deny("q", {"query": [condition]})))
    assert {q: server.get("/page.txt" + q).status for q in hits} == dict.fromkeys(hits, 403)
    assert {q: server.get("/page.txt" + q).status for q in misses} == dict.fromkeys(misses, 200)


def test_701_03_nobody_hides_a_parameter(httpd):
    """Behind a thousand others, in absolute form, on a path that is rewritten."""
    server = httpd(modules=["rewrite"], host="RewriteEngine on\nRewriteRule ^/go /page.txt?ok=1",
                   policies=config(deny("q", {"query": [
                       {"name": "evil", "is": "equals", "values": ["1"]}]})))
    crowd = "&".join(f"evil={n + 2}" for n in range(500))
    assert server.get(f"/page.txt?{crowd}").status == 200
    assert server.get(f"/page.txt?{crowd}&evil=1").status == 403
    assert server.status_of_target("http://localhost/page.txt?evil=1") == 403
    assert server.status_of_target("/go?evil=1") == 403
    assert server.get("/go").status == 200


def test_701_04_several_members_must_all_hold_and_an_exception_exempts(httpd):
    server = httpd(policies=config(deny("a", {
        "query": [{"name": "a", "is": "present"}, {"name": "b", "is": "present"}],
        "cookies": [{"name": "seen", "is": "absent"}],
        "except": [{"query": [{"name": "token", "is": "regex", "values": ["^good-"]}]}]})))

    def status(query, cookie=None):
        return server.get("/page.txt" + query,
                          headers={"Cookie": cookie} if cookie else None).status

    assert status("?a=1&b=2") == 403
    assert status("?a=1") == 200
    assert status("?a=1&b=2", "x=1; seen=yes") == 200
    assert status("?a=1&b=2", "x=1; Seen=yes") == 403
    assert status("?a=1&b=2&token=good-7") == 200
    assert status("?a=1&b=2&token=bad") == 403


def test_701_05_cookies(httpd):
    server = httpd(policies=config(
        deny("c", {"cookies": [{"name": "sid", "is": "regex", "values": ["^[^.]{0,8}$"]}]})))

    def status(cookie):
        return server.get("/page.txt", headers={"Cookie": cookie}).status

    assert status("sid=short") == 403
    assert status("lang=en; sid=short; x=1") == 403
    assert status("sid=long-enough-it-is; sid=short") == 403
    assert status("sid=long.enough.it.is") == 200
    assert status("SID=short") == 200
    assert server.get("/page.txt").status == 200


def test_701_06_count_by_cookie_without_showing_it(httpd):
    server = httpd(policies=config(
        policy("by-session", {"throttle": {}}, detect=rate(2, 60),
               count={"by": ["cookie:Sid"], "when_absent": "skip"})))

    def ask(cookie):
        return server.get("/page.txt", headers={"Cookie": cookie}).status

    assert [ask("Sid=secret-1; x=1"), ask("x=2; Sid=secret-1"), ask("Sid=secret-1")] == [
        200, 200, 429]
    assert [ask("Sid=secret-2"), ask("sid=secret-1"), ask("x=1"), ask("x=1"), ask("x=1")] == [
        200] * 5
    line = next(line for line in server.accesses() if " 429 " in line)
    assert "key=cookie:Sid=h:" in line and "secret" not in line


def test_701_07_absent_cookie_counts_by_client_or_shared(httpd):
    server = httpd(policies=config(
        policy("client", {"throttle": {}}, detect=rate(1, 60), match={"paths": ["/page.txt"]},
               count={"by": ["cookie:sid"]}),
        policy("shared", {"throttle": {}}, detect=rate(1, 60), match={"paths": ["/"]},
               count={"by": ["cookie:sid"], "when_absent": "shared"})))
    assert [server.get("/page.txt", address=a).status
            for a in ("127.0.0.2", "127.0.0.2", "127.0.0.3")] == [200, 429, 200]
    assert [server.get("/", address=a).status
            for a in ("127.0.0.2", "127.0.0.3")] == [200, 429]


def test_701_08_over_http2_and_tls(httpd):
    """HTTP/2 may send each cookie in a field of its own."""
    server = httpd(tls=True, policies=config(
        deny("a", {"query": [{"name": "q", "is": "regex", "values": ["^[0-9]+$"]}],
                   "cookies": [{"name": "b", "is": "equals", "values": ["2"]}]})))
    url = f"https://127.0.0.1:{server.tls_port}/page.txt"

    def status(query, *cookies):
        crumbs = [part for cookie in cookies for part in ("-H", f"Cookie: {cookie}")]
        return subprocess.run(
            ["curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
             *crumbs, url + query], capture_output=True, text=True, timeout=20).stdout

    assert status("?q=12", "a=1", "b=2") == "403 2"
    assert status("?q=x2", "a=1", "b=2") == "200 2"
    assert status("?q=12", "a=1") == "200 2"


def test_701_09_daemon_checks_names_and_patterns(daemon):  # noqa: F811
    bad = {**POLICY, "match": {
        "query": [{"name": "", "is": "present"}, {"name": "q", "is": "regex"},
                  {"name": "q", "is": "regex", "values": [r"(a)\1"]}],
        "cookies": [{"name": "c", "is": "present", "values": ["x"]},
                    {"name": "c", "is": "equals", "list": "keys"}]},
        "count": {"by": ["cookie:"]}}
    answer = daemon.call("PUT", "/v1/policies/p", bad)
    assert answer.errors == {
        ("/match/query/0/name", "wrong_length"), ("/match/query/1", "missing_key"),
        ("/match/query/2/values/0", "bad_pattern"), ("/match/cookies/0/values", "not_allowed"),
        ("/match/cookies/1/list", "unknown_key"), ("/count/by/0", "bad_format")}
    good = {**POLICY, "match": {"query": [{"name": "Q", "is": "regex", "values": ["^a"]}]},
            "count": {"by": ["cookie:Sid"]}}
    assert daemon.call("PUT", "/v1/policies/p", good).status == 201
    document = daemon.call("GET", "/v1/policies/p").json
    assert document["match"] == good["match"]
    assert document["status"]["effective"]["count"]["by"] == ["cookie:Sid"]


def test_701_10_any_of_several_matches(httpd):
    server = httpd(policies=config(
        deny("a", {"methods": ["GET", "POST"],
                   "any": [{"paths": ["/one"], "methods": ["POST"]},
                           {"path_regex": ["^/two"], "headers": [
                               {"name": "x-key", "is": "present"}]},
                           {"query": [{"name": "q", "is": "equals", "values": ["3"]}]}],
                   "except": [{"paths": ["/two/free"]}]})))
    key = {"X-Key": "1"}
    refused = [("/one", "POST", {}), ("/two", "GET", key), ("/page.txt?q=3", "GET", {}),
               ("/two?q=3", "GET", {})]
    passed = [("/one", "GET", {}), ("/two", "GET", {}), ("/page.txt?q=4", "GET", key),
              ("/two/free", "GET", key), ("/one?q=3", "OPTIONS", {})]
    assert [server.get(p, m, h).status for p, m, h in refused] == [403] * 4
    assert 403 not in [server.get(p, m, h).status for p, m, h in passed]
