# SPDX-License-Identifier: Apache-2.0
"""A bad value fails `apachectl -t` with a sentence that begins with the directive's name
and says what is allowed."""
import shutil
import subprocess

import pytest

from httpd import BUILD, ENVIRONMENT, MODULE, config, policy, rate

BAD = [
    ("L7Shield Maybe", "L7Shield must be On, Off or Observe, not 'Maybe'"),
    ("L7Shield", "L7Shield takes one argument"),
    ("L7ShieldApp Shop", "L7ShieldApp must be the name of an application"),
    ("L7ShieldApp -shop", "L7ShieldApp must be the name of an application"),
    ("L7ShieldNode web_1", "L7ShieldNode must be a name"),
    (f"L7ShieldNode {'a' * 64}", "L7ShieldNode must be a name"),
    ("L7ShieldMemcached localhost", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached localhost:11211", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached :11211", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached 2001:db8::1:11211", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached 127.0.0.1:0", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached 127.0.0.1:65536", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached 127.0.0.1:11211x", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached [::1:11211", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached [127.0.0.1]:1", "L7ShieldMemcached must be address:port"),
    ("L7ShieldMemcached " + " ".join(f"10.0.0.{n}:11211" for n in range(17)),
     "L7ShieldMemcached takes at most 16 servers"),
    ("L7ShieldSecretFile /nonexistent/x", "L7ShieldSecretFile must be a file that exists"),
    ("L7ShieldTrustFile /nonexistent/x", "L7ShieldTrustFile must be a file that exists"),
    ("L7ShieldTrustFile /tmp", "L7ShieldTrustFile must be a regular file"),
    ("L7ShieldStateDir /etc/passwd", "L7ShieldStateDir must be a folder"),
    ("L7ShieldMemory 15M", "L7ShieldMemory must be a size from 16M to 16G"),
    ("L7ShieldMemory 17G", "L7ShieldMemory must be a size from 16M to 16G"),
    ("L7ShieldMemory 64", "L7ShieldMemory must be a size from 16M to 16G"),
    ("L7ShieldMemory 64MB", "L7ShieldMemory must be a size from 16M to 16G"),
    ("L7ShieldMemory -64M", "L7ShieldMemory must be a size from 16M to 16G"),
    ("L7ShieldMemory 99999999999999999999G", "L7ShieldMemory must be a size from 16M"),
    ("L7ShieldTrustedProxy proxy", "L7ShieldTrustedProxy must be an address or a network"),
    ("L7ShieldTrustedProxy 10.0.0.1/33", "L7ShieldTrustedProxy must be an address or a"),
    ("L7ShieldTrustedProxy 10.0.0.1/8",
     "L7ShieldTrustedProxy must be a network without host bits: 10.0.0.0/8, not"),
    ("L7ShieldTrustedProxy 0.0.0.0/0", "L7ShieldTrustedProxy must be a network of proxies"),
    ("L7ShieldTrustedProxy ::/0", "L7ShieldTrustedProxy must be a network of proxies"),
    ("L7ShieldSync /etc/passwd", "L7ShieldSync must be the program l7shield-sync"),
    ("L7ShieldSync /nonexistent", "L7ShieldSync must be the program l7shield-sync"),
    ("L7ShieldTick 19", "L7ShieldTick must be a number of milliseconds from 20 to 1000"),
    ("L7ShieldTick 1001", "L7ShieldTick must be a number of milliseconds from 20 to 1000"),
    ("L7ShieldTick 100ms", "L7ShieldTick must be a number of milliseconds from 20 to 1000"),
    ("<VirtualHost *:1>\nL7ShieldNode a\n</VirtualHost>",
     "L7ShieldNode cannot occur within <VirtualHost> section"),
    ("<Location /a>\nL7ShieldTick 100\n</Location>",
     "L7ShieldTick not allowed in <Location> context"),
    ("L7ShieldMemcached 127.0.0.1:11211\nL7ShieldPolicyFile p.json",
     "L7ShieldPolicyFile cannot stand beside L7ShieldMemcached"),
    ("L7ShieldPolicyFile p.json\nL7ShieldMemcached 127.0.0.1:11211",
     "L7ShieldMemcached cannot stand beside L7ShieldPolicyFile"),
    ("L7ShieldMemcached 127.0.0.1:11211",
     "L7ShieldMemcached needs L7ShieldSecretFile and L7ShieldTrustFile"),
]

GOOD = [
    "L7Shield off", "L7Shield OBSERVE", "L7ShieldApp shop", "L7ShieldNode web-1",
    "<Location /a>\nL7Shield Off\nL7ShieldApp shop-2\n</Location>",
    "<VirtualHost *:1>\nL7Shield Observe\nL7ShieldApp a\n</VirtualHost>",
    "L7ShieldMemory 16M", "L7ShieldMemory 16384k", "L7ShieldMemory 1G", "L7ShieldTick 20",
    "L7ShieldTrustedProxy 10.0.0.0/8 192.0.2.1 2001:db8::/32 ::1",
]


@pytest.mark.parametrize("line,sentence", BAD)
def test_100_01_bad_value_fails_the_config_test_with_a_sentence(httpd, line, sentence):
    status, said = httpd(start=False, directives=line).configtest()
    assert status != 0
    assert any(text.strip().startswith(sentence) or f": {sentence}" in text
               for text in said.splitlines()), said


@pytest.mark.parametrize("line", GOOD)
def test_100_02_good_value_passes_the_config_test(httpd, line):
    status, said = httpd(start=False, directives=line).configtest()
    assert status == 0, said


def test_100_03_secret_that_others_may_read_is_refused(httpd):
    server = httpd(start=False)
    secret = server.root / "fleet.secret"
    secret.write_text("a:AAAA\n")
    secret.chmod(0o644)
    server.directives = f"L7ShieldSecretFile {secret}"
    server.write_config()
    status, said = server.configtest()
    assert status != 0
    assert "L7ShieldSecretFile must be a file that its owner alone may read" in said


def test_100_04_bad_policy_file_fails_with_every_problem(httpd):
    bad = config(policy("one", {"deny": {}}, surprise=1),
                 policy("two", {"throttle": {}}, match={"client": {"in": ["10.0.0.1/8"]}}),
                 policy("three", {"explode": {}}))
    server = httpd(start=False, policies=bad)
    status, said = server.configtest()
    assert status != 0
    for problem in ("/policies/0/surprise", "/policies/1/match/client/in/0",
                    "/policies/2/action", "10.0.0.0/8"):
        assert problem in said, said
    assert said.count(f"L7ShieldPolicyFile {server.policy_file}: ") >= 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"policies": 3}'])
