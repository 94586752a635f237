# SPDX-License-Identifier: Apache-2.0
"""Every kind of match, every counted key and every action, once over HTTP/1.1 and once over
HTTP/2 with TLS: a stream is judged as a request is."""
import subprocess

import pytest

from httpd import config, policy, rate

PROTOCOLS = ["1.1", "2"]
DROPPED = "000"


def ask(server, protocol, path="/page.txt", method="GET", headers=(), host="localhost",
        address="127.0.0.1"):
    """The status of one request on a connection of its own; "000": no answer."""
    port = server.tls_port if protocol == "2" else server.port
    scheme = "https" if protocol == "2" else "http"
    command = ["curl", "-sk", "--path-as-is", f"--http{protocol}", "--interface", address,
               "-X", method, "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
               "-H", f"Host: {host}"]
    for header in headers:
        command += ["-H", header]
    done = subprocess.run([*command, f"{scheme}://127.0.0.1:{port}{path}"],
                          capture_output=True, text=True, timeout=30)
    version, status = done.stdout.split()
    assert status == DROPPED or version == protocol
    return status


DOCUMENT = {
    "apps": [{"name": "shop", "hosts": [], "paths": ["/shop/**"], "tier": 1,
              "mode": "enforce"}],
    "lists": [{"name": "office", "kind": "addresses", "effect": "none",
               "entries": [{"value": "127.0.0.8/31"}]},
              {"name": "keys", "kind": "strings", "effect": "none",
               "entries": [{"value": "k-1"}, {"value": "k-2"}]}]}

HEADER = "x-test"


def header(kind, **more):
    return {"headers": [{"name": HEADER, "is": kind, **more}]}


# (match, a request that it matches, one that it does not)
MATCHES = {
    "apps": ({"apps": ["shop"]}, {"path": "/shop/a"}, {"path": "/a"}),
    "hosts": ({"hosts": ["*.example.com"]}, {"host": "www.example.com"},
              {"host": "example.com"}),
    "methods": ({"methods": ["DELETE"]}, {"method": "DELETE"}, {"method": "GET"}),
    "paths": ({"paths": ["/a/*/c", "/d/**"]}, {"path": "/a/b/c"}, {"path": "/a/b/x/c"}),
    "paths-decoded": ({"paths": ["/d/**"]}, {"path": "/x/..//%64/e"}, {"path": "/x"}),
    "path_regex": ({"path_regex": [r"^/n\d+$"]}, {"path": "/n12"}, {"path": "/n12/x"}),
    "query": ({"query": [{"name": "q", "is": "contains", "values": ["a b"]}]},
              {"path": "/page.txt?x=1&q=%61+b"}, {"path": "/page.txt?q=ab"}),
    "header-present": (header("present"), {"headers": ["X-Test: 1"]}, {}),
    "header-absent": (header("absent"), {}, {"headers": ["X-Test: 1"]}),
    "header-equals": (header("equals", values=["one", "two"]), {"headers": ["X-Test: two"]},
                      {"headers": ["X-Test: twos"]}),
    "header-contains": (header("contains", values=["bot"]), {"headers": ["X-Test: a bot"]},
                        {"headers": ["X-Test: boat"]}),
    "header-glob": (header("glob", values=["a*z"]), {"headers": ["X-Test: abcz"]},
                    {"headers": ["X-Test: abc"]}),
    "header-regex": (header("regex", values=["^[a-f]+$"]), {"headers": ["X-Test: cafe"]},
                     {"headers": ["X-Test: coffee"]}),
    "header-list": ({"headers": [{"name": HEADER, "is": "equals", "list": "keys"}]},
                    {"headers": ["X-Test: k-2"]}, {"headers": ["X-Test: k-3"]}),
    "cookies": ({"cookies": [{"name": "sid", "is": "equals", "values": ["7"]}]},
                {"headers": ["Cookie: a=1; sid=7"]}, {"headers": ["Cookie: sid=77"]}),
    "client": ({"client": {"in": ["127.0.0.6"]}}, {"address": "127.0.0.6"},
               {"address": "127.0.0.7"}),
    "client-list": ({"client": {"in": ["@office"]}}, {"address": "127.0.0.9"},
                    {"address": "127.0.0.7"}),
    "any": ({"any": [{"paths": ["/a"]}, {"methods": ["DELETE"]}]}, {"path": "/a"},
            {"path": "/b"}),
    "except": ({"paths": ["/a/**"], "except": [{"paths": ["/a/open"]}]}, {"path": "/a/b"},
               {"path": "/a/open"}),
}


