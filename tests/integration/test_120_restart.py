# SPDX-License-Identifier: Apache-2.0
"""What must survive: graceful restarts, new memory, a killed sync process, a stop."""
import http.client
import os
import shutil
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from httpd import BUILD, Client, config, is_alive, policy, rate, wait_until

METRICS = '<Location "/l7shield-metrics">\nSetHandler l7shield-metrics\n</Location>\n'


class Load:
    """Four clients at 50 requests per second each, half of them with new connections. Like
    every HTTP client they ask once more when a kept-alive connection turns out to be
    closed; what fails on a fresh connection has failed."""

    def __init__(self, server):
        self.server, self.failed, self.served, self.stale = server, 0, 0, 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(4)]

    def _run(self, number):
        client = Client(self.server.port, f"127.0.1.{number + 1}")
        while not self.stopping.wait(0.02):
            reused = client.connection is not None
            ok = self._ask(client)
            if not ok and reused:
                self.stale += 1
                ok = self._ask(client)
            self.served += ok
            self.failed += not ok
            if number % 2:
                client.close()
        client.close()

    @staticmethod
    def _ask(client):
        try:
            return client.get("/page.txt").status == 200
        except (OSError, http.client.HTTPException):
            client.close()
            return False

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def test_120_01_graceful_restart_under_load_fails_no_more_than_bare_httpd(httpd):
    bare = httpd(shield=False, children=2)
    shielded = httpd(children=2, policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(100000, 1))))
    with Load(bare) as control, Load(shielded) as load:
        for _ in range(3):
            time.sleep(0.7)
            bare.graceful()
            shielded.graceful()
        time.sleep(0.7)
    assert control.served > 100 and load.served > 100
    assert load.failed <= control.failed, (load.failed, control.failed)


def test_120_02_graceful_restart_keeps_bans_and_counters(httpd):
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 600}}, match={"paths": ["/trap"]}),
        policy("per-client", {"throttle": {}}, detect=rate(3, 600))))
    assert server.get("/trap", address="127.0.0.9").status == 403
    assert [server.get("/").status for _ in range(4)] == [200, 200, 200, 429]
    server.graceful()
    assert server.get("/", address="127.0.0.9").status == 403
    assert server.get("/").status == 429
    wait_until(lambda: len(server.sync_pids()) == 1, 3, "the old sync process' end")


def test_120_03_every_restart_has_one_sync_process_in_the_end(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})))
    first = server.sync_pids()
    for _ in range(4):
        server.graceful()
        assert server.get("/").status == 403
    wait_until(lambda: len(server.sync_pids()) == 1, 3, "one sync process")
    assert server.sync_pids() != first
    assert "long lost child" not in server.errors()


def test_120_04_hard_restart_keeps_bans(httpd):
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 600}}, match={"paths": ["/trap"]})))
    assert server.get("/trap", address="127.0.0.9").status == 403
    server.expects("AH0309[23]", "exit signal Segmentation fault")  # httpd's own, see httpd.py
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.serving() == 2, 15, "the restart")
    assert server.get("/", address="127.0.0.9").status == 403
    assert server.get("/").status == 200


def test_120_05_new_memory_size_takes_effect_and_policies_hold(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}},
                                          match={"paths": ["/page.txt"]})), host=METRICS)
    before = server.metrics()['l7shield_keys_capacity{node="web-1"}']
    server.directives = "L7ShieldMemory 64M"
    server.write_config()
    server.graceful()
    assert server.get("/page.txt").status == 403, "before the first request, too"
    assert server.metrics()['l7shield_keys_capacity{node="web-1"}'] > before
    wait_until(lambda: len(server.sync_pids()) == 1, 3, "the old sync process' end")


def test_120_06_broken_policy_file_at_a_graceful_restart_keeps_what_is_in_force(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}},
                                          match={"paths": ["/page.txt"]})))
    server.expects(r"L7S2\d+")
    server.write_policies("{ not json")
    server.graceful()
    assert server.process.poll() is None
    assert server.get("/page.txt").status == 403
    assert server.get("/").status == 200
    wait_until(lambda: "L7S2" in server.errors(), 3, "a complaint about the file")


def test_120_07_killed_sync_process_is_back_and_policies_hold_meanwhile(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}},
                                          match={"paths": ["/page.txt"]})))
    server.expects("L7S1012")
    killed = server.sync_pids()[0]
    time.sleep(2.1)  # a life that is not short: no back-off
    os.kill(killed, signal.SIGKILL)
    assert server.get("/page.txt").status == 403
    wait_until(lambda: server.sync_pids() not in ([], [killed]), 2.5, "a new sync process")
    server.write_policies(config())
    wait_until(lambda: server.get("/page.txt").status == 200, 3, "the new one's work")


def test_120_08_program_that_dies_at_once_is_started_ever_more_slowly(httpd):
    server = httpd(start=False)
    server.expects("L7S1012", "L7S1014", "started")
    program = server.root / "l7shield-sync"
    program.write_text(f"#!/bin/sh\necho started >> {server.state_dir}/starts\nexit 3\n")
    program.chmod(0o755)
    server.directives = f"L7ShieldSync {program}"
    server.write_config()
    server.start()
    assert server.get("/").status == 200
    time.sleep(6)
    starts = (server.state_dir / "starts").read_text().count("started")
    assert 3 <= starts <= 5, "at 0, 1, 3 and 6 seconds, and not each second"


