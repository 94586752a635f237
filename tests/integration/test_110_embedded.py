# SPDX-License-Identifier: Apache-2.0
"""A node on its own (L7ShieldPolicyFile, no store, no daemon): what a client sees."""
import base64
import hashlib
import socket
import threading
import time

import pytest

from httpd import Client, config, policy, rate, wait_until

METRICS = '<Location "/l7shield-metrics">\nSetHandler l7shield-metrics\n</Location>\n'


def paced(seconds, per_second, ask):
    """Calls ask() at a steady pace; (admitted, refused, measured seconds)."""
    admitted = refused = 0
    start = time.monotonic()
    for number in range(int(seconds * per_second)):
        due = start + number / per_second
        time.sleep(max(0, due - time.monotonic()))
        status = ask()
        assert status in (200, 429)
        admitted += status == 200
        refused += status == 429
    return admitted, refused, time.monotonic() - start


def access(server, path):
    """The access log's line about `path`; it is written after the answer."""
    def line():
        return next((line for line in server.accesses() if f" {path} HTTP" in line), None)
    return wait_until(line, 3, f"an access-log line for {path}")


# ------------------------------------------------------------------- counting

def test_110_01_limit_admits_burst_and_rate_on_every_kind_of_connection(httpd):
    """Limit 10 per 10 s, 1,000 requests at 100/s, four children: once on one kept-alive
    connection, once with a new connection each, as two clients at the same time."""
    server = httpd(children=4, policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(10, 10))))
    wait_until(lambda: len(server.child_pids()) >= 4, 5, "four children")
    results = {}

    def kept_alive():
        client = server.client("127.0.0.2")
        results["kept"] = paced(10, 100, lambda: client.get("/page.txt").status)
        results["connects"] = client.connects
        client.close()

    def new_each():
        results["new"] = paced(
            10, 100, lambda: server.get("/page.txt", address="127.0.0.3").status)

    threads = [threading.Thread(target=kept_alive), threading.Thread(target=new_each)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for kind in ("kept", "new"):
        admitted, refused, seconds = results[kind]
        assert admitted + refused == 1000
        most = 10 + 1.0 * seconds + 1
        assert most - 3 <= admitted <= most, (kind, results[kind])
    assert results["connects"] == 1, "a refusal keeps the connection open"


def test_110_02_client_that_asks_once_per_interval_is_never_refused(httpd):
    """5 per second without any burst to spare. The interval begins with the answer, so that
    no delay of this machine can make a request arrive early."""
    server = httpd(policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(5, 1, burst=1))))
    client = server.client()
    statuses = []
    for _ in range(50):
        statuses.append(client.get("/").status)
        time.sleep(0.2)
    client.close()
    assert statuses == [200] * 50


def test_110_03_clients_are_counted_apart(httpd):
    server = httpd(policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(2, 60))))
    for address in ("127.0.0.2", "127.0.0.3"):
        assert [server.get("/", address=address).status for _ in range(3)] == [200, 200, 429]


def test_110_04_refused_requests_charge_no_other_policy(httpd):
    """One client's flood must not drain the budget that all share."""
    server = httpd(policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(2, 60), priority=10),
        policy("all", {"throttle": {}}, detect=rate(6, 60), count={"by": ["global"]})))
    flood = [server.get("/", address="127.0.0.2").status for _ in range(20)]
    assert flood.count(200) == 2
    assert [server.get("/", address="127.0.0.3").status for _ in range(2)] == [200, 200]


