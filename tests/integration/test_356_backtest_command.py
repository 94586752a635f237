# SPDX-License-Identifier: Apache-2.0
"""`l7shieldd backtest`: its verdicts are those that a real httpd gave to the same requests."""
import json
import os
import pty
import re
import subprocess
import time
from pathlib import Path

import pytest

from daemon import L7SHIELDD
from httpd import Httpd, config, policy, rate

LOG_FORMAT = Path(__file__).resolve().parents[2] / "conf" / "backtest-log.conf"
# What httpd.py logs says "-" for a time; these are logged beside it.
LOGS = """
Include {conf}
CustomLog {root}/full.log l7shield
LogFormat "%h %l %u %t \\"%r\\" %>s %B \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\" \
%{{L7SHIELD_ACTION}}e %{{L7SHIELD_POLICY}}e" plain
CustomLog {root}/plain.log plain
LogFormat "%v:%p %h %l %u %t \\"%r\\" %>s %B \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\" \
%{{L7SHIELD_ACTION}}e %{{L7SHIELD_POLICY}}e" vhost
CustomLog {root}/vhost.log vhost
"""
# Refills are minutes apart, so no verdict hangs on milliseconds.
POLICIES = config(
    policy("scanner", {"deny": {}}, {"headers": [
        {"name": "user-agent", "is": "contains", "values": ["sqlmap"]}]}, priority=10),
    policy("guess", {"ban": {"seconds": 2}}, {"paths": ["/missing/**"]}, priority=20,
           detect=rate(5, 3600), count={"statuses": ["404"]},
           escalate=[{"after": 2, "within_seconds": 600, "action": {"ban": {"seconds": 3600}}}]),
    policy("per-client", {"throttle": {}}, {"paths": ["/page.txt"]}, priority=30,
           detect=rate(12, 3600)),
    policy("watched", {"throttle": {}}, mode="observe", priority=40, detect=rate(9, 3600)),
    policy("hosts", {"log": {}}, {"hosts": ["localhost"], "query": [
        {"name": "q", "is": "present"}]}, priority=50),
    policy("index", {"deny": {}}, {"paths": ["/index.html"]}, priority=60, detect=rate(4, 3600)),
    lists=[{"name": "friends", "effect": "allow", "entries": [{"value": "127.0.6.200"}]}])


def command(log, policies, *options, **more):
    path = Path(log).parent / "tried.json"
    path.write_text(json.dumps(policies))
    return subprocess.run([L7SHIELDD, "backtest", log, "--policies", path, *options],
                          capture_output=True, text=True, timeout=60, **more)


def backtest(log, policies, *options):
    done = command(log, policies, "--json", *options)
    assert done.returncode == 0 and done.stderr == "", done
    return json.loads(done.stdout)


def drive(server):
    """Several clients that take turns, each with its own habits."""
    paths = {1: ["/page.txt"], 2: ["/missing/a?x=1", "/page.txt"], 3: ["/", "/page.txt?q=1"],
             4: ["/index.html"], 200: ["/page.txt"]}
    for turn in range(24):
        for number, own in paths.items():
            server.get(own[turn % len(own)], address=f"127.0.6.{number}",
                       headers={"Host": "LocalHost:80", "User-Agent": "sqlmap/1.7" if turn % 9 == 8 else "test \"a\\b\""})
    for _ in range(2):  # the ban of two seconds ends; the next one is longer
        time.sleep(4.5)
        for _ in range(9):
            server.get("/missing/b", address="127.0.6.2", headers={"User-Agent": "late"})
    server.raw(b"GET /\x01bad HTTP/1.1\r\nHost: localhost\r\n\r\n", address="127.0.6.5")
    server.raw(b"\x16\x03\x01 nonsense\r\n\r\n", address="127.0.6.5")


@pytest.fixture(scope="module")
def driven():
    server = Httpd(policies=POLICIES)
    server.directives = LOGS.format(conf=LOG_FORMAT, root=server.root)
    server.write_config()
    server.start()
    drive(server)
    server.stop()  # everything has been logged
    yield server
    unexpected = server.close()
    assert not unexpected, "\n".join(unexpected)


def live(server):
    """{(action, policy): how often} as httpd logged it."""
    counts = {}
    for line in (server.root / "plain.log").read_text().splitlines():
        key = tuple(line.split()[-2:])
        counts[key] = counts.get(key, 0) + 1
    return counts


