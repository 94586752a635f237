# SPDX-License-Identifier: Apache-2.0
"""Sets: what belongs to one owner is replaced at once, and nobody else's is touched."""
import json

import pytest

from daemon import POLICY, daemon  # noqa: F401

WEB = {
    "policies": [{"name": "web-login", **POLICY, "match": {
                     "paths": ["/login"], "except": [{"client": {"in": ["@web-office"]}}]}},
                 {"name": "web-all", **POLICY, "mode": "observe"}],
    "lists": [{"name": "web-office", "effect": "allow", "entries_from": "set",
               "entries": [{"value": "192.0.2.1"}, {"value": "198.51.100.0/24"}]}],
    "apps": [{"name": "shop", "hosts": ["www.example.com"]}],
    "responses": [{"name": "sorry", "body": "No."}],
}
NAMES = ["policies/web-login", "policies/web-all", "lists/web-office", "apps/shop",
         "responses/sorry"]
NOTHING = {"created": [], "updated": [], "deleted": [], "unchanged": [], "overridden": []}


def copy(document):
    return json.loads(json.dumps(document))


def put(daemon, document, name="web", query="", **options):
    return daemon.call("PUT", f"/v1/sets/{name}{query}", document, **options)


def revision(daemon):
    return daemon.call("GET", "/v1").json["revision"]


@pytest.fixture
def web(daemon):  # noqa: F811
    answer = put(daemon, WEB)
    assert answer.status == 201, answer
    return daemon


# ------------------------------------------------------------------ applying

def test_345_01_put_creates_everything_in_one_revision_that_names_the_set(daemon):
    answer = put(daemon, WEB, shield_reason="release 7")
    assert (answer.status, answer.headers["shield-changed"]) == (201, "true")
    assert answer.headers["location"] == "/v1/sets/web"
    assert answer.json == {**NOTHING, "created": NAMES}
    assert answer.headers["shield-revision"] == "1" == str(revision(daemon))
    made = daemon.call("GET", "/v1/revisions/1").json
    assert (made["set"], made["reason"], made["author"]) == ("web", "release 7", "token:admin")
    assert {change["op"] for change in made["changes"]} == {"create"}
    assert daemon.call("GET", "/v1/policies/web-all").json["status"]["set"] == "web"


def test_345_02_comes_back_as_it_was_sent(web):
    answer = web.call("GET", "/v1/sets/web?view=spec")
    assert answer.json == {"name": "web", **WEB}
    assert list(answer.json["policies"][0]) == ["name", *POLICY]
    full = web.call("GET", "/v1/sets/web")
    assert full.json["status"]["objects"] == 5 and full.json["status"]["revision"] == 1
    assert full.headers["etag"] == answer.headers["etag"] == \
        put(web, WEB).headers["etag"]
    assert web.call("GET", "/v1/sets/web", if_none_match=full.headers["etag"]).status == 304


def test_345_03_identical_put_and_round_trip_change_nothing(web):
    for document in (WEB, web.call("GET", "/v1/sets/web").json):
        answer = put(web, document)
        assert (answer.status, answer.headers["shield-changed"]) == (200, "false")
        assert answer.headers["shield-revision"] == "1"
        assert answer.json == {**NOTHING, "unchanged": NAMES}
    assert revision(web) == 1


def test_345_04_only_what_differs_is_written_and_what_is_missing_is_deleted(web):
    document = copy(WEB)
    document["policies"][1]["mode"] = "enforce"
    document["policies"].append({"name": "web-new", **POLICY})
    del document["apps"], document["responses"]
    answer = put(web, document)
    assert answer.json == {"created": ["policies/web-new"], "updated": ["policies/web-all"],
                           "deleted": ["apps/shop", "responses/sorry"],
                           "unchanged": ["policies/web-login", "lists/web-office"],
                           "overridden": []}
    assert answer.headers["shield-revision"] == "2" == str(revision(web))
    assert web.call("GET", "/v1/policies/web-login").json["status"]["revision"] == 1
    assert web.call("GET", "/v1/apps/shop").status == 404
    assert web.call("GET", "/v1/sets/web?view=spec").json == {"name": "web", **document}


