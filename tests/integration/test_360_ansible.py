# SPDX-License-Identifier: Apache-2.0
"""The playbook of conf/examples, run by Debian's ansible-core."""
import json
import re

import pytest

from daemon import daemon  # noqa: F401
from examples import EXAMPLES, WEB, environment, revision, run, stored


@pytest.fixture
def play(daemon, tmp_path):  # noqa: F811
    """play(option, …) → (exit status, {"ok": …, "changed": …, "failed": …}, output)"""
    own = environment(daemon, HOME=str(tmp_path), ANSIBLE_NOCOLOR="1",
                      ANSIBLE_LOCALHOST_WARNING="false", ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
                      ANSIBLE_LOCAL_TEMP=str(tmp_path / "local"),
                      ANSIBLE_REMOTE_TEMP=str(tmp_path / "remote"),
                      ANSIBLE_PYTHON_INTERPRETER="/usr/bin/python3")

    def call(*options):
        done = run(["/usr/bin/ansible-playbook", EXAMPLES / "ansible" / "shield.yml",
                    "-e", f"shield={own['SHIELD']}", "-e", f"token_file={daemon.token_file}",
                    *options], env=own, cwd=tmp_path, seconds=120)
        recap = dict(re.findall(r"(\w+)=(\d+)", done.stdout.rpartition("PLAY RECAP")[2]))
        return done.returncode, {key: int(value) for key, value in recap.items()}, \
            done.stdout + done.stderr
    return call


def test_360_01_check_stores_nothing_a_second_run_changes_nothing(daemon, play):
    status, recap, output = play("--check", "--diff")
    assert (status, recap["changed"], recap["failed"]) == (0, 1, 0), output
    assert stored(daemon) is None and revision(daemon) == 0
    assert '"name": "web-login"' in output and '"op": "create"' in output

    status, recap, output = play("-e", "reason=night")
    assert (status, recap["changed"], recap["failed"]) == (0, 1, 0), output
    assert stored(daemon) == {"name": "web", **WEB}
    made = daemon.call("GET", "/v1/revisions/1").json
    assert (made["reason"], made["set"]) == ("night", "web")

    status, recap, output = play()
    assert (status, recap["changed"], recap["failed"]) == (0, 0, 0), output
    assert revision(daemon) == 1


def test_360_02_shows_differences_and_stops_at_errors(daemon, play, tmp_path):
    daemon.call("PUT", "/v1/sets/web", WEB)
    document = json.loads(json.dumps(WEB))
    document["policies"][0]["detect"]["rate"]["requests"] = 20
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(document))
    status, recap, output = play("--check", "--diff", "-e", f"set_file={changed}")
    assert (status, recap["changed"]) == (0, 1), output
    assert '"pointer": "/detect/rate/requests"' in output and revision(daemon) == 1

    document["policies"][0]["detect"]["rate"]["per_second"] = 1
    changed.write_text(json.dumps(document))
    status, recap, output = play("-e", f"set_file={changed}")
    assert (status != 0, recap["failed"]) == (True, 1)
    assert "/policies/0/detect/rate/per_second" in output and revision(daemon) == 1
    # An empty file deletes nothing.
    changed.write_text("{}")
    status, recap, output = play("-e", f"set_file={changed}", "-e", "max_deletes=2")
    assert status != 0 and "too_many_deletes" in output and revision(daemon) == 1
