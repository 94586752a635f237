# SPDX-License-Identifier: Apache-2.0
"""What httpd's parent does about an l7shield-sync that hangs or cannot be started. It
looks every ten seconds."""
import os
import signal
import time

from httpd import BUILD, config, policy, wait_until

LOOK = 10
CLOSED = config(policy("closed", {"deny": {}}, match={"paths": ["/page.txt"]}))


def works(server):
    """Reads a new policy file: that is what a sync process is for."""
    server.write_policies(config())
    wait_until(lambda: server.get("/page.txt").status == 200, 3, "the new policies")


def test_660_01_hung_sync_process_is_killed_and_another_takes_over(httpd):
    server = httpd(policies=CLOSED)
    server.expects("L7S1012", "L7S1015")
    hung = server.sync_pids()[0]
    os.kill(hung, signal.SIGSTOP)
    assert server.get("/page.txt").status == 403
    wait_until(lambda: server.sync_pids() not in ([], [hung]), 3 * LOOK, "another one")
    assert f"L7S1015: l7shield-sync (pid {hung}) lives" in server.errors()
    works(server)
    assert server.errors().count("L7S1015") == 1


def test_660_02_one_that_hangs_over_a_restart_does_not_keep_its_successor_waiting(httpd):
    server = httpd(policies=CLOSED)
    server.expects("L7S1015")
    hung = server.sync_pids()[0]
    os.kill(hung, signal.SIGSTOP)
    server.graceful()
    assert server.get("/page.txt").status == 403
    wait_until(lambda: hung not in server.sync_pids(), 3 * LOOK, "the end of the hung one")
    works(server)
    assert f"L7S1015: l7shield-sync (pid {hung}) lives" in server.errors()
    assert len(server.sync_pids()) == 1


def test_660_03_idle_sync_process_is_left_alone(httpd):
    """One that ticks is never taken for one that hangs, in the calmest of servers."""
    server = httpd(policies=CLOSED, directives="L7ShieldTick 1000")
    before = server.sync_pids()
    time.sleep(2.5 * LOOK)
    assert server.sync_pids() == before
    assert "L7S1015" not in server.errors()


def test_660_04_fork_that_fails_is_tried_again(httpd):
    server = httpd(start=False, policies=CLOSED)
    server.expects("L7S1012", "L7S1013")
    full = server.root / "no-process-left"
    server.preload.append(BUILD / "tests/integration/fork_fails.so")
    server.environment["L7S_FORK_FAILS"] = str(full)
    server.start()
    full.touch()
    os.kill(server.sync_pids()[0], signal.SIGKILL)
    wait_until(lambda: "L7S1013" in server.errors(), 3, "the failure")
    assert server.get("/page.txt").status == 403
    full.unlink()
    wait_until(server.sync_pids, 2 * LOOK, "a sync process")
    works(server)