@pytest.mark.parametrize("kind", MATCHES)
def test_750_01_each_kind_of_match(httpd, kind):
    match, inside, outside = MATCHES[kind]
    server = httpd(tls=True, policies={**DOCUMENT, "policies": [
        policy("no", {"deny": {"status": 410}}, match)]})
    for protocol in PROTOCOLS:
        assert ask(server, protocol, **inside) == "410", protocol
        assert ask(server, protocol, **outside) != "410", protocol


# (count.by, three requests that share a counter, one that has its own)
COUNTED = {
    "client": (["client"], [{}, {"path": "/a"}, {}], {"address": "127.0.0.2"}),
    "network": (["network"], [{"address": f"127.0.3.{n}"} for n in (1, 2, 3)],
                {"address": "127.0.4.1"}),
    "path": (["path"], [{"address": f"127.0.3.{n}"} for n in (1, 2, 3)], {"path": "/a"}),
    "host": (["host"], [{"host": "a.test", "address": f"127.0.3.{n}"} for n in (1, 2, 3)],
             {"host": "b.test"}),
    "header": ([f"header:{HEADER}"],
               [{"headers": ["X-Test: k"], "address": f"127.0.3.{n}"} for n in (1, 2, 3)],
               {"headers": ["X-Test: l"]}),
    "cookie": (["cookie:sid"],
               [{"headers": ["Cookie: sid=k"], "address": f"127.0.3.{n}"} for n in (1, 2, 3)],
               {"headers": ["Cookie: sid=l"]}),
    "app": (["app"], [{"path": f"/shop/{n}", "address": f"127.0.3.{n}"} for n in (1, 2, 3)],
            {"path": "/a"}),
    "global": (["global"], [{"address": f"127.0.3.{n}"} for n in (1, 2, 3)], None),
    "tuple": (["client", "path"], [{"path": "/a"}] * 3, {"path": "/b"}),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", COUNTED)
def test_750_02_each_counted_key(httpd, key, protocol):
    by, same, other = COUNTED[key]
    server = httpd(tls=True, policies={**DOCUMENT, "policies": [
        policy("limit", {"throttle": {}}, {}, detect=rate(2, 3600), count={"by": by})]})
    statuses = [ask(server, protocol, **request) for request in same]
    assert "429" not in statuses[:2] and statuses[2] == "429"
    if other is not None:
        assert ask(server, protocol, **other) != "429"


# (action, the answers to three requests against a limit of one, what the log says)
ACTIONS = {
    "log": ({"log": {}}, ["200", "200", "200"], "log"),
    "deny": ({"deny": {"status": 404}}, ["200", "404", "404"], "deny"),
    "throttle": ({"throttle": {}}, ["200", "429", "429"], "throttle"),
    "drop": ({"drop": {}}, ["200", DROPPED, DROPPED], "drop"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ACTIONS)
def test_750_03_each_action(httpd, name, protocol):
    action, answers, logged = ACTIONS[name]
    server = httpd(tls=True, policies=config(
        policy("limit", action, {"paths": ["/page.txt"]}, detect=rate(1, 3600))))
    assert [ask(server, protocol) for _ in range(3)] == answers
    assert ask(server, protocol, path="/") == "200"
    assert sum(f"action={logged} " in line for line in server.accesses()) == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_750_04_ban_and_allow(httpd, protocol):
    server = httpd(tls=True, policies=config(
        policy("friends", {"allow": {}}, {"headers": [{"name": HEADER, "is": "present"}]},
               priority=1),
        policy("trap", {"ban": {"seconds": 600}}, {"paths": ["/trap"]})))
    friend = {"headers": ["X-Test: 1"], "address": "127.0.0.2"}
    assert ask(server, protocol, path="/trap", **friend) == "404"
    assert ask(server, protocol, address="127.0.0.2") == "200"
    assert ask(server, protocol, path="/trap", address="127.0.0.3") == "403"
    assert ask(server, protocol, address="127.0.0.3") in (("403",) if protocol == "1.1"
                                                          else (DROPPED,))


# (detect, how many requests for what is not there are answered before one is refused)
DETECTORS = {
    "always": ({"always": {}}, 0),
    "rate": (rate(3, 3600), 3),
    "ratio": ({"ratio": {"percent": 90, "min_requests": 3, "per_seconds": 3600}}, 3),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", DETECTORS)
def test_750_05_each_detector(httpd, name, protocol):
    detect, answered = DETECTORS[name]
    server = httpd(tls=True, policies=config(policy("limit", {"throttle": {}}, detect=detect)))
    statuses = [ask(server, protocol, path="/missing") for _ in range(answered + 4)]
    # An answer may be counted after the next request has begun.
    late = 2 if name == "ratio" else 0
    first = statuses.index("429")
    assert answered <= first <= answered + late, statuses
    assert set(statuses[:first]) <= {"404"} and set(statuses[first:]) == {"429"}
