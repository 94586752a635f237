# SPDX-License-Identifier: Apache-2.0
"""HTTP itself: what libmicrohttpd would let through and the guard does not, methods, media
types, sizes, slow and rude clients."""
import gzip
import json
import os
import socket
import threading
import time

import pytest

from daemon import POLICY, Daemon, daemon, started  # noqa: F401
from httpd import wait_until

HEAD = "GET /livez HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = "GET /v1/tokens HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answers(received):
    """The status codes of all answers in these bytes."""
    return [int(part.split(b" ", 1)[0]) for part in received.split(b"HTTP/1.1 ")[1:]]


REFUSED = {
    "length and chunked": "PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                          + SMUGGLED,
    "two lengths": "PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                   "Content-Length: 60\r\n\r\n" + SMUGGLED,
    "same length twice": HEAD + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "unknown coding": HEAD + "Transfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    "two codings": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n" + SMUGGLED,
    "space before colon": "PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\n"
                          f"Content-Length : {len(SMUGGLED)}\r\n\r\n" + SMUGGLED,
    "no host": "GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": HEAD + "Host: localhost\r\n\r\n",
    "foreign host": "GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "host with path": "GET /livez HTTP/1.1\r\nHost: localhost/x\r\n\r\n",
    "absolute form": "GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "double slash": "GET //livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "encoded NUL": "GET /livez%00x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "encoded slash": "GET /v1%2Ftokens HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "encoded line end": "GET /livez%0d%0a HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "broken escape": "GET /livez%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "backslash": "GET /v1\\tokens HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "two authorizations": HEAD + "Authorization: a\r\nAuthorization: b\r\n\r\n",
    "control in value": HEAD + "X: a\x01b\r\n\r\n",
    "signed length": "PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Length: +3\r\n\r\n{}\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_330_01_ambiguous_requests_get_one_400_and_the_connection_ends(daemon, name):
    received = daemon.send_raw(REFUSED[name].encode("latin-1"))
    codes = answers(received)
    # libmicrohttpd itself sends the head of its 400 for a malformed length twice, then closes.
    assert codes and set(codes) == {400}, f"something smuggled was answered: {received}"
    assert len(codes) == 1 or name == "signed length", received


def test_330_02_foreign_origin_is_403_and_own_passes(daemon):
    own = f"http://127.0.0.1:{daemon.port}"
    assert daemon.call("GET", "/v1", origin=own).status == 200
    for origin in ("http://evil.example", "null", "https://127.0.0.1:1"):
        answer = daemon.call("PUT", "/v1/policies/a", POLICY, origin=origin)
        assert (answer.status, answer.code) == (403, "origin_not_allowed")
    assert daemon.call("GET", "/v1/policies/a").status == 404


def test_330_03_unknown_paths_are_404(daemon):
    for path in ("/", "/v2", "/v1/", "/v1/policy", "/v1/policies/a/b", "/v1/policies/",
                 "/livez/", "/v1/policies:explode", "/schemas/nothing.json"):
        answer = daemon.call("GET", path)
        assert (answer.status, answer.code) == (404, "not_found"), path


def test_330_04_wrong_methods_are_405_with_allow(daemon):
    for method, path, allow in (
            ("POST", "/v1/policies", "GET, HEAD"),
            ("POST", "/v1/policies/a", "GET, HEAD, PUT, PATCH, DELETE"),
            ("GET", "/v1/policies:validate", "POST"),
            ("DELETE", "/livez", "GET, HEAD"), ("OPTIONS", "/v1", "GET, HEAD"),
            ("TRACE", "/v1", "GET, HEAD"), ("BREW", "/v1", "GET, HEAD")):
        received = daemon.send_raw(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
                                   "Connection: close\r\n\r\n".encode())
        head, _, body = received.decode().partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 405"), (method, path, head)
        assert f"Allow: {allow}\r\n" in head + "\r\n", (method, path, head)
        assert json.loads(body)["code"] == "method_not_allowed"


def test_330_05_head_is_get_without_the_body(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    connection = daemon.connect()
    connection.request("HEAD", "/v1/policies/a",
                       headers={"Authorization": f"Bearer {daemon.token}"})
    response = connection.getresponse()
    assert response.status == 200 and response.getheader("ETag") and response.read() == b""
    connection.close()


def test_330_06_media_types_are_negotiated(daemon):
    for accept in ("application/json", "*/*", "application/*;q=0.5", "text/html, */*;q=0.1"):
        assert daemon.call("GET", "/v1", accept=accept).status == 200, accept
    for accept in ("text/html", "application/json;q=0", "image/*"):
        answer = daemon.call("GET", "/v1", accept=accept)
        assert (answer.status, answer.code) == (406, "not_acceptable"), accept
    lines = "application/x-ndjson"
    for accept, kind in ((f"{lines};q=0.1, application/json", "application/json"),
                         (f"application/json;q=0.1, {lines}", lines),
                         (f"{lines};q=0, */*", "application/json"), (f"{lines}, */*", lines)):
        answer = daemon.call("GET", "/v1/policies", accept=accept)
        assert answer.headers["content-type"] == kind, accept
    events = daemon.call("GET", "/v1/events", accept="text/event-stream;q=0, application/json")
    assert events.headers["content-type"] == "application/json"
    bans = daemon.call("GET", "/v1/bans", accept="text/plain")
    assert bans.status == 200 and bans.headers["content-type"].startswith("text/plain")
    for kind in ("application/x-www-form-urlencoded", "text/json", ""):
        answer = daemon.call("PUT", "/v1/policies/a", POLICY, content_type=kind)
        assert (answer.status, answer.code) == (415, "unsupported_media_type"), kind
        assert "application/json" in answer.json["detail"]
    packed = daemon.call("PUT", "/v1/policies/a", raw=gzip.compress(b"{}"),
                         headers={"Content-Encoding": "gzip"})
    assert packed.status == 415 and "Content-Encoding" in packed.json["detail"]
    merge = daemon.call("PUT", "/v1/policies/a", POLICY,
                        content_type="application/merge-patch+json")
    assert merge.status == 415
    charset = daemon.call("PUT", "/v1/policies/a", POLICY,
                          content_type="application/json; charset=utf-8")
    assert charset.status == 201


def test_330_20_values_that_the_contract_does_not_list_are_400(daemon):
    """A mistyped filter must not look like "nothing there"."""
    for path, known in (("/v1/incidents?state=actve", "active"), ("/v1/nodes?state=liv", "live"),
                        ("/v1/incidents?severity=low&severity=HIGHT", "high"),
                        ("/v1/bans?origin=nodes", "node"), ("/v1/bans?format=nftt", "nft"),
                        ("/v1/audit?outcome=don", "done"), ("/v1/policies?view=spek", "spec"),
                        ("/v1/revisions/1/rollout?on_timeout=errors", "error")):
        answer = daemon.call("GET", path)
        assert (answer.status, answer.code) == (400, "invalid_parameter"), path
        assert f'did you mean "{known}"?' in answer.json["detail"], path
    for path in ("/v1?pretty=yes", "/readyz?verbose=banana", "/livez?verbose="):
        answer = daemon.call("GET", path)
        assert (answer.status, answer.code) == (400, "invalid_parameter"), path


def test_330_21_caller_learns_what_this_version_can_do(daemon):
    features = daemon.call("GET", "/v1").json["features"]
    assert {"strict", "guard", "overrides"} <= set(features)
    assert len(features) == len(set(features))


def test_330_07_body_where_none_belongs_is_400(daemon):
    answer = daemon.call("DELETE", "/v1/policies/a", {"x": 1})
    assert (answer.status, answer.code) == (400, "unexpected_body")


def test_330_08_pretty_is_indented_and_compact_is_one_line(daemon):
    assert daemon.call("GET", "/v1").text.count("\n") == 1
    assert daemon.call("GET", "/v1?pretty=true").text.count("\n") > 5


def test_330_09_keep_alive_serves_errors_and_answers_in_a_row(daemon):
    connection = daemon.connect()
    for _ in range(3):
        assert daemon.call("GET", "/v1/nothing", connection=connection).status == 404
        first = connection.sock
        assert daemon.call("PUT", "/v1/policies/a", POLICY, token="x",
                           connection=connection).status == 401
        assert daemon.call("PUT", "/v1/policies/a", POLICY,
                           connection=connection).status in (200, 201)
        assert connection.sock is first, "the connection was closed"
    connection.close()


def test_330_10_pipelined_requests_are_answered_in_order(daemon):
    head = f"Host: localhost\r\nAuthorization: Bearer {daemon.token}\r\n"
    body = json.dumps(POLICY)
    put = (f"PUT /v1/policies/a HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
           f"Content-Length: {len(body)}\r\n\r\n{body}")
    get = f"GET /v1/policies/a HTTP/1.1\r\n{head}\r\n"
    last = f"DELETE /v1/policies/a HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    received = daemon.send_raw((put + get + put + last).encode())
    assert answers(received) == [201, 200, 200, 204]


def test_330_11_early_413_spares_the_client_the_body(daemon):
    head = (f"PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
            f"\r\nAuthorization: Bearer {daemon.token}\r\nContent-Length: {2 ** 24}\r\n"
            "Expect: 100-continue\r\n\r\n")
    received = daemon.send_raw(head.encode())
    assert answers(received) == [413]


def test_330_12_drip_feeding_a_head_is_cut(daemon):
    begin = time.monotonic()
    with socket.create_connection(("127.0.0.1", daemon.port), 5) as connection:
        connection.settimeout(0.5)
        ended = False
        while not ended and time.monotonic() - begin < 20:
            try:
                connection.sendall(b"G")
                ended = connection.recv(100) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
    elapsed = time.monotonic() - begin
    assert ended and elapsed < 16, f"still open after {elapsed:.0f} s"


def test_330_13_long_waits_block_nobody(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    waiting = [threading.Thread(target=daemon.call, daemon=True, args=(
        "GET", "/v1/revisions/1/rollout?wait_seconds=4&min_nodes=1")) for _ in range(20)]
    for thread in waiting:
        thread.start()
    begin = time.monotonic()
    for number in range(20):
        assert daemon.call("GET", "/livez", token=None).status == 200
        assert daemon.call("PUT", f"/v1/policies/b-{number}", POLICY).status == 201
    assert time.monotonic() - begin < 3
    for thread in waiting:
        thread.join()


def threads(server):
    return len(os.listdir(f"/proc/{server.process.pid}/task"))


def test_330_14_sigterm_ends_waiting_calls_cleanly(daemon):
    outcome, idle = [], threads(daemon)
    daemon.call("PUT", "/v1/policies/a", POLICY)
    wait_until(lambda: threads(daemon) == idle, 5, "the end of the first call")

    def wait():
        outcome.append(daemon.call(
            "GET", "/v1/revisions/1/rollout?wait_seconds=30&min_nodes=1").status)
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    wait_until(lambda: threads(daemon) > idle, 5, "the waiting call")
    begin = time.monotonic()
    daemon.stop()
    thread.join()
    assert time.monotonic() - begin < 5
    assert outcome == [202]


def test_330_15_clients_that_vanish_leave_nothing_behind(daemon):
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", daemon.port), 5) as connection:
            connection.sendall(b"PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\n"
                               b"Content-Le")
    head = (f"PUT /v1/policies/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
            f"application/json\r\nAuthorization: Bearer {daemon.token}\r\n"
            "Content-Length: 5000\r\n\r\n{")
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", daemon.port), 5) as connection:
            connection.sendall(head.encode())
    assert daemon.call("GET", "/v1/policies/a").status == 404
    assert daemon.call("PUT", "/v1/policies/a", POLICY).status == 201


def test_330_16_every_documented_call_exists_with_its_parameters(daemon):
    """The route table and the contract agree: no documented call is 404 or 405, and every
    documented query parameter is known."""
    examples = {"name": "x", "id": "x", "revision": "1", "file": "policy.json"}
    document = daemon.call("GET", "/openapi.json", token=None).json
    known = document["components"]["parameters"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            url = path
            for name, value in examples.items():
                url = url.replace("{" + name + "}", value)
            query = [parameter for parameter in
                     (known[item["$ref"].split("/")[-1]] if "$ref" in item else item
                      for item in operation.get("parameters", []))
                     if parameter["in"] == "query"]
            for parameter in query:
                answer = daemon.call(method.upper(),
                                     f"{url}?{parameter['name']}=%FF")
                assert answer.status != 405, (method, path)
                if answer.status == 400:
                    assert answer.code != "unknown_parameter", (method, path, parameter)
            answer = daemon.call(method.upper(), f"{url}?no_such_parameter=1",
                                 {} if "requestBody" in operation else None)
            assert (answer.status, answer.code) == (400, "unknown_parameter"), (method, path)


def test_330_17_schemas_are_served_one_by_one(daemon):
    schema = daemon.call("GET", "/schemas/list-entry.json", token=None).json
    assert schema["$ref"] == "#/components/schemas/ListEntry"
    assert "ListEntry" in schema["components"]["schemas"]


def test_330_18_bytes_that_are_no_utf8_never_spoil_an_answer(daemon):
    for path in ("/v1/policies/%FF", "/v1/policies?label=%FF", "/v1/policies?%C3=1",
                 "/v1/lists/a/entries/%80"):
        answer = daemon.call("GET", path)
        assert (answer.status, answer.code) == (400, "malformed_request"), path
    for reason in (b"\xff", b"x" * 257):
        answer = daemon.call("PUT", "/v1/policies/a", POLICY,
                             headers={"Shield-Reason": reason})
        assert (answer.status, answer.code) == (400, "malformed_request")
    cut = daemon.call("PUT", "/v1/policies/a", {**POLICY, "ä" * 200: 1})
    assert cut.status == 422
    good = daemon.call("PUT", "/v1/policies/a", POLICY,
                       headers={"Shield-Reason": "zu übereifrig".encode()})
    assert good.status == 201
    assert daemon.call("GET", "/v1/revisions/1").json["reason"] == "zu übereifrig"


def test_330_19_host_in_brackets_is_an_address_wherever_any_name_is_served():
    for server in started(Daemon(unix_socket=True)):
        for host, code in (("[::1]:80", 401), ("[a/b]", 400), ("[]", 400), ("[::1", 400),
                           ("[Host: evil.example]", 400), ("any.name", 401)):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(server.socket_path))
                connection.sendall(f"GET /v1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: x"
                                   "\r\nConnection: close\r\n\r\n".encode())
                assert answers(connection.recv(65536)) == [code], host
