# SPDX-License-Identifier: Apache-2.0
"""/v1/audit: every mutation that was done and every one that was refused; a flood of
refused ones leaves little behind."""
import http.client
import json
import socket

from daemon import POLICY, Daemon, daemon, started, token_checksum_broken  # noqa: F401
from httpd import wait_until


def audit(daemon, query="", **named):
    answer = daemon.call("GET", "/v1/audit" + query, **named)
    assert answer.status == 200, answer
    return answer.json["items"]


def newest(daemon, query=""):
    return audit(daemon, query)[0]


def test_332_01_a_change_says_who_what_from_where_and_why(daemon):
    token = daemon.token_of("editor", "ci")
    answer = daemon.call("PUT", "/v1/policies/login?force=true", POLICY, token=token,
                         shield_reason="ticket 7")
    row = newest(daemon)
    revision = int(answer.headers["shield-revision"])
    assert row == {
        "id": row["id"], "at": row["at"], "last_at": row["at"], "count": 1,
        "outcome": "done", "code": None, "principal": "token:ci",
        "token_id": token.split("_")[1], "session": None, "address": "127.0.0.1",
        "method": "PUT", "route": "/v1/policies/{name}",
        "path": "/v1/policies/login?force=true", "object": "login", "revision": revision,
        "reason": "ticket 7"}
    assert token.split("_")[2] not in daemon.call("GET", "/v1/audit").text


DONE = [
    ("PUT", "/v1/policies/a", POLICY), ("PATCH", "/v1/policies/a", {"mode": "off"}),
    ("DELETE", "/v1/policies/a", None), ("PUT", "/v1/lists/l", {}),
    ("PUT", "/v1/lists/l/entries/192.0.2.1", {"value": "192.0.2.1"}),
    ("PUT", "/v1/apps/shop", {"hosts": ["shop.example"]}),
    ("PUT", "/v1/config", {}), ("PATCH", "/v1/settings", {"mode": "off"}),
    ("PUT", "/v1/tokens/t", {"role": "viewer"}), ("POST", "/v1/tokens/t:rotate", None),
    ("DELETE", "/v1/tokens/t", None),
    ("PUT", "/v1/bans/ip:192.0.2.1", {"key": {"client": "192.0.2.1"}, "seconds": 60}),
    ("POST", "/v1/bans:batch", {"put": [{"key": {"client": "192.0.2.2"}}], "delete": []}),
    ("DELETE", "/v1/bans/ip:192.0.2.1", None),
    ("POST", "/v1/check:release", {"client": "192.0.2.2", "hold_seconds": 60}),
]


def test_332_02_every_mutation_leaves_one_row(daemon):
    for method, path, body in DONE:
        before = len(audit(daemon))
        answer = daemon.call(method, path, body)
        assert answer.status < 300, answer
        rows = audit(daemon)
        assert len(rows) == before + 1, (method, path)
        assert (rows[0]["method"], rows[0]["path"], rows[0]["outcome"]) == (
            method, path, "done")
    assert newest(daemon)["object"] == "192.0.2.2"


