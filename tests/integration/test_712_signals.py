# SPDX-License-Identifier: Apache-2.0
"""Signals: what back ends and other modules say about a request, and nobody else."""
import pytest

from backend import MODULES, Backend
from fleet import Fleet
from httpd import config, policy, rate, wait_until


@pytest.fixture
def backend():
    one = Backend()
    yield one
    one.close()


def on_signals(name, action, signals, detect=None, **more):
    return policy(name, action, detect=detect, match={"signals": signals}, **more)


def ask(server, path, address="127.0.0.2", **options):
    """One request, counted before this returns."""
    lines = len(server.accesses())
    answer = server.get(path, address=address, **options)
    if "l7shield-policy" not in answer.headers:
        wait_until(lambda: len(server.accesses()) > lines, 5, "its line in the access log")
    return answer


SHELL = on_signals("shell", {"ban": {"seconds": 600}}, ["web-shell", "remote-command"])


def test_712_01_back_end_s_signal_bans_the_next_request(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(SHELL))
    assert ask(server, "/app/?L7Shield-Signal=scanner").status == 200
    assert ask(server, "/app/").status == 200
    answer = ask(server, "/app/?L7Shield-Signal=scanner,+web-shell;detail=953100")
    assert answer.status == 200 and "l7shield-signal" not in answer.headers
    refused = ask(server, "/page.txt")
    assert refused.status == 403 and refused.headers["l7shield-policy"] == "shell"
    assert ask(server, "/page.txt", "127.0.0.3").status == 200


def test_712_02_signals_count_against_a_rate(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(
        on_signals("guessing", {"throttle": {}}, ["failed-login"], rate(3, 60))))
    assert [ask(server, "/app/").status for _ in range(20)] == [200] * 20
    for _ in range(4):  # two headers are one list, and one request
        path = "/app/?status=401&L7Shield-Signal=failed-login&L7Shield-Signal=failed-login"
        assert ask(server, path).status == 401
    assert ask(server, "/app/").status == 429


def test_712_03_nobody_believes_a_request_header(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(SHELL))
    for _ in range(5):
        assert ask(server, "/app/", headers={"L7Shield-Signal": "web-shell",
                                             "L7SHIELD_SIGNAL": "web-shell"}).status == 200
        assert ask(server, "/page.txt?L7Shield-Signal=web-shell", headers={
            "L7Shield-Signal": "web-shell"}).status == 200


@pytest.mark.parametrize("matched", [True, False])
def test_712_04_signal_header_never_leaves(httpd, backend, matched):
    """Errors, error documents, ProxyErrorOverride, HTTP/2, and what mod_headers sets."""
    policies = [on_signals("all", {"log": {}}, ["a"], rate(1000, 60))] if matched else []
    override = '<Location "/own/">\nProxyErrorOverride On\n</Location>\n'
    server = httpd(host=backend.config() + backend.config("/own/", override)
                   + "ErrorDocument 404 /page.txt\n"
                     '<Location "/app/always">\nHeader always set L7Shield-Signal "a"\n'
                     "</Location>\n",
                   modules=MODULES, tls=True, policies=config(*policies))
    for path in ("/app/?", "/app/?status=500&", "/app/?status=404&", "/own/?status=404&",
                 "/own/?status=503&", "/app/always?", "/app/always?status=502&"):
        for tls in (False, True):
            answer = server.get(path + "L7Shield-Signal=a;detail=1&X-Other=1", tls=tls)
            assert "l7shield-signal" not in answer.headers, (path, tls)


@pytest.mark.parametrize("quick", ["on", "off"])
def test_712_09_cached_answer_tells_on_nobody(httpd, backend, quick):
    """What was said of the client for whom it was fetched is neither passed on to those
    who get it from the cache, nor said of them."""
    server = httpd(start=False, modules=(*MODULES, "cache", "cache_disk"),
                   policies=config(SHELL))
    cache = server.root / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    server.host = backend.config() + (f"CacheRoot {cache}\nCacheEnable disk /\n"
                                      f"CacheHeader on\nCacheQuickHandler {quick}\n")
    server.write_config()
    server.start()
    path = "/app/?Cache-Control=max-age=600&L7Shield-Signal=web-shell&L7Shield-Cost=7"
    answers = [ask(server, path, f"127.0.0.{number}") for number in (4, 5, 5, 5)]
    assert [answer.status for answer in answers] == [200] * 4
    assert answers[3].headers["x-cache"].startswith("HIT") and len(backend.seen) == 1
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("l7shield-")]
    assert ask(server, "/page.txt", "127.0.0.4").status == 403
    assert ask(server, "/page.txt", "127.0.0.5").status == 200


def test_712_05_signals_of_answers_that_are_replaced_count(httpd, backend):
    """ProxyErrorOverride with httpd's own page, and with an ErrorDocument."""
    override = '<Location "/{0}/">\nProxyErrorOverride On\n</Location>\n'
    server = httpd(host=backend.config("/own/", override.format("own"))
                   + backend.config("/doc/", override.format("doc"))
                   + "ErrorDocument 404 /page.txt\n",
                   modules=MODULES, policies=config(SHELL))
    for address, path in (("127.0.0.4", "/own/?status=403"), ("127.0.0.5", "/doc/?status=404")):
        answer = ask(server, path + "&L7Shield-Signal=web-shell", address)
        assert answer.status in (403, 404) and "l7shield-policy" not in answer.headers
        refused = ask(server, "/page.txt", address)
        assert refused.headers.get("l7shield-policy") == "shell", path


def test_712_06_any_module_raises_by_environment_variable(httpd):
    rules = ('SetEnvIf Request_URI "^/trap" "L7SHIELD_SIGNAL=web-shell;detail=env"\n'
             'SetEnvIf Request_URI "^/other" "L7SHIELD_SIGNAL=other"\n')
    server = httpd(host=rules, policies=config(SHELL))
    assert ask(server, "/other").status == 404
    assert ask(server, "/page.txt").status == 200
    assert ask(server, "/trap").status == 404
    assert ask(server, "/page.txt").status == 403


def test_712_07_http2_streams_raise_signals_too(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, tls=True,
                   policies=config(SHELL))
    assert ask(server, "/app/?L7Shield-Signal=web-shell", tls=True).status == 200
    assert ask(server, "/page.txt", tls=False).status == 403


def test_712_08_one_node_s_signal_bans_on_all_and_the_incident_says_why(backend):
    fleet = Fleet(nodes=2, host=backend.config(), modules=MODULES)
    try:
        fleet.start()
        fleet.put_policy(SHELL)
        one, two = fleet.nodes
        path = "/app/x?L7Shield-Signal=remote-command;detail=932100,+remote-command;detail=932160"
        assert ask(one, path, "127.0.0.9").status == 200
        wait_until(lambda: two.get("/page.txt", address="127.0.0.9").status == 403, 1,
                   "a ban on the other node")
        item = fleet.wait_for_incident(lambda item: item["kind"] == "signal")
        assert item["layer"]["osi"] == 7 and item["layer"]["signature"] == "remote_control"
        assert [(one["name"], one["detail"]) for one in item["top"]["signals"]] == [
            ("remote-command", "932100"), ("remote-command", "932160")]
        assert item["action"]["ban_id"] == "ip:127.0.0.9" and item["severity"] == "high"
        assert item["target"]["path"] == "/app/x"
    finally:
        unexpected = fleet.close()
    assert not unexpected, unexpected
