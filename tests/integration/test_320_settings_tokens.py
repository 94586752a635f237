# SPDX-License-Identifier: Apache-2.0
"""Who may do what: settings and the kill switch, tokens and roles, the unix socket, the
first start, and the daemon's own options."""
import http.client
import json
import os
import socket
import stat
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from daemon import (L7SHIELDD, POLICY, Daemon, daemon, started,  # noqa: F401
                    token_checksum_broken)
from httpd import wait_until

LADDER = ["viewer", "operator", "editor", "admin"]


def in_an_hour():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))


# ------------------------------------------------------------------ settings

def test_320_01_settings_show_their_defaults(daemon):
    answer = daemon.call("GET", "/v1/settings")
    assert answer.json["mode"] == "enforce" and answer.json["mode_until"] is None
    assert answer.json["retention"] == {"days": 30, "rows": 1000000, "audit_days": 400}
    assert answer.json["privacy"] == {"addresses": "full", "query_strings": "omit"}
    assert answer.json["guard"] == {"max_acted_clients_percent": 5,
                                    "max_acted_standing_percent": 1, "within_seconds": 60}
    assert answer.json["status"] == {"effective_mode": "enforce"}
    some = daemon.call("PATCH", "/v1/settings", {"guard": {"within_seconds": 30}}).json
    assert (some["guard"]["within_seconds"], some["guard"]["max_acted_clients_percent"]) == (
        30, 5)


def test_320_02_kill_switch_is_a_revision_with_author_and_reason(daemon):
    answer = daemon.call("PATCH", "/v1/settings", {"mode": "observe"},
                         shield_reason="false positives")
    assert (answer.status, answer.headers["shield-changed"]) == (200, "true")
    assert answer.json["mode"] == "observe"
    revision = daemon.call("GET", f"/v1/revisions/{answer.headers['shield-revision']}").json
    assert revision["author"] == "token:admin" and revision["reason"] == "false positives"
    assert revision["changes"][0]["kind"] == "settings"
    again = daemon.call("PATCH", "/v1/settings", {"mode": "observe"})
    assert again.headers["shield-changed"] == "false"


def test_320_03_mode_until_lies_in_the_future(daemon):
    until = in_an_hour()
    answer = daemon.call("PATCH", "/v1/settings", {"mode": "off", "mode_until": until})
    assert answer.json["mode_until"] == until
    assert answer.json["status"]["effective_mode"] == "off"
    past = daemon.call("PATCH", "/v1/settings", {"mode_until": "2020-01-01T00:00:00Z"})
    assert (past.status, past.errors) == (422, {("/mode_until", "in_the_past")})
    back = daemon.call("PATCH", "/v1/settings", {"mode": "enforce"})
    assert back.json["mode"] == "enforce" and back.json["mode_until"] is None
    daemon.call("PATCH", "/v1/settings", {"mode": "off", "mode_until": until})
    back = daemon.call("PATCH", "/v1/settings", {"mode": None, "mode_until": None})
    assert back.json["mode"] == "enforce" and back.json["mode_until"] is None


@pytest.mark.parametrize("patch,pointer", [
    ({"mode": "on"}, "/mode"), ({"mod": "off"}, "/mod"),
    ({"retention": {"days": 0}}, "/retention/days"), ({"guard": {"within_seconds": 0}}, "/guard/within_seconds")])
def test_320_04_bad_settings_are_refused_with_their_pointer(daemon, patch, pointer):
    answer = daemon.call("PATCH", "/v1/settings", patch)
    assert answer.status == 422
    assert {where for where, _ in answer.errors} == {pointer}
    assert daemon.call("GET", "/v1/settings").json["mode"] == "enforce"


def test_320_05_operators_have_the_kill_switch_and_nothing_else(daemon):
    token = daemon.token_of("operator")
    assert daemon.call("PATCH", "/v1/settings", {"mode": "off"}, token=token).status == 200
    answer = daemon.call("PATCH", "/v1/settings", {"retention": {"days": 1}}, token=token)
    assert answer.status == 403 and "admin" in answer.json["detail"]
    viewer = daemon.token_of("viewer")
    assert daemon.call("PATCH", "/v1/settings", {"mode": "off"}, token=viewer).status == 403


def test_320_06_settings_etag_guards(daemon):
    etag = daemon.call("GET", "/v1/settings").headers["etag"]
    assert daemon.call("PATCH", "/v1/settings", {"mode": "off"}, if_match=etag).status == 200
    assert daemon.call("PATCH", "/v1/settings", {"mode": "observe"},
                       if_match=etag).status == 412