def test_345_05_nobody_elses_objects_are_touched(web):
    web.call("PUT", "/v1/policies/by-hand", POLICY)
    put(web, {"policies": [{"name": "other", **POLICY}]}, "infra")
    before = {path: web.call("GET", path).text
              for path in ("/v1/policies/by-hand", "/v1/policies/other", "/v1/sets/infra")}
    assert put(web, {}).json["deleted"] == sorted(NAMES[3:4]) + ["lists/web-office"] + \
        ["policies/web-all", "policies/web-login"] + ["responses/sorry"]
    assert before == {path: web.call("GET", path).text for path in before}
    assert web.call("GET", "/v1/sets/web?view=spec").json == {"name": "web"}


def test_345_06_other_order_is_a_change_and_is_kept(web):
    document = copy(WEB)
    document["policies"].reverse()
    answer = put(web, document)
    assert answer.headers["shield-changed"] == "true" and answer.json["updated"] == []
    assert web.call("GET", "/v1/sets/web?view=spec").json["policies"] == document["policies"]


def test_345_07_max_deletes_guards_against_an_empty_file(web):
    answer = put(web, {}, query="?max_deletes=4")
    assert (answer.status, answer.code) == (409, "too_many_deletes")
    assert {error["message"] for error in answer.json["errors"]} == \
        {f"{name} would be deleted" for name in NAMES}
    assert revision(web) == 1
    assert web.call("DELETE", "/v1/sets/web?max_deletes=4").code == "too_many_deletes"
    assert put(web, {}, query="?max_deletes=5").status == 200
    assert put(web, {}, query="?max_deletes=-1").code == "invalid_parameter"


def test_345_08_dry_run_stores_nothing_and_shows_the_differences(web):
    document = copy(WEB)
    document["policies"][0]["detect"]["rate"]["requests"] = 30
    document["lists"][0]["entries"][0]["value"] = "192.0.2.9"
    del document["apps"]
    before = web.call("GET", "/v1/sets/web").text
    dry = put(web, document, query="?dry_run=true")
    assert (dry.status, dry.headers["shield-changed"]) == (200, "true")
    assert {(one["kind"], one["name"], one["op"]) for one in dry.json["differences"]} == {
        ("policy", "web-login", "update"), ("list", "web-office", "update"),
        ("app", "shop", "delete")}
    found = {one["name"]: one["differences"] for one in dry.json["differences"]}
    assert found["web-login"] == [{"pointer": "/detect/rate/requests", "op": "replace",
                                   "from": 20, "to": 30}]
    assert found["web-office"] == [{"pointer": "/entries", "op": "replace",
                                    "removed": [{"value": "192.0.2.1"}],
                                    "added": [{"value": "192.0.2.9"}]}]
    assert web.call("GET", "/v1/sets/web").text == before and revision(web) == 1
    real = put(web, document)
    del dry.json["differences"]
    assert real.json == dry.json and real.headers["etag"] == dry.headers["etag"]
    assert real.headers["etag"] == web.call("GET", "/v1/sets/web").headers["etag"]


def test_345_09_preconditions(web):
    etag = web.call("GET", "/v1/sets/web").headers["etag"]
    assert put(web, WEB, if_none_match="*").status == 412
    assert put(web, {}, if_match='"other"').status == 412
    assert put(web, {}, "new", if_match="*").status == 412
    assert put(web, {}, "new", if_none_match="*").status == 201
    assert put(web, {}, if_match=etag).status == 200
    assert web.call("DELETE", "/v1/sets/web", if_match=etag).status == 412


# ------------------------------------------------------------------ errors

