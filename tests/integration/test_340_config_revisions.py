# SPDX-License-Identifier: Apache-2.0
"""The configuration as a whole, its history, going back, and whether the fleet follows."""
import http.client
import json
import select
import threading
import time
from pathlib import Path

import pytest

from daemon import POLICY, Daemon, Memcached, daemon, started  # noqa: F401
from httpd import wait_until

SAMPLES = Path(__file__).resolve().parents[2] / "conf" / "policies.json"

CONFIG = {
    "policies": [{"name": "login", **POLICY,
                  "match": {"paths": ["/login"],
                            "except": [{"client": {"in": ["@office"]}}]}},
                 {"name": "slow", **POLICY, "mode": "observe"}],
    "lists": [{"name": "office", "effect": "allow", "entries": [{"value": "192.0.2.1"}]}],
    "apps": [{"name": "shop", "hosts": ["www.example.com"]}],
    "responses": [{"name": "sorry", "body": "No."}],
}


def put(daemon, document, **options):
    return daemon.call("PUT", "/v1/config", document, **options)


def config(daemon):
    return daemon.call("GET", "/v1/config?view=spec").json


def test_340_01_sample_policies_load(daemon):
    document = json.loads(SAMPLES.read_text())
    answer = put(daemon, document)
    assert answer.status == 200, answer
    assert len(answer.json["created"]) == sum(len(kind) for kind in document.values())
    assert config(daemon) == document


def test_340_02_put_replaces_everything_in_one_revision(daemon):
    daemon.call("PUT", "/v1/policies/old", POLICY)
    answer = put(daemon, CONFIG)
    assert answer.status == 200 and answer.headers["shield-changed"] == "true"
    assert answer.json == {"created": ["policies/login", "policies/slow", "lists/office",
                                       "apps/shop", "responses/sorry"],
                           "updated": [], "deleted": ["policies/old"], "unchanged": 0}
    assert answer.headers["shield-revision"] == "2"
    assert config(daemon) == CONFIG


def test_340_03_identical_put_changes_nothing(daemon):
    first = put(daemon, CONFIG)
    again = put(daemon, CONFIG)
    assert again.headers["shield-changed"] == "false"
    assert again.headers["shield-revision"] == first.headers["shield-revision"]
    assert again.headers["etag"] == first.headers["etag"]
    assert again.json["unchanged"] == 5
    roundtrip = put(daemon, daemon.call("GET", "/v1/config").json)
    assert roundtrip.headers["shield-changed"] == "false"


def test_340_04_only_what_differs_is_written(daemon):
    put(daemon, CONFIG)
    document = json.loads(json.dumps(CONFIG))
    document["policies"][1]["mode"] = "enforce"
    answer = put(daemon, document)
    assert answer.json["updated"] == ["policies/slow"] and answer.json["unchanged"] == 4
    policies = daemon.call("GET", "/v1/policies").json["items"]
    assert [item["status"]["revision"] for item in policies] == [1, 2]


def test_340_05_every_error_with_its_pointer_and_nothing_is_stored(daemon):
    put(daemon, CONFIG)
    before = daemon.call("GET", "/v1/config").text
    document = json.loads(json.dumps(CONFIG))
    document["policies"][1]["name"] = "login"
    document["policies"][0]["mod"] = "off"
    document["lists"][0]["entries"][0]["value"] = "192.0.2.1/24"
    document["lists"][0]["name"] = "other"
    document["polices"] = []
    answer = put(daemon, document)
    assert answer.status == 422
    pointers = {pointer for pointer, _ in answer.errors}
    assert {"/polices", "/policies/0/mod"} <= pointers
    del document["polices"], document["policies"][0]["mod"]
    answer = put(daemon, document)
    assert answer.errors == {("/policies/1/name", "duplicate_name"),
                             ("/lists/0/entries/0/value", "cidr_host_bits"),
                             ("/policies/0/match/except/0/client/in/0", "list_unknown")}
    assert daemon.call("GET", "/v1/config").text == before


def test_340_06_dry_run_and_preconditions(daemon):
    dry = daemon.call("PUT", "/v1/config?dry_run=true", CONFIG)
    assert dry.status == 200 and len(dry.json["created"]) == 5
    assert config(daemon)["policies"] == []
    etag = daemon.call("GET", "/v1/config").headers["etag"]
    assert put(daemon, CONFIG, if_match=etag).status == 200
    assert put(daemon, {}, if_match=etag).status == 412
    now = daemon.call("GET", "/v1/config").headers["etag"]
    assert daemon.call("GET", "/v1/config", if_none_match=now).status == 304


