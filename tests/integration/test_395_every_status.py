# SPDX-License-Identifier: Apache-2.0
"""Every status that the contract documents for an operation is one that the daemon gives.

The tables below provoke them: EVERYWHERE for what any operation can end in, and one function
for each kind of resource. What other tests have met counts, too (contract.py). A new
operation or status without a row fails test_395_90, which names it."""
import contextlib
import json
import sqlite3

import pytest

import contract
from bus import Bus, incident_id, report, started
from daemon import OPENAPI, POLICY, check_documented  # noqa: F401
from httpd import wait_until

# What {…} of a path stands for: things that exist in the world below.
NAMES = {"/v1/policies/{name}": "policies/kept", "/v1/lists/{name}": "lists/kept",
         "/v1/apps/{name}": "apps/kept", "/v1/responses/{name}": "responses/kept",
         "/v1/tokens/{name}": "tokens/kept", "/v1/packs/{name}": "packs/baseline",
         "/v1/nodes/{name}": "nodes/web-1", "/v1/sets/{set}": "sets/web",
         "/v1/bans/{id}": "bans/ip:192.0.2.1", "/entries/{id}": "198.51.100.7",
         "/v1/incidents/{id}": "incidents/" + incident_id(1),
         "/v1/revisions/{revision}": "revisions/1", "/schemas/{file}": "policy.json",
         "/v1/webhooks/{name}": "webhooks/kept"}
DOCUMENTS = {"policies": POLICY, "lists": {"entries": [{"value": "198.51.100.7"}]},
             "apps": {"hosts": ["a.example"]}, "responses": {"body": "no"}}
LOG = b'192.0.2.7 - - [31/Jan/2026:23:59:59 +0000] "GET / HTTP/1.1" 200 9 "-" "curl"\n'
FAR = "2036-01-01T00:00:00Z"
NEW = {"match": {"query": [{"name": "q", "is": "present"}]}}  # what an old node cannot do