# ------------------------------------------------------------------ tokens

def test_320_10_first_start_writes_an_admin_token_0600(daemon):
    mode = stat.S_IMODE(daemon.token_file.stat().st_mode)
    assert mode == 0o600
    assert daemon.token.startswith("shld_") and len(daemon.token) == 63
    assert daemon.call("GET", "/v1").json["caller"] == {"principal": "token:admin",
                                                        "role": "admin"}
    before = daemon.token_file.read_text()
    daemon.stop()
    daemon.start()
    assert daemon.token_file.read_text() == before


def test_320_11_token_is_shown_once_and_works(daemon):
    answer = daemon.call("PUT", "/v1/tokens/ci", {"role": "editor", "description": "CI"})
    assert answer.status == 201
    secret = answer.json["token"]
    assert daemon.call("GET", "/v1", token=secret).json["caller"]["role"] == "editor"
    shown = daemon.call("GET", "/v1/tokens/ci")
    assert "token" not in shown.json and shown.json["role"] == "editor"
    assert shown.json["status"]["last_used_at"] is not None
    assert secret not in daemon.call("GET", "/v1/tokens").text
    again = daemon.call("PUT", "/v1/tokens/ci", {"role": "editor", "description": "CI"})
    assert (again.status, again.headers["shield-changed"]) == (200, "false")
    assert "token" not in again.json


def test_320_12_secret_is_not_stored(daemon):
    secret = daemon.token_of("viewer")
    daemon.stop()
    stored = b"".join(path.read_bytes() for path in daemon.data_dir.iterdir()
                      if path.is_file())
    assert secret.encode() not in stored
    assert secret.split("_")[2].encode() not in stored
    daemon.start()
    assert daemon.call("GET", "/v1", token=secret).status == 200


def test_320_13_role_change_and_deletion_take_effect_at_once(daemon):
    secret = daemon.token_of("editor", "ci")
    assert daemon.call("PUT", "/v1/policies/a", POLICY, token=secret).status == 201
    assert daemon.call("PUT", "/v1/tokens/ci", {"role": "viewer"}).status == 200
    assert daemon.call("DELETE", "/v1/policies/a", token=secret).status == 403
    assert daemon.call("DELETE", "/v1/tokens/ci").status == 204
    assert daemon.call("GET", "/v1", token=secret).status == 401
    assert daemon.call("DELETE", "/v1/tokens/ci").status == 404


def test_320_14_rotation_ends_the_old_secret(daemon):
    old = daemon.token_of("viewer", "ci")
    answer = daemon.call("POST", "/v1/tokens/ci:rotate")
    assert answer.status == 200
    assert daemon.call("GET", "/v1", token=answer.json["token"]).status == 200
    assert daemon.call("GET", "/v1", token=old).status == 401
    assert daemon.call("POST", "/v1/tokens/nobody:rotate").status == 404


def test_320_15_expiry_is_checked(daemon):
    past = daemon.call("PUT", "/v1/tokens/ci",
                       {"role": "viewer", "expires_at": "2020-01-01T00:00:00Z"})
    assert past.errors == {("/expires_at", "in_the_past")}
    soon = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + 2)) + "Z"
    secret = daemon.call("PUT", "/v1/tokens/ci", {"role": "viewer", "expires_at": soon}).json[
        "token"]
    deadline = time.monotonic() + 6
    while daemon.call("GET", "/v1", token=secret).status == 200:
        assert time.monotonic() < deadline, "the token did not expire"
        time.sleep(0.1)


def test_320_16_last_admin_token_stays(daemon):
    for answer in (daemon.call("DELETE", "/v1/tokens/admin"),
                   daemon.call("PUT", "/v1/tokens/admin", {"role": "viewer"})):
        assert (answer.status, answer.code) == (409, "last_admin_token")
    daemon.token_of("admin", "second")
    assert daemon.call("DELETE", "/v1/tokens/admin").status == 204


def test_320_17_bad_token_documents_are_refused(daemon):
    assert daemon.call("PUT", "/v1/tokens/ci", {}).errors == {("", "missing_key")}
    assert daemon.call("PUT", "/v1/tokens/ci", {"role": "king"}).status == 422
    assert daemon.call("PUT", "/v1/tokens/CI", {"role": "viewer"}).status == 422
    mismatch = daemon.call("PUT", "/v1/tokens/ci", {"role": "viewer", "name": "other"})
    assert ("/name", "name_mismatch") in mismatch.errors
    dry = daemon.call("PUT", "/v1/tokens/ci?dry_run=true", {"role": "viewer"})
    assert dry.status == 201 and "token" not in dry.json
    assert daemon.call("GET", "/v1/tokens/ci").status == 404