def test_110_05_several_rates_must_all_conform(httpd):
    server = httpd(policies=config(policy(
        "two-rates", {"throttle": {}},
        detect={"rate": [{"requests": 100, "per_seconds": 1},
                         {"requests": 3, "per_seconds": 60}]})))
    statuses = [server.get("/").status for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_110_06_count_by_header_and_path(httpd):
    server = httpd(policies=config(
        policy("by-key", {"throttle": {}}, detect=rate(1, 60),
               count={"by": ["header:x-key"]}, match={"paths": ["/page.txt"]})))

    def ask(key):
        return server.get("/page.txt", headers={"X-Key": key}).status

    assert [ask("a"), ask("a"), ask("b"), ask("b")] == [200, 429, 200, 429]


# ------------------------------------------------------------------- actions

def test_110_10_deny_names_policy_and_incident(httpd):
    server = httpd(policies=config(policy("no-admin", {"deny": {}},
                                          match={"paths": ["/admin/**"]})))
    answer = server.get("/admin/users")
    assert answer.status == 403
    assert answer.headers["l7shield-policy"] == "no-admin"
    assert answer.headers["l7shield-incident"].startswith("inc_")
    assert len(answer.headers["l7shield-incident"]) == 30
    assert answer.headers["cache-control"] == "no-store"
    assert server.get("/").status == 200


def test_110_11_throttle_says_when_to_come_back(httpd):
    server = httpd(policies=config(
        policy("slow-down", {"throttle": {}}, detect=rate(1, 3, burst=1))))
    assert server.get("/").status == 200
    answer = server.get("/")
    assert answer.status == 429
    wait = int(answer.headers["retry-after"])
    assert 1 <= wait <= 3
    time.sleep(wait)
    assert server.get("/").status == 200, "and then it is true"


def test_110_12_status_of_the_policy_is_used(httpd):
    server = httpd(policies=config(
        policy("gone", {"deny": {"status": 410}}, match={"paths": ["/old/**"]})))
    assert server.get("/old/x").status == 410


def test_110_13_ban_acts_before_parsing_and_ends(httpd):
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 2}}, match={"paths": ["/trap"]})))
    address = "127.0.0.9"
    first = server.get("/trap", address=address)
    assert first.status == 403
    banned = server.get("/", address=address)
    assert banned.status == 403
    assert banned.headers["connection"] == "close"
    assert banned.headers["l7shield-policy"] == "trap"
    assert banned.headers["l7shield-incident"] == first.headers["l7shield-incident"]
    assert 1 <= int(banned.headers["retry-after"]) <= 2
    assert server.get("/").status == 200, "others are not banned"
    # The connection stage comes before the request: not even a whole line is needed.
    with socket.create_connection(("127.0.0.1", server.port), 5, (address, 0)) as half:
        half.sendall(b"GE")
        assert half.recv(4096).startswith(b"HTTP/1.1 403 ")
    logged = [line for line in server.accesses() if line.startswith(address)]
    assert len(logged) <= 1 and all("/trap" in line for line in logged)
    wait_until(lambda: server.get("/", address=address).status == 200, 5, "the ban's end")


def test_110_14_ban_ends_a_kept_alive_connection(httpd):
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 60}}, match={"paths": ["/trap"]})))
    client = server.client("127.0.0.9")
    assert client.get("/").status == 200
    assert client.get("/trap").status == 403
    answer = client.get("/")
    assert (answer.status, answer.headers.get("connection")) == (403, "close")
    client.close()


def test_110_15_log_and_observe_admit_and_tell_the_access_log(httpd):
    server = httpd(policies=config(
        policy("watch", {"log": {}}, match={"paths": ["/page.txt"]}),
        policy("trial", {"ban": {"seconds": 60}}, mode="observe",
               match={"paths": ["/index.html"]})))
    for path in ("/page.txt", "/index.html"):
        answer = server.get(path)
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("l7shield")]
    assert "action=log policy=watch" in access(server, "/page.txt")
    observed = access(server, "/index.html")
    assert "action=would_ban policy=trial incident=inc_" in observed
    assert "client=127.0.0.1" in observed


def test_110_16_allow_ends_the_evaluation(httpd):
    server = httpd(policies=config(
        policy("health", {"allow": {}}, priority=1, match={"paths": ["/page.txt"]}),
        policy("closed", {"deny": {}}, priority=2)))
    assert server.get("/page.txt").status == 200
    assert server.get("/").status == 403


def test_110_17_off_policy_does_nothing(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}}, mode="off")))
    assert server.get("/").status == 200


