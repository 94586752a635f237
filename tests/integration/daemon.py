# SPDX-License-Identifier: Apache-2.0
"""A real l7shieldd on a free loopback port, and a client that holds it to its contract.

Every answer that goes through Daemon.call is checked: JSON without duplicate keys and with
a newline at its end, problem+json with every member for errors, and status, media type,
headers and body as /openapi.json documents them for that call (contract.py). close() reports log lines that no test expected.
"""
import base64
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import contract
from httpd import BUILD, free_port, wait_until

L7SHIELDD = BUILD / "admin_api" / "l7shieldd"
OPENAPI = BUILD / "schemas" / "openapi.json"
LINE = re.compile(r"^\[l7shieldd:(\w+)\] (L7S3\d{3}): ")
PROBLEM_KEYS = ["type", "title", "status", "code", "detail", "instance", "errors"]


class Memcached:
    """A real memcached; start() again after close() gives an empty one on the same port."""

    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-m", "64", *user],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, 5, "memcached")
        return self

    def _answers(self):
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self):
        """It hangs: connections are accepted by the kernel, nothing is answered. On a busy
        machine its threads still answer for a moment after the signal."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def flush(self):
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"flush_all\r\n")
            assert connection.recv(64) == b"OK\r\n"


class Answer:
    """Status, headers (lower-case names), text, and JSON when it is JSON."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        is_text = headers.get("content-type") != "application/octet-stream"
        self.text = body.decode() if is_text else body.decode("latin-1")
        self.json = None
        if "json" in headers.get("content-type", "") and \
                headers["content-type"] != "application/x-ndjson":
            assert self.text.endswith("\n"), "no newline at the end"
            self.json = json.loads(self.text, object_pairs_hook=without_duplicates)

    @property
    def code(self):
        return self.json["code"]

    @property
    def errors(self):
        """{(pointer, code)}"""
        return {(error["pointer"], error["code"]) for error in self.json["errors"]}

    def __repr__(self):
        return f"{self.status} {self.headers} {self.text[:2000]}"


def without_duplicates(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), f"duplicate key in {pairs}"
    return dict(pairs)


@functools.cache
def routes():
    """[(method, regular expression of the path, statuses, path)] of the contract."""
    out = []
    for path, operations in json.loads(OPENAPI.read_text())["paths"].items():
        # {name} must not swallow ":rotate"; ids of bans hold colons.
        pattern = re.sub(r"\\\{(\w+)\\\}",
                         lambda match: "[^/]+" if match[1] == "id" else "[^/:]+",
                         re.escape(path))
        for method, operation in operations.items():
            statuses = {int(status) for status in operation["responses"]}
            out.append((method.upper(), re.compile(pattern + "$"), statuses, path))
    return out


def check_documented(method, path, answer):
    """Is this answer documented for this call? (404 and 405 for what is no call at all.)"""
    target = urlsplit(path).path
    known = [route for route in routes() if route[1].match(target)]
    # A path without braces stands for itself: /v1/incidents/summary is no id.
    known = [route for route in known if route[3] == target] or known
    for name, _, statuses, template in known:
        if name == method:
            assert answer.status in statuses, f"undocumented: {method} {path} {answer}"
            found = contract.problem(method, template, answer)
            assert not found, f"{method} {path}: {found}: {answer}"
            return
    assert answer.status in (400, 401, 404, 405), f"unknown call: {method} {path} {answer}"


