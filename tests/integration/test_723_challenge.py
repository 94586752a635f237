# SPDX-License-Identifier: Apache-2.0
"""Challenges: who is asked, who passes, and where a pass does not hold."""
import base64
import hashlib
import re
import time
from urllib.parse import urlencode

import pytest

from fleet import Fleet
from httpd import config, policy, rate, wait_until
from solver import HTML, VERIFY, Visitor, fields, solve

COOKIE = "l7shield-gate"
FEW = 8  # bits, for tests that are about something else


def gate(kind="proof_of_work", match=None, detect=None, **options):
    if kind == "proof_of_work":
        options.setdefault("difficulty", FEW)
    return policy("gate", {"challenge": {"kind": kind, **options}}, match, detect=detect)


def logged(server, path, word):
    return wait_until(lambda: [line for line in server.accesses()
                               if f" {path} HTTP" in line and word in line], 3,
                      f"{word} in the access log for {path}")


# ------------------------------------------------------------------- passing

def test_723_01_work_lets_in_and_leads_to_the_page_asked_for(httpd):
    visitor = Visitor(httpd(policies=config(gate())))
    asked = visitor.get("/page.txt?q=a%20b&c=%22d%22")
    assert asked.status == 403
    assert asked.headers["content-type"] == "text/html; charset=utf-8"
    assert asked.headers["cache-control"] == "no-store"
    assert asked.headers["l7shield-incident"].encode() in asked.body
    assert "set-cookie" not in asked.headers
    passed = visitor.verify(asked.body)
    assert passed.status == 303
    assert passed.headers["location"] == "/page.txt?q=a%20b&c=%22d%22"
    assert passed.headers["cache-control"] == "no-store"
    given = passed.headers["set-cookie"]
    assert given.startswith(COOKIE + "=")
    assert given.endswith("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax")
    assert visitor.get(passed.headers["location"]).body == b"a page\n"


def test_723_02_cookie_lets_in_without_a_script(httpd):
    visitor = Visitor(httpd(policies=config(gate("cookie"))))
    asked = visitor.get("/page.txt?q=1")
    assert asked.status == 403
    assert b"<script" not in asked.body
    refresh = re.search(rb'http-equiv="refresh" content="0;url=([^"]+)"', asked.body)[1]
    assert refresh in re.search(rb'<a href="([^"]+)"', asked.body)[1]
    back = visitor.get(refresh.decode().replace("&amp;", "&"))
    assert (back.status, back.headers["location"]) == (303, "/page.txt?q=1")
    assert visitor.get("/page.txt").status == 200


def test_723_03_browser_without_cookies_is_told_so_and_not_sent_in_circles(httpd):
    server = httpd(policies=config(gate("cookie")))
    visitor = Visitor(server)
    visitor.get("/page.txt")
    visitor.cookies = {}
    back = visitor.get(f"{VERIFY}?policy=gate&to=/page.txt")
    assert back.status == 403
    assert b"did not keep the cookie" in back.body
    assert b'<a href="/page.txt">Try again</a>' in back.body
    assert b"refresh" not in back.body


def test_723_04_over_tls_the_cookie_is_secure(httpd):
    visitor = Visitor(httpd(policies=config(gate()), tls=True), tls=True)
    passed = visitor.verify(visitor.get("/page.txt").body)
    assert passed.headers["set-cookie"].endswith("; Secure")
    assert visitor.get("/page.txt").status == 200


def test_723_05_only_those_over_the_limit_are_challenged(httpd):
    server = httpd(policies=config(gate(detect=rate(2, 3600))))
    visitor = Visitor(server)
    assert [visitor.get("/page.txt").status for _ in range(3)] == [200, 200, 403]
    assert visitor.verify(visitor.get("/page.txt").body).status == 303
    assert [visitor.get("/page.txt").status for _ in range(5)] == [200] * 5
    assert Visitor(server, "127.0.9.9").get("/page.txt").status == 200


def test_723_06_pass_of_one_policy_is_none_of_another(httpd):
    other = policy("other", {"challenge": {"kind": "proof_of_work", "difficulty": 8}},
                   match={"paths": ["/page.txt"]})
    visitor = Visitor(httpd(policies=config(gate(match={"paths": ["/index.html"]}), other)))
    assert visitor.verify(visitor.get("/index.html").body).status == 303
    assert visitor.get("/index.html").status == 200
    asked = visitor.get("/page.txt")
    assert asked.status == 403
    forged = visitor.cookies[COOKIE]
    visitor.cookies["l7shield-other"] = forged
    assert visitor.get("/page.txt").status == 403
    assert visitor.verify(asked.body).status == 303
    assert visitor.get("/page.txt").status == 200


