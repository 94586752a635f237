# SPDX-License-Identifier: Apache-2.0
"""Random faults over a running fleet, with its promises checked all the time.

    script/chaos [SECONDS] [--seed N] [--nodes N] [--stores N]
    script/chaos --daemon-kills N

The first form breaks things at random for SECONDS (default 600) and heals them again,
several at once; the second kills l7shieldd N times in a storm of writes. Both print what
they do and end with status 1 when a promise was broken. The same seed breaks the same
things at the same times, as far as the machine allows.
"""
import argparse
import heapq
import http.client
import os
import random
import signal
import sys
import time

from fleet import Fleet, Flood
from httpd import policy, rate, wait_until
from storm import (Attackers, BanWriter, PolicyWriter, kill_in_a_storm,
                   wait_for_incidents)

LIMIT = 5
PER_SECOND, BURST = 10, 30
CLOSED = policy("closed", {"deny": {}}, {"paths": ["/page.txt"]})
PER_CLIENT = policy("per-client", {"throttle": {}}, {"paths": ["/limited.txt"]},
                    detect=rate(LIMIT, 3600))
FLOODED = policy("flooded", {"throttle": {}}, {"paths": ["/flooded.txt"]},
                 detect=rate(10 * PER_SECOND, 10, BURST))
EXPECTED = (r"L7S20\d\d", "L7S1012", "exit signal Killed", "AH00098")


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def fleet_of(nodes, stores):
    fleet = Fleet(nodes=nodes, children=2, stores=stores)
    for node in fleet.nodes:
        for name in ("limited.txt", "flooded.txt"):
            (node.document_root / name).write_text("a page\n")
        node.expects(*EXPECTED)
    fleet.daemon.expect("L7S35")
    fleet.start()
    for document in (CLOSED, PER_CLIENT, FLOODED):
        fleet.put_policy(document)
    return fleet


class Faults:
    """Breaks one thing at a time and notes when it is to be healed."""

    def __init__(self, fleet, chance):
        self.fleet, self._random = fleet, random.Random(chance)
        self._healings, self._count = [], 0
        self._broken = set()
        self.disturbed = {}  # node name: when its children last had a reason to drop us
        self._kinds = [self.kill_store, self.pause_store, self.flush_store,
                       self.kill_sync, self.kill_sync, self.kill_daemon,
                       self.kill_child, self.restart_gracefully]

    def step(self):
        """Heals what is due, then breaks something else."""
        self.heal(time.monotonic())
        self._random.choice(self._kinds)()

    def pause(self):
        return self._random.uniform(0.2, 2.5)

    def heal(self, until):
        while self._healings and self._healings[0][0] <= until:
            _, _, thing, heal = heapq.heappop(self._healings)
            heal()
            self._broken.discard(thing)

    def _break(self, thing, what, breaking, healing):
        if thing in self._broken:
            return
        seconds = self._random.choice([0, 0.3, 2, 6])
        say(f"{what} for {seconds} s")
        breaking()
        self._broken.add(thing)
        self._count += 1
        heapq.heappush(self._healings,
                       (time.monotonic() + seconds, self._count, thing, healing))

    def kill_store(self):
        store = self._random.choice(self.fleet.stores)
        self._break(store, f"memcached {store.port} killed", store.close, store.start)

    def pause_store(self):
        store = self._random.choice(self.fleet.stores)
        self._break(store, f"memcached {store.port} hangs", store.pause, store.go_on)

    def flush_store(self):
        store = self._random.choice(self.fleet.stores)
        if store not in self._broken:
            say(f"memcached {store.port} flushed")
            store.flush()

    def kill_daemon(self):
        daemon = self.fleet.daemon
        self._break(daemon, "l7shieldd killed", daemon.kill, daemon.start)

    def kill_sync(self):
        node = self._random.choice(self.fleet.nodes)
        for pid in node.sync_pids():
            say(f"l7shield-sync of {node.node} killed")
            os.kill(pid, signal.SIGKILL)

    def kill_child(self):
        node = self._random.choice(self.fleet.nodes)
        pids = node.child_pids()
        if len(pids) > 1:
            self.disturbed[node.node] = time.monotonic()
            say(f"a child of {node.node} killed")
            os.kill(self._random.choice(pids), signal.SIGKILL)

    def restart_gracefully(self):
        node = self._random.choice(self.fleet.nodes)
        self.disturbed[node.node] = time.monotonic()
        say(f"{node.node} restarted gracefully")
        node.graceful(wait=False)