def test_110_18_matching_by_method_header_host_and_exception(httpd):
    server = httpd(policies=config(
        policy("posts", {"deny": {}}, match={"methods": ["POST"]}),
        policy("no-agent", {"deny": {}}, match={
            "headers": [{"name": "user-agent", "is": "absent"}], "paths": ["/page.txt"]}),
        policy("host", {"deny": {}}, match={
            "hosts": ["*.example.com"], "except": [{"paths": ["/page.txt"]}]})))
    agent = {"User-Agent": "test"}
    assert server.get("/", method="POST", body=b"x", headers=agent).status == 403
    assert server.get("/page.txt").status == 403
    assert server.get("/page.txt", headers=agent).status == 200
    assert server.get("/", headers={"Host": "WWW.Example.com:80", **agent}).status == 403
    assert server.get("/page.txt", headers={"Host": "www.example.com", **agent}).status == 200
    assert server.get("/", headers={"Host": "example.com", **agent}).status == 200


# ------------------------------------------------------------------- lists

def addresses(name, effect, *values):
    return {"name": name, "kind": "addresses", "effect": effect,
            "entries": [{"value": value} for value in values]}


def test_110_20_allow_list_wins_over_policies_bans_and_deny_lists(httpd):
    server = httpd(policies=config(
        policy("closed", {"ban": {"seconds": 600}}),
        lists=[addresses("office", "allow", "127.0.0.7"),
               addresses("bad", "deny", "127.0.0.0/24")]))
    assert server.get("/", address="127.0.0.7").status == 200
    denied = server.get("/", address="127.0.0.8")
    assert denied.status == 403
    assert denied.headers["l7shield-policy"] == "bad"


def test_110_21_deny_list_acts_on_the_connection(httpd):
    server = httpd(policies=config(lists=[addresses("bad", "deny", "127.0.0.8")]))
    answer = server.get("/", address="127.0.0.8")
    assert (answer.status, answer.headers["connection"]) == (403, "close")
    assert server.get("/", address="127.0.0.7").status == 200


def test_110_22_policy_names_a_list(httpd):
    server = httpd(policies=config(
        policy("partners-only", {"deny": {}},
               match={"except": [{"client": {"in": ["@partners"]}}]}),
        lists=[addresses("partners", "none", "127.0.0.7")]))
    assert server.get("/", address="127.0.0.7").status == 200
    assert server.get("/", address="127.0.0.8").status == 403


# ------------------------------------------------------------------- paths

TARGETS = ["/login", "/%6cogin", "/%6Cogin", "//login", "/./login", "/x/../login",
           "/x/%2e%2e/login", "/login?user=a", "/login?", "http://localhost/login",
           "http://localhost/login?a", "/login?x=/../y",
           "/x/..//login", "/%2e/login", "///x///../login"]


def test_110_30_no_spelling_of_a_path_walks_past_a_policy(httpd):
    server = httpd(policies=config(policy("login", {"deny": {}},
                                          match={"paths": ["/login"]})))
    (server.document_root / "login").write_text("secret\n")
    admitted = [target for target in TARGETS if server.status_of_target(target) != 403]
    assert not admitted
    assert server.status_of_target("/Login") == 404
    assert server.status_of_target("/login2") == 404


def test_110_31_long_path_is_still_judged_by_its_beginning(httpd):
    server = httpd(policies=config(policy("admin", {"deny": {}},
                                          match={"paths": ["/admin/**"]})))
    assert server.status_of_target("/admin/" + "a" * 4000) == 403


def test_110_32_long_segment_does_not_hide_what_stands_behind_it(httpd):
    server = httpd(policies=config(policy("login", {"deny": {}},
                                          match={"paths": ["/api/*/login"]})))
    for length in 1000, 1100, 8000:
        assert server.status_of_target("/api/v1;" + "%61" + "a" * length + "/login") == 403


# ------------------------------------------------------------------- answers

def test_110_40_body_is_what_the_client_accepts(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})))
    html = server.get("/", headers={"Accept": "text/html,application/json;q=0.1,*/*"})
    assert html.headers["content-type"].startswith("text/html")
    assert b"<h1>Forbidden</h1>" in html.body
    problem = server.get("/", headers={"Accept": "application/json, text/html;q=0.5"})
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json["status"] == 403
    assert problem.json["incident"] == problem.headers["l7shield-incident"]
    for headers in ({}, {"Accept": "*/*"}):
        text = server.get("/", headers=headers)
        assert text.headers["content-type"].startswith("text/plain")
        assert text.headers["l7shield-incident"].encode() in text.body


