# SPDX-License-Identifier: Apache-2.0
"""What operators do to the trust of a fleet: emergencies, new epochs, backups, lost data
directories, and secrets that are rotated while requests are served."""
import base64
import os
import shutil
import subprocess
import threading
import time

import pytest

from bus import Bus
from daemon import L7SHIELDD
from httpd import wait_until
from sync_node import Node, Publisher
from test_400_bus import revision_of

LIMIT = {"mode": "enforce", "action": {"throttle": {}}}


class Trust(Bus):
    """A daemon and real sync processes, and the commands of l7shieldd."""

    def __init__(self):
        super().__init__()
        self.real = []
        self.daemon.expect("L7S3503|L7S3506|L7S352[134]|L7S353[01]")

    def join(self, name="web-1", expect=(), start=True, **options):
        node = Node(name, memcached=self.pool, keys=self.daemon.root, **options)
        node.expect("L7S2033", *expect)
        self.real.append(node)
        return node.start() if start else node

    def limit(self, requests, **members):
        document = {**LIMIT, **members,
                    "detect": {"rate": {"requests": requests, "per_seconds": 1000}}}
        answer = self.api("PUT", "/v1/policies/limit", document)
        assert answer.status in (200, 201), answer
        self.everywhere(revision_of(answer))
        return revision_of(answer)

    def everywhere(self, revision):
        wait_until(lambda: all(node.state()["revision"] == revision for node in self.real),
                   5, f"revision {revision}")

    def run(self, *words, status=0):
        """l7shieldd with a command; what it printed."""
        done = subprocess.run([L7SHIELDD, *words, *self.daemon.command()[1:]], text=True,
                              capture_output=True, timeout=30, check=False)
        assert done.returncode == status, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    def later_daemon(self, document, revision):
        """A daemon of a later version in our daemon's place: the same keys and epochs."""
        head = self.get("head")
        publisher = Publisher(self.pool)
        for name, file in (("secret", "secret_file"), ("trust", "trust_file"),
                           ("signing", "signing_key_file")):
            shutil.copy(getattr(self.daemon, file), publisher.folder / name)
        publisher.start(head["bus_epoch"], head["config_epoch"])
        publisher.config(document, revision)
        return publisher

    def modes(self):
        return {node.state()["mode"] for node in self.real}

    def obeyed(self, mode, seconds=2):
        wait_until(lambda: self.modes() == {mode}, seconds, f"mode {mode}")

    def close(self):
        unexpected = [line for node in self.real for line in node.close()]
        return unexpected + super().close()


@pytest.fixture
def bus():
    made, unexpected = Trust(), []
    try:
        yield made.start()
    finally:
        unexpected = made.close()
    assert not unexpected, "unexpected lines in the log:\n" + "\n".join(unexpected)


# -------------------------------------------------------------------- emergency


def test_640_01_emergency_is_obeyed_and_survives_the_daemon(bus):
    bus.join()
    bus.limit(1)
    bus.run("emergency", "off")
    bus.obeyed("off")
    assert "L7S3506" in bus.daemon.log() or \
        wait_until(lambda: "L7S3506" in bus.daemon.log(), 3, "the daemon's line")
    # Policies may change, memcached and the daemon be restarted: it stays.
    for _ in range(3):
        bus.limit(2)
        bus.limit(3)
    bus.daemon.stop()
    bus.daemon.start()
    time.sleep(0.7)
    assert bus.modes() == {"off"}
    bus.flush()
    wait_until(lambda: (bus.get("mode") or "").startswith("off"), 4, "the item again")
    bus.run("emergency", "enforce")
    bus.obeyed("enforce")
    assert bus.real[0].admitted(9, client="192.0.2.7") == 3


def test_640_02_emergency_needs_no_daemon_and_its_kill_switch_ends_it(bus):
    node = bus.join()
    bus.limit(1)
    bus.daemon.stop()
    bus.run("emergency", "observe")
    bus.obeyed("observe")
    bus.flush()  # and the bus forgets it before a daemon is there
    bus.daemon.start()
    wait_until(lambda: (bus.get("mode") or "").startswith("observe"), 4, "the item again")
    # The settings said enforce all the time; saying it now is news.
    assert bus.api("PATCH", "/v1/settings", {"mode": "enforce"}).status == 200
    bus.obeyed("enforce")
    bus.api("PATCH", "/v1/settings", {"mode": "off"})
    bus.obeyed("off")
    bus.api("PATCH", "/v1/settings", {"mode": "enforce"})
    bus.obeyed("enforce")
    assert node.admitted(3, client="192.0.2.8") == 1