def test_345_10_every_error_points_into_the_document_that_was_sent(web):
    web.call("PUT", "/v1/policies/a-first", POLICY)  # moves the others in the whole
    document = copy(WEB)
    document["policies"][1]["match"]["client"] = {"in": ["@nowhere"]}
    document["lists"][0]["entries"][1]["value"] = "198.51.100.1/24"
    answer = put(web, document)
    assert (answer.status, answer.errors) == (
        422, {("/policies/1/match/client/in/0", "list_unknown"),
              ("/lists/0/entries/1/value", "cidr_host_bits")})
    document["polices"] = []
    assert ("/polices", "unknown_key") in put(web, document).errors
    twice = {"policies": [WEB["policies"][1]] * 2}
    assert put(web, twice).errors == {("/policies/1/name", "duplicate_name")}
    assert put(web, {"policies": [POLICY]}).errors == {("/policies/0", "missing_key")}
    assert put(web, {"name": "other"}).errors == {("/name", "name_mismatch")}
    assert put(web, {}, "-bad").errors == {("/name", "pattern")}
    assert revision(web) == 2


def test_345_11_what_others_refer_to_stays(web):
    web.call("PUT", "/v1/policies/by-hand",
             {**POLICY, "match": {"client": {"in": ["@web-office"]}}})
    document = {**copy(WEB), "lists": []}
    document["policies"][0]["match"] = {}
    for answer in (put(web, document), web.call("DELETE", "/v1/sets/web")):
        assert (answer.status, answer.code) == (409, "list_in_use")
        assert "by-hand" in answer.json["detail"]
    assert revision(web) == 2


# ------------------------------------------------------------------ ownership

def test_345_20_what_was_made_by_hand_is_taken_over_on_request_only(daemon):
    daemon.call("PUT", "/v1/policies/web-all", {**POLICY, "mode": "off"})
    answer = put(daemon, WEB)
    assert (answer.status, answer.code) == (409, "made_by_hand")
    assert answer.errors == {("/policies/1", "made_by_hand")}
    assert daemon.call("GET", "/v1/sets/web").status == 404
    answer = put(daemon, WEB, query="?adopt=true")
    assert (answer.status, answer.json["updated"]) == (201, ["policies/web-all"])
    assert daemon.call("GET", "/v1/policies/web-all").json["status"]["set"] == "web"
    # The same document already, but not the owner's: that is a change, too.
    daemon.call("PUT", "/v1/policies/same", POLICY)
    taken = put(daemon, {"policies": [{"name": "same", **POLICY}]}, "b", "?adopt=true")
    assert taken.json["updated"] == ["policies/same"]
    assert daemon.call("GET", "/v1/policies/same").json["status"]["set"] == "b"


@pytest.mark.parametrize("query", ["", "?adopt=true", "?force=true"])
def test_345_21_what_another_set_owns_is_never_taken(web, query):
    answer = put(web, {"responses": [{"name": "new", "body": "x"}, WEB["responses"][0]]},
                 "infra", query)
    assert (answer.status, answer.code) == (409, "owned_by_set")
    assert answer.errors == {("/responses/1", "owned_by_set")}
    assert '"web"' in answer.json["detail"] and revision(web) == 1


def test_345_22_by_hand_only_by_force_until_the_next_put(web):
    changed = {**POLICY, "mode": "off"}
    calls = [("PUT", "/v1/policies/web-all", changed), ("PATCH", "/v1/apps/shop", {"tier": 1}),
             ("PATCH", "/v1/policies/web-all", {"priority": 1}),
             ("PUT", "/v1/lists/web-office", {}), ("DELETE", "/v1/responses/sorry", None),
             ("PUT", "/v1/config", {})]
    for method, path, body in calls:
        answer = web.call(method, path, body)
        assert (answer.status, answer.code) == (409, "owned_by_set"), path
        assert '"web"' in answer.json["detail"]
    whole = web.call("GET", "/v1/config").json  # as it is, and something more, is no conflict
    whole["policies"].append({"name": "by-hand", **POLICY})
    assert web.call("PUT", "/v1/config", whole).json["created"] == ["policies/by-hand"]
    assert web.call("GET", "/v1/policies/web-all").json["status"]["set"] == "web"
    assert web.call("POST", "/v1/policies:validate", {"name": "web-all", **changed}).status == 200
    assert web.call("PUT", "/v1/policies/web-all?force=true", changed).status == 200
    assert web.call("DELETE", "/v1/responses/sorry?force=true").status == 204
    assert web.call("GET", "/v1/policies/web-all").json["status"]["set"] == "web"
    assert "responses/sorry" not in str(web.call("GET", "/v1/sets/web").json)
    answer = put(web, WEB)
    assert (answer.json["created"], answer.json["updated"]) == \
        (["responses/sorry"], ["policies/web-all"])


