#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per request in httpd, by callgrind: bare, with the shield and 1, 20 or 100
policies, refused, banned; on one kept connection and on new connections.

`apache2 -X` serves a 1 KB file. Two server lives that differ only in the number of
requests are subtracted, so that start and stop cancel out. Counts are of user space.
"""
import argparse
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import tempfile
import time

SHORT, LONG = 200, 1200
MODULES = "/usr/lib/apache2/modules"

BASE = """
ServerRoot "{root}"
DefaultRuntimeDir "{root}"
PidFile "{root}/pid"
ErrorLog "{root}/error.log"
LogLevel warn
ServerName localhost
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_host_module {modules}/mod_authz_host.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule setenvif_module {modules}/mod_setenvif.so
TypesConfig /etc/mime.types
ThreadsPerChild 8
MaxRequestWorkers 8
Listen 127.0.0.1:{port}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
DocumentRoot "{root}/site"
<Directory />
    AllowOverride None
</Directory>
<Directory "{root}/site">
    Require all granted
</Directory>
"""


def policies(count):
    """A mix as operators have it: a limit for all, paths, methods, headers, lists."""
    rate = {"rate": {"requests": 1000000, "per_seconds": 60}}
    kinds = [
        lambda n: {"detect": rate},
        lambda n: {"match": {"paths": [f"/app{n}/**"]}, "detect": rate},
        lambda n: {"match": {"methods": ["POST"], "paths": [f"/login{n}"]}, "detect": rate},
        lambda n: {"match": {"hosts": [f"h{n}.example.com"]}, "detect": rate},
        lambda n: {
            "match": {"paths": ["/**"], "headers": [
                {"name": "user-agent", "is": "contains", "values": [f"bot-{n}"]}]},
            "detect": {"always": {}},
            "action": {"deny": {}},
        },
        lambda n: {"match": {"client": {"in": [f"203.0.{n}.0/24"]}}, "detect": rate},
    ]
    items = []
    for n in range(count):
        # The first kind, which every request matches and is charged for, stands for one
        # in twenty.
        kind = kinds[0] if n % 20 == 0 else kinds[1 + n % (len(kinds) - 1)]
        policy = {"name": f"p{n}", "mode": "enforce", "action": {"throttle": {}}}
        policy.update(kind(n))
        items.append(policy)
    return {"policies": items}


REFUSED = {"policies": [{"name": "one", "mode": "enforce",
                         "detect": {"rate": {"requests": 1, "per_seconds": 86400}},
                         "action": {"throttle": {}}}]}
BANNED = {"policies": [{"name": "one", "mode": "enforce",
                        "detect": {"rate": {"requests": 1, "per_seconds": 86400}},
                        "action": {"ban": {"seconds": 86400}}}]}

VARIANTS = [("bare", None), ("policies-1", policies(1)), ("policies-20", policies(20)),
            ("policies-100", policies(100)), ("refused", REFUSED), ("banned", BANNED)]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read_response(sock, buffer=b""):
    while b"\r\n\r\n" not in buffer:
        data = sock.recv(65536)
        if not data:
            return buffer, True
        buffer += data
    head, _, rest = buffer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    need = int(length.group(1)) if length else 0
    while len(rest) < need:
        data = sock.recv(65536)
        if not data:
            break
        rest += data
    return head, re.search(rb"(?i)connection: close", head) is not None


REQUEST = (b"GET /file.html HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench/1.0 (x11)\r\n"
           b"Accept: */*\r\nAccept-Language: en\r\n\r\n")


def load(port, count, keep):
    """`count` requests; returns how many were answered with each status."""
    statuses, sock = {}, None
    for _ in range(count):
        if sock is None:
            sock = socket.create_connection(("127.0.0.1", port), 30)
            sock.settimeout(30)
        closed = True
        try:
            sock.sendall(REQUEST)
            head, closed = read_response(sock)
            status = head.split(b" ")[1].decode() if b" " in head else "closed"
        except OSError:
            status = "closed"
        statuses[status] = statuses.get(status, 0) + 1
        if closed or not keep:
            sock.close()
            sock = None
    if sock:
        sock.close()
    return statuses


def life(build, document, count, keep):
    """One server life under callgrind: (instructions, statuses)."""
    with tempfile.TemporaryDirectory(prefix="l7shield-bench-") as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        (root / "site").mkdir()
        (root / "site/file.html").write_text("x" * 1024)
        (root / "state").mkdir(mode=0o700)
        user, port = "", free_port()
        if os.getuid() == 0:
            www = pwd.getpwnam("www-data")
            os.chown(root / "state", www.pw_uid, www.pw_gid)
            user = "User www-data\nGroup www-data"
        text = BASE.format(root=root, port=port, user=user, modules=MODULES)
        if document is not None:
            (root / "policies.json").write_text(json.dumps(document))
            text += (f"LoadModule l7shield_module {build}/mod_l7shield/mod_l7shield.so\n"
                     f'L7ShieldPolicyFile "{root}/policies.json"\n'
                     f'L7ShieldStateDir "{root}/state"\n')
        (root / "httpd.conf").write_text(text)
        out = root / "callgrind.out"
        server = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "--vgdb=no", f"--callgrind-out-file={out}",
             "/usr/sbin/apache2", "-X", "-d", folder, "-f", f"{root}/httpd.conf"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or server.poll() is not None:
                        raise RuntimeError((root / "error.log").read_text()) from None
                    time.sleep(0.1)
            out.chmod(0o666)  # made by root, written again after httpd's setuid
            load(port, 20, keep)  # warm, and over the limit where there is one
            time.sleep(1.0)
            statuses = load(port, count, keep)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        summary = re.search(r"(?m)^(?:summary|totals): (\d+)", out.read_text())
        return int(summary.group(1)), statuses


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="one variant besides bare")
    arguments = parser.parse_args()
    build = pathlib.Path(arguments.build).resolve()
    bare = {}
    for name, document in VARIANTS:
        if arguments.only and name not in ("bare", arguments.only):
            continue
        for keep in (True, False):
            short, _ = life(build, document, SHORT, keep)
            long, statuses = life(build, document, LONG, keep)
            cost = round((long - short) / (LONG - SHORT))
            connection = "kept" if keep else "new"
            bare.setdefault(connection, cost)
            print(json.dumps({"bench": "cost", "variant": name, "connection": connection,
                              "instructions": cost, "added": cost - bare[connection],
                              "statuses": statuses}), flush=True)


if __name__ == "__main__":
    main()
