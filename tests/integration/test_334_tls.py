# SPDX-License-Identifier: Apache-2.0
"""TLS: a new certificate without a restart, a bad one without harm, client certificates,
old protocol versions, and what its end looks like in the metrics."""
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest

from daemon import POLICY, L7SHIELDD, Daemon, started
from httpd import wait_until


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def make_pair(folder, name, days=2, *more):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", days, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key",
            "-out", folder / f"{name}.crt", *more)


def install(server, name):
    """As renewal tools do: each file beside its place, then renamed."""
    for end in ("crt", "key"):
        os.replace(server.root / f"{name}.{end}", server.root / f"tls.{end}")


def shown(server):
    return ssl.get_server_certificate(("127.0.0.1", server.port))


def fingerprint(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def serves(server, certificate):
    return ssl.PEM_cert_to_DER_cert(shown(server)) == certificate


@pytest.fixture
def secure():
    yield from started(Daemon(tls=True))


@pytest.mark.parametrize("how", ["hangup", "change"])
def test_334_01_new_connections_get_the_new_certificate_old_ones_live_on(secure, how):
    before = shown(secure)
    old = secure.connect()
    assert secure.call("GET", "/v1", connection=old).status == 200
    make_pair(secure.root, "localhost")
    certificate = fingerprint(secure.root / "localhost.crt")
    install(secure, "localhost")
    if how == "hangup":
        secure.process.send_signal(signal.SIGHUP)
    wait_until(lambda: serves(secure, certificate), 10, "the new certificate")
    assert shown(secure) != before
    assert secure.call("GET", "/v1", connection=old).status == 200
    assert secure.call("GET", "/v1").status == 200
    old.close()


def test_334_02_files_that_do_not_fit_keep_what_is_in_use(secure):
    before = shown(secure)
    make_pair(secure.root, "other")
    os.replace(secure.root / "other.crt", secure.root / "tls.crt")
    secure.expect("L7S3120")
    secure.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "L7S3120" in secure.log(), 10, "the complaint")
    assert "do not match" in secure.log()
    assert shown(secure) == before
    (secure.root / "tls.key").write_text("nonsense")
    wait_until(lambda: secure.log().count("L7S3120") > 1, 10, "the second complaint")
    assert shown(secure) == before
    (secure.root / "tls.key").unlink()
    wait_until(lambda: secure.log().count("L7S3120") > 2, 10, "the third complaint")
    make_pair(secure.root, "localhost")
    certificate = fingerprint(secure.root / "localhost.crt")
    install(secure, "localhost")
    wait_until(lambda: serves(secure, certificate), 10, "the good pair")
    assert "PRIVATE KEY" not in secure.log()