# ------------------------------------------------------------------- where it does not hold

@pytest.mark.parametrize("kind", ["cookie", "proof_of_work"])
def test_723_10_pass_holds_for_its_network_and_browser_only(httpd, kind):
    server = httpd(policies=config(gate(kind)))
    visitor = Visitor(server, "127.0.1.7")
    asked = visitor.get("/page.txt")
    if kind == "proof_of_work":
        visitor.verify(asked.body)
    assert visitor.get("/page.txt").status == 200
    assert visitor.moved(address="127.0.1.250").get("/page.txt").status == 200
    assert visitor.moved(address="127.0.2.7").get("/page.txt").status == 403
    assert visitor.moved(agent="curl/8").get("/page.txt").status == 403


def test_723_11_seed_holds_for_its_network_and_browser_only(httpd):
    server = httpd(policies=config(gate()))
    visitor = Visitor(server, "127.0.1.7")
    page = visitor.get("/page.txt").body
    for other in visitor.moved(address="127.0.2.7"), visitor.moved(agent="curl/8"):
        answer = other.verify(page)
        assert answer.status == 403
        assert "set-cookie" not in answer.headers
        assert b"another network or browser" in answer.body
    assert visitor.verify(page).status == 303


def test_723_12_pass_expires(httpd):
    server = httpd(policies=config(gate(seconds=10)))
    visitor = Visitor(server)
    visitor.verify(visitor.get("/page.txt").body)
    began = time.monotonic()
    assert visitor.get("/page.txt").status == 200
    wait_until(lambda: visitor.get("/page.txt").status == 403, 14, "the pass' end")
    assert time.monotonic() - began > 8


def test_723_13_nothing_but_the_solution_is_taken(httpd):
    server = httpd(policies=config(gate(difficulty=12)))
    visitor = Visitor(server)
    page = visitor.get("/page.txt").body
    found, bits = fields(page)
    assert bits == 12
    good = solve(found["seed"], bits)
    easier = found["seed"][:16] + "01" + found["seed"][18:]
    for change in ({"nonce": good + 1}, {"nonce": ""}, {"nonce": f"0{good}"},
                   {"nonce": f"{good} "}, {"nonce": "9" * 11}, {"seed": ""},
                   {"seed": easier}, {"seed": found["seed"][:-1]},
                   {"seed": found["seed"] + "A"}, {"policy": "none"}, {"policy": ""}):
        sent = {**found, "nonce": good, **change}
        answer = visitor.get(f"{VERIFY}?{urlencode(sent)}")
        assert answer.status == 403, change
        assert "set-cookie" not in answer.headers, change
    assert visitor.get(VERIFY).status == 403
    assert visitor.verify(page, nonce=good).status == 303


@pytest.mark.parametrize("cookie", [
    "", "x", "0" * 40, "%00" * 40, "A" * 4000, "6" * 16 + "00" + "A" * 22])
def test_723_14_forged_cookies_are_challenged(httpd, cookie):
    visitor = Visitor(httpd(policies=config(gate())))
    visitor.cookies = {"a": "b", COOKIE: cookie, "c": "d"}
    assert visitor.get("/page.txt").status == 403
    visitor.verify(visitor.get("/page.txt").body)
    assert visitor.get("/page.txt").status == 200


def test_723_15_nobody_is_led_to_another_site(httpd):
    server = httpd(policies=config(gate()))
    visitor = Visitor(server)
    page = visitor.get("/page.txt").body
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example/",
                   "\\\\evil.example", "/\t/evil.example", "javascript:alert(1)", "",
                   "/a\r\nSet-Cookie: x=y", "evil.example", "/\u00e9", "/\"><script>"):
        answer = visitor.verify(page, to=target)
        assert (answer.status, answer.headers["location"]) == (303, "/"), target
    for asked in ("//evil.example/", "/\\evil.example/"):
        found, _ = fields(Visitor(server).get(asked).body)
        assert found["to"] == "/"


def test_723_16_hostile_target_cannot_write_into_a_page(httpd):
    server = httpd(policies=config(gate()), directives="HttpProtocolOptions Unsafe")
    raw = server.raw(b'GET /a?"><script>alert(1)</script> HTTP/1.1\r\nHost: localhost\r\n'
                     b'Accept: text/html\r\nConnection: close\r\n\r\n')
    assert b"<script>alert" not in raw and b"One moment" in raw