class Promises:
    """What must hold at every moment."""

    def __init__(self, fleet, faults):
        self.fleet, self.faults, self.broken = fleet, faults, []
        self.asked = 0

    def look(self):
        """Each node enforces, now. A connection that a killed child held may break."""
        for node in self.fleet.nodes:
            self.asked += 1
            try:
                status = node.get("/page.txt").status
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() - self.faults.disturbed.get(node.node, -60) > 3:
                    self.broken.append(f"{node.node}: {error!r}")
                continue
            if status != 403:
                self.broken.append(f"{node.node} answered {status}")


def check_flood(flood, nodes, seconds):
    """The limit held on each node all the time, and on the fleet after the faults."""
    begin = flood.seen[0][0]
    for which in range(len(nodes)):
        admitted = flood.admitted(begin, begin + seconds, which)
        most = BURST + seconds * PER_SECOND + 2
        assert admitted <= most, f"node {which + 1} admitted {admitted}, not {most}"
    end = flood.seen[-1][0]
    admitted = flood.admitted(end - 8, end)
    say(f"in the last 8 s {admitted} of {8 * PER_SECOND} admitted")
    assert admitted <= 8 * PER_SECOND * 1.15 + 2, "the limit of the fleet"


def check_everything(fleet, flood, attackers, writers, seconds):
    wait_until(lambda: len(fleet.live()) == len(fleet.nodes), 15, "all nodes live")
    time.sleep(10)
    for writer in writers:
        writer.stop()
    attackers.stop()
    flood.stop()
    check_flood(flood, fleet.nodes, seconds)
    assert not attackers.admitted_too_much, attackers.admitted_too_much[:3]
    for writer in writers:
        assert not writer.surprises, writer.surprises[:3]
        writer.check()
    wait_for_incidents(fleet.daemon, attackers, "per-client", 40)
    fleet.put_policy(policy("after", {"deny": {}}, {"paths": ["/after"]}))
    assert {node.get("/after").status for node in fleet.nodes} == {403}


def break_things(fleet, seconds, chance):
    faults = Faults(fleet, chance)
    promises = Promises(fleet, faults)
    flood = Flood(fleet.nodes, 5 * PER_SECOND, "127.0.63.1", "/flooded.txt")
    attackers = Attackers(fleet.nodes, "/limited.txt", LIMIT, disturbed=faults.disturbed)
    writers = [PolicyWriter(fleet.daemon, "chaos"), BanWriter(fleet.daemon, "bans")]
    begin, due = time.monotonic(), 0
    while time.monotonic() < begin + seconds and not promises.broken:
        if time.monotonic() >= due:
            faults.step()
            due = time.monotonic() + faults.pause()
        promises.look()
        time.sleep(0.05)
    faults.heal(float("inf"))
    assert not promises.broken, promises.broken
    check_everything(fleet, flood, attackers, writers, seconds)
    say(f"kept: {promises.asked} looks, {len(attackers.refused)} attackers, "
        f"{sum(writer.acknowledged for writer in writers)} writes acknowledged, "
        f"{sum(writer.lost for writer in writers)} unanswered")


def main():
    parser = argparse.ArgumentParser(description="Breaks a fleet and checks its promises.")
    parser.add_argument("seconds", nargs="?", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--stores", type=int, default=3)
    parser.add_argument("--daemon-kills", type=int, default=0)
    arguments = parser.parse_args()
    fleet = fleet_of(arguments.nodes, arguments.stores)
    try:
        if arguments.daemon_kills:
            acknowledged, lost = kill_in_a_storm(fleet.daemon, arguments.daemon_kills, say)
            say(f"kept: {acknowledged} writes acknowledged, {lost} unanswered")
        else:
            say(f"seed {arguments.seed}")
            break_things(fleet, arguments.seconds, arguments.seed)
    except AssertionError as broken:
        say(f"BROKEN: {broken}")
        sys.exit(1)
    finally:
        unexpected = fleet.close()
    if unexpected:
        say("BROKEN: unexpected lines in the logs:\n" + "\n".join(unexpected))
        sys.exit(1)


if __name__ == "__main__":
    main()