def test_110_41_response_of_the_policy_is_sent_with_its_values(httpd):
    body = "Sorry: {incident}, {retry_after_seconds} s, {other}"
    server = httpd(policies=config(
        policy("busy", {"throttle": {"response": "sorry"}}, detect=rate(1, 60)),
        responses=[{"name": "sorry", "content_type": "text/x-sorry", "body": body}]))
    server.get("/")
    answer = server.get("/", headers={"Accept": "text/html"})
    assert answer.status == 429
    assert answer.headers["content-type"].startswith("text/x-sorry")
    assert answer.body.decode() == (f"Sorry: {answer.headers['l7shield-incident']}, "
                                    f"{answer.headers['retry-after']} s, {{other}}")


def test_110_42_head_has_headers_and_no_body(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})))
    answer = server.get("/", method="HEAD")
    assert (answer.status, answer.body) == (403, b"")
    assert int(answer.headers["content-length"]) > 0


def test_110_43_connection_stays_in_step_after_a_refused_body(httpd):
    server = httpd(policies=config(policy("posts", {"deny": {}},
                                          match={"methods": ["POST"]})))
    client = server.client()
    closed = 0
    for _ in range(3):
        refused = client.get("/", method="POST", body=b"x" * 50000)
        assert refused.status == 403
        closed += refused.headers.get("connection") == "close"  # its end had not come yet
        assert client.get("/page.txt").body == b"a page\n"
    assert client.connects == 1 + closed
    client.close()


POST = b"POST /page.txt HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n"


@pytest.mark.parametrize("host", ["", "ErrorDocument 403 /index.html",
                                  "<Location /x>\nL7ShieldApp shop\n</Location>"])
@pytest.mark.parametrize("length", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
def test_110_47_slow_body_of_a_refused_request_holds_no_worker(httpd, host, length):
    """More of them than there are workers; each has its answer at once, and so has
    everybody else."""
    server = httpd(threads=3, directives="AsyncRequestWorkerFactor 10", host=host,
                   policies=config(policy("no-posts", {"deny": {}},
                                          match={"methods": ["POST"]})))
    slow = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(20)]
    for connection in slow:
        connection.sendall(POST % length + b"1\r\na")
    for connection in slow:
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 403 ") and b"Connection: close" in answer
    assert server.get("/page.txt").status == 200
    for connection in slow:
        connection.close()


@pytest.mark.parametrize("length, body", [
    (b"Content-Length: 5", b"abcde"), (b"Transfer-Encoding: chunked", b"5\r\nabcde\r\n0\r\n\r\n")])
def test_110_48_body_that_is_there_keeps_the_connection(httpd, length, body):
    server = httpd(policies=config(policy("no-posts", {"deny": {}},
                                          match={"methods": ["POST"]})))
    last = b"GET /page.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    found = server.raw((POST % length + body) * 3 + last)
    assert found.count(b"HTTP/1.1 403 ") == 3 and found.count(b"HTTP/1.1 200 ") == 1
    asked = server.raw(POST % (length + b"\r\nExpect: 100-continue"))
    assert asked.startswith(b"HTTP/1.1 403 ") and b"100 Continue" not in asked


def test_110_44_headers_that_the_site_always_sets_are_there(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})),
                   host='Header always set Access-Control-Allow-Origin "*"')
    assert server.get("/").headers["access-control-allow-origin"] == "*"


def test_110_45_error_document_answers_with_our_headers(httpd):
    server = httpd(policies=config(policy("closed", {"throttle": {}},
                                          match={"paths": ["/index.html"]})),
                   host="ErrorDocument 429 /page.txt")
    answer = server.get("/index.html")
    assert (answer.status, answer.body) == (429, b"a page\n")
    assert answer.headers["l7shield-policy"] == "closed"
    assert "action=throttle policy=closed" in access(server, "/index.html")