def test_640_03_emergency_says_what_is_wrong(bus):
    assert "say off, observe or enforce" in bus.run("emergency", "panic", status=2)
    assert "usage" in bus.run("emergency", status=2)
    os.chmod(bus.daemon.secret_file, 0o644)
    assert "chmod 600" in bus.run("emergency", "off", status=1)
    os.chmod(bus.daemon.secret_file, 0o600)
    bus.memcached.close()
    bus.daemon.expect("L7S3501")
    assert "STATE_DIR/mode" in bus.run("emergency", "off", status=1)
    bus.memcached.start()


# -------------------------------------------------------------------- backups


def test_640_04_restored_backup_is_refused_until_new_epoch(bus):
    node = bus.join(expect=("L7S2040", "L7S2042"))
    bus.limit(3)
    bus.daemon.stop()
    old = bus.daemon.root / "old"
    shutil.copytree(bus.daemon.data_dir, old)
    bus.daemon.start()
    bus.limit(4)
    revision = bus.limit(5)
    bus.daemon.stop()
    shutil.rmtree(bus.daemon.data_dir)
    old.rename(bus.daemon.data_dir)
    bus.daemon.start()
    wait_until(lambda: node.lines("L7S2040"), 5, "the node's line")
    wait_until(lambda: "L7S3524" in bus.daemon.log(), 5, "the daemon's line")
    assert node.state()["revision"] == revision and node.admitted(9) == 5
    assert "stop it first" in bus.run("new-epoch", status=1)
    bus.daemon.stop()
    assert "config epoch 2 begins" in bus.run("new-epoch")
    bus.daemon.start()
    wait_until(lambda: node.state()["config_epoch"] == 2, 5, "the new epoch")
    assert node.admitted(9, client="192.0.2.4") == 3, "what the backup says"
    assert bus.get("head")["config_epoch"] == 2


def test_640_05_backup_of_a_running_daemon_is_restored_with_a_new_epoch(bus):
    node = bus.join(expect=("L7S2040", "L7S2042"))
    bus.limit(3)
    bus.api("PUT", "/v1/bans/ip:203.0.113.9", {"key": {"client": "203.0.113.9"}})
    saved = bus.daemon.root / "backup"
    assert "wrote" in bus.run("backup", saved)
    assert saved.stat().st_mode & 0o77 == 0 and not list(bus.daemon.root.glob("*.partial"))
    bus.limit(9)
    bus.api("DELETE", "/v1/bans/ip:203.0.113.9")
    assert "stop it first" in bus.run("restore", saved, status=1)
    bus.daemon.stop()
    # An epoch that the backup does not know of: the bus does.
    bus.run("new-epoch")
    bus.daemon.start()
    wait_until(lambda: node.state()["config_epoch"] == 2, 5, "epoch 2")
    bus.daemon.stop()
    damaged = bus.daemon.root / "damaged"
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    assert "damaged" in bus.run("restore", damaged, status=1)
    assert "no backup" in bus.run("restore", bus.daemon.secret_file, status=1)
    assert "config epoch 3 begins" in bus.run("restore", saved)
    bus.daemon.start()
    wait_until(lambda: node.state()["config_epoch"] == 3, 5, "epoch 3")
    assert node.admitted(9, client="192.0.2.4") == 3
    assert bus.api("GET", "/v1/bans/ip:203.0.113.9").status == 200
    wait_until(lambda: node.admitted(1, client="203.0.113.9") == 0, 3, "the ban")