def operations():
    for path, methods in json.loads(OPENAPI.read_text())["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def concrete(template):
    for part, name in NAMES.items():
        folder = part.rsplit("/", 1)[0]
        template = template.replace(part, folder.rsplit("/", 1)[0] + "/" + name
                                    if "/" in name else folder + "/" + name)
    assert "{" not in template, f"{template}: name something that exists in NAMES"
    return template


class World(Bus):
    """A fleet with one of everything; its nodes are of an older version."""

    def start(self):
        super().start()
        self.daemon.expect("L7S3523")
        self.node("web-1").live().incident(report("web-1", 1))
        self.node("web-2").live().stop()
        wait_until(lambda: self.states()["web-2"] == "lost", 8, "the lost node")
        wait_until(self.incidents, 5, "the incident")
        for kind, document in DOCUMENTS.items():
            self.gives(201, "PUT", f"/v1/{kind}/kept", document)
        self.gives(201, "PUT", "/v1/lists/allowed",
                   {"effect": "allow", "entries": [{"value": "192.0.2.200"}]})
        self.gives(201, "PUT", "/v1/tokens/kept", {"role": "viewer"})
        self.gives(201, "PUT", "/v1/bans/ip:192.0.2.1", {"key": {"client": "192.0.2.1"}})
        self.gives(201, "PUT", "/v1/sets/web", self.web)
        self.gives(201, "PUT", "/v1/webhooks/kept", self.webhook)
        return self

    web = {kind: [{"name": "owned", "entries_from": "set", **document} if kind == "lists"
                  else {"name": "owned", **document}]
           for kind, document in DOCUMENTS.items()}

    webhook = {"url": "https://hooks.example/", "secret": "0123456789abcdef", "mode": "off"}

    def gives(self, status, method, path, body=None, **options):
        answer = self.api(method, path, body, **options)
        assert answer.status == status, f"{method} {path}: {answer}"
        return answer


@pytest.fixture(scope="module")
def world():
    yield from started(World())


# ------------------------------------------------------------------ what anything can end in

def body_of(operation):
    return {} if "requestBody" in operation else None


def session(world):
    """Headers of a browser that has logged in."""
    answer = world.gives(201, "POST", "/v1/session", {"token": world.daemon.token}, token=None)
    return {"Cookie": answer.headers["set-cookie"].split(";")[0],
            "Shield-CSRF": answer.json["csrf_token"]}


def wrong_credentials(world, method, path, operation):
    if path == "/v1/session":
        cookie = session(world)["Cookie"].split("=")[0] if method == "DELETE" else ""
        return world.api(method, path, {"token": "wrong"} if method == "POST" else None,
                         token=None, headers={"Cookie": cookie + "=wrong"})
    return world.api(method, concrete(path), body_of(operation), token="wrong")


# By status: the options of the call, beside the path and an empty document.
EVERYWHERE = {
    400: lambda path: {"path": path + "?no_such_thing=1"},
    403: lambda path: {"origin": "http://evil.example"},
    406: lambda path: {"accept": "image/png"},
    413: lambda path: {"raw": b"", "headers": {"Content-Length": str(1 << 40),
                                               "Expect": "100-continue"}},
    415: lambda path: {"raw": b"<a/>", "content_type": "text/xml"},
    422: lambda path: {"body": {"no_such_key": True}},
}


@pytest.mark.parametrize("status", EVERYWHERE)
def test_395_01_what_any_operation_can_end_in(world, status):
    for method, template, operation in operations():
        if str(status) not in operation["responses"]:
            continue
        path = concrete(template)
        options = {"path": path, "body": body_of(operation), **EVERYWHERE[status](path)}
        if "raw" in options:
            options.pop("body")
        if status != 422 or "requestBody" in operation:
            answer = world.api(method, **options)
            assert answer.status == status, (method, path, answer)


def known(world, path):
    """What a client has already is not sent again."""
    etag = world.gives(200, "GET", path).headers["etag"]
    for header in (etag, "W/" + etag, '"old", ' + etag, "*"):
        answer = world.gives(304, "GET", path, if_none_match=header)
        assert answer.text == "" and answer.headers["etag"] == etag
    world.gives(200, "GET", path, if_none_match='"old"')


def test_395_02_policies_lists_apps_and_responses(world):
    for kind, document in DOCUMENTS.items():
        path = f"/v1/{kind}/new"
        patches = f"/v1/{kind}/{{name}}" in dict(
            (template, 1) for method, template, _ in operations() if method == "PATCH")
        patch = {"labels": {"a": "b"}}
        world.gives(201, "PUT", path, document)
        etag = world.gives(200, "PUT", path, document).headers["etag"]
        world.gives(200, "GET", path)
        world.gives(304, "GET", path, if_none_match=etag)
        world.gives(200, "GET", f"/v1/{kind}")
        world.gives(412, "PUT", path, document, if_match='"old"')
        world.gives(412, "DELETE", path, if_match='"old"')
        owned = f"/v1/{kind}/owned"
        world.gives(409, "PUT", owned, {**document, "description": "mine"})
        world.gives(409, "DELETE", owned)
        if patches:
            world.gives(200, "PATCH", path, patch)
            world.gives(412, "PATCH", path, patch, if_match='"old"')
            world.gives(409, "PATCH", owned, patch)
            world.gives(404, "PATCH", f"/v1/{kind}/nothing", patch)
        world.gives(204, "DELETE", path)
        world.gives(404, "GET", path)
        world.gives(404, "DELETE", path)
    world.gives(200, "POST", "/v1/policies:validate", POLICY)
    world.gives(200, "POST", "/v1/policies:test", {"requests": [{"client": "192.0.2.7"}]})
    world.gives(200, "POST", "/v1/policies:backtest", content_type="text/plain", raw=LOG)
    world.gives(200, "GET", "/v1/policies/kept/stats")
    world.gives(404, "GET", "/v1/policies/nothing/stats")


def test_395_03_overrides(world):
    path, document = "/v1/policies/kept/override", {"mode": "observe", "until": FAR}
    world.gives(409, "PUT", path, document)
    world.gives(404, "GET", path)
    world.gives(201, "PUT", path + "?force=true", document)
    world.gives(200, "PUT", path + "?force=true", document)
    known(world, path)
    world.gives(412, "PUT", path, document, if_match='"old"')
    world.gives(412, "DELETE", path, if_match='"old"')
    world.gives(204, "DELETE", path)
    world.gives(404, "DELETE", path)
    world.gives(404, "PUT", "/v1/policies/nothing/override", document)


def test_395_04_entries(world):
    path, entry = "/v1/lists/kept/entries/198.51.100.8", {"value": "198.51.100.8"}
    world.gives(200, "GET", "/v1/lists/kept/entries")
    world.gives(404, "GET", "/v1/lists/nothing/entries")
    world.gives(201, "PUT", path, entry)
    world.gives(200, "PUT", path, entry)
    known(world, path)
    world.gives(412, "PUT", path, entry, if_match='"old"')
    world.gives(412, "DELETE", path, if_match='"old"')
    world.gives(204, "DELETE", path)
    world.gives(404, "GET", path)
    world.gives(404, "DELETE", path)
    world.gives(404, "PUT", path.replace("kept", "nothing"), entry)
    world.gives(409, "PUT", path.replace("kept", "owned"), entry)
    for status, name in ((200, "kept"), (404, "nothing"), (409, "owned")):
        world.gives(status, "POST", f"/v1/lists/{name}/entries:batch", {"put": [entry]})


def test_395_05_sets_and_the_whole_configuration(world):
    empty = {kind: [] for kind in DOCUMENTS}
    etag = world.gives(200, "PUT", "/v1/sets/web", world.web).headers["etag"]
    world.gives(200, "GET", "/v1/sets")
    world.gives(200, "GET", "/v1/sets/web")
    world.gives(304, "GET", "/v1/sets/web", if_none_match=etag)
    world.gives(404, "GET", "/v1/sets/nothing")
    world.gives(412, "PUT", "/v1/sets/web", world.web, if_match='"old"')
    world.gives(409, "PUT", "/v1/sets/other", {"policies": [{"name": "kept", **POLICY}]})
    world.gives(201, "PUT", "/v1/sets/other", {"apps": [{"name": "other"}]})
    world.gives(412, "DELETE", "/v1/sets/other", if_match='"old"')
    world.gives(409, "DELETE", "/v1/sets/other?max_deletes=0")
    world.gives(204, "DELETE", "/v1/sets/other")
    world.gives(404, "DELETE", "/v1/sets/other")
    config = world.gives(200, "GET", "/v1/config")
    world.gives(304, "GET", "/v1/config", if_none_match=config.headers["etag"])
    world.gives(200, "PUT", "/v1/config", config.json)
    world.gives(412, "PUT", "/v1/config", config.json, if_match='"old"')
    world.gives(409, "PUT", "/v1/config", empty)


def test_395_06_bans(world):
    path, ban = "/v1/bans/ip:192.0.2.2", {"key": {"client": "192.0.2.2"}, "seconds": 600}
    allowed = {"key": {"client": "192.0.2.200"}}
    world.gives(201, "PUT", path, ban)
    world.gives(200, "PUT", path, ban)
    known(world, path)
    world.gives(200, "GET", "/v1/bans")
    world.gives(412, "PUT", path, ban, if_match='"old"')
    world.gives(409, "PUT", "/v1/bans/ip:192.0.2.200", allowed)
    world.gives(412, "DELETE", path, if_match='"old"')
    world.gives(204, "DELETE", path)
    world.gives(404, "DELETE", path)
    world.gives(404, "GET", path)
    world.gives(200, "POST", "/v1/bans:batch", {"put": [ban]})
    world.gives(409, "POST", "/v1/bans:batch", {"put": [allowed]})
    world.gives(200, "DELETE", "/v1/bans?policy=kept")


def test_395_07_check_incidents_and_events(world):
    unknown = incident_id(999)
    world.gives(200, "GET", "/v1/check?client=192.0.2.7")
    world.gives(404, "GET", f"/v1/check?incident={unknown}")
    world.gives(422, "GET", "/v1/check?client=nobody")
    world.gives(200, "POST", "/v1/check", {"client": "192.0.2.7"})
    world.gives(404, "POST", "/v1/check", {"incident": unknown})
    world.gives(200, "POST", "/v1/check:release", {"client": "192.0.2.7"})
    world.gives(404, "POST", "/v1/check:release", {"incident": unknown})
    path = "/v1/incidents/" + incident_id(1)
    world.gives(200, "GET", "/v1/incidents")
    world.gives(200, "GET", "/v1/incidents/summary")
    world.gives(200, "GET", path)
    world.gives(404, "GET", "/v1/incidents/" + unknown)
    world.gives(200, "PATCH", path, {"note": "seen"})
    world.gives(404, "PATCH", "/v1/incidents/" + unknown, {"note": "seen"})
    world.gives(200, "GET", "/v1/events?after=0")
    world.gives(410, "GET", "/v1/events?after=999999999")


def test_395_14_webhooks(world):
    path, document = "/v1/webhooks/kept", world.webhook
    world.gives(200, "GET", "/v1/webhooks")
    known(world, path)
    world.gives(404, "GET", "/v1/webhooks/nothing")
    world.gives(200, "PUT", path, document)
    world.gives(201, "PUT", "/v1/webhooks/new", document)
    world.gives(412, "PUT", path, document, if_none_match="*")
    world.gives(422, "PUT", path, {"url": "http://hooks.example/"})
    world.gives(200, "POST", path + ":test")  # nothing answers there
    world.gives(404, "POST", "/v1/webhooks/nothing:test")
    world.gives(412, "DELETE", "/v1/webhooks/new", if_match='"old"')
    world.gives(204, "DELETE", "/v1/webhooks/new")
    world.gives(404, "DELETE", "/v1/webhooks/new")


def test_395_08_nodes_settings_and_revisions(world):
    world.gives(200, "GET", "/v1/nodes")
    world.gives(200, "GET", "/v1/nodes/web-1")
    world.gives(404, "GET", "/v1/nodes/nothing")
    world.gives(409, "DELETE", "/v1/nodes/web-1")
    world.gives(204, "DELETE", "/v1/nodes/web-2")
    world.gives(404, "DELETE", "/v1/nodes/web-2")
    known(world, "/v1/settings")
    world.gives(200, "PATCH", "/v1/settings", {"mode": "enforce"})
    world.gives(412, "PATCH", "/v1/settings", {"mode": "off"}, if_match='"old"')
    world.gives(409, "PATCH", "/v1/settings", {"guard": {"within_seconds": 60}})
    world.gives(200, "GET", "/v1/revisions")
    world.gives(200, "GET", "/v1/revisions/1")
    world.gives(404, "GET", "/v1/revisions/999999")
    world.gives(404, "POST", "/v1/revisions/999999:restore")
    last = world.gives(200, "GET", "/v1").json["revision"]
    world.gives(200, "POST", f"/v1/revisions/{last}:restore")
    world.gives(412, "POST", f"/v1/revisions/{last}:restore", if_match='"old"')
    world.gives(404, "GET", "/v1/revisions/999999/rollout")
    world.gives(202, "GET", f"/v1/revisions/{last}/rollout?min_nodes=9")
    world.gives(504, "GET", f"/v1/revisions/{last}/rollout?min_nodes=9&on_timeout=error")
    world.nodes[0].set("applied_revision", last)
    world.gives(200, "GET", f"/v1/revisions/{last}/rollout?wait_seconds=10")


def test_395_09_tokens_sessions_and_the_audit(world):
    path = "/v1/tokens/new"
    world.gives(201, "PUT", path, {"role": "viewer"})
    world.gives(200, "PUT", path, {"role": "viewer"})
    known(world, path)
    world.gives(200, "GET", "/v1/tokens")
    world.gives(412, "PUT", path, {"role": "viewer"}, if_match='"old"')
    world.gives(409, "PUT", "/v1/tokens/admin", {"role": "viewer"})
    world.gives(200, "POST", path + ":rotate")
    world.gives(412, "DELETE", path, if_match='"old"')
    world.gives(409, "DELETE", "/v1/tokens/admin")
    world.gives(204, "DELETE", path)
    world.gives(404, "DELETE", path)
    world.gives(404, "GET", path)
    world.gives(404, "POST", path + ":rotate")
    world.gives(204, "DELETE", "/v1/session", token=None, headers=session(world))
    world.gives(404, "DELETE", "/v1/session", token=None)
    world.gives(200, "GET", "/v1/audit")


def test_395_10_the_daemon_itself(world):
    world.gives(200, "GET", "/v1/backup")
    world.gives(409, "POST", "/v1/backup")
    for path in ("/livez", "/readyz", "/metrics", "/openapi.json", "/schemas/policy.json",
                 "/v1", "/v1/packs", "/v1/packs/baseline"):
        world.gives(200, "GET", path)
    known(world, "/v1/packs/baseline")
    world.gives(404, "GET", "/schemas/nothing.json")
    world.gives(404, "GET", "/v1/packs/nothing")


def test_395_80_wrong_credentials_are_401_and_then_429(world):
    wanted = [one for one in operations() if "401" in one[2]["responses"]]
    for method, path, operation in wanted:
        if path != "/v1/session":
            answer = world.api(method, concrete(path), body_of(operation), token=None)
            assert answer.status == 401, (method, path, answer)
    for method in ("POST", "DELETE"):
        answer = wrong_credentials(world, method, "/v1/session", {})
        assert answer.status == 401, answer
    while wrong_credentials(world, "GET", "/v1", {}).status != 429:
        pass  # ten of them, then no more
    for method, path, operation in wanted:
        answer = wrong_credentials(world, method, path, operation)
        assert answer.status == 429, (method, path, answer)


@contextlib.contextmanager
def tokens_unreadable(world):
    """Whatever asks who is calling meets a store that does not work."""
    store = sqlite3.connect(world.daemon.data_dir / "config.db", isolation_level=None)
    store.execute("ALTER TABLE token RENAME TO elsewhere")
    world.daemon.expect("L7S3401: config.db: no such table: token")
    yield
    store.execute("ALTER TABLE elsewhere RENAME TO token")
    store.close()


def test_395_81_a_store_that_cannot_be_read_is_503(world):
    browser = session(world)
    with tokens_unreadable(world):
        for method, path, operation in operations():
            if "503" not in operation["responses"] or path == "/readyz":
                continue
            options = {"body": body_of(operation)}
            if path == "/v1/session":
                options = {"token": None, "headers": browser} if method == "DELETE" else {
                    "body": {"token": world.daemon.token}, "token": None}
            answer = world.api(method, concrete(path), **options)
            assert (answer.status, answer.code) == (503, "storage_unavailable"), \
                (method, path, answer)


def test_395_82_a_bus_that_is_away_is_503(world):
    world.daemon.expect("L7S35")
    world.memcached.close()
    wait_until(lambda: world.api("GET", "/readyz").status == 503, 20, "the loss of the bus")


def test_395_90_every_documented_status_has_been_seen(world):
    documented = {(method.lower(), path, int(status)) for method, path, operation
                  in operations() for status in operation["responses"]}
    missing = sorted(documented - contract.seen())
    assert not missing, "never seen; add a row to test_395, or document less:\n" + "\n".join(
        f"{method.upper()} {path} {status}" for method, path, status in missing)