def by_policy(result):
    return {item["name"]: item for item in result["policies"]}


def test_356_01_verdicts_are_those_of_the_live_server(driven):
    counts = live(driven)
    acted = sum(count for (action, _), count in counts.items()
                if action in ("deny", "throttle", "ban"))
    observed = sum(count for (action, _), count in counts.items() if action.startswith("would_"))
    wanted = {("deny", "scanner"), ("ban", "guess"), ("throttle", "per-client"),
              ("would_throttle", "watched"), ("deny", "index"), ("log", "hosts"),
              ("allow", "friends"), ("-", "-")}
    assert not wanted - set(counts), str(sorted(counts.items()))
    full = backtest(driven.root / "full.log", POLICIES)
    assert full["recorded"]["requests"] == sum(counts.values())
    assert full["recorded"]["same"] == full["recorded"]["requests"], (full, counts)
    for name, options in (("full.log", ()), ("plain.log", ("--host", "localhost")),
                          ("vhost.log", ())):
        result = backtest(driven.root / name, POLICIES, *options)
        assert result["requests"]["total"] == sum(counts.values()), (name, result)
        assert result["requests"]["acted"] == acted, (name, result, counts)
        assert result["requests"]["would_act"] == observed, (name, result, counts)
        assert by_policy(result)["per-client"]["acted"] == counts["throttle", "per-client"]
        assert by_policy(result)["scanner"]["acted"] == counts["deny", "scanner"]
        assert sum(item["requests"] for item in result["time"]["items"]) == sum(counts.values())
        assert sum(item["acted"] for item in result["time"]["items"]) == acted
    assert full["clients"]["total"] == 6 and full["clients"]["acted"] == 4, full
    assert full["top"]["clients"][0]["value"].startswith("127.0.6.")
    assert not full["not_told"]


def test_356_02_a_verdict_that_differs_is_noticed(driven):
    log = driven.root / "changed.log"
    lines = (driven.root / "full.log").read_text().splitlines()
    changed = next(i for i, line in enumerate(lines) if '"action":"deny"' in line)
    lines[changed] = lines[changed].replace('"action":"deny"', '"action":"-"')
    log.write_text("\n".join(lines) + "\n")
    recorded = backtest(log, POLICIES)["recorded"]
    assert recorded["same"] == recorded["requests"] - 1


# ------------------------------------------------------------------- logs of our own

def line(client, second, path="/", status=200, agent="-"):
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(1769900000 + second))
    return f'{client} - - [{stamp}] "GET {path} HTTP/1.1" {status} 5 "-" "{agent}"\n'


