# SPDX-License-Identifier: Apache-2.0
"""Requests of a key in flight: taken when they are admitted, given back when they are
over, whatever ends them."""
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from backend import MODULES, Backend
from httpd import config, policy, wait_until


@pytest.fixture
def backend():
    one = Backend()
    yield one
    one.close()


def limited(most, action=None, **more):
    return policy("few", action or {"throttle": {}}, detect={"concurrency": {"max": most}},
                  **more)


class Slow:
    """Requests that take a while, each in a thread of its own."""

    def __init__(self, server, backend, count, seconds, address="127.0.0.2"):
        before, self.answers = len(backend.seen), []
        self._threads = [threading.Thread(
            target=self._ask, args=(server, seconds, address)) for _ in range(count)]
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(backend.seen) >= before + count, 5, "all of them in flight")

    def _ask(self, server, seconds, address):
        try:
            self.answers.append(server.get(f"/app/?sleep={seconds}", address=address).status)
        except OSError as error:
            self.answers.append(repr(error))

    def join(self):
        for thread in self._threads:
            thread.join(20)
        return self.answers


def test_714_01_limit_refuses_one_more_and_only_while_they_run(httpd, backend):
    server = httpd(children=2, host=backend.config(), modules=MODULES,
                   policies=config(limited(4)))
    slow = Slow(server, backend, 4, 1)
    refused = server.get("/page.txt", address="127.0.0.2")
    assert refused.status == 429 and refused.headers["l7shield-policy"] == "few"
    assert refused.headers["retry-after"] == "1"
    assert server.get("/page.txt", address="127.0.0.3").status == 200
    assert slow.join() == [200] * 4
    assert [server.get("/page.txt", address="127.0.0.2").status for _ in range(30)] == [200] * 30


def test_714_02_keyed_by_all_it_protects_what_is_slow(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(
        limited(3, {"deny": {"status": 503}}, match={"paths": ["/app/**"]},
                count={"by": ["global"]})))
    slow = Slow(server, backend, 2, 1), Slow(server, backend, 1, 1, "127.0.0.3")
    assert server.get("/app/", address="127.0.0.4").status == 503
    assert server.get("/page.txt", address="127.0.0.4").status == 200
    assert slow[0].join() + slow[1].join() == [200] * 3
    assert server.get("/app/", address="127.0.0.4").status == 200


def test_714_03_killed_child_leaves_no_request_in_flight(httpd, backend):
    server = httpd(children=1, host=backend.config(), modules=MODULES,
                   policies=config(limited(3)))
    server.expects("AH00052: child pid .* exit signal Killed", "AH00051")
    slow = Slow(server, backend, 3, 30)
    assert server.get("/page.txt", address="127.0.0.2").status == 429
    for pid in server.child_pids():
        os.kill(pid, signal.SIGKILL)
    slow.join()
    wait_until(lambda: server.child_pids(), 5, "a new child")

    def admitted():
        try:
            return server.get("/page.txt", address="127.0.0.2").status == 200
        except OSError:
            return False
    wait_until(admitted, 6, "the sync process has found the places of the dead")
    # Exact again: three may fly, a fourth may not.
    again = Slow(server, backend, 3, 1)
    assert server.get("/page.txt", address="127.0.0.2").status == 429
    assert again.join() == [200] * 3


def test_714_04_client_that_goes_away_gives_its_place_back(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(limited(1)))
    with socket.create_connection(("127.0.0.1", server.port), timeout=5,
                                  source_address=("127.0.0.2", 0)) as client:
        client.sendall(b"GET /app/?sleep=0.5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: backend.seen, 5, "the request")
        assert server.get("/page.txt", address="127.0.0.2").status == 429
    wait_until(lambda: server.get("/page.txt", address="127.0.0.2").status == 200, 5,
               "its place")


def test_714_05_http2_streams_count_one_each(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, tls=True,
                   policies=config(limited(2)))
    url = f"https://127.0.0.1:{server.tls_port}/app/?sleep=1"
    done = subprocess.run(
        ["curl", "-sk", "--http2", "--parallel", "--parallel-immediate", "-w",
         "%{http_version} %{http_code}\n",
         *[word for n in range(4) for word in ("-o", "/dev/null", f"{url}&n={n}")]],
        capture_output=True, text=True, timeout=30)
    assert sorted(done.stdout.splitlines()) == ["2 200"] * 2 + ["2 429"] * 2, done.stderr


def test_714_06_ban_by_concurrency_and_observing(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(
        limited(2, {"ban": {"seconds": 600}})))
    slow = Slow(server, backend, 2, 0.5)
    assert server.get("/page.txt", address="127.0.0.2").status == 403
    slow.join()
    assert server.get("/page.txt", address="127.0.0.2").status == 403, "it lasts"
    server = httpd(host=backend.config(), modules=MODULES, policies=config(
        limited(2, mode="observe")))
    slow = Slow(server, backend, 2, 0.5)
    assert server.get("/page.txt", address="127.0.0.2").status == 200
    wait_until(lambda: any("action=would_throttle policy=few" in line
                           for line in server.accesses()), 3, "its line in the access log")
    slow.join()


def test_714_07_graceful_restart_keeps_what_is_in_flight(httpd, backend):
    server = httpd(host=backend.config(), modules=MODULES, policies=config(limited(2)))
    slow = Slow(server, backend, 2, 3)
    begin = time.monotonic()
    server.graceful()
    if time.monotonic() - begin < 2:
        assert server.get("/page.txt", address="127.0.0.2").status == 429
    assert slow.join() == [200] * 2
    wait_until(lambda: server.get("/page.txt", address="127.0.0.2").status == 200, 5,
               "their places")
