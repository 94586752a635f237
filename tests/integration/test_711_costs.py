# SPDX-License-Identifier: Apache-2.0
"""Budgets in other units than requests, debited when the request has been answered."""
import socket
import time

import pytest

from backend import MODULES, Backend
from fleet import Fleet
from httpd import config, policy, rate, wait_until


@pytest.fixture
def backend():
    one = Backend()
    yield one
    one.close()


def budget(cost, limit, per_seconds=60, action=None, **more):
    return policy("budget", action or {"throttle": {}}, detect=rate(limit, per_seconds),
                  count={"by": ["client"], "cost": cost, **more})


def ask(server, path, address="127.0.0.2", **options):
    """One request, counted before this returns."""
    lines = len(server.accesses())
    answer = server.get(path, address=address, **options)
    if "l7shield-policy" not in answer.headers:
        wait_until(lambda: len(server.accesses()) > lines, 5, "its line in the access log")
    return answer


def test_711_01_bytes_out_are_those_of_the_bodies(httpd):
    server = httpd(policies=config(budget("bytes_out", 1000000)))
    (server.document_root / "large.bin").write_bytes(b"x" * 400000)
    assert [ask(server, "/large.bin").status for _ in range(2)] == [200] * 2
    assert [ask(server, "/page.txt").status for _ in range(50)] == [200] * 50
    assert ask(server, "/large.bin", method="HEAD").status == 200
    assert ask(server, "/large.bin").status == 200, "the one that exceeds it has passed"
    refused = ask(server, "/page.txt")
    assert refused.status == 429
    # 1,200,350 of a million: 200,350 give back in 12 s.
    assert 10 <= int(refused.headers["retry-after"]) <= 13
    assert ask(server, "/large.bin", address="127.0.0.3").status == 200


def test_711_02_bytes_in_are_those_of_the_bodies(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES,
                   policies=config(budget("bytes_in", 300000)))
    assert [ask(server, "/app/", method="POST", body=b"y" * 100000).status
            for _ in range(3)] == [200] * 3
    assert [ask(server, "/app/?bytes=100000").status for _ in range(5)] == [200] * 5
    assert ask(server, "/app/", method="POST", body=b"y" * 50000).status == 200
    refused = ask(server, "/app/")
    assert refused.status == 429 and 8 <= int(refused.headers["retry-after"]) <= 10
    assert [length for _, _, length in backend.seen].count(100000) == 3


def test_711_03_chunked_body_counts_what_it_carries(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES,
                   policies=config(budget("bytes_in", 5000)))
    chunks = b"".join(b"3e8\r\n" + b"z" * 1000 + b"\r\n" for _ in range(6)) + b"0\r\n\r\n"
    head = (b"POST /app/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n")
    answer = server.raw(head + chunks, "127.0.0.2")
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:100]
    wait_until(lambda: len(server.accesses()) == 1, 5, "the access log")
    refused = ask(server, "/page.txt")
    # 6,000 of 5,000: 1,000 give back in 12 s.
    assert refused.status == 429 and 11 <= int(refused.headers["retry-after"]) <= 12


def test_711_04_busy_time_is_that_of_the_worker(httpd, backend):
    """Two seconds in a minute: 20 requests of 0.15 s are too many, 200 fast ones are not."""
    server = httpd(host=backend.config(), modules=MODULES,
                   policies=config(budget("busy_ms", 2000)))
    assert {ask(server, "/page.txt", "127.0.0.3").status for _ in range(200)} == {200}
    statuses, begin = [], time.monotonic()
    while 429 not in statuses and len(statuses) < 20:
        statuses.append(ask(server, "/app/?sleep=0.15").status)
    took = time.monotonic() - begin
    assert statuses[-1] == 429 and 9 <= len(statuses) <= 15, (statuses, took)
    assert ask(server, "/page.txt", "127.0.0.3").status == 200


def test_711_05_slow_reader_of_a_finished_answer_keeps_no_worker_busy(httpd):
    """What is left for the client to fetch waits in the event MPM, not in a worker, where
    the kernel sends files."""
    server = httpd(directives="EnableSendfile On\n", policies=config(budget("busy_ms", 500)))
    (server.document_root / "large.bin").write_bytes(b"x" * 8000000)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.bind(("127.0.0.4", 0))
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n"
                       b"Connection: close\r\n\r\n")
        time.sleep(1.5)
        received = 0
        while piece := client.recv(1 << 20):
            received += len(piece)
    assert received > 8000000
    wait_until(lambda: len(server.accesses()) == 1, 5, "the access log")
    assert ask(server, "/page.txt", "127.0.0.4").status == 200


def test_711_06_back_end_names_the_cost_and_nobody_else(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES,
                   policies=config(budget("response_header", 100)))
    for _ in range(2):
        answer = ask(server, "/app/?L7Shield-Cost=50")
        assert answer.status == 200 and "l7shield-cost" not in answer.headers
    # Neither a request header nor nonsense is a cost.
    for value in ("nonsense", "-5", "1.5", ""):
        assert ask(server, f"/app/?L7Shield-Cost={value}",
                   headers={"L7Shield-Cost": "1000"}).status == 200
    assert ask(server, "/app/?L7Shield-Cost=99999999999999999999999").status == 200
    refused = ask(server, "/page.txt")
    # Debt ends at one period.
    assert refused.status == 429 and 58 <= int(refused.headers["retry-after"]) <= 60


@pytest.mark.parametrize("counted", [True, False])
def test_711_07_cost_header_never_leaves(httpd, backend, counted):
    """Errors, error documents and HTTP/2 included, whether a policy counts it or not."""
    policies = [budget("response_header", 1000000)] if counted else []
    override = '<Location "/own/">\nProxyErrorOverride On\n</Location>\n'
    server = httpd(host=backend.config() + backend.config("/own/", override)
                   + "ErrorDocument 404 /page.txt\n", modules=MODULES, tls=True,
                   policies=config(*policies))
    for path in ("/app/?", "/app/?status=500&", "/app/?status=404&", "/own/?status=404&",
                 "/own/?status=503&"):
        for tls in (False, True):
            answer = server.get(path + "L7Shield-Cost=7&X-Other=1", tls=tls)
            assert "l7shield-cost" not in answer.headers, (path, tls)


def test_711_08_fleet_shares_a_budget_of_bytes():
    fleet = Fleet(nodes=2)
    try:
        for node in fleet.nodes:
            (node.document_root / "large.bin").write_bytes(b"x" * 300000)
        fleet.start()
        fleet.put_policy(policy("budget", {"throttle": {}}, detect=rate(1000000, 120),
                                count={"by": ["client"], "cost": "bytes_out"}))
        one, two = fleet.nodes
        for _ in range(4):
            assert ask(one, "/large.bin", "127.0.0.9").status == 200
            time.sleep(0.4)  # a young node learns within a second that it is not alone
        wait_until(lambda: two.get("/page.txt", address="127.0.0.9").status == 429, 3,
                   "the other node hears of it")
        item = fleet.wait_for_incident(lambda item: item["policy"]["name"] == "budget")
        assert item["measure"]["unit"] == "bytes" and item["measure"]["limit"] == 1000000
        assert item["measure"]["observed"] >= 1000000
    finally:
        unexpected = fleet.close()
    assert not unexpected, unexpected
