# SPDX-License-Identifier: Apache-2.0
"""A reader of server-sent events, and the long poll's way to the same events."""
import json
import socket
import time
from collections import namedtuple

Event = namedtuple("Event", "id type data")


def parse(frame):
    """One frame as (id, event, data); what it lacks is None."""
    fields = {}
    for line in frame.decode().split("\n"):
        name, _, value = line.partition(":")
        fields[name] = value.removeprefix(" ")
    return fields.get("id"), fields.get("event"), fields.get("data")


class Stream:
    """One connection. `frames` counts all of them, heartbeats too."""

    def __init__(self, daemon, query="", last_event_id=None, token=None,
                 source="127.0.0.1"):
        self.buffer, self.frames, self.ended = b"", 0, False
        self.socket = socket.create_connection(("127.0.0.1", daemon.port), 10,
                                               source_address=(source, 0))
        lines = [f"GET /v1/events{query} HTTP/1.1", f"Host: 127.0.0.1:{daemon.port}",
                 f"Authorization: Bearer {token or daemon.token}",
                 "Accept: text/event-stream"]
        if last_event_id is not None:
            lines.append(f"Last-Event-ID: {last_event_id}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.head = self._head()

    def _head(self):
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = self.socket.recv(4096)
            if not chunk:
                break
            received += chunk
        head, _, self.raw = received.partition(b"\r\n\r\n")
        return head.decode()

    def _chunks(self):
        """Takes whole chunks (RFC 9112, 7.1) out of what has been received."""
        while (end := self.raw.find(b"\r\n")) >= 0:
            size = int(self.raw[:end], 16)
            if len(self.raw) < end + 2 + size + 2:
                return
            self.buffer += self.raw[end + 2:end + 2 + size]
            self.raw = self.raw[end + 2 + size + 2:]
            self.ended = self.ended or size == 0

    def frame(self, seconds):
        """The next frame, or None when none comes in time or the stream ends."""
        deadline = time.monotonic() + seconds
        while b"\n\n" not in self.buffer:
            self._chunks()
            left = deadline - time.monotonic()
            if b"\n\n" in self.buffer:
                break
            if self.ended or left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                chunk = self.socket.recv(65536)
            except TimeoutError:
                return None
            if not chunk:
                self.ended = True
                return None
            self.raw += chunk
        frame, _, self.buffer = self.buffer.partition(b"\n\n")
        self.frames += 1
        return parse(frame)

    def next(self, seconds=5):
        """The next event; heartbeats are passed over. None: none came."""
        deadline = time.monotonic() + seconds
        while (frame := self.frame(max(0, deadline - time.monotonic()))) is not None:
            if frame[1] is not None:
                return Event(int(frame[0]), frame[1], json.loads(frame[2]))
        return None

    def until(self, wanted, seconds=5):
        """Events up to the first for which wanted(event)."""
        events = []
        deadline = time.monotonic() + seconds
        while True:
            event = self.next(max(0, deadline - time.monotonic()))
            assert event is not None, f"it did not come within {seconds} s: {events}"
            events.append(event)
            if wanted(event):
                return events

    def close(self):
        self.socket.close()


def events(daemon, after=0, query=""):
    """All events that are kept behind `after`, page by page."""
    found = []
    while True:
        page = daemon.call("GET", f"/v1/events?after={after}{query}").json
        if not page["items"]:
            return found
        found += page["items"]
        after = page["last_id"]
