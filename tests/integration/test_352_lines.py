# SPDX-License-Identifier: Apache-2.0
"""NDJSON: everything that matches, part by part as the client reads it, in bounded memory;
the same as the pages of JSON show."""
import json
import os
import socket
import time
from pathlib import Path

from daemon import POLICY, daemon  # noqa: F401 (a fixture)
from httpd import wait_until

LINES = {"Accept": "application/x-ndjson"}


def lines(daemon, path):
    answer = daemon.call("GET", path, headers=LINES)
    assert answer.headers["content-type"] == "application/x-ndjson", answer
    return [json.loads(line) for line in answer.text.splitlines()]


def count_lines(daemon, path):
    """Without a look at each of them."""
    connection = daemon.connect()
    connection.request("GET", path, headers={**LINES,
                                             "Authorization": f"Bearer {daemon.token}"})
    response = connection.getresponse()
    found = len(response.read().splitlines())
    connection.close()
    return found


def pages(daemon, path):
    found, cursor = [], ""
    mark = "&" if "?" in path else "?"
    while cursor is not None:
        page = daemon.call("GET", f"{path}{mark}limit=1000{cursor}").json
        found += page["items"]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    return found


def address(number):
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def put_bans(daemon, count):
    for begin in range(0, count, 5000):
        answer = daemon.call("POST", "/v1/bans:batch", {"put": [
            {"key": {"client": address(number)}, "seconds": 3600,
             "labels": {"parity": str(number % 2)}}
            for number in range(begin, min(begin + 5000, count))]})
        assert answer.status == 200, answer


def resident_kib(daemon):
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)


def test_352_01_lines_of_every_list_are_what_its_pages_show(daemon):
    for number in range(5):
        daemon.call("PUT", f"/v1/policies/p{number}",
                    {**POLICY, "labels": {"n": str(number)}})
    daemon.call("PUT", "/v1/lists/l", {"effect": "deny", "entries": [
        {"value": address(number)} for number in range(12000)]})
    daemon.call("PUT", "/v1/apps/shop", {"hosts": ["shop.example"]})
    daemon.call("PUT", "/v1/responses/sorry", {"body": "No."})
    put_bans(daemon, 2000)
    for path in ("/v1/policies", "/v1/policies?label=n=3", "/v1/lists", "/v1/apps",
                 "/v1/lists/l/entries", "/v1/responses", "/v1/revisions", "/v1/packs",
                 "/v1/tokens", "/v1/nodes", "/v1/incidents", "/v1/sets", "/v1/bans",
                 "/v1/bans?client=10.0.0.0%2F8", "/v1/bans?origin=daemon"):
        found = lines(daemon, path)
        for item in found:  # a token is used by each look at it
            item.get("status", {}).pop("last_used_at", None)
        expected = pages(daemon, path)
        for item in expected:
            item.get("status", {}).pop("last_used_at", None)
        assert found == expected, path
    assert len(lines(daemon, "/v1/bans")) == 2000
    assert len(lines(daemon, "/v1/lists/l/entries")) == 12000
    found = lines(daemon, "/v1/events")
    assert [event["id"] for event in found] == list(range(1, len(found) + 1))
    assert len(lines(daemon, "/v1/events?type=ban.*")) == 2000
    assert lines(daemon, "/v1/events?after=3")[0]["id"] == 4


def test_352_02_errors_are_no_lines(daemon):
    for path, status in (("/v1/bans?client=x", 400), ("/v1/bans?limit=0", 400),
                         ("/v1/lists/none/entries", 404), ("/v1/events?after=9", 410)):
        answer = daemon.call("GET", path, headers=LINES)
        assert answer.status == status, (path, answer)
    assert daemon.call("GET", "/v1/packs", headers={"Accept": "text/csv"}).status == 406


def ask(daemon):
    """A client that asks for all bans and does not read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", daemon.port))
    connection.sendall((f"GET /v1/bans HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n"
                        f"Authorization: Bearer {daemon.token}\r\n"
                        "Accept: application/x-ndjson\r\n\r\n").encode())
    return connection


def test_352_03_who_does_not_read_costs_one_part(daemon):
    count = 15000  # 5 MB as lines
    put_bans(daemon, count)
    before = resident_kib(daemon)
    idle = [ask(daemon) for _ in range(20)]
    wait_until(lambda: all(connection.recv(1, socket.MSG_PEEK) for connection in idle), 10,
               "the first bytes")
    begun = time.monotonic()
    assert daemon.call("GET", "/v1/policies").status == 200
    assert time.monotonic() - begun < 15  # half of what an idle connection is waited for
    grown = resident_kib(daemon) - before
    assert count_lines(daemon, "/v1/bans") == count
    for connection in idle:
        connection.close()
    print(f"20 idle readers of {count} bans: {grown} KiB")
    if not os.environ.get("L7S_PRELOAD"):
        assert grown < 20 * 5 * 1024 / 2  # the half of what all of it would take


def test_352_04_changes_meanwhile_neither_repeat_nor_skip_what_stays(daemon):
    put_bans(daemon, 10000)
    connection = daemon.connect()
    connection.request("GET", "/v1/bans", headers={
        **LINES, "Authorization": f"Bearer {daemon.token}"})
    response = connection.getresponse()
    first = response.readline()
    lifted = [f"ip:{address(number)}" for number in range(0, 10000, 2)]
    for begin in range(0, len(lifted), 5000):
        daemon.call("POST", "/v1/bans:batch", {"delete": lifted[begin:begin + 5000]})
    found = [json.loads(first)["id"]]
    found += [json.loads(line)["id"] for line in response.read().splitlines()]
    connection.close()
    assert len(found) == len(set(found)) and found == sorted(found)
    assert set(found) >= {f"ip:{address(number)}" for number in range(1, 10000, 2)}


def test_352_05_stop_cuts_lines_off_where_the_client_sees_it(daemon):
    put_bans(daemon, 15000)
    connection = ask(daemon)  # the kernel holds less than all of it
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    daemon.stop()
    received, tail = 0, b""
    try:
        while chunk := connection.recv(65536):
            received += len(chunk)
            tail = (tail + chunk)[-5:]
    except ConnectionError:
        pass
    assert received > 0 and tail != b"0\r\n\r\n"  # no last chunk
    connection.close()
    daemon.start()