def test_340_07_operators_entries_survive_a_put_without_entries(daemon):
    put(daemon, CONFIG)
    daemon.call("PUT", "/v1/lists/office/entries/192.0.2.9", {"value": "192.0.2.9"})
    document = json.loads(json.dumps(CONFIG))
    del document["lists"][0]["entries"]
    answer = put(daemon, document)
    assert answer.headers["shield-changed"] == "false"
    assert len(config(daemon)["lists"][0]["entries"]) == 2


def test_340_08_settings_are_no_part_of_it(daemon):
    daemon.call("PATCH", "/v1/settings", {"mode": "off"})
    put(daemon, CONFIG)
    assert "settings" not in daemon.call("GET", "/v1/config").json
    assert daemon.call("GET", "/v1/settings").json["mode"] == "off"
    answer = put(daemon, {"settings": {"mode": "enforce"}})
    assert answer.errors == {("/settings", "unknown_key")}


# ------------------------------------------------------------------ history

def test_340_10_history_names_author_reason_and_difference(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    token = daemon.token_of("editor", "ci")
    changed = {**POLICY, "mode": "observe", "labels": {"x/y": "1"}}
    daemon.call("PUT", "/v1/policies/a", changed, token=token, shield_reason="too eager")
    daemon.call("DELETE", "/v1/policies/a")
    items = daemon.call("GET", "/v1/revisions").json["items"]
    assert [item["revision"] for item in items] == [3, 2, 1]
    assert [item["changes"][0]["op"] for item in items] == ["delete", "update", "create"]
    second = daemon.call("GET", "/v1/revisions/2").json
    assert second["author"] == "token:ci" and second["reason"] == "too eager"
    change = second["changes"][0]
    assert (change["kind"], change["name"]) == ("policy", "a")
    assert {"pointer": "/mode", "op": "replace", "from": "enforce",
            "to": "observe"} in change["differences"]
    assert {"pointer": "/labels", "op": "add", "to": {"x/y": "1"}} in change["differences"]


def test_340_11_history_pages_backwards(daemon):
    for number in range(5):
        daemon.call("PUT", "/v1/policies/a", {**POLICY, "priority": number})
    page = daemon.call("GET", "/v1/revisions?limit=2").json
    assert [item["revision"] for item in page["items"]] == [5, 4]
    page = daemon.call("GET", f"/v1/revisions?limit=2&cursor={page['next_cursor']}").json
    assert [item["revision"] for item in page["items"]] == [3, 2]
    page = daemon.call("GET", f"/v1/revisions?limit=2&cursor={page['next_cursor']}").json
    assert [item["revision"] for item in page["items"]] == [1]
    assert page["next_cursor"] is None


@pytest.mark.parametrize("path", ["0", "7", "-1", "x", "1x", "99999999999999999999"])
def test_340_12_revisions_that_are_not_there_are_404(daemon, path):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    assert daemon.call("GET", f"/v1/revisions/{path}").status == 404
    assert daemon.call("GET", f"/v1/revisions/{path}/rollout").status == 404
    assert daemon.call("POST", f"/v1/revisions/{path}:restore").status == 404


def test_340_13_restore_is_a_new_revision_and_leaves_the_kill_switch(daemon):
    put(daemon, CONFIG)
    daemon.call("PATCH", "/v1/settings", {"mode": "observe"})
    put(daemon, {"policies": [{"name": "other", **POLICY}]})
    dry = daemon.call("POST", "/v1/revisions/1:restore?dry_run=true")
    assert dry.status == 200 and "policies/login" in dry.json["created"]
    assert len(config(daemon)["policies"]) == 1
    answer = daemon.call("POST", "/v1/revisions/1:restore")
    assert (answer.status, answer.headers["shield-revision"]) == (200, "4")
    assert answer.json["deleted"] == ["policies/other"]
    assert config(daemon) == CONFIG
    assert daemon.call("GET", "/v1/settings").json["mode"] == "observe"
    assert daemon.call("GET", "/v1/revisions/4").json["reason"] == "restore of revision 1"
    again = daemon.call("POST", "/v1/revisions/1:restore")
    assert again.headers["shield-changed"] == "false"


def test_340_14_restore_without_permission_is_403(daemon):
    put(daemon, CONFIG)
    token = daemon.token_of("operator")
    assert daemon.call("POST", "/v1/revisions/1:restore", token=token).status == 403


# ------------------------------------------------------------------ rollout

def test_340_20_rollout_without_nodes_is_complete_or_times_out(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    answer = daemon.call("GET", "/v1/revisions/1/rollout")
    assert answer.status == 200 and answer.json["complete"] is True
    begin = time.monotonic()
    late = daemon.call("GET", "/v1/revisions/1/rollout?wait_seconds=1&min_nodes=2")
    assert late.status == 202 and late.json["complete"] is False
    assert late.json["live_nodes"] == 0 and late.json["laggards"] == []
    assert 0.9 < time.monotonic() - begin < 3
    error = daemon.call("GET", "/v1/revisions/1/rollout?min_nodes=2&on_timeout=error")
    assert (error.status, error.code) == (504, "rollout_incomplete")


@pytest.mark.parametrize("query", ["wait_seconds=61", "wait_seconds=x", "wait_seconds=",
                                   "min_nodes=-1", "min_nodes=257", "on_timeout=explode"])
def test_340_21_bad_rollout_parameters_are_400(daemon, query):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    answer = daemon.call("GET", f"/v1/revisions/1/rollout?{query}")
    assert (answer.status, answer.code) == (400, "invalid_parameter")


# ------------------------------------------------------------------ store

def test_340_30_starts_and_serves_while_memcached_is_down(daemon):
    assert daemon.call("GET", "/livez", token=None).status == 200
    ready = daemon.call("GET", "/readyz?verbose=true", token=None)
    assert ready.status == 503
    assert daemon.call("PUT", "/v1/policies/a", POLICY).status == 201


def test_340_31_is_ready_once_memcached_comes():
    memcached = Memcached()
    server = Daemon(memcached=[memcached.address])
    server.store_down = True
    try:
        for running in started(server):
            assert running.call("GET", "/readyz", token=None).status == 503
            memcached.start()
            wait_until(lambda: running.call("GET", "/readyz", token=None).status == 200, 10,
                       "readyz")
    finally:
        memcached.close()


def test_340_32_everything_survives_a_restart(daemon):
    put(daemon, CONFIG)
    daemon.call("PATCH", "/v1/settings", {"mode": "observe"})
    before = (daemon.call("GET", "/v1/config").text, daemon.call("GET", "/v1/settings").text,
              daemon.call("GET", "/v1/revisions").text, daemon.call("GET", "/v1").text)
    daemon.stop()
    daemon.start()
    assert before == (daemon.call("GET", "/v1/config").text,
                      daemon.call("GET", "/v1/settings").text,
                      daemon.call("GET", "/v1/revisions").text,
                      daemon.call("GET", "/v1").text)


def test_340_33_kill_9_in_a_write_storm_loses_nothing_acknowledged(daemon):
    acknowledged, stop = [], threading.Event()

    def write(worker):
        number = 0
        while not stop.is_set():
            name = f"w{worker}-{number}"
            try:
                if daemon.call("PUT", f"/v1/policies/{name}", POLICY).status == 201:
                    acknowledged.append(name)
            except (OSError, http.client.HTTPException):
                return  # an answer that was cut off acknowledges nothing
            number += 1
    daemon.call("GET", "/v1")
    threads = [threading.Thread(target=write, args=(worker,), daemon=True) for worker in range(4)]
    try:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) > 60, 20, "sixty writes")
    finally:
        daemon.kill()
        stop.set()
        for thread in threads:
            thread.join()
    daemon.start()
    stored = {item["name"] for item in json_lines(
        daemon.call("GET", "/v1/policies", accept="application/x-ndjson").text)}
    assert set(acknowledged) <= stored
    assert len(stored) - len(acknowledged) <= len(threads)
    revision = daemon.call("GET", "/v1").json["revision"]
    assert revision == len(stored)


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_340_34_concurrent_writers_with_if_match_never_lose_an_update(daemon):
    daemon.call("PUT", "/v1/policies/count", {**POLICY, "priority": 0})

    def add():
        for _ in range(10):
            while True:
                now = daemon.call("GET", "/v1/policies/count")
                answer = daemon.call("PATCH", "/v1/policies/count",
                                     {"priority": now.json["priority"] + 1},
                                     if_match=now.headers["etag"])
                if answer.status == 200:
                    break
                assert answer.status == 412, answer
    threads = [threading.Thread(target=add, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert daemon.call("GET", "/v1/policies/count").json["priority"] == 40


def test_340_90_waiting_for_rollouts_leaves_the_kill_switch_free(daemon):
    daemon.call("PUT", "/v1/policies/a", POLICY)
    token = daemon.token_of("viewer")
    waiting = []
    try:
        for _ in range(70):
            call = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=20)
            call.request("GET", "/v1/revisions/1/rollout?wait_seconds=10&min_nodes=9",
                         headers={"Authorization": f"Bearer {token}"})
            waiting.append(call)
        answered = select.select([call.sock for call in waiting], [], [], 5)[0]
        refused = next(call for call in waiting if call.sock in answered)
        assert refused.getresponse().status == 503
        assert daemon.call("PATCH", "/v1/settings", {"mode": "off"}).status == 200
    finally:
        for call in waiting:
            call.close()
