# SPDX-License-Identifier: Apache-2.0
"""The recipe for mod_security2 with Debian's OWASP core rule set: its findings ban over the
whole fleet, and the incident names the attack and the rules."""
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from fleet import Fleet
from httpd import config, wait_until

RECIPES = Path(__file__).resolve().parents[2] / "conf" / "recipes"
RULES = f"""
SecRuleEngine {{engine}}
SecRequestBodyAccess On
SecResponseBodyAccess Off
SecAuditEngine Off
SecUnicodeMapFile /etc/modsecurity/unicode.mapping 20127
Include /etc/modsecurity/crs/crs-setup.conf
Include /usr/share/modsecurity-crs/rules/*.conf
Include {RECIPES}/mod_security2.conf
"""
MODULES = ("unique_id", "security2")
FINDINGS = r"ModSecurity: (Warning|Access denied)"
COMMAND = "/page.txt?run=" + quote("; cat /etc/passwd")


def with_rules(server, engine):
    folder = server.root / "security"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    server.directives += RULES.format(engine=engine) + \
        f"SecDataDir {folder}\nSecTmpDir {folder}\nSecUploadDir {folder}\n"
    server.write_config()
    server.expects(FINDINGS)
    return server


def remote_control():
    return json.loads((RECIPES / "remote-control.json").read_text())["policies"][0]


@pytest.mark.parametrize("engine, status", [("DetectionOnly", 200), ("On", 403)])
def test_713_01_finding_bans_the_client_whether_the_rules_deny_or_not(httpd, engine, status):
    server = with_rules(httpd(start=False, modules=MODULES,
                              policies=config(remote_control())), engine).start()
    for path in ("/page.txt", "/page.txt?run=cat", "/page.txt?q=a+b"):
        assert server.get(path, address="127.0.0.2").status == 200
    first = server.get(COMMAND, address="127.0.0.2")
    assert first.status == status and "l7shield-policy" not in first.headers

    def refused():
        answer = server.get("/page.txt", address="127.0.0.2")
        return answer.headers.get("l7shield-policy") == "remote-control"
    wait_until(refused, 1, "the ban")
    assert server.get("/page.txt", address="127.0.0.3").status == 200


def test_713_02_uploaded_program_is_a_web_shell(httpd):
    server = with_rules(httpd(start=False, modules=MODULES,
                              policies=config(remote_control())), "DetectionOnly").start()
    body = ('--b\r\nContent-Disposition: form-data; name="f"; filename="x.php"\r\n'
            "Content-Type: text/plain\r\n\r\nhello\r\n--b--\r\n")
    answer = server.get("/page.txt", "POST", address="127.0.0.2", body=body, headers={
        "Content-Type": "multipart/form-data; boundary=b", "User-Agent": "test"})
    assert "l7shield-policy" not in answer.headers

    def refused():
        answer = server.get("/page.txt", address="127.0.0.2")
        return answer.headers.get("l7shield-policy") == "remote-control"
    wait_until(refused, 1, "the ban")


def test_713_03_remote_command_on_one_node_bans_its_client_on_the_other():
    fleet = Fleet(nodes=2, modules=MODULES)
    try:
        for node in fleet.nodes:
            with_rules(node, "DetectionOnly")
        fleet.start()
        fleet.put_policy(remote_control())
        one, two = fleet.nodes
        assert two.get("/page.txt", address="127.0.0.9").status == 200
        assert one.get(COMMAND, address="127.0.0.9").status == 200
        wait_until(lambda: two.get("/page.txt", address="127.0.0.9").status == 403, 1,
                   "a ban on the other node")
        item = fleet.wait_for_incident(lambda item: item["kind"] == "signal")
        assert item["layer"]["osi"] == 7 and item["layer"]["name"] == "application"
        assert item["layer"]["signature"] == "remote_control"
        assert item["layer"]["confidence_percent"] >= 90
        rules = {one["detail"] for one in item["top"]["signals"]}
        assert "932160" in rules and rules <= {"932100", "932115", "932150", "932160"}
        assert {one["name"] for one in item["top"]["signals"]} == {"remote-command"}
        assert item["action"]["type"] == "ban"
        assert item["action"]["ban_id"] == "ip:127.0.0.9"
        assert item["source"]["key"] == {"client": "127.0.0.9"}
    finally:
        unexpected = fleet.close()
    assert not unexpected, unexpected