# ------------------------------------------------------------------ roles

CALLS = [  # method, path, body, least role, status with it
    ("GET", "/v1", None, "viewer", 200),
    ("GET", "/v1/policies", None, "viewer", 200),
    ("PUT", "/v1/policies/a", POLICY, "editor", 201),
    ("DELETE", "/v1/policies/a", None, "editor", 204),
    ("PUT", "/v1/lists/a", {}, "editor", 201),
    ("PUT", "/v1/lists/a/entries/192.0.2.1", {"value": "192.0.2.1"}, "operator", 201),
    ("GET", "/v1/config", None, "viewer", 200),
    ("PUT", "/v1/config", {}, "editor", 200),
    ("PATCH", "/v1/settings", {"mode": "enforce"}, "operator", 200),
    ("GET", "/v1/tokens", None, "admin", 200),
    ("PUT", "/v1/tokens/a", {"role": "viewer"}, "admin", 201),
    ("GET", "/v1/revisions", None, "viewer", 200),
    ("GET", "/v1/bans", None, "viewer", 200),
    ("GET", "/v1/incidents", None, "viewer", 200),
    ("GET", "/v1/nodes", None, "viewer", 200),
    ("GET", "/metrics", None, "metrics", 200),
]


def test_320_20_roles_are_enforced_on_every_call(daemon):
    tokens = {role: daemon.token_of(role) for role in ["metrics", *LADDER]}
    for method, path, body, least, status in CALLS:
        for role in ["metrics", *LADDER]:
            allowed = least == "metrics" or (role != "metrics" and
                                             LADDER.index(role) >= LADDER.index(least))
            answer = daemon.call(method, path, body, token=tokens[role])
            if not allowed:
                assert (answer.status, answer.code) == (403, "forbidden"), (role, path)
                assert least in answer.json["detail"], (role, answer)
            else:
                assert answer.status in (status, 200, 404), (role, answer)


def test_320_21_nobody_gets_health_and_contract_only(daemon):
    assert daemon.call("GET", "/livez", token=None).status == 200
    assert daemon.call("GET", "/openapi.json", token=None).status == 200
    assert daemon.call("GET", "/schemas/policy.json", token=None).status == 200
    for path in ("/v1", "/v1/policies", "/metrics", "/v1/tokens"):
        answer = daemon.call("GET", path, token=None)
        assert (answer.status, answer.code) == (401, "unauthenticated"), path


@pytest.mark.parametrize("value", ["shld_", "Bearer", "x" * 500, "shld_" + "A" * 58])
def test_320_22_malformed_tokens_are_401(daemon, value):
    assert daemon.call("GET", "/v1", token=value).status == 401
    assert daemon.call("GET", "/v1", token=token_checksum_broken(daemon.token)).status == 401
    assert daemon.call("GET", "/v1", token=None,
                       headers={"Authorization": "Basic YTpi"}).status == 401


def test_320_23_failures_are_limited_but_valid_tokens_pass(daemon):
    wrong = token_checksum_broken(daemon.token)
    statuses = [daemon.call("GET", "/v1", token=wrong).status for _ in range(15)]
    assert statuses[:10] == [401] * 10 and statuses[10:] == [429] * 5
    assert daemon.call("GET", "/v1").status == 200
    assert daemon.call("GET", "/v1", token=None).status == 401


def test_320_24_unix_socket_admits_root_and_its_own_user():
    for server in started(Daemon(unix_socket=True)):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(server.socket_path))
        connection.request("GET", "/v1")
        document = json.loads(connection.getresponse().read())
        assert document["caller"]["role"] == "admin"
        assert document["caller"]["principal"].startswith("unix:")
        connection.close()
        if os.geteuid() == 0:
            script = ("import socket; s = socket.socket(socket.AF_UNIX); "
                      f"s.connect({str(server.socket_path)!r}); "
                      "s.sendall(b'GET /v1 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close"
                      "\\r\\n\\r\\n'); print(s.recv(20))")
            os.chmod(server.root, 0o755)
            out = subprocess.run(["runuser", "-u", "nobody", "--", "/usr/bin/python3", "-c",
                                  script], capture_output=True, text=True, timeout=10)
            assert "401" in out.stdout, out


# ------------------------------------------------------------------ options

def run(*arguments):
    return subprocess.run([L7SHIELDD, *arguments], capture_output=True, text=True, timeout=10)