def test_120_18_program_that_is_gone_is_looked_for_ever_more_slowly(httpd):
    """As while a package is replaced. It was forked for as fast as the machine could."""
    server = httpd(start=False, policies=config(policy("closed", {"deny": {}})))
    server.expects("L7S1012")
    program = server.root / "l7shield-sync"
    shutil.copy(BUILD / "mod_l7shield" / "l7shield-sync", program)
    server.directives = f"L7ShieldSync {program}"
    server.write_config()
    server.start()
    gone = program.rename(server.root / "gone")
    os.kill(server.sync_pids()[0], signal.SIGKILL)
    wait_until(lambda: "it is not there" in server.errors(), 5, "the explanation")
    time.sleep(3)
    assert server.errors().count("L7S1012") <= 6, "0, 0, 1, 2, 4 s apart"
    assert server.get("/").status == 403
    gone.rename(program)
    wait_until(lambda: server.errors().count("L7S2001") == 2, 10, "the next one's work")


def test_120_09_killed_child_leaves_the_server_working(httpd):
    server = httpd(children=2, policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(3, 600))))
    assert [server.get("/").status for _ in range(4)] == [200, 200, 200, 429]
    for pid in server.child_pids():
        os.kill(pid, signal.SIGKILL)
    server.expects("exit signal Killed")
    wait_until(lambda: server.child_pids(), 5, "new children")
    assert wait_until(lambda: _status(server), 5, "an answer") == 429


def _status(server):
    try:
        return server.get("/").status
    except OSError:
        return None


def test_120_10_single_process_mode_works(httpd):
    server = httpd(start=False, policies=config(policy("closed", {"deny": {}})))
    server.start("-X")
    assert server.get("/").status == 403
    assert len(server.sync_pids()) == 1
    server.expects("AH00488", "AH00052")


def test_120_11_stop_ends_the_sync_process(httpd):
    server = httpd(policies=config(policy("closed", {"deny": {}})))
    sync = server.sync_pids()[0]
    server.stop()
    wait_until(lambda: not is_alive(sync), 1, "the end of the sync process")


def test_120_12_parents_violent_end_ends_the_sync_process(httpd):
    server = httpd()
    sync, children = server.sync_pids()[0], server.child_pids()
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not is_alive(sync), 3, "the end of the sync process")
    for pid in children:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_120_13_sync_process_has_no_socket_and_no_root(httpd):
    server = httpd(policies=config())
    pid = server.sync_pids()[0]
    links = {}
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            links[int(entry)] = os.readlink(f"/proc/{pid}/fd/{entry}")
        except OSError:
            pass
    assert links[0] == links[1] == "/dev/null"
    assert links[2] == str(server.error_log)
    assert "memfd:l7shield" in links[3]
    assert not [link for link in links.values() if link.startswith("socket:")]
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    if os.geteuid() == 0:
        assert "0" not in lines["Uid"].split() and "0" not in lines["Gid"].split()
        assert "0" not in lines["Groups"].split()


def test_120_14_bans_and_policies_survive_a_stop(httpd):
    """The state folder keeps them: a cold start enforces them at once."""
    server = httpd(policies=config(
        policy("trap", {"ban": {"seconds": 600}}, match={"paths": ["/trap"]})))
    assert server.get("/trap", address="127.0.0.9").status == 403
    time.sleep(1.5)
    server.stop()
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", server.port)) != 0)
    server.start()
    assert server.get("/").status == 200
    wait_until(lambda: server.get("/", address="127.0.0.9").status == 403, 2,
               "the ban of before")


def test_120_19_two_servers_do_not_overwrite_each_others_state(httpd):
    """Both obey its file `mode`: whoever breaks the glass means both."""
    policies = config(policy("trap", {"ban": {"seconds": 600}}, match={"paths": ["/trap"]}))
    first = httpd(policies=policies)
    second = httpd(start=False, policies=policies,
                   directives=f"L7ShieldStateDir {first.state_dir}")
    second.expects("L7S2009", "L7S1014", "L7S2068")
    second.start()
    wait_until(lambda: "is in use by the l7shield-sync of another httpd" in second.errors(),
               5, "the complaint")
    assert first.get("/trap", address="127.0.0.9").status == 403
    assert wait_until(lambda: second.get("/trap", address="127.0.0.10").status == 403, 5,
                      "the policies of the second")
    bans = first.state_dir / "bans.json"
    wait_until(lambda: bans.exists() and "127.0.0.9" in bans.read_text(), 5,
               "the first one's ban on disk")
    time.sleep(1.2)
    assert "127.0.0.10" not in bans.read_text()
    (first.state_dir / "mode").write_text("off\n")
    (first.state_dir / "mode").chmod(0o644)
    for server in first, second:
        wait_until(lambda server=server: server.get("/trap").status == 404, 2, "the mode")
    (first.state_dir / "mode").unlink()
    first.stop()  # as a predecessor that was slow to go
    wait_until(lambda: second.get("/trap", address="127.0.0.11").status == 403, 3, "a ban")
    wait_until(lambda: "127.0.0.11" in bans.read_text(), 5, "the second one's ban on disk")


