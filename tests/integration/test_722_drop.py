# SPDX-License-Identifier: Apache-2.0
"""drop: no answer, and the connection ends."""
import socket
import ssl
import subprocess

import pytest

from httpd import config, policy, wait_until

TRAP = policy("trap", {"drop": {}}, match={"paths": ["/trap"]})
REQUEST = b"GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\n\r\n"


def after(connection, data):
    """What comes back: an answer, b"" for an end, None for a reset."""
    connection.sendall(data)
    try:
        return connection.recv(4096)
    except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return None


def logged(server):
    return wait_until(lambda: next((line for line in server.accesses() if "/trap" in line),
                                   None), 3, "the line in the access log")


@pytest.mark.parametrize("section", ["", "<Location /x>\nL7ShieldApp shop\n</Location>"])
def test_722_01_connection_ends_without_a_byte(httpd, section):
    server = httpd(policies=config(TRAP), host=section)
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        assert after(connection, REQUEST % b"/page.txt").startswith(b"HTTP/1.1 200 ")
        assert after(connection, REQUEST % b"/trap") in (b"", None)
    assert " 444 " in logged(server) and "action=drop policy=trap" in logged(server)
    assert "incident=inc_" in logged(server)
    assert server.get("/page.txt").status == 200, "nobody is banned"


def test_722_02_nothing_behind_it_is_answered(httpd):
    """Neither what was pipelined nor a body that was not read."""
    server = httpd(policies=config(TRAP))
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        data = (b"POST /trap HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n" +
                b"x" * 100000 + REQUEST % b"/page.txt")
        try:
            assert after(connection, data) in (b"", None)
        except (BrokenPipeError, ConnectionResetError):
            pass
    logged(server)
    assert not [line for line in server.accesses() if "/page.txt" in line]


def test_722_03_over_tls(httpd):
    server = httpd(policies=config(TRAP), tls=True)
    context = ssl.create_default_context(cafile=server.root / "cert.pem")
    with socket.create_connection(("127.0.0.1", server.tls_port), 5) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            assert after(connection, REQUEST % b"/trap") in (b"", None)
    assert " 444 " in logged(server)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_722_04_http2_connection_ends_with_all_streams(httpd, scheme):
    server = httpd(policies=config(TRAP), tls=True, directives="Protocols h2 h2c http/1.1")
    port = server.tls_port if scheme == "https" else server.port
    base = f"{scheme}://localhost:{port}"
    done = subprocess.run(["nghttp", "-v", f"{base}/trap", f"{base}/page.txt"],
                          capture_output=True, text=True, timeout=10)
    assert ":status: 4" not in done.stdout, "no answer"
    assert " 444 " in logged(server)
    again = subprocess.run(["nghttp", "-v", f"{base}/page.txt"], capture_output=True,
                           text=True, timeout=10)
    assert ":status: 200" in again.stdout, "a new connection works"


def test_722_05_behind_a_trusted_proxy_a_status_answers(httpd):
    """Its connection carries other clients, too."""
    server = httpd(modules=("remoteip",), policies=config(
        policy("trap", {"drop": {"status": 404}}, match={"paths": ["/trap"]})),
        directives="RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy 127.0.0.1\n"
                   "L7ShieldTrustedProxy 127.0.0.1")
    client = server.client()
    headers = {"X-Forwarded-For": "203.0.113.7"}
    refused = client.get("/trap", headers=headers)
    assert refused.status == 404
    assert refused.headers["l7shield-policy"] == "trap"
    assert client.get("/page.txt", headers=headers).status == 200
    assert client.connects == 1
    client.close()


def test_722_06_observed_drop_drops_nothing(httpd):
    server = httpd(policies=config({**TRAP, "mode": "observe"}))
    assert server.get("/trap").status == 404
    assert "action=would_drop policy=trap" in logged(server)


def test_722_07_counted_by_its_own_verdict(httpd):
    server = httpd(policies=config(TRAP), host=(
        '<Location "/l7shield-metrics">\nSetHandler l7shield-metrics\n</Location>'))
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
            after(connection, REQUEST % b"/trap")
    name = 'l7shield_requests_total{node="web-1",verdict="dropped"}'
    assert server.metrics()[name] == 3