def test_345_23_entries_that_operators_own_are_left_alone(daemon):
    seeded = {"lists": [{"name": "blocked", "effect": "deny", "entries": [{"value": "192.0.2.1"}]},
                        {"name": "empty"}]}
    put(daemon, seeded)
    operator = daemon.token_of("operator")
    for value in ("192.0.2.7", "192.0.2.8"):
        for name in ("blocked", "empty"):
            assert daemon.call("PUT", f"/v1/lists/{name}/entries/{value}", {"value": value},
                               token=operator).status == 201
    before = revision(daemon)
    answer = put(daemon, seeded)
    assert answer.headers["shield-changed"] == "false" and revision(daemon) == before
    assert answer.json["overridden"] == ["lists/blocked"]
    assert len(daemon.call("GET", "/v1/lists/blocked").json["entries"]) == 3
    assert daemon.call("GET", "/v1/sets/web?view=spec").json == {"name": "web", **seeded}
    seeded["lists"][0]["effect"] = "allow"
    assert put(daemon, seeded).json["updated"] == ["lists/blocked"]
    assert len(daemon.call("GET", "/v1/lists/blocked").json["entries"]) == 3
    # The set may take them, and then it owns them.
    seeded["lists"][0]["entries_from"] = "set"
    assert put(daemon, seeded).json["overridden"] == []
    assert daemon.call("GET", "/v1/lists/blocked").json["entries"] == [{"value": "192.0.2.1"}]
    answer = daemon.call("PUT", "/v1/lists/blocked/entries/192.0.2.7", {"value": "192.0.2.7"},
                         token=operator)
    assert (answer.status, answer.code) == (409, "conflict")


def test_345_24_a_token_bound_to_a_set_changes_nothing_else(web):
    web.call("PUT", "/v1/policies/by-hand", POLICY)
    answer = web.call("PUT", "/v1/tokens/ci", {"role": "editor", "sets": ["web"]})
    assert answer.status == 201
    ci = answer.json["token"]
    document = copy(WEB)
    document["policies"][1]["mode"] = "enforce"
    assert put(web, document, token=ci).json["updated"] == ["policies/web-all"]
    assert web.call("PATCH", "/v1/apps/shop?force=true", {"tier": 1}, token=ci).status == 200
    for answer in (put(web, {}, "infra", token=ci), put(web, {}, "web2", token=ci),
                   web.call("PUT", "/v1/policies/by-hand", {**POLICY, "priority": 1}, token=ci),
                   web.call("PUT", "/v1/policies/new", POLICY, token=ci),
                   web.call("PUT", "/v1/config?force=true", {}, token=ci),
                   put(web, {"policies": [{"name": "by-hand", **POLICY}]}, "web",
                       "?adopt=true", token=ci)):
        assert (answer.status, answer.code) == (403, "forbidden"), answer
    assert web.call("GET", "/v1/policies/by-hand", token=ci).status == 200
    assert web.call("DELETE", "/v1/sets/web", token=ci).status == 204


# ------------------------------------------------------------------ the rest

