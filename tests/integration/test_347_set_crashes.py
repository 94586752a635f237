# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon during applies of a set: all of it, or nothing."""
import hashlib
import http.client
import json
import random
import threading
import time

from daemon import POLICY, daemon  # noqa: F401

KILLS = 100
POLICIES, ENTRIES = 12, 400


def generation(number):
    """A set of which every object says which one it is of."""
    label = {"labels": {"generation": str(number)}}
    return {
        "policies": [{"name": f"p{n}", **POLICY, **label} for n in range(POLICIES)] +
                    [{"name": f"only-{number % 2}", **POLICY, **label}],
        "lists": [{"name": "blocked", "effect": "deny", "entries_from": "set", **label,
                   "entries": [{"value": f"10.{number % 200}.{n // 250}.{n % 250}"}
                               for n in range(ENTRIES)]}],
        "apps": [{"name": "shop", "hosts": ["www.example.com"], **label}],
    }


class Pipeline:
    """Applies one generation after another until the daemon is gone."""

    def __init__(self, daemon, number):
        self.sent = self.acknowledged = number
        self.begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(daemon,), daemon=True)
        self._thread.start()

    def _run(self, daemon):
        try:
            connection = daemon.connect()
            while True:
                self.sent += 1
                self.begun.set()
                answer = daemon.call("PUT", "/v1/sets/web", generation(self.sent),
                                     connection=connection)
                assert answer.status in (200, 201), answer
                self.acknowledged = self.sent
        except (OSError, http.client.HTTPException):
            self.begun.set()

    def join(self):
        self._thread.join(30)


def etag_of(document):
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return '"' + hashlib.sha256(text.encode()).hexdigest()[:32] + '"'


def check(daemon, pipeline, before):
    """Returns the generation in force and its revision."""
    answer = daemon.call("GET", "/v1/sets/web?view=spec")
    revision = daemon.call("GET", "/v1").json["revision"]
    if answer.status == 404:
        assert pipeline.acknowledged == 0 and revision == 0
        return 0, 0
    document = answer.json
    number = int(document["apps"][0]["labels"]["generation"])
    assert pipeline.acknowledged <= number <= pipeline.sent
    assert document == {"name": "web", **generation(number)}
    assert answer.headers["etag"] == etag_of(document)
    # Each apply is one revision, and the last one has exactly what was applied.
    assert revision - before[1] == number - before[0]
    changes = daemon.call("GET", f"/v1/revisions/{revision}").json
    assert changes["set"] == "web"
    written = {f"{one['kind']}/{one['name']}" for one in changes["changes"]
               if one["op"] != "delete"}
    assert written >= {f"policy/p{n}" for n in range(POLICIES)} | {
        f"policy/only-{number % 2}", "list/blocked", "app/shop"}
    items = daemon.call("GET", "/v1/policies").json["items"]
    assert {item["name"] for item in items} == {p["name"] for p in document["policies"]}
    for item in items:
        status = item.pop("status")
        assert (status["set"], status["revision"]) == ("web", revision)
    name = random.choice(items)["name"]
    one = daemon.call("GET", f"/v1/policies/{name}?view=spec")
    assert one.headers["etag"] == etag_of(one.json)
    return number, revision


def test_347_01_kill_9_during_applies_leaves_no_half_of_one(daemon):
    state, applied, cut = (0, 0), 0, 0
    for _ in range(KILLS):
        pipeline = Pipeline(daemon, state[0])
        pipeline.begun.wait(10)
        time.sleep(random.uniform(0, 0.05))
        daemon.kill()
        pipeline.join()
        daemon.start()
        after = check(daemon, pipeline, state)
        cut += pipeline.sent > pipeline.acknowledged
        applied += after[0] - state[0]
        state = after
    print(f"{KILLS} kills, {cut} of them during an apply, {applied} applies")
    assert applied > KILLS // 4 and cut > KILLS // 2