def test_100_05_policy_file_that_is_no_configuration_fails(httpd, text):
    server = httpd(start=False, policies=text)
    status, said = server.configtest()
    assert status != 0
    assert f"L7ShieldPolicyFile {server.policy_file}" in said


def test_100_06_missing_policy_file_fails(httpd):
    server = httpd(start=False, directives="L7ShieldPolicyFile /nonexistent/p.json")
    status, said = server.configtest()
    assert status != 0
    assert "L7ShieldPolicyFile /nonexistent/p.json" in said


def test_100_16_policy_file_that_is_a_folder_is_called_so(httpd):
    server = httpd(start=False, directives="L7ShieldPolicyFile /tmp")
    status, said = server.configtest()
    assert status != 0
    assert "L7ShieldPolicyFile /tmp: cannot be read: Is a directory" in said


def test_100_07_two_policies_of_one_name_fail(httpd):
    server = httpd(start=False, policies=config(policy("one", {"deny": {}}),
                                                policy("one", {"log": {}})))
    status, said = server.configtest()
    assert status != 0
    assert "/policies/1" in said


def test_100_08_good_policy_file_passes(httpd):
    server = httpd(start=False, policies=config(
        policy("one", {"throttle": {}}, detect=rate(10, 10))))
    status, said = server.configtest()
    assert status == 0, said


def test_100_09_start_with_a_bad_policy_file_fails(httpd):
    server = httpd(start=False, policies="{")
    server.expects("L7ShieldPolicyFile", "Configuration check failed", "AH00014", "AH00013")
    done = subprocess.run(server.command("-DFOREGROUND"), capture_output=True, text=True,
                          timeout=20, env=ENVIRONMENT)
    assert done.returncode != 0
    assert "L7ShieldPolicyFile" in done.stderr


def test_100_13_program_that_cannot_be_run_is_explained(httpd):
    server = httpd(start=False, policies=config())
    program = server.root / "l7shield-sync"
    program.write_text("#!/nonexistent\n")
    program.chmod(0o755)
    server.directives = f"L7ShieldSync {program}"
    server.write_config()
    status, said = server.configtest()
    assert status != 0
    assert "could not be checked" in said and "may not execute it" in said


def test_100_14_program_may_lie_where_the_servers_user_cannot_go(httpd):
    server = httpd(start=False, policies=config(policy("closed", {"deny": {}})))
    program = server.root / "hidden" / "l7shield-sync"
    program.parent.mkdir(mode=0o700)
    shutil.copy(BUILD / "mod_l7shield" / "l7shield-sync", program)
    server.directives = f"L7ShieldSync {program}"
    server.write_config()
    assert server.configtest()[0] == 0
    server.start()
    assert server.get("/").status == 403
    assert len(server.sync_pids()) == 1


def test_100_15_missing_program_fails(httpd):
    """It would admit everything, and say so in the error log only."""
    server = httpd(start=False)
    alone = shutil.copy(MODULE, server.root)
    text = server.config().replace(str(MODULE), str(alone))
    (server.root / "httpd.conf").write_text(text)
    status, said = server.configtest()
    assert status != 0
    assert "L7ShieldSync must be the program l7shield-sync" in said
    assert f"'{server.root}/l7shield-sync'" in said


def test_100_10_htaccess_may_not_switch_the_shield_off(httpd):
    server = httpd(host="<Location />\nRequire all granted\n</Location>",
                   directives="<Directory /tmp>\nAllowOverride All\n</Directory>")
    folder = server.document_root / "below"
    folder.mkdir()
    (folder / "page.txt").write_text("x\n")
    (folder / ".htaccess").write_text("L7Shield Off\n")
    server.stop()
    server.directives = ""
    text = server.config().replace("AllowOverride None", "AllowOverride All")
    (server.root / "httpd.conf").write_text(text)
    server.start()
    server.expects("L7Shield not allowed here")
    assert server.get("/below/page.txt").status == 500


def test_100_11_only_the_module_structure_is_exported():
    listed = subprocess.run(["nm", "-D", "--defined-only", MODULE], capture_output=True,
                            text=True, check=True).stdout
    assert [line.split()[-1] for line in listed.splitlines()] == ["l7shield_module"]


def test_100_12_module_links_neither_json_nor_network_libraries():
    listed = subprocess.run(["readelf", "-d", MODULE], capture_output=True, text=True,
                            check=True).stdout
    for library in ("jansson", "memcached", "gnutls", "sqlite", "microhttpd"):
        assert library not in listed