def test_345_30_sets_are_listed_by_name_with_what_is_in_them(web):
    put(web, {}, "infra")
    page = web.call("GET", "/v1/sets?limit=1").json
    assert [item["name"] for item in page["items"]] == ["infra"]
    page = web.call("GET", f"/v1/sets?cursor={page['next_cursor']}").json
    item = page["items"][0]
    assert (item["name"], item["policies"]) == ("web", ["web-login", "web-all"])
    assert page["next_cursor"] is None


def test_345_34_each_pack_is_a_set_of_its_own(daemon):
    names = [item["name"] for item in daemon.call("GET", "/v1/packs").json["items"]]
    for name in names:
        pack = daemon.call("GET", f"/v1/packs/{name}").json
        assert put(daemon, pack, name).status == 201
        assert put(daemon, pack, name).headers["shield-changed"] == "false"
    assert len(names) > 3
    daemon.call("PUT", "/v1/lists/verified-bots/entries/192.0.2.0_24", {"value": "192.0.2.0/24"})
    assert put(daemon, daemon.call("GET", "/v1/packs/ai-crawlers").json,
               "ai-crawlers").headers["shield-changed"] == "false"
    assert daemon.call("GET", "/v1/lists/verified-bots").json["status"]["entry_count"] == 1


def test_345_35_there_are_at_most_1024_sets(daemon):
    connection = daemon.connect()
    headers = {"Authorization": f"Bearer {daemon.token}", "Content-Type": "application/json"}
    for number in range(1024):
        connection.request("PUT", f"/v1/sets/s{number}", b"{}", headers)
        answer = connection.getresponse()
        assert answer.read() and answer.status == 201
    assert put(daemon, {}, "s0").status == 200
    answer = put(daemon, {}, "more")
    assert (answer.status, answer.code) == (422, "too_many")


def test_345_31_deleting_a_set_deletes_what_it_owns(web):
    web.call("PUT", "/v1/policies/by-hand", POLICY)
    assert web.call("DELETE", "/v1/sets/web?dry_run=true").status == 204
    assert revision(web) == 2
    answer = web.call("DELETE", "/v1/sets/web")
    assert (answer.status, answer.headers["shield-revision"]) == (204, "3")
    assert web.call("GET", "/v1/sets/web").status == 404
    assert web.call("DELETE", "/v1/sets/web").status == 404
    left = web.call("GET", "/v1/config?view=spec").json
    assert [policy["name"] for policy in left["policies"]] == ["by-hand"]
    assert left["lists"] == left["apps"] == left["responses"] == []


def test_345_32_restore_brings_owners_back(web):
    changed = copy(WEB)
    changed["policies"] = [{"name": "web-other", **POLICY}]
    put(web, changed)
    put(web, {"policies": [{"name": "of-infra", **POLICY}]}, "infra")
    dry = web.call("POST", "/v1/revisions/1:restore?dry_run=true").json
    assert {(one["op"], one["name"]) for one in dry["differences"]} >= {
        ("delete", "of-infra"), ("create", "web-all"), ("update", "web")}
    answer = web.call("POST", "/v1/revisions/1:restore")
    assert answer.json["created"] == ["policies/web-all", "policies/web-login"]
    assert answer.json["deleted"] == ["policies/of-infra", "policies/web-other", "sets/infra"]
    assert answer.json["updated"] == ["sets/web"]
    assert web.call("GET", "/v1/revisions/4").json["set"] is None
    assert web.call("GET", "/v1/policies/web-all").json["status"]["set"] == "web"
    assert put(web, WEB).headers["shield-changed"] == "false"


def test_345_33_survives_a_restart_and_viewers_may_only_look(web):
    before = web.call("GET", "/v1/sets/web").text
    web.stop()
    web.start()
    assert web.call("GET", "/v1/sets/web", token=web.token_of("viewer", "v")).text == before
    for role in ("viewer", "operator"):
        assert put(web, {}, token=web.token_of(role)).status == 403
    assert put(web, {}, token=web.token_of("editor")).status == 200