def test_723_17_graceful_restart_and_other_children_take_a_pass(httpd):
    server = httpd(policies=config(gate()), children=3)
    visitor = Visitor(server)
    visitor.verify(visitor.get("/page.txt").body)
    server.graceful()
    assert {visitor.get("/page.txt").status for _ in range(20)} == {200}


def test_723_18_pass_holds_on_every_node_of_a_fleet():
    """Nothing is stored for it: every node has the key."""
    fleet = Fleet(nodes=2, children=1)
    try:
        fleet.start()
        fleet.put_policy(gate())
        one, two = fleet.nodes
        visitor = Visitor(one)
        asked = visitor.get("/page.txt")
        visitor.server = two
        assert visitor.verify(asked.body).status == 303, "asked by one, checked by the other"
        assert [Visitor(node).get("/page.txt").status for node in (one, two)] == [403, 403]
        for visitor.server in one, two:
            assert visitor.get("/page.txt").status == 200
        incident = fleet.wait_for_incident(
            lambda item: (item["policy"] or {}).get("name") == "gate" and
            sorted(item["nodes"]) == ["web-1", "web-2"])
        assert incident["action"]["type"] == "challenge"
        assert incident["counts"]["acted"] >= 2
    finally:
        unexpected = fleet.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)


# ------------------------------------------------------------------- who is asked

API = [dict(accept="*/*"), dict(accept=None), dict(accept="application/json"),
       dict(accept="application/rss+xml, */*;q=0.1"), dict(accept="text/html;q=0, */*"),
       dict(accept=HTML, method="POST", body=b"a=b")]


@pytest.mark.parametrize("request_", API)
def test_723_20_programs_feeds_and_forms_are_admitted_and_counted(httpd, request_):
    server = httpd(policies=config(gate()))
    visitor = Visitor(server)
    assert visitor.get("/page.txt", **request_).status == 200
    line = logged(server, "/page.txt", "policy=gate")[0]
    assert "action=log" in line and "incident=inc_" in line


@pytest.mark.parametrize("request_", API)
def test_723_21_or_refused_where_the_policy_says_so(httpd, request_):
    server = httpd(policies=config(gate(api_clients="refuse")))
    visitor = Visitor(server)
    refused = visitor.get("/page.txt", **request_)
    assert refused.status == 403
    assert b"a browser that has passed" in refused.body
    assert b"<form" not in refused.body and "set-cookie" not in refused.headers
    visitor.verify(visitor.get("/page.txt").body)
    assert visitor.get("/page.txt", **request_).status == 200, "the pass is enough"


@pytest.mark.parametrize("api_clients", ["pass", "refuse"])
def test_723_22_preflight_is_never_challenged(httpd, api_clients):
    server = httpd(policies=config(gate(api_clients=api_clients)))
    visitor = Visitor(server)
    preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    assert visitor.get("/page.txt", method="OPTIONS", headers=preflight).status == 200
    plain = visitor.get("/page.txt", method="OPTIONS")
    assert plain.status == (200 if api_clients == "pass" else 403)


def test_723_23_allow_lists_are_never_challenged(httpd):
    server = httpd(policies=config(gate(api_clients="refuse"), lists=[
        {"name": "office", "effect": "allow", "entries": [{"value": "127.0.1.0/24"}]}]))
    assert Visitor(server, "127.0.1.7").get("/page.txt").status == 200
    assert Visitor(server, "127.0.2.7").get("/page.txt").status == 403


def test_723_24_head_is_asked_like_get(httpd):
    answer = Visitor(httpd(policies=config(gate()))).get("/page.txt", method="HEAD")
    assert (answer.status, answer.body) == (403, b"")


def test_723_25_observing_policy_challenges_nobody(httpd):
    server = httpd(policies=config({**gate(), "mode": "observe"}))
    assert Visitor(server).get("/page.txt").status == 200
    assert "policy=gate" in logged(server, "/page.txt", "action=would_challenge")[0]


def test_723_26_log_and_figures_tell_challenged_from_passed(httpd):
    server = httpd(policies=config(gate(match={"paths": ["/page.txt"]})), host=(
        '<Location "/l7shield-metrics">\nSetHandler l7shield-metrics\n</Location>'))
    visitor = Visitor(server)
    page = visitor.get("/page.txt").body
    line = logged(server, "/page.txt", "action=challenge")[0]
    assert " 403 " in line and "policy=gate" in line and "key=client=127.0.1.7" in line
    visitor.verify(page)
    assert visitor.get("/page.txt").status == 200
    logged(server, "/page.txt", "action=-")
    figures = server.metrics()
    assert figures['l7shield_requests_total{node="web-1",verdict="challenged"}'] == 1
    acted = [value for name, value in figures.items()
             if 'policy="gate"' in name and 'verdict="acted"' in name]
    assert acted == [1]