def test_640_06_lost_data_directory_is_recovered_from_a_node(bus):
    node = bus.join(expect=("L7S2040", "L7S2042"))
    bus.api("PUT", "/v1/lists/office", {"effect": "allow",
                                        "entries": [{"value": "198.51.100.0/24"}]})
    bus.api("PUT", "/v1/apps/shop", {"hosts": ["shop.example.com"], "tier": 1})
    bus.api("PUT", "/v1/responses/sorry", {"content_type": "text/plain", "body": "sorry"})
    bus.api("PATCH", "/v1/settings", {"mode": "observe"})
    revision = bus.limit(3, match={"client": {"in": ["203.0.113.0/24", "@office"]}})
    before = bus.api("GET", "/v1/config?view=spec").json
    copy = bus.daemon.root / "node-state"
    wait_until(lambda: f'"seen":[1,{revision}]' in
               (node.state_dir / "snapshot.json").read_text(), 3, "the node's snapshot")
    shutil.copytree(node.state_dir, copy)
    bus.daemon.stop()
    assert "holds a configuration" in bus.run("recover", "--from-node-state", copy, status=1)
    shutil.rmtree(bus.daemon.data_dir)
    assert "snapshot.json" in bus.run("recover", "--from-node-state", "/nowhere", status=1)
    assert "recovered 5 objects" in bus.run("recover", "--from-node-state", copy)
    bus.daemon.token_file.unlink()
    bus.daemon._token = None
    bus.daemon.start()
    assert bus.api("GET", "/v1/config?view=spec").json == before
    assert bus.api("GET", "/v1/settings").json["mode"] == "observe"
    assert bus.api("GET", "/v1/revisions/1").json["author"] == "recover"
    wait_until(lambda: node.state()["config_epoch"] == 2, 5, "the new epoch")
    bus.limit(4)


# -------------------------------------------------------------------- secrets


def secret_lines(*pairs):
    return "".join(f"{name}:{value}\n" for name, value in pairs)


def write_secret(path, *pairs):
    """As an operator's tool does it: a new file in the old one's place."""
    new = path.with_suffix(".new")
    new.write_text(secret_lines(*pairs))
    new.chmod(0o600)
    new.rename(path)


def test_640_07_secrets_rotate_under_load_without_a_gap(bus):
    one, two = bus.join("web-1"), bus.join("web-2")
    bus.limit(20, action={"ban": {"seconds": 600}})
    one.decide(30, client="192.0.2.66")
    wait_until(lambda: two.admitted(1, client="192.0.2.66") == 0, 3, "the ban")
    bus.api("PUT", "/v1/bans/ip:203.0.113.9", {"key": {"client": "203.0.113.9"}})
    for node in (one, two):
        wait_until(lambda node=node: node.admitted(1, client="203.0.113.9") == 0, 3,
                   "the ban by hand")
    old = ("k1", bus.daemon.secret_file.read_text().strip().partition(":")[2])
    new = ("k2", base64.b64encode(os.urandom(32)).decode())
    places = [node.root / "secret" for node in (one, two)] + [bus.daemon.secret_file]
    leaks, lost, stop = [], [], threading.Event()

    def watch():
        """Nobody banned gets in, everybody else does, and no node is lost."""
        number = 0
        while not stop.is_set():
            for node in (one, two):
                number += 1
                for banned in ("192.0.2.66", "203.0.113.9"):
                    if node.admitted(1, client=banned):
                        leaks.append((time.monotonic(), node.name, banned))
                if node.admitted(1, client=f"10.0.{number // 250}.{number % 250}") != 1:
                    leaks.append("refused")
            time.sleep(0.02)

    def live():
        return all(bus.states().get(name) == "live" for name in ("web-1", "web-2"))

    def lacking():
        return {node["name"]: node["status"]["lacking_secret_ids"]
                for node in bus.api("GET", "/v1/nodes").json["items"]}

    wait_until(live, 5, "both live")
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        # 1. Everybody gets to know the new one; the daemon shows who does not yet.
        write_secret(places[2], old, new)
        wait_until(lambda: lacking() == {"web-1": ["k2"], "web-2": ["k2"]}, 3, "lacking")
        write_secret(places[0], old, new)
        wait_until(lambda: lacking() == {"web-1": [], "web-2": ["k2"]}, 3, "web-1 has it")
        write_secret(places[1], old, new)
        wait_until(lambda: lacking() == {"web-1": [], "web-2": []}, 3, "both have it")
        assert bus.get("manifest")["secret_id"] == "k1"
        # 2. The daemon signs and counts with it: the fleet follows within a second or two.
        write_secret(places[2], new, old)
        wait_until(lambda: (bus.get("manifest") or {}).get("secret_id") == "k2", 4, "k2")
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
            lost.extend(name for name, state in bus.states().items() if state != "live")
            time.sleep(0.1)
        # 3. The nodes too, and the old one goes.
        for path in places[:2]:
            write_secret(path, new)
        time.sleep(1.2)
        write_secret(places[2], new)
        time.sleep(1.2)
        wait_until(live, 3, "both live")
        revision = bus.limit(21, action={"ban": {"seconds": 600}})
        assert one.state()["revision"] == two.state()["revision"] == revision
    finally:
        stop.set()
        watcher.join()
    assert not leaks and not lost, (leaks[:5], lost[:5])
    assert set(bus.bans()) == {"ip:192.0.2.66", "ip:203.0.113.9"}
    # The fleet counts together under the new name, and bans travel.
    wait_until(lambda: one.state()["live_nodes"] == 2, 3, "two nodes")
    one.decide(40, client="192.0.2.67")
    wait_until(lambda: two.admitted(1, client="192.0.2.67") == 0, 3, "a new ban")
    assert [item["status"]["secret_ids"] for item in bus.api("GET", "/v1/nodes").json["items"]] \
        == [["k2"], ["k2"]]


