# SPDX-License-Identifier: Apache-2.0
"""What a stranger copies works: the files in conf/, the module's own configuration, the
README's table of directives, and script/server with the three commands that it prints."""
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from daemon import L7SHIELDD, Daemon, daemon, started  # noqa: F401
from httpd import APACHE, BUILD, ENVIRONMENT, MODULE, MODULES, free_port, wait_until

TOP = Path(__file__).resolve().parents[2]
CONF = TOP / "conf"
SYNC = BUILD / "mod_l7shield" / "l7shield-sync"
SAMPLE = json.loads((CONF / "policies.json").read_text())


@pytest.fixture
def folder():
    """Reachable for httpd's user, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="l7s-samples-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def run(*command, **options):
    """(exit status, all that it said)"""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, **options)
    return done.returncode, done.stdout


def keys(path):
    """The files of a fleet's trust in `path`."""
    status, said = run(L7SHIELDD, "init", "--secret-file", path / "secret", "--trust-file",
                       path / "trust", "--signing-key-file", path / "signing.key")
    assert status == 0, said


# ------------------------------------------------------------------ policies.json

def test_510_01_sample_policies_pass_the_check_of_the_policy_file():
    assert run(SYNC, f"--check-policy-file={CONF / 'policies.json'}") == (0, "")


def test_510_02_sample_policies_are_served_from_the_file(httpd):
    server = httpd(policies=SAMPLE)
    client = server.client()
    wait_until(lambda: client.get("/internal/").status == 403, 5, "the sample policies")
    assert client.get("/page.txt").status == 200


def test_510_03_sample_policies_are_a_configuration_of_the_daemon(daemon):  # noqa: F811
    answer = daemon.call("PUT", "/v1/config", SAMPLE)
    assert answer.status == 200, answer
    names = {item["name"] for item in daemon.call("GET", "/v1/policies").json["items"]}
    assert names == {policy["name"] for policy in SAMPLE["policies"]}
    revisions = daemon.call("GET", "/v1/revisions").json["items"]
    assert daemon.call("PUT", "/v1/config", SAMPLE).status == 200
    assert daemon.call("GET", "/v1/revisions").json["items"] == revisions


# ------------------------------------------------------------------ l7shieldd

def test_510_04_sample_configuration_starts_the_daemon():
    for server in started(Daemon(config=CONF / "l7shieldd.json", unix_socket=True)):
        assert server.call("GET", "/v1/policies").status == 200


def test_510_05_sample_unit_passes_systemds_check(folder):
    text = (CONF / "l7shieldd.service").read_text()
    assert "--config /etc/l7shield/l7shieldd.json" in text
    # The user and the program exist only where it is installed.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={L7SHIELDD}", text, flags=re.MULTILINE)
    text = re.sub(r"^(User|Group)=.*", r"\1=root", text, flags=re.MULTILINE)
    unit = folder / "l7shieldd.service"
    unit.write_text(text)
    if shutil.which("systemd-analyze"):
        status, said = run("systemd-analyze", "verify", "--man=no", unit)
        assert status == 0 and "l7shieldd.service" not in said, said
        return
    for line in filter(None, text.splitlines()):
        assert re.match(r"^\[(Unit|Service|Install)\]$|^[A-Z]\w+=", line), line


# ------------------------------------------------------------------ httpd's side

def registered():
    """{directive: contexts} as httpd lists them."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write("ServerName localhost\nErrorLog /dev/null\n"
                     f"LoadModule mpm_event_module {MODULES}/mod_mpm_event.so\n"
                     f"LoadModule l7shield_module {MODULE}\n")
        config.flush()
        status, said = run(APACHE, "-f", config.name, "-L", env=ENVIRONMENT)
    assert status == 0, said
    return {name: contexts for name, contexts in re.findall(
        r"^(\w+) \(mod_l7shield\.c\)\n(?:\t.*\n)*?\tAllowed in (.*)$", said, re.MULTILINE)}


def documented():
    """{directive: where} of the README's table."""
    return {name: where for name, where in re.findall(
        r"^\| `(L7\w+)[^`]*` \| ([^|]*) \|", (TOP / "README.md").read_text(), re.MULTILINE)}


def test_510_06_readme_lists_exactly_the_directives_of_the_module():
    known, told = registered(), documented()
    assert set(known) == set(told)
    for name, contexts in known.items():
        assert ("directory" in told[name]) == ("outside" not in contexts), name


def uncommented(text, without):
    """Directives that stand behind a '#' without a blank, put in force."""
    lines = [line.removeprefix("#") for line in text.splitlines()
             if not line.startswith("# ")]
    return "\n".join(line for line in lines
                     if not any(re.match(rf"\s*{name}\b", line) for name in without))


def module_conf(folder, without):
    text = (TOP / "mod_l7shield" / "l7shield.conf").read_text()
    used = uncommented(text, without)
    for name in ("secret", "trust", "policies.json"):
        used = used.replace(f"/etc/l7shield/{name}", str(folder / name))
    assert "L7Shield" in used and "/etc/l7shield" not in used, used
    return used


