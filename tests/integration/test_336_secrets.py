# SPDX-License-Identifier: Apache-2.0
"""Nothing that opens a door is written down: tokens, cookies, csrf tokens, keys, in no log
line, no database, no answer but the one that makes it. And how far the sample unit locks
the daemon in."""
import base64
import re
import subprocess
from pathlib import Path

from daemon import POLICY, Daemon, started, token_checksum_broken

UNIT = Path(__file__).parents[2] / "conf" / "l7shieldd.service"
EXPOSURE_MAX = 1.2  # systemd-analyze's; the README has it, too


def exercise(server):
    """Uses every kind of secret rightly and wrongly. Returns them by name."""
    secrets = {"admin token": server.token}
    secrets["new token"] = server.token_of("editor", "ci")
    rotated = server.call("POST", "/v1/tokens/ci:rotate?overlap_seconds=60").json["token"]
    secrets["rotated token"] = rotated
    wrong = token_checksum_broken(rotated)
    secrets["mistyped token"] = wrong
    answer = server.call("POST", "/v1/session", {"token": rotated}, token=None)
    cookie = answer.headers["set-cookie"].partition(";")[0]
    secrets["cookie"] = cookie.partition("=")[2]
    secrets["csrf token"] = answer.json["csrf_token"]
    for token in (rotated, wrong):
        server.call("PUT", "/v1/policies/a", POLICY, token=token)
        server.call("POST", "/v1/session", {"token": token}, token=None)
        server.call("PUT", "/v1/tokens/x", {"role": "king", "description": "y"}, token=token)
    server.call("PUT", "/v1/policies/a", {"no": "policy"}, token=None, cookie=cookie,
                headers={"Shield-CSRF": secrets["csrf token"]})
    server.call("PUT", "/v1/policies/a", POLICY, token=None, cookie=cookie)
    server.send_raw(f"GET /v1 HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer "
                    f"{rotated}\r\n\r\n".encode())
    server.call("POST", "/v1/tokens/ci:rotate")
    server.call("GET", "/v1", token=rotated)
    server.call("DELETE", "/v1/session", token=None, cookie=cookie)
    secrets["TLS key"] = "".join((server.root / "tls.key").read_text().splitlines()[1:2])
    fleet = server.secret_file.read_text().split(":")[1].strip()
    secrets["fleet secret"] = fleet
    secrets["fleet secret, raw"] = base64.b64decode(fleet)
    signing = server.signing_key_file.read_text()
    secrets["signing key"] = max(re.findall(r"[A-Za-z0-9+/=]{20,}", signing), key=len)
    return secrets


def written(server):
    """Everything that the daemon has written, by file."""
    own = {server.secret_file, server.signing_key_file, server.trust_file, server.token_file,
           server.root / "tls.key", server.root / "tls.crt"}
    return {path: path.read_bytes() for path in server.root.rglob("*")
            if path.is_file() and path not in own}


def test_336_01_secrets_are_written_nowhere():
    for server in started(Daemon(tls=True)):
        secrets = exercise(server)
        told = server.call("GET", "/v1/audit?limit=1000").body + \
            server.call("GET", "/v1/tokens").body + server.call("GET", "/metrics").body
        server.stop()
        files = written(server)
        assert {"config.db", "events.db", "log"} <= {path.name for path in files}
        files["the answers"] = told
        for name, secret in secrets.items():
            raw = secret if isinstance(secret, bytes) else secret.encode()
            assert len(raw) >= 16, name
            parts = [raw] + ([raw.split(b"_")[2]] if raw.startswith(b"shld_") else [])
            for path, content in files.items():
                for part in parts:
                    assert part not in content, f"{name} stands in {path}"
        server.start()


def test_336_02_secrets_are_not_on_the_command_line():
    """The command line shows paths, never what is in the files."""
    for server in started(Daemon(tls=True)):
        with open(f"/proc/{server.process.pid}/cmdline", "rb") as line:
            shown = line.read()
        with open(f"/proc/{server.process.pid}/environ", "rb") as line:
            shown += line.read()
        assert server.token.encode() not in shown


def test_336_03_the_unit_keeps_the_daemon_as_locked_in_as_the_readme_says():
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                             UNIT], capture_output=True, text=True, timeout=60, check=False)
    exposure = float(re.search(r"exposure level for l7shieldd.service: ([0-9.]+)",
                               result.stdout)[1])
    assert exposure <= EXPOSURE_MAX, result.stdout
    readme = (UNIT.parents[1] / "README.md").read_text()
    assert f"exposure {EXPOSURE_MAX}" in readme


def test_336_04_the_unit_reloads_and_has_room_for_all_connections():
    unit = UNIT.read_text()
    assert "ExecReload=/bin/kill -HUP $MAINPID" in unit
    assert int(re.search(r"^LimitNOFILE=(\d+)$", unit, re.M)[1]) > 1024 + 64
    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=",
                 "SystemCallFilter=~@privileged @resources", "UMask=0077"):
        assert line in unit.splitlines(), line
