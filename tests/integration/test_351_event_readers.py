# SPDX-License-Identifier: Apache-2.0
"""Two hundred readers of the event stream, some slow, some dead, through a restart and a
kill of the daemon: each that lives gets each event once, in order, and nobody else is
held up by them."""
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from daemon import POLICY, daemon  # noqa: F401 (a fixture)
from stream import Stream, events

HERE = Path(__file__).parent
LIVE, SLOW, DEAD = 150, 30, 20
GETS = 400
SUBSCRIBERS_MAX = 256


def p99(daemon):
    done = subprocess.run([sys.executable, HERE / "latency.py", str(daemon.port),
                           daemon.token, "/v1/policies", str(GETS)], check=True,
                          capture_output=True, text=True)
    return float(done.stdout)


def resident_kib(daemon):
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line)


class Writer(threading.Thread):
    """Ten bans by hand and their end, again and again: 20 events each time."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon_under_test, self.done = daemon, threading.Event()

    def run(self):
        put = {"put": [{"key": {"client": f"198.51.100.{number}"}, "seconds": 600}
                       for number in range(10)]}
        lift = {"delete": [f"ip:198.51.100.{number}" for number in range(10)]}
        while not self.done.is_set():
            self.daemon_under_test.call("POST", "/v1/bans:batch", put)
            self.daemon_under_test.call("POST", "/v1/bans:batch", lift)
            self.done.wait(0.1)

    def finish(self):
        self.done.set()
        self.join()


def write_for(daemon, action):
    """The action's result, while events come."""
    writer = Writer(daemon)
    writer.start()
    try:
        return action()
    finally:
        writer.finish()


def fill(daemon):
    for number in range(20):
        daemon.call("PUT", f"/v1/policies/p{number}", POLICY)


def test_351_01_two_hundred_readers_through_restarts(daemon):
    fill(daemon)
    idle_ms, idle_kib = p99(daemon), resident_kib(daemon)
    readers = subprocess.Popen(
        [sys.executable, HERE / "sse_readers.py", str(daemon.port), daemon.token,
         str(LIVE), str(SLOW), str(DEAD)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert readers.stdout.readline() == "ready\n"
        rare = Stream(daemon, "?type=node.lost")
        # The machine may be busy with something else: the best of three counts.
        loaded_ms = min(write_for(daemon, lambda: p99(daemon)) for _ in range(3))
        loaded_kib = resident_kib(daemon)
        number, kind, _ = rare.frame(25)
        assert kind is None and int(number) > 0, "no heartbeat"
        rare.close()
        daemon.stop()
        daemon.start()
        write_for(daemon, lambda: time.sleep(1))
        daemon.kill()
        daemon.start()
        write_for(daemon, lambda: time.sleep(1))
        last = daemon.call("GET", "/v1/events").json["last_id"]
        readers.stdin.write(f"until {last}\n")
        readers.stdin.flush()
        seen = json.loads(readers.stdout.readline())
    finally:
        readers.kill()
        readers.wait()
        readers.stdin.close()
        readers.stdout.close()
    assert len(seen) == LIVE + SLOW and last > 500
    for reader in seen:
        assert reader["wrong"] == [] and reader["last"] == last, reader
        assert reader["seen"] == last and reader["connections"] >= 3, reader
    assert [event["id"] for event in events(daemon)] == list(range(1, last + 1))
    print(f"p99 idle {idle_ms:.2f} ms, with {LIVE + SLOW + DEAD} readers and events "
          f"{loaded_ms:.2f} ms; {last} events; {idle_kib} KiB and {loaded_kib} KiB")
    # A quantum of the scheduler is not the daemon's.
    assert loaded_ms <= 5 * max(idle_ms, 3)
    if not os.environ.get("L7S_PRELOAD"):
        assert loaded_kib - idle_kib < 64 * 1024


def test_351_02_no_more_readers_than_there_is_room_for(daemon):
    fill(daemon)
    # From two addresses: one may not have so many connections at all.
    streams = [Stream(daemon, source=f"127.0.0.{2 + number % 2}")
               for number in range(SUBSCRIBERS_MAX)]
    assert all(stream.head.startswith("HTTP/1.1 200 ") for stream in streams)
    answer = daemon.call("GET", "/v1/events?wait_seconds=5")
    assert (answer.status, answer.code) == (503, "busy")
    assert daemon.call("GET", "/v1/events?after=1").status == 200  # it need not wait
    assert daemon.call("GET", "/v1/policies").status == 200
    for stream in streams[:20]:
        stream.close()
    # What is gone is noticed at the second write after it.
    deadline = time.monotonic() + 10
    while daemon.call("GET", "/v1/events?wait_seconds=1").status == 503:
        assert time.monotonic() < deadline, "no room again"
        daemon.call("PUT", "/v1/policies/more", {**POLICY, "description": str(deadline)})
        deadline += 0.001
        daemon.call("PUT", "/v1/policies/more", POLICY)
    for stream in streams:
        stream.close()
