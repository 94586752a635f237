# SPDX-License-Identifier: Apache-2.0
"""What the daemon puts on the bus, and that it survives whatever happens there."""
import json
import subprocess
import time

from bus import ban_entry, bus, incident_id, report, wide_bus  # noqa: F401
from daemon import L7SHIELDD, POLICY
from httpd import wait_until

LOST = "L7S3503"  # memcached lost something
OUTAGE = "L7S3501"  # the bus cannot be written
IGNORED = "L7S3521|L7S3530|L7S3551"  # an item that is not what it seems


def other_fleet(root):
    """The keys of another fleet: valid, but not ours."""
    root.mkdir(exist_ok=True)
    subprocess.run([L7SHIELDD, "init", "--secret-file", root / "secret", "--trust-file",
                    root / "trust", "--signing-key-file", root / "signing.key"],
                   check=True, stdout=subprocess.DEVNULL)
    return root


def whole(bus):  # noqa: F811
    """True when a node could take over everything that is to be in force."""
    return (bus.get("head") is not None and bus.get("mode") is not None and
            bus.part("policies") is not None and bus.part("bans") is not None)


def revision_of(answer):
    return int(answer.headers["shield-revision"])


def test_400_01_new_daemon_publishes_an_empty_configuration(bus):  # noqa: F811
    wait_until(lambda: whole(bus), 3, "the snapshot")
    manifest = bus.get("manifest")
    assert (manifest["config_epoch"], manifest["revision"]) == (1, 0)
    assert manifest["ban_log"] == 1
    assert bus.get("mode") == "enforce 1 0 0\n\n"
    assert bus.part("policies") == {"policies": [], "apps": [], "responses": [],
                                    "settings": {"mode": "enforce", "mode_until": None}}
    assert bus.part("bans") == {"bans": []}


def test_400_02_commit_is_on_the_bus_at_once(bus):  # noqa: F811
    wait_until(lambda: whole(bus), 3, "the snapshot")
    answer = bus.api("PUT", "/v1/policies/login", POLICY)
    begun = time.monotonic()
    wait_until(lambda: bus.get("manifest")["revision"] == revision_of(answer), 2,
               "the revision")
    assert time.monotonic() - begun < 0.5
    policies = bus.part("policies")["policies"]
    assert [policy["name"] for policy in policies] == ["login"]
    assert "status" not in policies[0]


def test_400_03_lists_travel_in_parts_of_their_own(bus):  # noqa: F811
    for name, network in (("office", "198.51.100.0/24"), ("bots", "203.0.113.0/24")):
        answer = bus.api("PUT", f"/v1/lists/{name}",
                         {"effect": "deny", "entries": [{"value": network}]})
    wait_until(lambda: bus.get("manifest")["revision"] == revision_of(answer), 2,
               "the revision")
    names = [part["name"] for part in bus.get("manifest")["parts"]]
    assert names == ["policies", "list/bots", "list/office", "bans"]
    before = {part["name"]: part["chunks"] for part in bus.get("manifest")["parts"]}
    document = bus.part("list/office")["lists"][0]
    assert document["name"] == "office"
    assert document["entries"] == [{"value": "198.51.100.0/24"}]
    # A change elsewhere leaves the lists' chunks as they are.
    answer = bus.api("PUT", "/v1/policies/login", POLICY)
    wait_until(lambda: bus.get("manifest")["revision"] == revision_of(answer), 2,
               "the revision")
    after = {part["name"]: part["chunks"] for part in bus.get("manifest")["parts"]}
    assert after["list/office"] == before["list/office"]
    assert after["policies"] != before["policies"]


def test_400_04_kill_switch_writes_the_mode_item(bus):  # noqa: F811
    bus.api("PUT", "/v1/policies/login", POLICY)
    answer = bus.api("PATCH", "/v1/settings", {"mode": "observe"})
    number = revision_of(answer)
    wait_until(lambda: bus.get("mode") == f"observe 1 {number} 0\n\n", 1, "the mode item")
    assert bus.part("policies")["settings"]["mode"] == "observe"
    bus.api("PUT", "/v1/policies/other", POLICY)
    time.sleep(0.2)
    assert bus.get("mode") == f"observe 1 {number} 0\n\n"