def test_120_20_state_folder_that_cannot_be_used_is_told_at_the_start(httpd):
    """As one that an administrator made by hand, for root."""
    server = httpd(start=False, policies=config())
    server.expects("L7S2008", "L7S2068")
    server.state_dir.chmod(0o500)
    server.start()
    wait_until(lambda: "L7S2008" in server.errors(), 5, "the complaint")
    line = next(line for line in server.errors().splitlines() if "L7S2008" in line)
    assert str(server.state_dir) in line and "Permission denied" in line


@pytest.mark.parametrize("log, told", [
    ("syslog:local1:web", "local1:web"), ("syslog:local1", "local1:apache2"),
    ("SYSLOG", ":apache2"), ("syslog.log", None)])
def test_120_21_server_that_logs_to_the_syslog_has_its_sync_process_do_so(httpd, log, told):
    """Its stderr would lead nowhere."""
    server = httpd(start=False, policies=config())
    text = server.config().replace(f"ErrorLog {server.error_log}", f"ErrorLog {log}")
    (server.root / "httpd.conf").write_text(text)
    server.start("-X")
    pid = wait_until(server.sync_pids, 5, "the sync process")[0]
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    said = [word for word in words if word.startswith("--syslog=")]
    assert said == ([f"--syslog={told}"] if told else [])


def test_120_22_module_that_is_taken_out_takes_its_process_along(httpd):
    """`a2dismod l7shield` and a reload. It would be seen in its fleet for ever."""
    server = httpd(policies=config(policy("closed", {"deny": {}})))
    old = server.sync_pids()[0]
    server.shield = False
    server.write_config()
    server.expects("long lost child")  # says httpd, of a child of nobody's
    server.graceful()
    wait_until(lambda: server.get("/").status == 200, 5, "the end of the old children")
    assert is_alive(old), "there could be a successor"
    wait_until(lambda: not is_alive(old), 15, "the end of the process")
    server.shield = True
    server.write_config()
    server.graceful()
    wait_until(lambda: server.get("/").status == 403, 5, "the module's return")
    assert len(server.sync_pids()) == 1


@pytest.mark.parametrize("mpm", ["prefork", "worker"])
def test_120_15_other_mpms_enforce_too(httpd, mpm):
    server = httpd(mpm=mpm, children=3, policies=config(
        policy("trap", {"ban": {"seconds": 600}}, match={"paths": ["/trap"]}),
        policy("per-client", {"throttle": {}}, detect=rate(3, 600))))
    assert server.get("/trap", address="127.0.0.9").status == 403
    banned = server.get("/", address="127.0.0.9")
    assert (banned.status, banned.headers["connection"]) == (403, "close")
    kept = server.client("127.0.0.10")
    assert kept.get("/").status == 200
    banned = kept.get("/trap")  # a connection that is kept would hold a worker
    assert (banned.status, banned.headers.get("connection")) == (403, "close")
    kept.close()
    assert [server.get("/").status for _ in range(4)] == [200, 200, 200, 429]
    server.graceful()
    assert server.get("/", address="127.0.0.9").status == 403
    assert server.get("/").status == 429


def segment_of(server):
    fds = Path(f"/proc/{server.process.pid}/fd").iterdir()
    return next(fd for fd in fds if "memfd:l7shield" in os.readlink(fd))


def pin_owners(server):
    """Processes that hold a pin: its second word, 64 bytes apart (core/segment/segment.h)."""
    with open(segment_of(server), "rb") as memory:
        memory.seek(24)
        memory.seek(struct.unpack("Q", memory.read(8))[0])
        owners = struct.iter_unpack("8xi52x", memory.read(4096 * 64))
        return {owner for owner, in owners if owner}


def test_120_16_children_that_come_and_go_use_up_no_pins(httpd):
    """Without pins every request would be admitted."""
    server = httpd(mpm="prefork", children=2, directives="MaxConnectionsPerChild 1",
                   policies=config(policy("per-client", {"throttle": {}},
                                          detect=rate(100, 60))))
    for _ in range(10):
        assert server.get("/").status == 200
    wait_until(lambda: pin_owners(server) <= set(server.child_pids()), 3,
               "the return of the children's pins")


def test_120_17_new_module_with_another_layout_ends_the_old_sync_process(httpd):
    """An upgrade takes effect at a reload; the old process would never see it."""
    server = httpd(policies=config(
        policy("trap", {"deny": {}}, match={"paths": ["/trap"]})))
    old = server.sync_pids()
    with open(segment_of(server), "r+b") as memory:
        memory.seek(8)
        memory.write(struct.pack("I", 1))
    server.graceful()
    wait_until(lambda: len(server.sync_pids()) == 1 and server.sync_pids() != old, 3,
               "the end of the old sync process")
    assert server.get("/trap").status == 403
