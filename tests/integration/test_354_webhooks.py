# SPDX-License-Identifier: Apache-2.0
"""Webhooks: signed, in order, again until they are taken; only over TLS that is verified,
and only to addresses that are allowed; nobody is held up by one that hangs."""
import hashlib
import hmac
import http.server
import json
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from daemon import POLICY, Daemon
from httpd import wait_until
from stream import events

SECRET = "correct-horse-battery-staple"
PRIVATE = "its address is a private one"


class Receiver:
    """An HTTPS server on loopback. `answers`: statuses of the next requests; then 200."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp(prefix="l7shield-hook-"))
        self.ca = self.root / "crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
                        self.root / "key", "-out", self.ca], check=True,
                       stderr=subprocess.DEVNULL)
        self.requests, self.answers, self.connections = [], [], 0
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answers.pop(0) if receiver.answers else 200
                receiver.requests.append((status, dict(self.headers), body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"https://localhost:{receiver.port}/other")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def get_request(self):
                receiver.connections += 1
                return super().get_request()

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, self.root / "key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"https://localhost:{self.port}/hook?token=in-the-url"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        """The events of the requests that were answered 200, in their order."""
        return [item for status, _, body in self.requests if status == 200
                for item in json.loads(body)["items"]]

    def ids(self):
        return [item["id"] for item in self.taken()]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hooked(receiver):
    """Makes daemons that trust the receiver, and may reach it unless told otherwise."""
    made = []

    def make(private="allow", trusts=True):
        server = Daemon()
        server.options = ["--webhook-private-targets", private]
        if trusts:
            server.options += ["--webhook-ca", str(receiver.ca)]
        server.expect("L7S3460")
        made.append(server)
        return server.start()

    yield make
    unexpected = []
    for server in made:
        log = server.log()
        assert SECRET not in log and "in-the-url" not in log
        unexpected += server.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


def put(daemon, url, name="siem", **members):
    return daemon.call("PUT", f"/v1/webhooks/{name}", {"url": url, "secret": SECRET,
                                                       **members})


def known(daemon, name="siem"):
    """Waits until the deliverer has seen it: what happens from now on is sent."""
    def position():
        return daemon.call("GET", f"/v1/webhooks/{name}").json["status"]["position"]
    return wait_until(lambda: position() is not None, 5, "the position")


def change(daemon, count=1):
    for _ in range(count):
        for mode in ("observe", "enforce"):
            daemon.call("PUT", "/v1/policies/login", {**POLICY, "mode": mode})


def status(daemon, name="siem"):
    return daemon.call("GET", f"/v1/webhooks/{name}").json["status"]


def signature_of(headers, body):
    parts = dict(part.split("=") for part in headers["Shield-Signature"].split(","))
    signed = parts["t"].encode() + b"." + body
    assert abs(int(parts["t"]) - time.time()) < 60
    return parts["v1"], hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()


def test_354_21_events_come_signed_in_order_and_filtered(hooked, receiver):
    daemon = hooked()
    assert put(daemon, receiver.url).status == 201
    put(daemon, receiver.url, "bans", types=["ban.*"])
    known(daemon)
    known(daemon, "bans")
    change(daemon, 2)
    daemon.call("PUT", "/v1/bans/ip:203.0.113.7", {"key": {"client": "203.0.113.7"}})
    wait_until(lambda: len(receiver.ids()) == 6, 10, "the events")
    by_name = {}
    for _, headers, body in receiver.requests:
        document = json.loads(body)
        given, computed = signature_of(headers, body)
        assert given == computed and headers["Content-Type"] == "application/json"
        by_name.setdefault(document["webhook"], []).extend(document["items"])
    assert by_name["siem"] == events(daemon)
    assert [item["type"] for item in by_name["bans"]] == ["ban.added"]
    shown = wait_until(lambda: (s := status(daemon))["position"] == 5 and s, 5, "status")
    assert shown["last_success_at"] and shown["last_error"] is None
    assert (shown["failures"], shown["next_attempt_at"]) == (0, None)
    # Nothing comes twice after a restart, and nothing is lost over it.
    daemon.stop()
    daemon.start()
    change(daemon)
    wait_until(lambda: len(receiver.ids()) == 8, 10, "the events after the restart")
    assert [n for n in receiver.ids() if n > 5] == [6, 7]


def test_354_22_secret_is_never_shown(hooked, receiver):
    daemon = hooked()
    first = put(daemon, receiver.url)
    texts = [first.text, daemon.call("GET", "/v1/webhooks/siem").text,
             daemon.call("GET", "/v1/webhooks").text, daemon.call("GET", "/v1/audit").text,
             daemon.call("GET", "/v1/revisions").text]
    assert all(SECRET not in text for text in texts) and "secret" not in first.json
    # Read, edit, write: it is kept; another one is a change.
    document = daemon.call("GET", "/v1/webhooks/siem").json
    again = daemon.call("PUT", "/v1/webhooks/siem", document)
    assert (again.status, again.headers["shield-changed"]) == (200, "false")
    assert again.headers["etag"] == first.headers["etag"]
    other = put(daemon, receiver.url, secret="another-secret-of-the-same-length")
    assert other.headers["shield-changed"] == "true"
    assert other.headers["etag"] != first.headers["etag"]


def test_354_23_what_fails_is_sent_again_and_redirects_are_not_followed(hooked, receiver):
    daemon = hooked()
    put(daemon, receiver.url)
    known(daemon)
    receiver.answers += [500, 302]
    change(daemon)
    wait_until(lambda: status(daemon)["failures"] == 1, 5, "the failure")
    shown = status(daemon)
    assert shown["last_error"]["message"] == "it answered 500"
    assert shown["next_attempt_at"] > shown["last_error"]["at"]
    wait_until(lambda: status(daemon)["failures"] == 2, 5, "the second one")
    assert "redirects are not followed" in status(daemon)["last_error"]["message"]
    wait_until(lambda: receiver.ids() == [1, 2], 10, "the events")
    assert [answer for answer, _, _ in receiver.requests] == [500, 302, 200]
    assert wait_until(lambda: status(daemon)["failures"] == 0, 5, "success")
    assert status(daemon)["last_error"] is not None


def test_354_24_private_targets_are_refused(hooked, receiver):
    daemon = hooked(private="refuse")
    for url in (receiver.url.replace("localhost", "127.0.0.1"), "https://10.1.2.3/",
                "https://[::1]/", "https://169.254.169.254/latest", "https://0x7f.1/"):
        answer = put(daemon, url)
        assert answer.status == 422 and ("/url", "bad_url") in answer.errors, url
    # A name tells nothing: its address is looked at when it is connected to.
    assert put(daemon, receiver.url).status == 201
    known(daemon)
    change(daemon)
    wait_until(lambda: status(daemon)["failures"] >= 1, 5, "the failure")
    assert status(daemon)["last_error"]["message"].startswith(PRIVATE)
    answer = daemon.call("POST", "/v1/webhooks/siem:test")
    assert answer.json["delivered"] is False and answer.json["error"].startswith(PRIVATE)
    assert receiver.connections == 0


def test_354_25_certificates_are_verified(hooked, receiver):
    daemon = hooked(trusts=False)
    put(daemon, receiver.url)
    answer = daemon.call("POST", "/v1/webhooks/siem:test")
    assert answer.status == 200 and answer.json["delivered"] is False
    assert "certificate" in answer.json["error"] and answer.json["http_status"] is None
    assert receiver.requests == []


def test_354_26_one_that_hangs_holds_nobody_up(hooked, receiver):
    daemon = hooked()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        put(daemon, f"https://localhost:{silent.getsockname()[1]}/", "hangs")
        put(daemon, receiver.url)
        known(daemon)
        known(daemon, "hangs")
        begun = time.monotonic()
        change(daemon)
        wait_until(lambda: receiver.ids() == [1, 2], 4, "the events")
        assert time.monotonic() - begun < 4
        daemon.stop()  # in the middle of it
        assert time.monotonic() - begun < 8
        daemon.start()


def test_354_27_test_is_delivered_at_once(hooked, receiver):
    daemon = hooked()
    put(daemon, receiver.url, mode="off")
    answer = daemon.call("POST", "/v1/webhooks/siem:test")
    assert answer.json["delivered"] is True and answer.json["http_status"] == 200
    assert answer.json["error"] is None and answer.json["took_ms"] >= 0
    _, headers, body = receiver.requests[0]
    given, computed = signature_of(headers, body)
    assert given == computed
    assert [item["type"] for item in json.loads(body)["items"]] == ["webhook.test"]
    daemon.call("POST", "/v1/webhooks/siem:test?dry_run=true")
    assert len(receiver.requests) == 1
    change(daemon)  # it is off
    time.sleep(0.5)
    assert len(receiver.requests) == 1


def test_354_28_documents_and_roles(hooked, receiver):
    daemon = hooked()
    good = {"url": receiver.url, "secret": SECRET}
    for wrong, pointer in (({"url": "http://localhost/"}, "/url"),
                           ({"url": "https://user:word@localhost/"}, "/url"),
                           ({"url": "https://localhost/#x"}, "/url"), ({"url": "x"}, "/url"),
                           ({"secret": "short"}, "/secret"), ({"types": ["bans"]}, "/types/0"),
                           ({"name": "other"}, "/name"), ({"mode": "maybe"}, "/mode"),
                           ({"colour": "red"}, "/colour")):
        answer = daemon.call("PUT", "/v1/webhooks/siem", {**good, **wrong})
        assert answer.status == 422 and pointer in {p for p, _ in answer.errors}, answer
    answer = daemon.call("PUT", "/v1/webhooks/siem", {"url": receiver.url})
    assert answer.status == 422 and ("/secret", "missing_key") in answer.errors
    assert daemon.call("PUT", "/v1/webhooks/No", good).status == 422
    assert daemon.call("PUT", "/v1/webhooks/siem?dry_run=true", good).status == 201
    assert daemon.call("GET", "/v1/webhooks/siem").status == 404
    assert daemon.call("POST", "/v1/webhooks/siem:test").status == 404
    first = daemon.call("PUT", "/v1/webhooks/siem", good, if_none_match="*")
    assert first.status == 201 and first.headers["location"] == "/v1/webhooks/siem"
    assert daemon.call("PUT", "/v1/webhooks/siem", good, if_none_match="*").status == 412
    assert daemon.call("DELETE", "/v1/webhooks/siem", if_match='"x"').status == 412
    editor = daemon.token_of("editor")
    for method, path in (("GET", "/v1/webhooks"), ("GET", "/v1/webhooks/siem"),
                         ("DELETE", "/v1/webhooks/siem"),
                         ("POST", "/v1/webhooks/siem:test")):
        assert daemon.call(method, path, token=editor).status == 403
    assert daemon.call("DELETE", "/v1/webhooks/siem").status == 204
    assert daemon.call("DELETE", "/v1/webhooks/siem").status == 404
