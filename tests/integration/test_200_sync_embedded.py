# SPDX-License-Identifier: Apache-2.0
"""l7shield-sync for a node without a fleet: policy file, mode file, life cycle."""
import json
import os
import signal
import subprocess
import time

import pytest

from httpd import wait_until
from sync_node import SYNC, Node, as_file, config, policy


@pytest.fixture
def node():
    nodes = []

    def make(*policies, start=True, **options):
        made = Node(policies=options.pop("document", config(*policies)), **options)
        nodes.append(made)
        return made.start() if start else made

    yield make
    unexpected = [line for made in nodes for line in made.close()]
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


def in_force(node, revision):
    wait_until(lambda: node.state()["revision"] >= revision, 2, f"revision {revision}")


def test_200_01_policy_file_is_enforced_once_ready(node):
    one = node(policy(requests=10))
    answer = one.decide(30)
    assert answer["admitted"] == 10 and answer["throttled"] == 20, answer
    assert one.state()["mode"] == "enforce" and one.state()["live_nodes"] == 1


def test_200_02_changed_file_is_in_force_within_a_second_and_keeps_counters(node):
    one = node(policy(requests=10, per_seconds=100))
    assert one.admitted(8) == 8
    begin = time.monotonic()
    one.write(config(policy(requests=10, per_seconds=100, priority=7),
                     policy("second", requests=1, per_seconds=100, match={"paths": ["/b"]})))
    in_force(one, 2)
    assert time.monotonic() - begin < 1
    assert one.admitted(8) == 2
    assert one.admitted(5, client="192.0.2.9", path="/b") == 1


def test_200_03_broken_file_leaves_policies_in_force_and_names_every_problem_once(node):
    one = node(policy(requests=3, per_seconds=100))
    one.expect("L7S2010", "L7S2011")
    bad = policy("bad", colour="red")
    bad["action"] = {"ban": {}}
    one.write(config(bad, policy(), policy()))
    wait_until(lambda: one.lines("L7S2011"), 2, "the refusal")
    time.sleep(0.5)
    assert len(one.lines("L7S2011")) == 1
    text = "\n".join(one.lines("L7S2010"))
    assert "/policies/0/colour" in text and "/policies/0/action/ban" in text, text
    assert "/policies/2" in text, text
    assert len(one.lines("L7S2010")) == len(set(one.lines("L7S2010")))
    assert one.admitted(5) == 3
    one.write("{")
    wait_until(lambda: len(one.lines("L7S2011")) == 2, 2, "the second refusal")
    assert one.state()["revision"] == 1
    one.write(config(policy(requests=4, per_seconds=100)))
    in_force(one, 2)


def test_200_04_missing_file_is_said_and_taken_when_it_comes(node):
    one = node(start=False)
    one.expect("L7S2010", "L7S2011")
    one.policy_file.unlink()
    one.start()
    assert one.state()["generation"] == 0 and one.admitted(50) == 50
    one.write(config(policy(requests=3)))
    in_force(one, 1)
    assert one.admitted(5) == 3


@pytest.mark.parametrize("mode", ["observe", "off"])
def test_200_05_mode_file_is_obeyed_within_a_second_and_after_a_restart(node, mode):
    one = node(policy(requests=1, per_seconds=100))
    as_file(one.state_dir / "mode", mode + "\n")
    wait_until(lambda: one.state()["mode"] == mode, 1, mode)
    assert one.state()["because"] == "mode_file"
    answer = one.decide(5)
    assert answer["throttled"] == 0, answer
    one.kill()
    assert one.ended() == -signal.SIGKILL
    one.start(ready=False)
    wait_until(lambda: len(one.lines("L7S2001")) == 2, 2, "the second start")
    assert one.state()["mode"] == mode
    (one.state_dir / "mode").unlink()
    wait_until(lambda: one.state()["mode"] == "enforce", 1, "enforce")