@pytest.mark.parametrize("method", ("GET", "HEAD"))
@pytest.mark.parametrize("connection", ("keep-alive", "close"))
def test_110_46_answer_written_by_hand_is_the_one_that_filters_write(
        httpd, method, connection):
    answers = []
    for host in ("", "Header always set X-Site yes"):
        server = httpd(policies=config(policy("closed", {"throttle": {}},
                                              detect=rate(1, 86400))), host=host)
        server.get("/")
        answer = server.get("/", method=method, headers={"Connection": connection})
        headers = dict(answer.headers)
        incident = headers.pop("l7shield-incident").encode()
        for name in ("x-site", "date", "retry-after"):
            assert headers.pop(name, None) is not None or name == "x-site"
        answers.append((answer.status, sorted(headers.items()),
                        answer.body.replace(incident, b"").split(b"Try")[0]))
        wait_until(lambda: any(" 429 " in line for line in server.accesses()), 5,
                   "the refusal in the access log")
    assert answers[0] == answers[1]
    assert ("connection" in dict(answers[0][1])) or connection == "keep-alive"


# ------------------------------------------------------------------- httpd's other ways

def test_110_50_off_and_observe_in_a_section(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})),
                   host="<Location /free>\nL7Shield Off\n</Location>\n"
                        "<Location /trial>\nL7Shield Observe\n</Location>")
    assert server.get("/").status == 403
    assert server.get("/free/x").status == 404
    assert server.get("/trial/x").status == 404
    assert "action=- policy=-" in access(server, "/free/x")
    assert "action=would_deny policy=closed" in access(server, "/trial/x")


def test_110_51_off_for_a_virtual_host(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})), host="L7Shield Off")
    assert server.get("/").status == 200


def test_110_52_app_of_a_section_is_matched(httpd):
    server = httpd(policies=config(policy("shop", {"deny": {}}, match={"apps": ["shop"]}),
                                   apps=[{"name": "shop", "hosts": ["shop.example.com"]}]),
                   host="<Location /shop>\nL7ShieldApp shop\n</Location>")
    assert server.get("/shop/x").status == 403
    assert server.get("/").status == 200


def test_110_53_app_by_its_own_mapping(httpd):
    server = httpd(policies=config(policy("shop", {"deny": {}}, match={"apps": ["shop"]}),
                                   apps=[{"name": "shop", "paths": ["/shop/**"]}]))
    assert server.get("/shop/x").status == 403
    assert server.get("/").status == 200


def test_110_54_bans_hold_in_a_section_that_is_off(httpd):
    """Bans obey the mode of their stage, never a section's."""
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 60}}, match={"paths": ["/trap"]})),
        host="<Location /page.txt>\nL7Shield Off\n</Location>")
    assert server.get("/page.txt", address="127.0.0.9").status == 200
    assert server.get("/trap", address="127.0.0.9").status == 403
    assert server.get("/page.txt", address="127.0.0.9").status == 403


SATISFY = """
<Location />
    {section}
    AuthType Basic
    AuthName test
    AuthBasicProvider file
    AuthUserFile {root}/users
    Require valid-user
    Order deny,allow
    Deny from all
    Satisfy Any
</Location>
"""
AUTH = ("access_compat", "auth_basic", "authn_core", "authn_file", "authz_user")


@pytest.mark.parametrize("section", ["", "L7ShieldApp shop"])
def test_110_55_satisfy_any_does_not_discard_a_refusal(httpd, section):
    server = httpd(start=False, modules=AUTH,
                   policies=config(policy("no", {"deny": {}},
                                          match={"paths": ["/page.txt"]})))
    server.host = SATISFY.format(section=section, root=server.root)
    server.expects("AH01797", "AH01617", "AH01618")
    digest = base64.b64encode(hashlib.sha1(b"open").digest()).decode()
    (server.root / "users").write_text(f"user:{{SHA}}{digest}\n")
    server.write_config()
    server.start()
    login = {"Authorization": "Basic " + base64.b64encode(b"user:open").decode()}
    assert server.get("/", headers=login).status == 200
    guess = {"Authorization": "Basic " + base64.b64encode(b"user:guess").decode()}
    assert server.get("/", headers=guess).status == 401
    # Whether the password is right must not show: refused is refused.
    for headers in login, guess, {}:
        refused = server.get("/page.txt", headers=headers)
        assert refused.status == 403
        assert refused.headers["l7shield-policy"] == "no"