def test_400_05_flushed_memcached_is_filled_again_within_two_seconds(bus):  # noqa: F811
    bus.daemon.expect(LOST)
    bus.api("PUT", "/v1/policies/login", POLICY)
    bus.api("PUT", "/v1/lists/office", {"entries": [{"value": "198.51.100.0/24"}]})
    bus.api("PUT", "/v1/bans/ip:203.0.113.9", {"key": {"client": "203.0.113.9"}})
    wait_until(lambda: bus.bans() == {"ip:203.0.113.9": "put"}, 2, "the ban")
    epoch = bus.get("head")["bus_epoch"]
    bus.flush()
    begun = time.monotonic()
    wait_until(lambda: whole(bus), 3, "everything")
    assert time.monotonic() - begun < 2
    assert bus.bans() == {"ip:203.0.113.9": "put"}
    assert bus.part("list/office") is not None
    # Logs are begun anew, so that nothing written after the loss is overlooked.
    assert bus.get("head")["bus_epoch"] != epoch
    assert bus.get("manifest")["ban_log"] == 1


def test_400_06_restarted_memcached_is_filled_again(bus):  # noqa: F811
    bus.daemon.expect(LOST)
    bus.daemon.expect(OUTAGE)
    bus.api("PUT", "/v1/policies/login", POLICY)
    epoch = bus.get("head")["bus_epoch"]
    bus.memcached.close()
    # An outage of memcached fails no call, only readiness.
    answer = bus.api("PUT", "/v1/policies/second", POLICY)
    assert answer.status == 201
    wait_until(lambda: bus.api("GET", "/readyz").status == 503, 5, "not ready")
    bus.memcached.start()
    wait_until(lambda: whole(bus), 5, "everything")
    assert bus.get("manifest")["revision"] == revision_of(answer)
    assert len(bus.part("policies")["policies"]) == 2
    assert bus.get("head")["bus_epoch"] != epoch
    wait_until(lambda: bus.api("GET", "/readyz").status == 200, 3, "ready")


def test_400_07_items_that_were_garbled_are_mended(bus):  # noqa: F811
    bus.daemon.expect(LOST)
    bus.api("PUT", "/v1/policies/login", POLICY)
    wait_until(lambda: whole(bus), 3, "the snapshot")
    for kind in ("manifest", "mode", "head"):
        if kind != "manifest":
            wait_until(lambda: whole(bus), 3, "everything")
        bus.tool("garble", kind, "", 0)
        assert bus.get(kind) is None
        wait_until(lambda kind=kind: bus.get(kind) is not None, 3, kind)
    chunk = bus.get("manifest")["parts"][0]["chunks"][0]
    bus.tool("garble", "chunk", chunk, 0)
    wait_until(lambda: "chunks" in bus.daemon.log() and whole(bus), 6, "the chunk")


def test_400_08_forged_items_are_ignored_and_the_daemon_lives(bus, tmp_path):  # noqa: F811
    bus.daemon.expect(LOST)
    bus.daemon.expect(IGNORED)
    wrong = other_fleet(tmp_path / "wrong")
    node = bus.node("web-1").live()
    bus.tool("forge", "manifest", "", 0, wrong, '{"config_epoch":9,"revision":99}')
    for index in range(1, 4):
        bus.tool("forge", "seat", "", index, wrong, '{"name":"attacker"}')
        bus.tool("forge", "ban", "", index, wrong, '{"op":"put"}')
        bus.tool("garble", "seat", "", index + 10)
        bus.tool("garble", "ban", "", index + 3)
    bus.tool("forge", "incident", "web-1", 1, wrong, "{}")
    wait_until(lambda: bus.get("manifest") is not None, 3, "the manifest")
    assert bus.get("manifest")["revision"] == 0
    # The log goes on behind the rubbish …
    assert node.ban(ban_entry("203.0.113.20")) == 7
    wait_until(lambda: bus.api("GET", "/v1/bans/ip:203.0.113.20").status == 200, 3,
               "the ban behind the rubbish")
    # … and rubbish that stands in the way of an incident is taken away.
    assert node.incident(report("web-1", 1)) is None
    wait_until(lambda: node.say("resend 1 " + json.dumps(report("web-1", 1))).get("index"), 4,
               "room for the incident")
    wait_until(lambda: node.acknowledged() == 1, 4, "the acknowledgement")
    assert bus.states() == {"web-1": "live"}
    assert bus.daemon.process.poll() is None


