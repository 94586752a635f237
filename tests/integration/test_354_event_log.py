# SPDX-License-Identifier: Apache-2.0
"""--event-log: every event once as a line of JSON, in a file that is rotated, in a file
that cannot be written for a while, in syslog and in a pipe that nobody reads."""
import json
import os
import signal
import socket
import time

import pytest

from daemon import POLICY, Daemon
from httpd import wait_until
from stream import events


@pytest.fixture
def logged():
    """Makes daemons with this option; unexpected lines in their logs fail the test."""
    made = []

    def make(target):
        server = Daemon()
        server.options = ["--event-log", str(target(server) if callable(target) else target)]
        made.append(server)
        return server.start()

    yield make
    unexpected = [line for server in made for line in server.close()]
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


def change(daemon, count=1, name="login"):
    for _ in range(count):
        for mode in ("observe", "enforce"):
            daemon.call("PUT", f"/v1/policies/{name}", {**POLICY, "mode": mode})


def lines(path):
    text = path.read_text() if path.exists() else ""
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ids(path):
    return [event["id"] for event in lines(path)]


def upto(count):
    return list(range(1, count + 1))


def test_354_01_file_gets_what_the_api_shows_and_is_rotated(logged):
    daemon = logged(lambda server: server.root / "events")
    path, moved = daemon.root / "events", daemon.root / "events.1"
    change(daemon, 3)
    wait_until(lambda: ids(path) == upto(6), 5, "the lines")
    assert lines(path) == events(daemon)
    assert path.stat().st_mode & 0o077 == 0
    path.rename(moved)
    change(daemon)
    wait_until(lambda: ids(moved) == upto(8), 5, "the lines in the file that was moved")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "L7S3006" in daemon.log(), 5, "the signal")
    change(daemon)
    wait_until(lambda: ids(path) == [9, 10], 5, "the lines in the new file")
    daemon.stop()
    daemon.start()
    change(daemon)
    wait_until(lambda: ids(path) == upto(12)[8:], 5, "the lines after the restart")


def test_354_02_what_cannot_be_written_comes_later(logged):
    daemon = logged(lambda server: server.root / "folder" / "events")
    daemon.expect("L7S3450")
    change(daemon, 2)
    wait_until(lambda: "L7S3450" in daemon.log(), 5, "the complaint")
    begun = time.monotonic()
    assert daemon.call("GET", "/v1/policies").status == 200
    assert time.monotonic() - begun < 1
    (daemon.root / "folder").mkdir()
    path = daemon.root / "folder" / "events"
    wait_until(lambda: ids(path) == upto(4), 5, "the lines")


def test_354_03_kill_loses_no_line(logged):
    daemon = logged(lambda server: server.root / "events")
    path = daemon.root / "events"
    for _ in range(5):
        change(daemon, 3)
        daemon.kill()
        daemon.start()
    wait_until(lambda: ids(path)[-1:] == [30], 10, "the last line")
    assert sorted(set(ids(path))) == upto(30)  # those of a crash may stand there twice


def test_354_04_syslog_that_dies_and_hangs(logged):
    daemon = logged(lambda server: f"syslog:{server.root}/log.sock")
    daemon.expect("L7S3450")
    path = str(daemon.root / "log.sock")
    change(daemon)  # nobody listens
    wait_until(lambda: "L7S3450" in daemon.log(), 5, "the complaint")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.settimeout(5)
        found = []
        while len(found) < 2:
            head, _, text = server.recv(65536).decode().partition("]: ")
            assert head.startswith("<29>") and " l7shieldd[" in head
            found.append(json.loads(text)["id"])
        assert found == [1, 2]
        change(daemon, 20)  # more than the socket holds, and nobody reads
        begun = time.monotonic()
        daemon.stop()
        assert time.monotonic() - begun < 5
        daemon.start()
        while len(found) < 42:
            text = server.recv(65536).decode().partition("]: ")[2]
            found.append(json.loads(text)["id"])
        assert sorted(set(found)) == upto(42)


def test_354_05_pipe_that_nobody_reads_blocks_nobody(logged):
    def pipe(server):
        os.mkfifo(server.root / "pipe")
        return server.root / "pipe"

    daemon = logged(pipe)
    daemon.expect("L7S3450")
    reader = os.open(daemon.root / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    put = {"put": [{"key": {"client": f"10.0.0.{number}"}, "seconds": 60}
                   for number in range(250)]}
    for number in range(2):  # 200 KB, and a pipe holds 64
        put["put"][0]["reason"] = str(number)
        daemon.call("POST", "/v1/bans:batch", put)
        daemon.call("POST", "/v1/bans:batch", {"delete": [
            f"ip:10.0.0.{number}" for number in range(250)]})
    last = daemon.call("GET", "/v1/events").json["last_id"]
    time.sleep(0.5)
    begun = time.monotonic()
    change(daemon)
    assert time.monotonic() - begun < 2
    received = b""

    def read():
        nonlocal received
        try:
            received += os.read(reader, 65536)
        except BlockingIOError:
            pass
        return f'"id":{last + 2},'.encode() in received and received.endswith(b"\n")

    wait_until(read, 20, "the last line")
    os.close(reader)
    found = [json.loads(line)["id"] for line in received.splitlines()]
    assert found == upto(last + 2)


def test_354_06_standard_output(logged):
    daemon = logged("-")  # where the log goes, too
    change(daemon)
    wait_until(lambda: '"id":2,' in daemon.log(), 5, "the lines")
    found = [json.loads(line)["id"] for line in daemon.log().splitlines()
             if line.startswith("{")]
    assert found == [1, 2]
    daemon.expect(r"^\{")