def test_110_58_subrequests_need_not_authenticate_again(httpd):
    """As without the shield: a folder's listing must not cost a password check per file."""
    checks = []
    for shield in False, True:
        server = httpd(start=False, modules=AUTH, shield=shield,
                       policies=config(policy("no", {"deny": {}},
                                              match={"paths": ["/none"]})))
        server.host = "LogLevel authz_core:debug\n" + SATISFY.format(
            section="", root=server.root).replace("Satisfy Any", "").replace(
            "Deny from all", "")
        server.write_config()
        digest = base64.b64encode(hashlib.sha1(b"open").digest()).decode()
        (server.root / "users").write_text(f"user:{{SHA}}{digest}\n")
        server.start()
        login = {"Authorization": "Basic " + base64.b64encode(b"user:open").decode()}
        assert server.get("/", headers=login).status == 200
        checks.append(server.errors().count("AH01626"))
    assert checks[0] == checks[1] > 0


@pytest.mark.parametrize("section", ["", "<Location /x>\nL7ShieldApp shop\n</Location>"])
def test_110_56_internal_redirects_and_subrequests_are_counted_once(httpd, section):
    server = httpd(modules=("rewrite", "include"), host=f"""
        RewriteEngine On
        <Directory "/">
            RewriteEngine On
            RewriteRule again/(.*) /$1 [L]
        </Directory>
        <Location /page.shtml>
            SetOutputFilter INCLUDES
            Options +Includes
        </Location>
        {section}""", policies=config(
            policy("per-client", {"throttle": {}}, detect=rate(6, 600))))
    (server.document_root / "page.shtml").write_text(
        '<!--#include virtual="/page.txt" --><!--#include virtual="/page.txt" -->\n')
    asked = ["/", "/again/page.txt", "/page.shtml", "/", "/again/page.txt", "/page.shtml"]
    assert [server.get(path).status for path in asked] == [200] * 6
    assert server.get("/").status == 429


@pytest.mark.parametrize("section", ["", "<Location /x>\nL7ShieldApp shop\n</Location>"])
def test_110_57_cached_answers_are_judged_too(httpd, section):
    """In a host with sections that only holds without mod_cache's quick handler, which
    answers before any section is known."""
    server = httpd(start=False, modules=("cache", "cache_disk"),
                   policies=config(policy("per-client", {"throttle": {}},
                                          detect=rate(3, 600))))
    cache = server.root / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    server.host = f"""
        CacheRoot {cache}
        CacheEnable disk /
        CacheQuickHandler {'off' if section else 'on'}
        CacheHeader on
        Header set Cache-Control "max-age=600"
        {section}"""
    server.write_config()
    server.start()
    answers = [server.get("/page.txt") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[2].headers["x-cache"].startswith("HIT")


# ------------------------------------------------------------------- proxies

PROXY = """
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 127.0.0.1
L7ShieldTrustedProxy 127.0.0.1
"""


def through(server, client, path="/"):
    return server.get(path, headers={"X-Forwarded-For": client})


def test_110_60_client_behind_a_trusted_proxy_is_judged_not_the_proxy(httpd):
    server = httpd(modules=("remoteip",), directives=PROXY, policies=config(
        policy("trap", {"ban": {"seconds": 60}}, match={"paths": ["/trap"]})))
    assert through(server, "203.0.113.7", "/trap").status == 403
    banned = through(server, "203.0.113.7")
    assert banned.status == 403
    assert "connection" not in banned.headers, "the proxy's connection is not for closing"
    assert through(server, "203.0.113.8").status == 200


def test_110_61_ipv6_counts_by_its_64(httpd):
    server = httpd(modules=("remoteip",), directives=PROXY, policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(2, 60))))
    asked = [through(server, f"2001:db8:0:1::{n:x}").status for n in range(1, 4)]
    assert asked == [200, 200, 429]
    assert through(server, "2001:db8:0:2::1").status == 200


def test_110_62_trusted_proxy_itself_is_never_banned(httpd):
    server = httpd(modules=("remoteip",), directives=PROXY, policies=config(
        policy("trap", {"ban": {"seconds": 60}}, match={"paths": ["/trap"]})))
    server.get("/trap")
    assert server.get("/").status == 200
    assert through(server, "203.0.113.8").status == 200


