# SPDX-License-Identifier: Apache-2.0
"""path_regex: patterns over the normalised path, on a real httpd and in the daemon."""
import json
import re
import subprocess
import time

import pytest

from daemon import POLICY, daemon  # noqa: F401
from httpd import config, policy, wait_until


def deny(name, match, **more):
    return policy(name, {"deny": {}}, match=match, **more)


def test_700_01_pattern_is_looked_for_anywhere_unless_anchored(httpd):
    server = httpd(policies=config(
        deny("shell", {"path_regex": [r"(?i)sh[e3]ll", r"^/exact$"]}),
        deny("scripts", {"path_regex": [r"\.(php|aspx?)$"], "except": [
            {"path_regex": [r"^/shop/"]}]})))
    refused = {"/a/SHELL.txt": "shell", "/exact": "shell", "/x.php": "scripts",
               "/deep/er/x.asp": "scripts"}
    for path, name in refused.items():
        answer = server.get(path)
        assert (answer.status, answer.headers["l7shield-policy"]) == (403, name), path
    for path in ("/exact/not", "/x.php5", "/shop/x.php", "/page.txt"):
        assert server.get(path).status in (200, 404), path


@pytest.mark.parametrize("target", [
    "/admin/x.php", "/%61dmin/x.php", "/a/../admin//x%2ephp", "//admin/./x.php",
    "/admin/x.php?y=1", "http://localhost/admin/x.php", "/admin/%0Ax.php",
    "/admin/%ff%c0%80.php"])
def test_700_02_no_spelling_of_a_path_walks_past(httpd, target):
    server = httpd(policies=config(deny("a", {"path_regex": [r"^/admin/.*\.php$"]})))
    assert server.status_of_target(target) == 403
    assert server.get("/page.txt").status == 200


def test_700_03_path_regex_stands_beside_the_other_members(httpd):
    server = httpd(policies=config(
        deny("a", {"paths": ["/api/**"], "methods": ["POST"], "path_regex": ["[0-9]$"]})))
    assert server.get("/api/7", method="POST").status == 403
    assert server.get("/api/7").status == 404
    assert server.get("/api/x", method="POST").status == 404
    assert server.get("/other/7", method="POST").status == 404


def test_700_04_new_patterns_are_in_force_without_a_reload(httpd):
    """Every thread's working memory grows with them; old ones are forgotten."""
    server = httpd(policies=config(deny("a", {"path_regex": ["^/old"]})))
    client = server.client()
    assert client.get("/old").status == 403
    many = [rf"^/p{n}/[a-z]+\.html$" for n in range(200)]
    server.write_policies(config(deny("a", {"path_regex": many + ["^/new"]})))
    wait_until(lambda: client.get("/new").status == 403, 5, "the new patterns")
    assert client.get("/old").status == 404
    assert client.get("/p199/x.html").status == 403
    assert client.connects == 1
    client.close()


def test_700_05_restart_keeps_patterns_in_force(httpd):
    server = httpd(children=2, policies=config(deny("a", {"path_regex": ["^/no$"]})))
    assert server.get("/no").status == 403
    server.graceful()
    for _ in range(10):
        assert server.get("/no").status == 403


def test_700_06_bad_pattern_fails_the_configuration_test_with_its_place(httpd):
    server = httpd(start=False, policies=config(
        deny("a", {"path_regex": ["^/fine", r"(a)\1", "ab(c"]})))
    status, said = server.configtest()
    assert status != 0
    assert "/policies/0/match/path_regex/1: the pattern is refused: Back-references" in said
    assert re.search("path_regex/2: .*index 2", said)


def test_700_07_daemon_refuses_a_bad_pattern_with_pointer_and_reason(daemon):  # noqa: F811
    bad = {**POLICY, "match": {"path_regex": ["(?=a)b", "(.{1,100}a){100}"]}}
    answer = daemon.call("PUT", "/v1/policies/p", bad)
    assert answer.status == 422
    assert answer.errors == {("/match/path_regex/0", "bad_pattern"),
                             ("/match/path_regex/1", "bad_pattern")}
    assert "Zero-width" in json.dumps(answer.json)
    good = {**POLICY, "match": {"path_regex": [r"\.php$"]}}
    assert daemon.call("PUT", "/v1/policies/p", good).status == 201
    assert daemon.call("GET", "/v1/policies/p").json["match"] == good["match"]


def test_700_08_patterns_too_complex_together_leave_the_old_in_force(httpd):
    server = httpd(policies=config(deny("a", {"path_regex": ["^/no$"]})))
    assert server.get("/no").status == 403
    server.expects("L7S2021")
    server.write_policies(config(*[
        deny(f"p{n}", {"path_regex": [rf"^/x{n}-{k}$" for k in range(250)]})
        for n in range(5)]))
    wait_until(lambda: "L7S2021" in server.errors(), 20, "the refusal")
    assert "are too many or too complex together" in server.errors()
    assert server.get("/no").status == 403
    assert server.get("/x0-0").status == 404


def test_700_09_match_works_over_http2_and_tls(httpd):
    server = httpd(tls=True, policies=config(deny("a", {"path_regex": [r"^/no[0-9]+$"]})))
    done = subprocess.run(
        ["curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_code} %{http_version}\n",
         f"https://127.0.0.1:{server.tls_port}/no77",
         "--next", "-sk", "-o", "/dev/null", "-w", "%{http_code} %{http_version}\n",
         f"https://127.0.0.1:{server.tls_port}/page.txt"],
        capture_output=True, text=True, timeout=20)
    assert done.stdout.splitlines() == ["403 2", "200 2"], done


def test_700_10_long_path_and_hungry_pattern_cost_little(httpd):
    """A matcher that tries and tries again would need years; the undisturbed server is the
    measure."""
    server = httpd(policies=config(
        deny("a", {"path_regex": ["^/(a+)+$", "^/(a|aa)+$", "(.*a){20}b", "(x+x+)+y",
                                  r"(\w+\s?)+[^\w]$"]})))
    client = server.client()
    long = "/" + "a" * 4000

    def fastest(path, status):
        times = []
        for _ in range(30):
            start = time.perf_counter()
            assert client.get(path).status == status
            times.append(time.perf_counter() - start)
        return min(times)

    plain = fastest("/page.txt", 200)
    assert fastest(long, 403) < plain + 0.02
    assert fastest(long + "~", 403) < plain + 0.02
    client.close()