# ------------------------------------------------------------------- the site's own ways

SECTION = "<Location /page.txt>\nL7ShieldApp shop\n</Location>"


@pytest.mark.parametrize("host", ["", SECTION])
def test_723_30_with_and_without_sections_and_behind_passwords(httpd, host):
    """The way to a pass must not ask for a password."""
    server = httpd(start=False, policies=config(gate()),
                   modules=("authn_core", "authn_file", "authz_user", "auth_basic"))
    server.host = host + f"""
        <Location />
            AuthType Basic
            AuthName test
            AuthBasicProvider file
            AuthUserFile {server.root}/users
            Require valid-user
        </Location>"""
    server.expects("AH01617", "AH01618")
    (server.root / "users").write_text("user:{SHA}" + base64.b64encode(
        hashlib.sha1(b"open").digest()).decode() + "\n")
    server.write_config()
    server.start()
    visitor = Visitor(server)
    asked = visitor.get("/page.txt")
    assert asked.status == 403
    assert visitor.verify(asked.body).status == 303
    assert visitor.get("/page.txt").status == 401
    login = {"Authorization": "Basic " + base64.b64encode(b"user:open").decode()}
    assert visitor.get("/page.txt", headers=login).status == 200


@pytest.mark.parametrize("kind", ["cookie", "proof_of_work"])
def test_723_35_section_of_a_host_that_is_off_can_challenge(httpd, kind):
    """The way to a pass is no part of the section."""
    server = httpd(policies=config(gate(kind)), host=(
        "L7Shield Off\n<Location /page.txt>\nL7Shield On\n</Location>"))
    assert Visitor(server).get("/").status == 200
    visitor = Visitor(server)
    asked = visitor.get("/page.txt")
    assert asked.status == 403
    assert server.get("/.well-known/l7shield/proof.js").status == 200
    back = (visitor.verify(asked.body) if kind == "proof_of_work" else
            visitor.get(f"{VERIFY}?policy=gate&to=/page.txt"))
    assert (back.status, back.headers["location"]) == (303, "/page.txt")
    assert visitor.get("/page.txt").status == 200


def test_723_31_pages_carry_a_strict_policy_that_allows_what_they_need(httpd):
    server = httpd(policies=config(gate()))
    answer = Visitor(server).get("/page.txt")
    rules = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "base-uri 'none'",
                 "frame-ancestors 'none'", "form-action 'self'"):
        assert rule in rules
    style = re.search(rb"<style>(.*?)</style>", answer.body, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in rules
    sources = re.findall(rb'(?:src|href|action)="([^"]*)"', answer.body)
    assert sources and all(source.startswith(b"/") for source in sources)
    assert b'<html lang="en">' in answer.body and b"<noscript>" in answer.body
    assert b'role="status"' in answer.body and b"aria-label=" in answer.body
    script = server.get("/.well-known/l7shield/proof.js")
    assert script.status == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "max-age=3600"
    assert b"https://" not in script.body and b"http://" not in script.body


def test_723_32_only_our_own_addresses_are_exempt(httpd):
    server = httpd(policies=config(gate(api_clients="refuse")))
    for path in ("/.well-known/l7shield/other", "/.well-known/l7shield/verify/x",
                 "/.well-known/l7shield/../../page.txt", "/.well-known/acme-challenge/x",
                 "/.well-known/l7shield/"):
        assert Visitor(server).get(path).status == 403, path
    assert server.get("/.well-known/l7shield/verify", method="POST", body=b"x").status == 403


def test_723_33_other_policies_hold_for_our_addresses(httpd):
    server = httpd(policies=config(gate(), policy(
        "flood", {"throttle": {}}, detect=rate(3, 3600),
        match={"paths": ["/.well-known/l7shield/**"]})))
    statuses = [server.get("/.well-known/l7shield/proof.js").status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_723_34_headers_that_the_site_always_sets_are_there(httpd):
    server = httpd(policies=config(gate()), host='Header always set X-Site "yes"')
    visitor = Visitor(server)
    asked = visitor.get("/page.txt")
    passed = visitor.verify(asked.body)
    assert asked.headers["x-site"] == passed.headers["x-site"] == "yes"
    assert visitor.cookies
