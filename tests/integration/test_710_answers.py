# SPDX-License-Identifier: Apache-2.0
"""What is counted when the answer is known: responses by status, and requests that no
earlier stage was asked about."""
import base64
import socket
import subprocess
import time

from fleet import Fleet
from httpd import config, policy, rate, wait_until

# mod_alias answers before any handler; the shield's head stage comes before mod_alias.
ANSWERS = """
Redirect 403 /forbidden
Redirect 410 /gone
Redirect 503 /busy
"""
BASIC = """
<Location "/private">
    AuthType Basic
    AuthName private
    AuthUserFile {users}
    Require valid-user
</Location>
"""


def settle(server, requests):
    """An answer is on its way before it is counted, and counted before it is logged."""
    wait_until(lambda: len(server.accesses()) >= requests, 5, f"{requests} lines of the log")


def statuses(server, path, count, address="127.0.0.2", **options):
    """One request after the other, each counted before the next."""
    seen = []
    for _ in range(count):
        lines = len(server.accesses())
        answer = server.get(path, address=address, **options)
        seen.append(answer.status)
        if "l7shield-policy" not in answer.headers:  # a refusal is not counted
            settle(server, lines + 1)
    return seen


def by_status(name, action, answers, detect, **more):
    return policy(name, action, detect=detect, count={"by": ["client"], "statuses": answers},
                  **more)


def line_of(server, text):
    """The access log's first line that holds this text."""
    def line():
        return next((line for line in server.accesses() if text in line), None)
    return wait_until(line, 5, f"an access-log line with {text}")


# ------------------------------------------------------------------- statuses

def test_710_01_only_listed_statuses_are_counted_and_act_on_later_requests(httpd):
    server = httpd(host=ANSWERS, policies=config(
        by_status("failing", {"throttle": {}}, ["403", "410"], rate(3, 60))))
    assert statuses(server, "/page.txt", 20) == [200] * 20
    assert statuses(server, "/busy", 20) == [503] * 20
    assert statuses(server, "/forbidden", 2) == [403] * 2
    assert statuses(server, "/gone", 1) == [410]
    assert statuses(server, "/page.txt", 1) == [200], "three is what the limit allows"
    assert statuses(server, "/forbidden", 1) == [403]
    refused = server.get("/page.txt", address="127.0.0.2")
    assert refused.status == 429 and refused.headers["l7shield-policy"] == "failing"
    assert 18 <= int(refused.headers["retry-after"]) <= 20
    assert server.get("/page.txt", address="127.0.0.3").status == 200
    # The request that tripped has passed, and its line says so.
    tripped = [line for line in server.accesses() if "action=log policy=failing" in line]
    assert len(tripped) == 1 and '403 "GET /forbidden' in tripped[0]
    assert f"incident={refused.headers['l7shield-incident']}" in tripped[0]


def test_710_02_classes_of_statuses_and_refusals_do_not_feed_themselves(httpd):
    """The shield's own 429 is no failing response of the site's."""
    server = httpd(host=ANSWERS, policies=config(
        by_status("failing", {"throttle": {}}, ["4xx", "5xx"], rate(2, 2))))
    assert statuses(server, "/busy", 1) + statuses(server, "/forbidden", 2) == [503, 403, 403]
    assert set(statuses(server, "/page.txt", 30)) == {429}
    wait_until(lambda: server.get("/page.txt", address="127.0.0.2").status == 200, 3,
               "an end of the throttling, which refused requests must not put off")


