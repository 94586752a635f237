# SPDX-License-Identifier: Apache-2.0
"""A real httpd on a free loopback port, with the shield built in this tree.

One Httpd is one server: its own ServerRoot in a temporary folder, its own logs, state
folder and policy file. Nothing is mocked, nothing is shared, and close() leaves neither
processes nor files behind.
"""
import http.client
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

BUILD = Path(os.environ.get("L7S_BUILD_DIR", Path(__file__).resolve().parents[2] / "build"))
MODULE = BUILD / "mod_l7shield" / "mod_l7shield.so"
APACHE = "/usr/sbin/apache2"
MODULES = Path("/usr/lib/apache2/modules")
ALWAYS = ("authz_core", "authz_host", "alias", "dir", "mime", "env",
          "setenvif", "headers", "reqtimeout")
# A module built with sanitizers needs their runtime in httpd, too; leaks are httpd's own.
PRELOAD = os.environ.get("L7S_PRELOAD")
ENVIRONMENT = {**os.environ, **({"LD_PRELOAD": PRELOAD, "ASAN_OPTIONS": "detect_leaks=0"}
                                if PRELOAD else {})}
LEVEL = re.compile(r"^\[[^\]]*\] \[\w*:(\w+)\]")
# httpd 2.4's own races when it is stopped while connections linger, with or without us:
# the event MPM's main thread closes sockets that a worker has just freed.
STOPPING = re.compile(r"AH0309[23]: process_\w+: apr_pollset_add failure"
                      r"|exit signal Segmentation fault")
# The machine's own: a libssl that is a little older than the one its httpd was built with.
MACHINE = re.compile(r"AH01882: Init: this version of mod_ssl was compiled against a newer")
HARMLESS = {"notice", "info", "debug", "trace1", "trace2", "trace3"}


