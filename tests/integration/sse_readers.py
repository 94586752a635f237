# SPDX-License-Identifier: Apache-2.0
"""Many readers of one event stream in a process of their own: sse_readers.py PORT TOKEN
LIVE SLOW DEAD. Prints "ready" once all have their answer; then takes lines from stdin:
"until ID" runs until every live and slow reader has seen ID, prints what each saw as JSON
and ends. A reader whose connection ends comes back with Last-Event-ID. Ids of one stream
without a filter have no gaps here, so each must be the one before plus one."""
import json
import re
import selectors
import socket
import sys
import time

ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
DEADLINE_S = 90
SLOW_BYTES, SLOW_EVERY_S = 8192, 0.05


class Reader:
    def __init__(self, port, token, kind):
        self.port, self.token, self.kind = port, token, kind
        self.last, self.seen, self.wrong, self.connections = 0, 0, [], 0
        self.rest, self.answered, self.due = b"", False, 0
        self.socket = None

    def connect(self):
        self.rest = b""
        self.socket = None
        try:
            connection = socket.create_connection(("127.0.0.1", self.port), 5)
        except OSError:
            return False
        position = f"Last-Event-ID: {self.last}\r\n" if self.connections else ""
        connection.sendall((
            f"GET /v1/events?after=0 HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {self.token}\r\nAccept: text/event-stream\r\n"
            f"{position}\r\n").encode())
        connection.setblocking(False)
        self.socket = connection
        self.connections += 1
        return True

    def take(self, data):
        """Chunk sizes stand on lines of their own and are no fields of an event. A frame's
        id is believed once the frame is whole."""
        self.answered = True
        *frames, self.rest = (self.rest + data).split(b"\n\n")
        for frame in frames:
            match = ID.search(frame)
            if match is None or b"\nevent:" not in frame:
                continue
            number = int(match[1])
            if number != self.last + 1 or b"\nevent: reset" in frame:
                self.wrong.append([self.last, number])
            self.last = number
            self.seen += 1


class Readers:
    def __init__(self, port, token, counts):
        self.selector = selectors.DefaultSelector()
        self.all = [Reader(port, token, kind) for kind, count in counts for _ in range(count)]
        self.away = list(self.all)  # to be connected
        self.retry = 0

    def come_back(self):
        if time.monotonic() < self.retry:
            return
        self.retry = time.monotonic() + 0.05
        away, self.away = self.away, []
        for reader in away:
            if not reader.connect():
                self.away.append(reader)
            elif reader.kind == "live":
                self.selector.register(reader.socket, selectors.EVENT_READ, reader)

    def read(self, reader, size):
        try:
            data = reader.socket.recv(size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            reader.take(data)
            return
        if reader.kind == "live":
            self.selector.unregister(reader.socket)
        reader.socket.close()
        reader.socket = None
        self.away.append(reader)

    def step(self):
        self.come_back()
        for key, _ in self.selector.select(0.02):
            self.read(key.data, 262144)
        now = time.monotonic()
        for reader in self.all:
            if reader.kind == "slow" and reader.socket is not None and now >= reader.due:
                reader.due = now + SLOW_EVERY_S
                self.read(reader, SLOW_BYTES)

    def run(self, done):
        deadline = time.monotonic() + DEADLINE_S
        while not done() and time.monotonic() < deadline:
            self.step()


def main():
    port, token = int(sys.argv[1]), sys.argv[2]
    readers = Readers(port, token, zip(("live", "slow", "dead"), map(int, sys.argv[3:6])))
    reading = [reader for reader in readers.all if reader.kind != "dead"]
    readers.run(lambda: not readers.away and
                all(reader.answered for reader in reading))
    print("ready", flush=True)
    commands = selectors.DefaultSelector()
    commands.register(sys.stdin, selectors.EVENT_READ)
    readers.run(lambda: bool(commands.select(0)))
    last = int(sys.stdin.readline().split()[1])
    readers.run(lambda: all(reader.last >= last for reader in reading))
    print(json.dumps([{"kind": reader.kind, "last": reader.last, "seen": reader.seen,
                       "wrong": reader.wrong, "connections": reader.connections}
                      for reader in reading]), flush=True)


if __name__ == "__main__":
    main()