def test_356_03_suggested_limits_touch_the_share_that_they_promise(tmp_path):
    """A thousand clients, the n-th of which asks n / 10 times within a minute."""
    log = tmp_path / "access.log"
    log.write_text("".join(line(f"10.0.{n // 250}.{n % 250}", second)
                           for second in range(50) for n in range(1000)
                           if second * 2 <= n / 10))
    limit = policy("limit", {"throttle": {}}, detect=rate(1000, 60))
    result = backtest(log, config(limit))
    assert result["clients"]["total"] == 1000 and result["clients"]["acted"] == 0
    [threshold] = by_policy(result)["limit"]["thresholds"]
    assert (threshold["of"], threshold["keys"], threshold["per_seconds"]) == ("clients", 1000, 60)
    assert [one["share_ppm"] for one in threshold["suggested"]] == [10000, 1000, 100]
    for one in threshold["suggested"]:
        tried = policy("limit", {"throttle": {}},
                       detect=rate(one["requests"], 60, one["burst"]))
        touched = backtest(log, config(tried))["clients"]["acted"]
        assert touched <= 1000 * one["share_ppm"] // 10**6 and touched <= one["touched"], one
    lower = policy("limit", {"throttle": {}},
                   detect=rate(threshold["suggested"][0]["requests"] // 2 - 2, 60))
    assert backtest(log, config(lower))["clients"]["acted"] > 10, "not twice too high"


def test_356_04_lines_that_are_none_are_counted_and_passed_over(tmp_path):
    log = tmp_path / "access.log"
    log.write_bytes(line("10.0.0.1", 0).encode() + b"\xff\x00\xfe nonsense\n\n"
                    + line("host.example.com", 1).encode()
                    + line("10.0.0.1", 2).replace("Jan", "Foo").encode()
                    + b"x" * 200000 + b"\n" + line("10.0.0.1", 3).encode()
                    + line("10.0.0.1", 1).encode())
    result = backtest(log, config())
    assert result["log"]["lines"] == 8 and result["requests"]["total"] == 3
    assert result["log"]["skipped"] == {"form": 2, "time": 1, "client": 1, "long": 1}
    assert result["log"]["out_of_order"] == 1
    assert (result["log"]["first_at"], result["log"]["last_at"]) == (
        "2026-01-31T22:53:20.000Z", "2026-01-31T22:53:23.000Z")


def test_356_05_memory_is_bounded(tmp_path):
    """300,000 clients, more than each limit is watched for; all of them are stopped."""
    log = tmp_path / "access.log"
    with open(log, "w", encoding="ascii") as out:
        for i in range(300000):
            out.write(line(f"10.{i % 250}.{i // 250 % 250}.{i // 62500}", i // 1000,
                           f"/{i}/{'x' * 100}"))
    policies = tmp_path / "policies.json"
    policies.write_text(json.dumps(config(
        policy("all", {"deny": {}}, mode="observe"),
        policy("limit", {"throttle": {}}, detect=rate(1, 60)))))
    with open(tmp_path / "out.json", "w+", encoding="utf-8") as out:
        process = subprocess.Popen([L7SHIELDD, "backtest", log, "--policies", policies, "--json"],
                                   stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        out.seek(0)
        result = json.load(out)
    if not os.environ.get("L7S_PRELOAD"):
        assert usage.ru_maxrss < 300 * 1024, f"{usage.ru_maxrss} KiB"
    assert result["clients"]["total"] == 300000 and result["clients"]["seen_one_in"] == 1
    [threshold] = by_policy(result)["limit"]["thresholds"]
    assert threshold["seen_one_in"] == 2, "more keys than fit"
    assert by_policy(result)["all"]["clients"] == 300000


def test_356_06_a_terminal_sees_a_bar_and_a_summary(tmp_path):
    log = tmp_path / "access.log"
    log.write_text("".join(line(f"10.0.0.{i % 200}", i // 100, "/\\x1b[31m\\\"evil")
                           for i in range(200000)))
    tried = config(policy("limit", {"throttle": {}}, detect=rate(10, 3600)))
    leader, follower = pty.openpty()
    done = subprocess.Popen([L7SHIELDD, "backtest", log, "--policies", "/dev/stdin"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=follower)
    out, _ = done.communicate(json.dumps(tried).encode(), 60)
    os.close(follower)
    seen = os.read(leader, 65536)
    os.close(leader)
    assert done.returncode == 0
    assert re.search(rb"\[#* *\] +\d+ %  \d+ lines", seen), seen
    text = out.decode()
    assert "200000 lines, from 2026-01-31" in text and "limit" in text
    assert "/?[31m\"evil" in text and "\x1b" not in text
    assert all(len(one) <= 90 for one in text.splitlines()), text


def test_356_07_what_is_wrong_is_said(tmp_path):
    log = tmp_path / "access.log"
    log.write_text(line("10.0.0.1", 0))
    bad = command(log, config(policy("p", {"deny": {}}, {"client": {"in": ["10.0.0.1/8"]}})))
    assert bad.returncode == 2 and "/policies/0/match/client/in/0" in bad.stderr
    missing = command(tmp_path / "none.log", config())
    assert missing.returncode == 1 and "No such file" in missing.stderr
    assert command(tmp_path, config()).returncode == 1, "a folder"
    lost = subprocess.run([L7SHIELDD, "backtest", log, "--policies", tmp_path / "none.json"],
                          capture_output=True, text=True)
    assert lost.returncode == 2 and lost.stderr.count("none.json") == 1
    assert "usage" in command(log, config(), "--format", "nginx").stderr
    none = subprocess.run([L7SHIELDD, "backtest", log], capture_output=True, text=True)
    assert none.returncode == 2 and "--policies" in none.stderr
    assert backtest(log, config(), "--format", "json")["log"]["skipped"]["form"] == 1