def test_510_07_module_configuration_of_a_node_alone_passes_configtest(httpd, folder):
    shutil.copy(CONF / "policies.json", folder)
    used = module_conf(folder, ["L7ShieldNode", "L7ShieldMemcached", "L7ShieldSecretFile",
                                "L7ShieldTrustFile"])
    assert "L7ShieldPolicyFile" in used
    status, said = httpd(start=False, directives=used).configtest()
    assert status == 0, said


def test_510_08_module_configuration_of_a_fleets_node_passes_configtest(httpd, folder):
    keys(folder)
    used = module_conf(folder, ["L7ShieldPolicyFile"])
    assert "L7ShieldMemcached" in used
    status, said = httpd(start=False, directives=used).configtest()
    assert status == 0, said


def test_510_09_as_it_comes_the_module_configuration_passes_configtest(httpd):
    text = (TOP / "mod_l7shield" / "l7shield.conf").read_text()
    status, said = httpd(start=False, directives=text).configtest()
    assert status == 0, said


def test_510_10_node_configuration_filled_in_passes_configtest(folder):
    keys(folder)
    (folder / "state").mkdir(mode=0o700)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
        "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", folder / "tls.key",
        "-out", folder / "tls.crt")
    text = (CONF / "node.conf.in").read_text()
    for name, value in {
            "STATE": folder, "NODE": "web-1", "BUILD": BUILD, "SITE": CONF / "site",
            "SYNC": SYNC, "USER": "User www-data\nGroup www-data", "MODULES": MODULES,
            "MEMCACHED": free_port(), "HTTP": free_port(), "HTTPS": free_port()}.items():
        text = text.replace(f"@{name}@", str(value))
    assert not re.search(r"@[A-Z]+@", text.split("\n", 1)[1]), "a name nobody fills in"
    config = folder / "httpd.conf"
    config.write_text(text)
    if os.geteuid() == 0:
        for name in ("secret", "trust", "state"):
            shutil.chown(folder / name, "www-data")
    status, said = run(APACHE, "-d", folder, "-f", config, "-t", env=ENVIRONMENT)
    assert status == 0 and "Syntax OK" in said, said


# ------------------------------------------------------------------ script/server

def free_base():
    """A port that is free together with the eleven behind it."""
    for _ in range(100):
        base = free_port()
        probes = [socket.socket() for _ in range(12)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise RuntimeError("no twelve free ports")


class Server:
    """script/server on its own ports and folder, with the build under test."""

    def __init__(self, folder):
        self.base = free_base()
        self.environment = {**os.environ, "L7S_PORT_BASE": str(self.base),
                            "L7S_BUILD_DIR": str(BUILD), "L7S_SERVER_STATE": str(folder)}

    def __call__(self, action):
        return run(TOP / "script" / "server", action, env=self.environment)

    def shell(self, command):
        """A command that it printed; its output."""
        status, said = run("bash", "-c", command, cwd=TOP, env=self.environment)
        assert status == 0, f"{command}: {said}"
        return said


@pytest.fixture
def server(folder):
    one = Server(folder)
    yield one
    one("stop")


def commands(report):
    """The commands below 'Try:', without their comments."""
    return [line.strip() for line in report.split("Try:\n", 1)[1].splitlines()
            if line.strip() and not line.strip().startswith("#")]


def test_510_11_server_runs_and_its_three_commands_do_what_they_say(server, folder):
    status, report = server("start")
    assert status == 0, report
    assert server("status")[0] == 0
    attack, incidents, forgive = commands(report)

    codes = server.shell(attack).split()
    assert codes[:2] == ["401", "401"] and codes[-1] == "403", codes
    wait_until(lambda: server.shell(attack).split() == ["403"] * 16, 5, "bans on both nodes")

    def told():
        items = json.loads(server.shell(incidents))["items"]
        return [item for item in items if item["policy"]["name"] == "login-guessing"]
    incident = wait_until(told, 10, "the incident")[0]
    assert "127.0.0.1" in json.dumps(incident)
    assert incident["state"] == "active"

    server.shell(forgive)
    probe = attack.replace("seq 16", "seq 2")
    wait_until(lambda: server.shell(probe).split() == ["401", "401"], 5, "forgiveness")

    status, said = server("stop")
    assert status == 0, said
    assert server("status")[0] != 0
    for node in ("web-1", "web-2"):
        errors = (folder / node / "error.log").read_text()
        assert not re.search(r"\[l7shield:(error|crit|alert|emerg)\]|AH00052", errors), errors


def test_510_12_server_started_twice_refuses_and_the_first_goes_on(server):
    assert server("start")[0] == 0
    status, said = server("start")
    assert status != 0 and "already running" in said, said
    assert server("status")[0] == 0
    status, said = server("stop")
    assert status == 0, said