def test_200_06_mode_file_with_a_typing_error_observes(node):
    one = node(policy(requests=1))
    one.expect("L7S2051")
    as_file(one.state_dir / "mode", "obsrve\n")
    wait_until(lambda: one.state()["mode"] == "observe", 1, "observe")
    assert len(one.lines("L7S2051")) == 1


def test_200_07_crash_keeps_image_and_counters(node):
    one = node(policy(requests=10, per_seconds=100))
    assert one.admitted(7) == 7
    one.kill()
    assert one.ended() == -signal.SIGKILL
    assert one.admitted(1) == 1
    one.start(ready=False)
    wait_until(lambda: len(one.lines("L7S2001")) == 2, 2, "the second start")
    assert one.admitted(5) == 2


def test_200_08_newer_generation_takes_over_within_200_ms(node):
    one = node(policy())
    first = one.state()["pid"]
    one.generation = 2
    begin = time.monotonic()
    one.start(ready=False)
    wait_until(lambda: one.state()["pid"] not in (0, first), 2, "the new process")
    assert time.monotonic() - begin < 0.5
    ended = one.lines("L7S2002")
    assert len(ended) == 1 and "newer configuration" in ended[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_200_09_signal_ends_it_within_200_ms(node, number):
    one = node(policy())
    begin = time.monotonic()
    one.kill(number)
    assert one.ended() == 0
    assert time.monotonic() - begin < 0.3


def test_200_10_it_ends_when_its_parent_is_gone(node):
    one = node(policy())
    pid = one.state()["pid"]
    one.tool.process.kill()
    one.tool.process.wait()

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(gone, 1, "the end")


def test_200_11_an_incident_has_a_line_when_it_begins(node):
    one = node(policy(requests=2), policy("watched", requests=1, mode="observe",
                                         match={"paths": ["/b"]}))
    incident = one.decide(5)["incident"]
    assert incident.startswith("inc_")
    wait_until(lambda: one.lines("L7S2101"), 2, "the line")
    time.sleep(0.3)
    assert [line.split("L7S2101: ")[1] for line in one.lines("L7S2101")] == [
        f"policy per-client acts on client=192.0.2.1 (throttle), incident {incident}"]
    one.decide(2, client="192.0.2.2", path="/b")
    wait_until(lambda: len(one.lines("L7S2101")) == 2, 2, "the second line")
    assert "policy watched would act on client=192.0.2.2" in one.lines("L7S2101")[1]
    one.kill()
    one.ended()
    one.start(ready=False)
    wait_until(lambda: len(one.lines("L7S2001")) == 2, 2, "the second start")
    time.sleep(0.3)
    assert len(one.lines("L7S2101")) == 2


def test_200_20_an_incident_ends_after_a_quiet_minute(node):
    one = node(policy(requests=2))
    incident = one.decide(5)["incident"]
    wait_until(lambda: one.lines("L7S2101"), 2, "the first line")
    one.tool("age", 59000)
    time.sleep(0.4)
    assert one.tool("episodes") == [incident]
    one.tool("age", 1000)
    wait_until(lambda: one.tool("episodes") == [], 2, "the end")
    assert (f"policy per-client is done with client=192.0.2.1, incident {incident}: "
            "3 requests, 3 refused") in one.lines("L7S2102")[0]
    assert one.decide(5)["incident"] != incident


def test_200_21_damaged_state_files_are_said_and_written_anew(node, tmp_path):
    (tmp_path / "bans.json").write_text("{")
    one = node(policy(requests=1, action={"ban": {"seconds": 60}}), state=tmp_path)
    one.expect("L7S2068")
    wait_until(lambda: one.lines("L7S2068"), 2, "the line")
    one.decide(2)
    wait_until(lambda: "192.0.2.1" in (tmp_path / "bans.json").read_text(), 3, "the file")


def test_200_22_a_missing_state_folder_is_said_once(node):
    one = node(policy(requests=1, action={"ban": {"seconds": 60}}))
    one.expect("L7S2068")
    one.state_dir.rmdir()
    for number in range(1, 4):
        one.decide(2, client=f"192.0.2.{number}")
        time.sleep(1.1)
    assert len(one.lines("L7S2068")) == 1 and "No such file" in one.lines("L7S2068")[0]


def test_200_12_bans_outlive_a_cold_start_and_end(node, tmp_path):
    ban = policy(requests=1, action={"ban": {"seconds": 600}})
    one = node(ban, state=tmp_path)
    assert one.decide(3)["banned"] == 2
    wait_until(lambda: (tmp_path / "bans.json").exists(), 3, "bans.json")
    one.kill(signal.SIGTERM)
    assert one.ended() == 0
    kept = json.loads((tmp_path / "bans.json").read_text())
    assert [entry["id"] for entry in kept["bans"]] == ["ip:192.0.2.1"]
    again = node(ban, state=tmp_path)
    wait_until(lambda: again.bans() == ["ip:192.0.2.1"], 2, "the ban")
    assert again.decide(1)["banned"] == 1


def test_200_13_a_short_ban_is_over_by_itself(node):
    one = node(policy(requests=1, per_seconds=1, action={"ban": {"seconds": 1}}))
    assert one.decide(2)["banned"] == 1
    assert one.bans() == ["ip:192.0.2.1"]
    wait_until(lambda: one.bans() == [], 4, "the end of the ban")
    wait_until(lambda: one.admitted(1) == 1, 2, "admission")


def test_200_14_a_worker_that_holds_the_image_delays_the_one_after_next(node):
    one = node(policy(requests=1, per_seconds=100))
    one.expect("L7S2022")
    assert one.tool("pin")["pinned"]
    one.write(config(policy(requests=2, per_seconds=100)))
    in_force(one, 2)
    one.write(config(policy(requests=3, per_seconds=100)))
    time.sleep(0.6)
    assert one.state()["revision"] == 2
    one.tool("unpin")
    in_force(one, 3)
    assert one.admitted(5) == 3


def test_200_15_an_expired_policy_is_compiled_away(node):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    one = node(policy(requests=1, per_seconds=100, expires_at=soon))
    assert one.admitted(3) == 1
    wait_until(lambda: one.state()["generation"] == 2, 5, "the second image")
    assert one.admitted(3) == 3


def test_200_16_drained_counters_are_released(node):
    one = node(policy(requests=10, per_seconds=1))
    for number in range(1, 51):
        one.decide(1, client=f"198.51.100.{number}")
    assert one.state()["claimed"] == 50
    wait_until(lambda: one.state()["released"] == 50, 45, "the sweep")


def test_200_17_without_policy_file_nothing_is_in_force(node):
    one = node(document=None)
    assert one.state()["ready"] and one.admitted(100) == 100


def check(path):
    return subprocess.run([SYNC, f"--check-policy-file={path}"], capture_output=True,
                          text=True, timeout=20)


def test_200_18_check_policy_file(tmp_path):
    path = tmp_path / "policies.json"
    path.write_text(json.dumps(config(policy())))
    good = check(path)
    assert (good.returncode, good.stderr) == (0, "")
    path.write_text(json.dumps(config(policy(colour="red"), policy())))
    bad = check(path)
    assert bad.returncode == 1
    lines = bad.stderr.splitlines()
    assert any(line.startswith("/policies/0/colour: ") for line in lines), lines
    assert any(line.startswith("/policies/1") for line in lines), lines
    assert check(tmp_path / "absent").returncode == 1
    os.mkfifo(tmp_path / "pipe")
    assert check(tmp_path / "pipe").returncode == 1


@pytest.mark.parametrize("options", [["--colour=red"], [], ["--segment-fd=3"],
                                     ["--segment-fd=0", "--node=n"],
                                     ["--segment-fd=0", "--node=n", "--tick-ms=1"],
                                     ["--segment-fd=0", "--node=n", "--policy-file=p",
                                      "--memcached=127.0.0.1:1"]])
def test_200_19_a_wrong_call_says_what_is_wrong(options):
    done = subprocess.run([SYNC] + options, capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "L7S200" in done.stderr, done