def test_320_30_beyond_loopback_needs_tls():
    for listen in ("0.0.0.0:9180", "192.0.2.1:9180", "[::]:9180"):
        result = run("--listen", listen)
        assert result.returncode == 2 and "TLS" in result.stderr, result


def test_320_31_tls_serves_and_plain_http_does_not():
    for server in started(Daemon(tls=True)):
        assert server.call("GET", "/v1").status == 200
        assert not server.send_raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP")


def test_320_32_config_file_is_checked_with_every_error(tmp_path):
    config = tmp_path / "l7shieldd.json"
    config.write_text('{"listn": "127.0.0.1:1", "memcached": "127.0.0.1:2", "data_dir": ""}')
    result = run("--config", str(config))
    assert result.returncode == 2
    assert 'did you mean "listen"' in result.stderr
    assert "/memcached" in result.stderr and "/data_dir" in result.stderr
    config.write_text("{")
    broken = run("--config", str(config))
    assert broken.returncode == 2 and str(config) in broken.stderr
    assert run("--config", str(tmp_path / "nothing")).returncode == 2
    assert run("--nonsense").returncode == 2
    assert run("explode").returncode == 2
    assert run("--help").returncode == 0 and run("--version").returncode == 0


def test_320_33_options_win_over_the_file(tmp_path):
    config = tmp_path / "l7shieldd.json"
    config.write_text('{"listen": "192.0.2.1:1", "memcached": ["192.0.2.1:2"]}')
    for server in started(Daemon(config=config)):
        assert server.call("GET", "/v1").status == 200


def test_320_34_init_refuses_to_overwrite(tmp_path):
    options = ["--secret-file", tmp_path / "s", "--trust-file", tmp_path / "t",
               "--signing-key-file", tmp_path / "k"]
    assert run("init", *options).returncode == 0
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o644
    before = [(tmp_path / name).read_bytes() for name in "stk"]
    assert run("init", *options).returncode == 1
    assert before == [(tmp_path / name).read_bytes() for name in "stk"]


def test_320_35_two_daemons_never_share_a_data_directory(daemon):
    result = run("--listen", "127.0.0.1:0", "--data-dir", daemon.data_dir, "--token-file",
                 daemon.token_file, *daemon.key_options())
    assert result.returncode == 1 and "another l7shieldd" in result.stderr


def test_320_36_secrets_that_others_may_read_are_refused(daemon):
    daemon.stop()
    os.chmod(daemon.secret_file, 0o644)
    result = run(*daemon.command()[1:])
    assert result.returncode == 1 and "L7S3003" in result.stderr
    os.chmod(daemon.secret_file, 0o600)
    daemon.start()


def test_320_38_commands_invent_no_data_directory(tmp_path):
    """A mistyped --data-dir must not look like success, nor leave anything behind."""
    nothing, garbage = tmp_path / "nothing", tmp_path / "garbage"
    garbage.write_text("garbage\n")
    epoch = run("new-epoch", "--data-dir", nothing)
    assert epoch.returncode == 1 and f"{nothing}/config.db" in epoch.stderr, epoch
    restored = run("restore", tmp_path / "none", "--data-dir", nothing)
    assert restored.returncode == 1 and f"{tmp_path}/none: No such" in restored.stderr
    assert not nothing.exists()
    refused = run("restore", garbage, "--data-dir", nothing)
    assert refused.returncode == 1 and "is no backup of l7shieldd" in refused.stderr
    (tmp_path / "snapshot.json").write_text(
        '{"parts": {"a": {"policies": [{"name": "odd", "detect": {"always": {}}}]}}}')
    left = run("recover", "--from-node-state", tmp_path, "--data-dir", tmp_path / "other")
    assert left.returncode == 1 and 'policy "odd": "action" is required' in left.stderr


def test_320_37_sample_configuration_loads():
    sample = Path(__file__).resolve().parents[2] / "conf" / "l7shieldd.json"
    for server in started(Daemon(config=sample, unix_socket=True)):
        assert server.call("GET", "/v1").status == 200


def test_320_90_kill_switch_holds_after_an_earlier_one_ended(daemon):
    soon = f"{datetime.now(timezone.utc) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%S}.999Z"
    daemon.call("PATCH", "/v1/settings", {"mode": "off", "mode_until": soon})
    wait_until(lambda: daemon.call("GET", "/v1/settings").json["status"]["effective_mode"]
               == "enforce", 5, "the end of the kill switch")
    answer = daemon.call("PATCH", "/v1/settings", {"mode": "off"})
    assert answer.headers["shield-changed"] == "true"
    assert answer.json["status"]["effective_mode"] == "off"
    assert answer.json["mode_until"] is None