class Daemon:
    """One l7shieldd with its own folder: keys, databases, log, unix socket."""

    def __init__(self, memcached=(), tls=False, unix_socket=False, config=None):
        self.root = Path(tempfile.mkdtemp(prefix="l7shieldd-"))
        self.secret_file = self.root / "secret"
        self.trust_file = self.root / "trust"
        self.signing_key_file = self.root / "signing.key"
        self.token_file = self.root / "token"
        self.data_dir = self.root / "data"
        self.socket_path = self.root / "api.sock" if unix_socket else None
        self.log_path = self.root / "log"
        self.memcached = list(memcached) or [f"127.0.0.1:{free_port()}"]
        self.store_down = not memcached  # its complaints are expected
        self.tls, self.config = tls, config
        self.port = free_port()
        self.process = None
        self.options = []  # more of them
        self.expected = []
        self._token = None
        subprocess.run([L7SHIELDD, "init", *self.key_options()], check=True,
                       stdout=subprocess.DEVNULL)
        if tls:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-keyout", self.root / "tls.key", "-out",
                            self.root / "tls.crt"], check=True, stderr=subprocess.DEVNULL)

    def key_options(self):
        return ["--secret-file", self.secret_file, "--trust-file", self.trust_file,
                "--signing-key-file", self.signing_key_file]

    def command(self):
        out = [L7SHIELDD, "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.data_dir,
               "--token-file", self.token_file, *self.key_options()]
        for address in self.memcached:
            out += ["--memcached", address]
        if self.tls:
            out += ["--tls-cert", self.root / "tls.crt", "--tls-key", self.root / "tls.key"]
        if self.socket_path is not None:
            out += ["--unix-socket", self.socket_path]
        if self.config is not None:
            out += ["--config", self.config]
        return out + self.options

    # ---------------------------------------------------------------- life

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        wait_until(self._answers, 10, "l7shieldd")
        return self

    def _answers(self):
        assert self.process.poll() is None, "l7shieldd ended:\n" + self.log()
        try:
            return self.call("GET", "/livez", token=None).status == 200
        except OSError:
            return False

    def stop(self):
        """SIGTERM; the exit status must be 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10)
        self.process = None
        assert status == 0, f"exit status {status}:\n{self.log()}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def close(self):
        """Stops it, removes its folder, returns unexpected log lines."""
        try:
            if self.process is not None:
                self.stop()
            return self.unexpected()
        finally:
            if self.process is not None:
                self.kill()
            shutil.rmtree(self.root, ignore_errors=True)

    # ---------------------------------------------------------------- log

    def log(self):
        return self.log_path.read_text() if self.log_path.exists() else ""

    def expect(self, pattern):
        """Lines that match this regular expression are no surprise."""
        self.expected.append(re.compile(pattern))

    def unexpected(self):
        out = []
        for line in self.log().splitlines():
            match = LINE.match(line)
            harmless = match is not None and match[1] in ("info", "debug")
            bus = self.store_down and match is not None and match[2] >= "L7S3500"
            if not (harmless or bus or any(known.search(line) for known in self.expected)):
                out.append(line)
        return out

    # ---------------------------------------------------------------- calls

    @property
    def token(self):
        if self._token is None:
            self._token = self.token_file.read_text().strip()
        return self._token

    def connect(self, timeout=70):
        if self.tls:
            context = ssl.create_default_context(cafile=self.root / "tls.crt")
            return http.client.HTTPSConnection("localhost", self.port, timeout=timeout,
                                               context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def call(self, method, path, body=None, token="admin", headers=None, raw=None,
             connection=None, **named):
        """One call. `body` is sent as JSON, `raw` as it is; token "admin" is the first
        token, None sends none. Named headers: if_match="…", shield_reason="…"."""
        sent = {name.replace("_", "-").title(): value for name, value in named.items()}
        if token is not None:
            sent["Authorization"] = "Bearer " + (self.token if token == "admin" else token)
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        sent.update(headers or {})
        own = connection or self.connect()
        try:
            own.request(method, path, raw, sent)
            response = own.getresponse()
            answer = Answer(response.status,
                            {name.lower(): value for name, value in response.getheaders()},
                            response.read())
        finally:
            if connection is None:
                own.close()
        self._check(method, path, answer)
        return answer

    def _check(self, method, path, answer):
        check_documented(method, path, answer)
        if answer.status < 400:
            return
        assert answer.headers["content-type"] == "application/problem+json", answer
        assert list(answer.json) == PROBLEM_KEYS, answer
        assert answer.json["status"] == answer.status, answer
        if answer.status == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer"), answer
        if answer.status in (429, 503):
            assert int(answer.headers["retry-after"]) > 0, answer

    def token_of(self, role, name=None):
        """A new token with this role."""
        answer = self.call("PUT", f"/v1/tokens/{name or 'test-' + role}", {"role": role})
        assert answer.status == 201, answer
        return answer.json["token"]

    def send_raw(self, data, timeout=5):
        """Bytes to the socket; everything that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(data)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return received


def token_checksum_broken(token):
    """The same token with one character changed: its checksum does not hold."""
    last = "A" if token[-1] != "A" else "B"
    return token[:-1] + last


def random_text(size):
    return base64.b32encode(os.urandom(size)).decode()[:size]


@pytest.fixture
def daemon():
    """A running l7shieldd without memcached: the API serves all the same."""
    yield from started(Daemon())


def started(server):
    """Starts it, yields it, closes it; unexpected log lines fail the test."""
    try:
        server.start()
        yield server
    finally:
        unexpected = server.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


POLICY = {"mode": "enforce", "match": {"paths": ["/login"]},
          "detect": {"rate": {"requests": 20, "per_seconds": 60}},
          "action": {"throttle": {}}}