def test_710_03_password_guessing_is_banned_and_mistyping_is_not(httpd, tmp_path):
    """Real Basic authentication: more than four wrong passwords in a minute ban, the right
    one in between does not count."""
    users = tmp_path / "users"
    digest = subprocess.run(["openssl", "passwd", "-apr1", "right"], check=True,
                            capture_output=True, text=True).stdout
    users.write_text(f"alice:{digest}")
    users.chmod(0o644)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    server = httpd(host=BASIC.format(users=users),
                   modules=("authn_core", "authn_file", "auth_basic", "authz_user"),
                   policies=config(by_status("guessing", {"ban": {"seconds": 600}}, ["401"],
                                             rate(4, 60), match={"paths": ["/private/**"]})))
    (server.document_root / "private").mkdir()
    (server.document_root / "private" / "page.txt").write_text("secret\n")
    server.expects("AH01617: user alice: authentication failure")

    def log_in(password, address):
        token = base64.b64encode(f"alice:{password}".encode()).decode()
        return statuses(server, "/private/page.txt", 1, address=address,
                        headers={"Authorization": f"Basic {token}"})[0]

    assert [log_in("wrong", "127.0.0.2") for _ in range(4)] == [401] * 4
    assert [log_in("right", "127.0.0.2") for _ in range(20)] == [200] * 20
    assert [log_in("wrong", "127.0.0.3") for _ in range(5)] == [401] * 5
    refused = server.get("/page.txt", address="127.0.0.3")
    assert refused.status == 403 and refused.headers["l7shield-policy"] == "guessing"
    assert log_in("right", "127.0.0.2") == 200


def test_710_04_one_trap_bans_at_once(httpd):
    server = httpd(host=ANSWERS, policies=config(
        by_status("trap", {"ban": {"seconds": 600}}, ["410"], {"always": {}})))
    assert statuses(server, "/page.txt", 5) == [200] * 5
    assert statuses(server, "/gone", 1) == [410]
    assert statuses(server, "/page.txt", 1) == [403]


def test_710_05_observe_mode_counts_as_enforcing_would(httpd):
    server = httpd(host=ANSWERS, policies=config(
        by_status("failing", {"ban": {"seconds": 600}}, ["403"], rate(2, 60),
                  mode="observe")))
    assert statuses(server, "/forbidden", 10) == [403] * 10
    said = [line.split("action=")[1].split()[0] for line in server.accesses()]
    assert said == ["-", "-", "log"] + ["would_ban"] * 7


def test_710_06_answer_after_an_internal_redirect_is_the_one_that_was_seen(httpd):
    """ErrorDocument and a rewritten path: one request, one count, the client's status."""
    server = httpd(host="ErrorDocument 404 /page.txt\n", policies=config(
        by_status("missing", {"throttle": {}}, ["404"], rate(3, 60))))
    assert statuses(server, "/nothing.txt", 4) == [404] * 4
    assert statuses(server, "/page.txt", 1) == [429]