def test_332_03_nothing_changed_leaves_nothing(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    before = audit(daemon)
    assert daemon.call("PUT", "/v1/policies/a", POLICY).headers["shield-changed"] == "false"
    assert daemon.call("PUT", "/v1/policies/b?dry_run=true", POLICY).status == 201
    assert daemon.call("PUT", "/v1/policies/b?dry_run=true", {}).status == 422
    daemon.call("POST", "/v1/policies:validate", POLICY)
    daemon.call("GET", "/v1/policies/none")
    assert audit(daemon) == before


def test_332_04_refused_ones_say_why_and_are_counted(daemon):
    viewer = daemon.token_of("viewer")
    for _ in range(20):
        assert daemon.call("DELETE", "/v1/policies/a", token=viewer).status == 403
    row = newest(daemon)
    assert (row["outcome"], row["code"], row["principal"], row["count"]) == (
        "refused", "forbidden", "token:test-viewer", 20)
    wrong = token_checksum_broken(daemon.token)
    daemon.call("PUT", "/v1/policies/a", POLICY, token=wrong)
    daemon.call("PUT", "/v1/policies/a", POLICY, token=None)
    row = newest(daemon)
    assert (row["code"], row["principal"], row["count"]) == ("unauthenticated", None, 2)
    assert daemon.call("PUT", "/v1/policies/a", {}).status == 422
    assert newest(daemon)["code"] == "invalid"
    daemon.call("PUT", "/v1/policies/a", POLICY, origin="http://evil.example")
    assert newest(daemon)["code"] == "origin_not_allowed"


def test_332_05_a_flood_of_refused_requests_leaves_a_few_rows(daemon):
    connection = daemon.connect()
    viewer = daemon.token_of("viewer")
    before = (daemon.data_dir / "config.db-wal").stat().st_size
    for number in range(1000):
        connection.request("PUT", f"/v1/policies/{number}?dry_run=true", b"{}", {
            "Authorization": f"Bearer {viewer}", "Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        assert response.status == 403
    connection.close()
    rows = audit(daemon, "?outcome=refused&limit=1000")
    assert sum(row["count"] for row in rows) == 1000 and len(rows) <= 3
    assert (daemon.data_dir / "config.db-wal").stat().st_size < before + 500000


def test_332_06_rows_reach_the_disk_without_being_asked_for(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY, token=None)
    daemon.stop()
    daemon.start()
    assert newest(daemon)["code"] == "unauthenticated"


def test_332_07_acknowledged_changes_survive_kill_with_their_rows(daemon):
    for number in range(20):
        assert daemon.call("PUT", f"/v1/policies/p{number}", POLICY).status == 201
        assert daemon.call("PUT", f"/v1/bans/ip:192.0.2.{number}",
                           {"key": {"client": f"192.0.2.{number}"}}).status == 201
    daemon.kill()
    daemon.start()
    assert [row["path"] for row in audit(daemon)[:2]] == ["/v1/bans/ip:192.0.2.19",
                                                          "/v1/policies/p19"]
    assert len(audit(daemon, "?outcome=done")) == 40


def test_332_08_filters_pages_and_lines(daemon):
    token = daemon.token_of("editor", "ci")
    for number in range(5):
        daemon.call("PUT", f"/v1/policies/p{number}", POLICY, token=token)
    daemon.call("DELETE", "/v1/policies/p0")
    assert len(audit(daemon, "?principal=token:ci")) == 5
    assert len(audit(daemon, "?principal=token:ci&principal=token:admin")) == 7
    assert len(audit(daemon, "?method=DELETE&outcome=done")) == 1
    assert len(audit(daemon, "?path=/v1/policies/p0")) == 2
    assert audit(daemon, "?client=192.0.2.0/24") == []
    assert len(audit(daemon, "?client=127.0.0.0/8&since=-1h")) == 7
    assert audit(daemon, "?until=-1h") == []
    first = daemon.call("GET", "/v1/audit?limit=3").json
    second = daemon.call("GET", f"/v1/audit?limit=100&cursor={first['next_cursor']}").json
    assert first["items"] + second["items"] == audit(daemon)
    lines = daemon.call("GET", "/v1/audit", accept="application/x-ndjson").text
    assert [json.loads(line) for line in lines.splitlines()] == audit(daemon)
    assert daemon.call("GET", "/v1/audit?cursor=7878").code == "invalid_cursor"


def test_332_09_auditors_and_admins_read_it_and_nobody_writes_it(daemon):
    for role, status in (("auditor", 200), ("admin", 200), ("editor", 403), ("metrics", 403)):
        token = daemon.token_of(role)
        assert daemon.call("GET", "/v1/audit", token=token).status == status, role
    assert daemon.call("DELETE", "/v1/audit").status == 405


def test_332_10_the_unix_socket_is_named_by_its_user():
    for server in started(Daemon(unix_socket=True)):
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(server.socket_path))
        connection.request("DELETE", "/v1/policies/none")
        assert connection.getresponse().status == 404
        connection.close()
        row = newest(server)
        assert row["principal"].startswith("unix:") and row["address"] is None
        assert (row["code"], row["token_id"]) == ("not_found", None)


def test_332_11_a_lost_answer_is_no_lost_row(daemon):
    """The client went away before the answer: what it did is known all the same."""
    body = json.dumps(POLICY)
    with socket.create_connection(("127.0.0.1", daemon.port), 5) as connection:
        connection.sendall((f"PUT /v1/policies/gone HTTP/1.1\r\nHost: localhost\r\n"
                            f"Authorization: Bearer {daemon.token}\r\n"
                            f"Content-Type: application/json\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    wait_until(lambda: daemon.call("GET", "/v1/policies/gone").status == 200, 5, "the change")
    assert newest(daemon)["path"] == "/v1/policies/gone"