def wait_until(condition, seconds=5, what="the condition"):
    """Polls until condition() is true and returns its value; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


CLAIMS = []  # of this process' ports; the kernel ends them with it


def free_port():
    """Below the ephemeral range, so that no client's port of a load test is in the way.
    Nobody is given it twice: servers listen long after they were given their ports, and
    not at all while a test has stopped them, so a name in the abstract namespace claims
    each of them, against other runs on this machine as well."""
    for _ in range(200):
        port = random.randint(15000, 32000)
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0l7shield-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        CLAIMS.append(claim)
        return port
    raise RuntimeError("no free port")


class Response:
    """What a client sees: status, headers (lower-case names) and body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Client:
    """One client address; keeps its connection open while the server does."""

    def __init__(self, port, address="127.0.0.1", tls=False):
        self.port, self.address, self.tls = port, address, tls
        self.connection = None
        self.connects = 0

    def _open(self):
        kwargs = {"timeout": 10, "source_address": (self.address, 0)}
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.connection = http.client.HTTPSConnection("127.0.0.1", self.port,
                                                          context=context, **kwargs)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, **kwargs)
        self.connection.connect()
        self.connects += 1

    def get(self, path="/", method="GET", headers=None, body=None):
        if self.connection is None or self.connection.sock is None:
            self._open()
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        return Response(answer.status, answer.getheaders(), answer.read())

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class Httpd:
    """
    policies    the policy file's document (None: no policy file)
    directives  lines for the server, host: lines for its one virtual host
    modules     further modules by name ("rewrite", "cache", …)
    shield      False: the same httpd without the module
    """

    def __init__(self, policies=None, directives="", host="", modules=(), children=1,
                 threads=25, tls=False, shield=True, node="web-1", hosts="", mpm="event"):
        self.root = Path(tempfile.mkdtemp(prefix="l7s-httpd-"))
        self.root.chmod(0o755)
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self.tls, self.shield, self.node = tls, shield, node
        self.directives, self.host, self.hosts = directives, host, hosts
        self.modules, self.children, self.mpm = tuple(modules), children, mpm
        self.threads = 1 if mpm == "prefork" else threads
        self.document_root = self.root / "htdocs"
        self.state_dir = self.root / "state"
        self.policy_file = self.root / "policies.json"
        self.error_log = self.root / "error.log"
        self.access_log = self.root / "access.log"
        self.with_policies = policies is not None
        self.process = None
        self.preload, self.environment = [PRELOAD] if PRELOAD else [], {}
        self.expected = []
        self.stopped_at = None
        self._lay_out(policies)

    # ---------------------------------------------------------------- layout

    def _lay_out(self, policies):
        self.document_root.mkdir()
        (self.document_root / "index.html").write_text("welcome\n")
        (self.document_root / "page.txt").write_text("a page\n")
        self.state_dir.mkdir(mode=0o700)
        if os.geteuid() == 0:
            user = pwd.getpwnam("www-data")
            os.chown(self.state_dir, user.pw_uid, user.pw_gid)
        if policies is not None:
            self.write_policies(policies)
        if self.tls:
            self._make_certificate()
        self.write_config()

    def _make_certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "basicConstraints=critical,CA:FALSE",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.root / "key.pem", "-out",
                        self.root / "cert.pem"], check=True, capture_output=True)

    def write_policies(self, document):
        """Replaces the policy file at once, as a careful editor would."""
        text = document if isinstance(document, str) else json.dumps(document)
        new = self.policy_file.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o644)
        new.rename(self.policy_file)

    def _modules(self):
        names = [f"mpm_{self.mpm}", *ALWAYS, *self.modules]
        if self.tls:
            names += ["socache_shmcb", "ssl", "http2"]
        lines = [f"LoadModule {name}_module {MODULES}/mod_{name}.so"
                 for name in dict.fromkeys(names)]
        if self.shield:
            lines.append(f"LoadModule l7shield_module {MODULE}")
        return "\n".join(lines)

    def _shield(self):
        if not self.shield:
            return ""
        lines = [f"L7ShieldNode {self.node}", f"L7ShieldStateDir {self.state_dir}",
                 "L7ShieldMemory 16M"]
        if self.with_policies:
            lines.append(f"L7ShieldPolicyFile {self.policy_file}")
        # A test's own directive stands in for the default one.
        return "\n".join(line for line in lines
                         if not re.search(rf"^\s*{line.split()[0]}\s", self.directives,
                                          re.MULTILINE))

    def _threads(self):
        if self.mpm == "prefork":
            return f"MinSpareServers 1\nMaxSpareServers {self.children + 4}"
        return (f"ThreadsPerChild {self.threads}\n"
                f"MinSpareThreads {(self.children - 1) * self.threads + 1}\n"
                f"MaxSpareThreads {(self.children + 4) * self.threads}")

    def _tls_host(self):
        if not self.tls:
            return ""
        return f"""
Listen 127.0.0.1:{self.tls_port} https
SSLSessionCache shmcb:{self.root}/sessions(512000)
<VirtualHost *:{self.tls_port}>
    ServerName localhost
    DocumentRoot {self.document_root}
    SSLEngine on
    SSLCertificateFile {self.root}/cert.pem
    SSLCertificateKeyFile {self.root}/key.pem
    Protocols h2 http/1.1
    {self.host}
</VirtualHost>
"""

    def config(self):
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        return f"""
ServerRoot {self.root}
ServerName localhost
{self._modules()}
{user}
PidFile {self.root}/httpd.pid
DefaultRuntimeDir {self.root}
Listen 127.0.0.1:{self.port}
ErrorLog {self.error_log}
LogLevel warn mpm_{self.mpm}:notice{' l7shield:info' if self.shield else ''}
LogFormat "%h %>s \\"%r\\" action=%{{L7SHIELD_ACTION}}e policy=%{{L7SHIELD_POLICY}}e \
incident=%{{L7SHIELD_INCIDENT}}e key=%{{L7SHIELD_KEY}}e" shield
CustomLog {self.access_log} shield
TypesConfig /etc/mime.types
Timeout 30
KeepAliveTimeout 15
MaxKeepAliveRequests 0
StartServers {self.children}
ServerLimit {self.children + 4}
{self._threads()}
MaxRequestWorkers {(self.children + 4) * self.threads}
DocumentRoot {self.document_root}
{self._shield()}
{self.directives}
<Directory {self.document_root}>
    Require all granted
    AllowOverride None
</Directory>
<VirtualHost *:{self.port}>
    ServerName localhost
    DocumentRoot {self.document_root}
    {self.host}
</VirtualHost>
{self.hosts}
{self._tls_host()}
"""

    def write_config(self):
        (self.root / "httpd.conf").write_text(self.config())

    # ---------------------------------------------------------------- life

    def command(self, *arguments):
        return [APACHE, "-d", str(self.root), "-f", str(self.root / "httpd.conf"),
                *arguments]

    def _environment(self):
        preload = {"LD_PRELOAD": ":".join(map(str, self.preload))} if self.preload else {}
        return {**ENVIRONMENT, **self.environment, **preload}

    def configtest(self):
        """(exit status, what it said) of `apachectl -t`."""
        done = subprocess.run(self.command("-t"), capture_output=True, text=True,
                              timeout=30, env=self._environment())
        return done.returncode, done.stderr + done.stdout

    def start(self, *arguments):
        """Returns when it serves: the sockets listen long before signals are handled."""
        before = self.serving()
        self.process = subprocess.Popen(self.command(*(arguments or ("-DFOREGROUND",))),
                                        stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL,
                                        stderr=open(self.root / "stderr.log", "ab"),
                                        env=self._environment(),
                                        # prefork ends its whole process group
                                        start_new_session=True)
        if "-X" in arguments:  # says nothing; connections queue until it is ready
            wait_until(self._listens, 10, "httpd's start")
        else:
            self._wait_for_serving(before, "httpd's start")
        return self

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def serving(self):
        """How often it has begun to serve."""
        return self.errors().count("resuming normal operations")

    def _wait_for_serving(self, before, what):
        def serves():
            if self.process.poll() is not None:
                raise AssertionError("httpd ended: " + self.stderr() + self.errors())
            return self.serving() > before
        wait_until(serves, 20, what)

    def graceful(self, wait=True):
        """Restarts gracefully; returns when the new generation serves."""
        before = self.serving()
        self.process.send_signal(signal.SIGUSR1)
        if wait:
            self._wait_for_serving(before, "the graceful restart")

    def stop(self, seconds=15):
        if self.process and self.process.poll() is None:
            self.stopped_at = len(self.errors())
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("httpd did not stop")

    def close(self):
        """Stops it, removes its files and returns the log lines nobody expected."""
        children = self.sync_pids() if self.process else []
        try:
            self.stop()
            for pid in children:
                wait_until(lambda pid=pid: not is_alive(pid), 3, "the end of the sync process")
            return self.unexpected()
        finally:
            if not os.environ.get("L7S_KEEP"):
                shutil.rmtree(self.root, ignore_errors=True)

    # ---------------------------------------------------------------- processes

    def pids(self, program):
        """Children of httpd's parent whose command is `program`."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            name = stat[stat.index("(") + 1:stat.rindex(")")]
            state, parent = stat[stat.rindex(")") + 2:].split()[:2]
            if int(parent) == self.process.pid and name == program and state != "Z":
                found.append(int(entry.name))
        return sorted(found)

    def sync_pids(self):
        return self.pids("l7shield-sync")

    def child_pids(self):
        return self.pids("apache2")

    # ---------------------------------------------------------------- logs

    def errors(self):
        return self.error_log.read_text(errors="replace") if self.error_log.exists() else ""

    def stderr(self):
        path = self.root / "stderr.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def accesses(self):
        return self.access_log.read_text().splitlines() if self.access_log.exists() else []

    def expects(self, *patterns):
        """Lines of the error log that this test provokes."""
        self.expected += [re.compile(pattern) for pattern in patterns]

    def unexpected(self):
        errors, end = self.errors(), self.stopped_at
        served, stopping = (errors, "") if end is None else (errors[:end], errors[end:])
        lines = (served + self.stderr()).splitlines()
        lines += [line for line in stopping.splitlines() if not STOPPING.search(line)]
        return [line for line in lines if line.strip() and not self._is_fine(line)]

    def _is_fine(self, line):
        if any(pattern.search(line) for pattern in (MACHINE, *self.expected)):
            return True
        match = LEVEL.match(line)
        return match and match.group(1) in HARMLESS and "exit signal" not in line

    # ---------------------------------------------------------------- clients

    def client(self, address="127.0.0.1", tls=False):
        return Client(self.tls_port if tls else self.port, address, tls)

    def get(self, path="/", method="GET", headers=None, body=None, address="127.0.0.1",
            tls=False):
        """One request on a connection of its own."""
        client = self.client(address, tls)
        try:
            return client.get(path, method, headers, body)
        finally:
            client.close()

    def raw(self, data, address="127.0.0.1"):
        """Sends bytes, returns all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10,
                                      source_address=(address, 0)) as connection:
            connection.sendall(data)
            received = b""
            while True:
                piece = connection.recv(65536)
                if not piece:
                    return received
                received += piece

    def status_of_target(self, target, address="127.0.0.1", host="localhost"):
        """The status for a request target sent exactly as given."""
        answer = self.raw(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close"
                          f"\r\n\r\n".encode("latin-1"), address)
        return int(answer.split(b" ", 2)[1])

    def metrics(self, path="/l7shield-metrics"):
        """The node's own figures: {'name{labels}': value}."""
        text = self.get(path).body.decode()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in text.splitlines()
                 if line and not line.startswith("#"))}


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def policy(name, action, match=None, mode="enforce", detect=None, **more):
    """A policy document; acts on everything that it matches unless `detect` says else."""
    document = {"name": name, "mode": mode, "detect": detect or {"always": {}},
                "action": action, **more}
    if match is not None:
        document["match"] = match
    return document


def rate(requests, per_seconds, burst=None):
    limit = {"requests": requests, "per_seconds": per_seconds}
    if burst is not None:
        limit["burst"] = burst
    return {"rate": limit}


def config(*policies, lists=(), apps=(), responses=()):
    """The document of a policy file."""
    return {"policies": list(policies), "lists": list(lists), "apps": list(apps),
            "responses": list(responses)}