def test_710_07_http2_streams_count_one_each(httpd):
    server = httpd(tls=True, host=ANSWERS, policies=config(
        by_status("failing", {"throttle": {}}, ["403"], rate(3, 60))))
    url = f"https://127.0.0.1:{server.tls_port}"
    done = subprocess.run(
        ["curl", "-sk", "--http2", "-w", "%{http_version} %{http_code}\n",
         *[word for _ in range(4) for word in ("-o", "/dev/null", url + "/forbidden")]],
        capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["2 403"] * 4, done.stderr
    settle(server, 4)
    done = subprocess.run(["curl", "-sk", "--http2", "-o", "/dev/null", "-w",
                           "%{http_version} %{http_code}", url + "/page.txt"],
                          capture_output=True, text=True, timeout=30)
    assert done.stdout == "2 429", done.stderr


def test_710_08_hosts_with_sections_count_answers_too(httpd):
    server = httpd(host=ANSWERS + '<Location "/free">\nL7Shield Off\n</Location>\n'
                   'Redirect 403 /free/forbidden\n',
                   policies=config(by_status("failing", {"throttle": {}}, ["403"],
                                             rate(2, 60))))
    # mod_alias answers before the access checker: nobody was asked about these.
    assert statuses(server, "/free/page.txt", 9) == [404] * 9
    assert statuses(server, "/forbidden", 3) == [403] * 3
    assert statuses(server, "/page.txt", 1) == [429]


def test_710_09_fleet_counts_answers_together():
    fleet = Fleet(nodes=2, host=ANSWERS)
    try:
        fleet.start()
        fleet.put_policy(by_status("failing", {"ban": {"seconds": 600}}, ["403"],
                                   rate(6, 120)))
        for _ in range(4):
            for node in fleet.nodes:
                assert node.get("/forbidden", address="127.0.0.7").status == 403
                time.sleep(0.15)
        for node in fleet.nodes:
            wait_until(lambda node=node: node.get("/page.txt", address="127.0.0.7").status
                       == 403, 5, "a ban on both nodes")
        item = fleet.wait_for_incident(lambda item: item["policy"]["name"] == "failing")
        assert item["action"]["ban_id"] == "ip:127.0.0.7"
        assert item["measure"]["limit"] == 6
    finally:
        unexpected = fleet.close()
    assert not unexpected, unexpected


# ------------------------------------------------------------------- never asked about

BROKEN = b"GET / HTTP/1.1\r\nHost: localhost\r\nBroken Header\r\n\r\n"


def broken(server, address="127.0.0.4"):
    lines = len(server.accesses())
    answer = server.raw(BROKEN, address)
    assert answer.startswith(b"HTTP/1.1 400 "), answer[:100]
    settle(server, lines + 1)


def test_710_10_malformed_requests_count_for_plain_policies(httpd):
    server = httpd(policies=config(policy("plain", {"throttle": {}}, detect=rate(3, 60))))
    for _ in range(3):
        broken(server)
    assert server.get("/page.txt", address="127.0.0.4").status == 429
    assert server.get("/page.txt", address="127.0.0.5").status == 200


def test_710_11_malformed_requests_ban_by_rate_and_by_status(httpd):
    for one in (policy("plain", {"ban": {"seconds": 600}}, detect=rate(3, 60)),
                by_status("broken", {"ban": {"seconds": 600}}, ["400"], rate(3, 60))):
        server = httpd(policies=config(one))
        for _ in range(4):
            broken(server)
        answer = server.raw(BROKEN, "127.0.0.4")
        assert answer.startswith(b"HTTP/1.1 403 "), "the connection stage refuses it"
        line = line_of(server, f"action=log policy={one['name']}")
        assert " 400 " in line
        assert server.get("/page.txt", address="127.0.0.5").status == 200


def test_710_12_requests_that_time_out_are_counted(httpd):
    """The head never ends: 408. A connection on which nothing came is no request."""
    server = httpd(directives="RequestReadTimeout header=1\nAcceptFilter http none\n",
                   policies=config(
        policy("plain", {"throttle": {}}, detect=rate(2, 600)),
        by_status("slow", {"log": {}}, ["408"], rate(100, 600))))

    def time_out(data):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10,
                                      source_address=("127.0.0.6", 0)) as connection:
            connection.sendall(data)
            while connection.recv(65536):
                pass
    time_out(b"")
    for _ in range(2):
        time_out(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow")
    settle(server, 3)
    assert sum(' 408 ' in line for line in server.accesses()) == 3
    assert server.get("/page.txt", address="127.0.0.6").status == 429
    assert server.get("/page.txt", address="127.0.0.7").status == 200


def test_710_13_what_the_cache_answers_is_counted_once(httpd):
    """mod_cache answers from its quick handler, before any access checker. In a host with
    sections that is where policies are asked: the answer stage counts what they missed."""
    cache = ('CacheEnable socache /\nCacheSocache shmcb\nCacheQuickHandler on\n'
             'CacheDefaultExpire 600\nCacheIgnoreNoLastMod On\n')
    for section in ("", '<Location "/elsewhere">\nL7Shield Off\n</Location>\n'):
        server = httpd(host=cache + section,
                       modules=("cache", "cache_socache", "socache_shmcb"),
                       policies=config(policy("plain", {"ban": {"seconds": 600}},
                                              detect=rate(5, 60))))
        seen = statuses(server, "/page.txt", 7, address="127.0.0.8")
        assert seen[:5] == [200] * 5 and seen[6] == 403, seen