def test_640_08_node_without_the_new_secret_keeps_what_it_has_and_obeys(bus):
    node = bus.join(expect=("L7S2045",))
    bus.limit(3)
    new = ("k2", base64.b64encode(os.urandom(32)).decode())
    old = ("k1", bus.daemon.secret_file.read_text().strip().partition(":")[2])
    wait_until(lambda: bus.states().get("web-1") == "live", 3, "live")
    write_secret(bus.daemon.secret_file, new, old)
    wait_until(lambda: bus.states().get("web-1") == "lost", 8, "it is not seen")
    status = bus.api("GET", "/v1/nodes/web-1").json["status"]
    assert status["lacking_secret_ids"] == ["k2"] and status["secret_ids"] == ["k1"]
    assert node.admitted(9) == 3
    bus.api("PATCH", "/v1/settings", {"mode": "off"})
    bus.obeyed("off")
    write_secret(node.root / "secret", old, new)
    wait_until(lambda: bus.states().get("web-1") == "live", 5, "it is back")
    bus.api("PATCH", "/v1/settings", {"mode": "enforce"})
    bus.obeyed("enforce")


def test_640_09_unusable_secret_file_is_reported_and_changes_nothing(bus):
    bus.join(expect=("L7S2030",))
    bus.limit(3)
    bus.daemon.expect("L7S3508")
    good = bus.daemon.secret_file.read_text()
    for path in (bus.daemon.secret_file, bus.real[0].root / "secret"):
        path.write_text("nonsense\n")
    wait_until(lambda: "L7S3508" in bus.daemon.log(), 3, "the daemon's line")
    wait_until(lambda: bus.real[0].lines("L7S2030"), 3, "the node's line")
    bus.limit(4)
    for path in (bus.daemon.secret_file, bus.real[0].root / "secret"):
        path.write_text(good)
    bus.limit(5)
    assert bus.real[0].admitted(9) == 5


def test_640_10_files_open_to_others_are_refused_at_start(bus):
    bus.daemon.stop()
    for path, sentence in ((bus.daemon.secret_file, "chmod 600"),
                           (bus.daemon.signing_key_file, "chmod 600")):
        path.chmod(0o640)
        done = subprocess.run(bus.daemon.command(), capture_output=True, text=True,
                              timeout=10, check=False)
        assert done.returncode == 1 and sentence in done.stderr, done.stderr
        path.chmod(0o600)
    bus.daemon.data_dir.chmod(0o777)
    done = subprocess.run(bus.daemon.command(), capture_output=True, text=True,
                          timeout=10, check=False)
    assert done.returncode == 1 and "chmod go-w" in done.stderr, done.stderr
    bus.daemon.data_dir.chmod(0o700)
    bus.daemon.expect("L7S3003")
    bus.daemon.start()
    # A node works all the same: nothing is gained by an unprotected server.
    node = bus.join(expect=("L7S2006", "L7S2030"), start=False)
    node.state_dir.chmod(0o777)
    (node.root / "secret").chmod(0o644)
    node.start(ready=False)
    wait_until(lambda: "chmod go-w" in node.error_log.read_text(), 3, "the folder's line")
    wait_until(lambda: "chmod 600" in node.error_log.read_text(), 3, "the secret's line")
    (node.root / "secret").chmod(0o600)
    wait_until(lambda: bus.states().get("web-1") == "live", 5, "it joins")