def test_334_03_a_bad_pair_at_the_start_is_refused(tmp_path):
    for name in ("a", "b"):
        make_pair(tmp_path, name)
    server = Daemon()
    for certificate, key, word in (("a.crt", "b.key", "do not match"),
                                   ("none", "b.key", "none"), ("a.key", "a.key", "a.key")):
        result = subprocess.run([*server.command(), "--tls-cert", tmp_path / certificate,
                                 "--tls-key", tmp_path / key], capture_output=True, text=True,
                                timeout=10)
        assert result.returncode == 1 and word in result.stderr, result
    server.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_334_04_versions_before_1_2_are_refused(secure):
    for version, works in ((ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False),
                           (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
        context = ssl.create_default_context(cafile=secure.root / "tls.crt")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", secure.port), 5) as connection:
            try:
                context.wrap_socket(connection, server_hostname="localhost").close()
                assert works, version
            except (ssl.SSLError, ConnectionResetError):
                assert not works, version


def test_334_05_the_certificates_end_is_in_the_metrics(secure):
    metric = re.compile(r"^l7shieldd_certificate_not_after_timestamp_seconds (\d+)$", re.M)

    def days():
        text = secure.call("GET", "/metrics").text
        return (int(metric.search(text)[1]) - time.time()) / 86400
    assert 1.9 < days() < 2.1
    make_pair(secure.root, "localhost", 90)
    certificate = fingerprint(secure.root / "localhost.crt")
    install(secure, "localhost")
    wait_until(lambda: serves(secure, certificate), 10, "the new certificate")
    assert 89.9 < days() < 90.1


# ------------------------------------------------------------------ client certificates

class Mutual(Daemon):
    """Demands client certificates; `client` names the one to show."""

    def __init__(self):
        super().__init__(tls=True, unix_socket=True)
        make_pair(self.root, "authority", 2, "-addext", "basicConstraints=critical,CA:TRUE")
        make_pair(self.root, "foreign", 2, "-addext", "basicConstraints=critical,CA:TRUE")
        self.sign("alice", "authority")
        self.sign("mallory", "foreign")
        self.sign("server", "authority", "extendedKeyUsage=serverAuth")
        self.client = "alice"
        self.config = self.root / "l7shieldd.json"
        self.config.write_text(json.dumps({"tls": {
            "certificate_file": str(self.root / "tls.crt"),
            "key_file": str(self.root / "tls.key"),
            "client_ca_file": str(self.root / "authority.crt")}}))

    def sign(self, name, authority, usage="extendedKeyUsage=clientAuth"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={name}", "-keyout", self.root / f"{name}.key", "-out",
                self.root / f"{name}.csr")
        (self.root / "usage").write_text(usage)
        openssl("x509", "-req", "-in", self.root / f"{name}.csr", "-CA",
                self.root / f"{authority}.crt", "-CAkey", self.root / f"{authority}.key",
                "-CAcreateserial", "-days", 2, "-extfile", self.root / "usage", "-out",
                self.root / f"{name}.crt")

    def connect(self, timeout=70):
        context = ssl.create_default_context(cafile=self.root / "tls.crt")
        if self.client is not None:
            context.load_cert_chain(self.root / f"{self.client}.crt",
                                    self.root / f"{self.client}.key")
        return http.client.HTTPSConnection("localhost", self.port, timeout=timeout,
                                           context=context)


@pytest.fixture
def mutual():
    yield from started(Mutual())


def test_334_10_a_client_certificate_is_demanded_besides_the_token(mutual):
    assert mutual.call("PUT", "/v1/policies/a", POLICY).status == 201
    assert mutual.call("GET", "/v1", token=None).status == 401
    for client in (None, "mallory", "server"):
        mutual.client = client
        for path, token in (("/v1", "admin"), ("/livez", None), ("/openapi.json", None)):
            answer = mutual.call("GET", path, token=token)
            assert (answer.status, answer.code) == (403, "client_certificate_required")
        assert mutual.call("DELETE", "/v1/policies/a").status == 403
    mutual.client = "alice"
    assert mutual.call("GET", "/v1/policies/a").status == 200


def test_334_11_the_unix_socket_needs_no_certificate(mutual):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(mutual.socket_path))
    connection.request("GET", "/v1")
    assert connection.getresponse().status == 200
    connection.close()


def test_334_12_a_new_authority_counts_without_a_restart(mutual):
    os.replace(mutual.root / "foreign.crt", mutual.root / "authority.crt")
    mutual.process.send_signal(signal.SIGHUP)
    mutual.client = "mallory"
    wait_until(lambda: mutual.call("GET", "/v1").status == 200, 10, "the new authority")
    mutual.client = "alice"
    assert mutual.call("GET", "/v1").status == 403


def test_334_13_an_authority_without_certificate_and_key_is_refused(tmp_path):
    result = subprocess.run([L7SHIELDD, "--tls-client-ca", tmp_path / "ca"],
                            capture_output=True, text=True, timeout=10)
    assert result.returncode == 2 and "/tls" in result.stderr


# ------------------------------------------------------------------ Host

def test_334_20_allowed_hosts_are_served_others_are_not():
    server = Daemon(tls=True)
    server.command = lambda own=server.command: own() + ["--allowed-host", "shield.example"]
    for server in started(server):
        for host, status in (("shield.example", 200), ("SHIELD.example:9180", 200),
                             ("localhost", 200), ("127.0.0.1", 200), ("evil.example", 400),
                             ("shield.example.evil.example", 400)):
            answer = server.call("GET", "/v1", headers={"Host": host})
            assert answer.status == status, host
        assert server.call("GET", "/v1", headers={"Host": "evil.example"}).code == \
            "host_not_allowed"
        own = {"Host": "shield.example", "Origin": "https://shield.example"}
        assert server.call("PUT", "/v1/policies/a", POLICY, headers=own).status == 201
        other = {"Host": "shield.example", "Origin": "https://localhost"}
        assert server.call("DELETE", "/v1/policies/a", headers=other).status == 403


def test_334_21_without_tls_an_allowed_host_is_a_proxys_name():
    server = Daemon()
    server.command = lambda own=server.command: own() + ["--allowed-host", "shield.example"]
    for server in started(server):
        assert server.call("GET", "/v1", headers={"Host": "shield.example"}).status == 200
        assert server.call("GET", "/v1", headers={"Host": "other.example"}).status == 400