def test_110_63_ban_of_a_proxy_that_nobody_named_is_explained(httpd):
    """Everybody behind it is refused."""
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 60}}, match={"paths": ["/trap"]})))
    server.expects("L7S1020")
    assert server.get("/trap", address="127.0.0.8").status == 403
    assert "L7S1020" not in server.errors(), "it speaks for itself"
    for number in range(5):
        through(server, f"203.0.113.{number}", "/trap")
    lines = [line for line in server.errors().splitlines() if "L7S1020" in line]
    assert len(lines) == 1 and "127.0.0.1 is banned" in lines[0]
    assert "name it in L7ShieldTrustedProxy" in lines[0]


# ------------------------------------------------------------------- switches and files

def set_mode(server, text):
    path = server.state_dir / "mode"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
        path.chmod(0o644)


def test_110_70_mode_file_is_obeyed_within_a_second(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})), host=METRICS)
    assert server.get("/").status == 403
    for text, value in (("observe\n", 1), ("off", 0)):
        set_mode(server, text)
        wait_until(lambda: server.get("/").status == 200, 1.2, "the mode file")
        figures = server.metrics()
        assert figures['l7shield_mode{node="web-1",because="mode_file"}'] == value
        set_mode(server, None)
        wait_until(lambda: server.get("/").status == 403, 1.2, "the mode file's end")


def test_110_71_policy_file_is_read_again(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})))
    assert server.get("/").status == 403
    server.write_policies(config())
    wait_until(lambda: server.get("/").status == 200, 2, "the new policies")


def test_110_72_broken_policy_file_keeps_what_is_in_force(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}},
                                          match={"paths": ["/page.txt"]})))
    server.expects(r"L7S2\d+")
    server.write_policies('{"policies": [{"name": "closed", "action": {"denny": {}}}]}')
    wait_until(lambda: "denny" in server.errors(), 3, "the sync process' complaint")
    assert server.get("/page.txt").status == 403
    server.write_policies(config(policy("open", {"log": {}})))
    wait_until(lambda: server.get("/page.txt").status == 200, 2, "the mended policies")


def test_110_73_editing_the_action_keeps_the_counters(httpd):
    def limit(action, requests=3):
        return config(policy("per-client", action, detect=rate(requests, 600)))

    server = httpd(policies=limit({"throttle": {}}))
    assert [server.get("/").status for _ in range(4)] == [200, 200, 200, 429]
    server.write_policies(limit({"deny": {}}))
    wait_until(lambda: server.get("/").status == 403, 2, "the new action, the old counter")
    server.write_policies(limit({"deny": {}}, requests=5))
    wait_until(lambda: server.get("/").status == 200, 2, "a new limit, a new counter")


def test_110_74_metrics_count_decisions(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}},
                                          match={"paths": ["/page.txt"]})), host=METRICS)
    for _ in range(3):
        server.get("/page.txt")
    server.get("/")
    figures = server.metrics()
    assert figures[
        'l7shield_decisions_total{node="web-1",policy="closed",verdict="acted"}'] == 3
    assert figures['l7shield_requests_total{node="web-1",verdict="denied"}'] == 3
    assert figures['l7shield_requests_total{node="web-1",verdict="admitted"}'] >= 1
    assert figures['l7shield_sync_lag_seconds{node="web-1"}'] < 2
    assert figures['l7shield_workers{node="web-1",state="total"}'] == 5 * 25
    assert figures['l7shield_live_evictions_total{node="web-1"}'] == 0


def test_110_75_without_policies_it_does_nothing(httpd):
    server = httpd()
    assert [server.get("/").status for _ in range(50)] == [200] * 50
    assert "action=-" in access(server, "/")


def test_110_76_policies_stand_before_the_first_request(httpd):
    for _ in range(3):
        server = httpd(policies=config(policy("closed", {"deny": {}})))
        client = Client(server.port)
        assert client.get("/").status == 403
        client.close()


def test_110_77_banned_client_that_leaves_is_not_counted_again(httpd):
    server = httpd(tls=True, host=METRICS, policies=config(
        policy("guess", {"ban": {"seconds": 600}}, {"paths": ["/page.txt"]},
               detect=rate(2, 600))))
    for number, tls in ((1, False), (2, True)):
        client = server.client(f"127.0.11.{number}", tls)
        assert [client.get("/page.txt").status for _ in range(3)] == [200, 200, 403]
        client.close()
    time.sleep(0.3)
    assert server.metrics()['l7shield_requests_total{node="web-1",verdict="banned"}'] == 2