def test_400_09_nonsense_from_a_real_node_is_passed_over(bus):  # noqa: F811
    bus.daemon.expect(IGNORED)
    node = bus.node("web-1").live()
    for nonsense in ([], {}, {"node": "web-1"}, {"op": "put"}, "text", {"a": [[[[1]]]]}):
        assert node.incident(nonsense) is not None
        assert node.ban(nonsense) is not None
    # A report in another node's name counts for neither.
    assert node.incident(report("web-2", 5)) is not None
    assert node.incident(report("web-1", 6, requests=-1)) is not None
    assert node.incident(report("web-1", 7)) is not None
    wait_until(lambda: node.acknowledged() == 9, 4, "all of it acknowledged")
    assert [item["id"] for item in bus.incidents()] == [incident_id(7)]
    # Nor does a node lift: only the daemon does.
    bus.api("PUT", "/v1/bans/ip:203.0.113.9", {"key": {"client": "203.0.113.9"}})
    lift = ban_entry("203.0.113.9", op="lift", hold_until_ms=0, origin="daemon")
    last = node.ban(lift)
    wait_until(lambda: bus.get("manifest")["ban_log"] > last, 3, "the entry read")
    assert bus.api("GET", "/v1/bans/ip:203.0.113.9").status == 200


def test_400_10_restart_of_the_daemon_changes_nothing_on_the_bus(bus):  # noqa: F811
    node = bus.node("web-1").live()
    bus.api("PUT", "/v1/policies/login", POLICY)
    assert node.ban(ban_entry("203.0.113.30")) == 1
    wait_until(lambda: bus.bans() == {"ip:203.0.113.30": "put"}, 2, "the ban")
    head = bus.get("head")
    bus.daemon.kill()
    # What happens meanwhile is not lost.
    assert node.ban(ban_entry("203.0.113.31")) == 2
    assert node.incident(report("web-1", 3)) == 1
    bus.daemon.start()
    wait_until(lambda: len(bus.bans()) == 2, 3, "the ban of the meantime")
    assert bus.get("head") == head
    wait_until(lambda: node.acknowledged() == 1, 3, "the incident of the meantime")
    assert [item["id"] for item in bus.incidents()] == [incident_id(3)]


def test_400_11_pool_of_three_loses_one_and_gets_it_back(wide_bus):  # noqa: F811
    bus = wide_bus
    bus.daemon.expect(f"{LOST}|{OUTAGE}|L7S3523|L7S3531")
    nodes = [bus.node(f"web-{number}").live() for number in range(1, 4)]
    for number in range(8):
        entries = [{"value": f"198.51.{number}.0/24"}]
        bus.api("PUT", f"/v1/lists/list-{number}", {"entries": entries})
    for number, node in enumerate(nodes):
        assert node.ban(ban_entry(f"203.0.113.{number}")) is not None
    wait_until(lambda: len(bus.bans()) == 3, 3, "the bans")
    for server in bus.pool:
        server.close()
        answer = bus.api("PUT", "/v1/policies/login", {**POLICY, "priority": server.port})
        assert answer.status in (200, 201)
        assert bus.api("GET", "/readyz").status == 200
        time.sleep(0.5)
        server.start()
        revision = revision_of(answer)
        wait_until(lambda revision=revision: (bus.get("manifest") or {}).get("revision") ==
                   revision, 6, "the revision")
        wait_until(lambda: whole(bus) and len(bus.bans()) == 3 and
                   all(bus.part(f"list/list-{number}") for number in range(8)), 6,
                   "everything")
        wait_until(lambda: set(bus.states().values()) == {"live"}, 6, "the nodes")
