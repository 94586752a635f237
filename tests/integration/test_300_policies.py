# SPDX-License-Identifier: Apache-2.0
"""/v1/policies: PUT by name, ETags, merge patch, dry run, and every way to be refused."""
import copy
import json

import pytest

from daemon import POLICY, daemon  # noqa: F401

BAD = {
    "nam": "typo",
    "mode": "enforc",
    "priority": "high",
    "match": {"client": {"in": ["203.0.113.7/24", "@nowhere"]}, "method": ["POST"]},
    "detect": {"rate": {"requests": 0, "per_seconds": 60}},
    "action": {"deny": {}, "ban": {}},
}


def without_status(document):
    return {key: value for key, value in document.items() if key != "status"}


def revision(daemon):
    return daemon.call("GET", "/v1").json["revision"]


def test_300_01_put_creates_with_201_and_location(daemon):
    answer = daemon.call("PUT", "/v1/policies/login", POLICY)
    assert answer.status == 201
    assert answer.headers["location"] == "/v1/policies/login"
    assert answer.headers["shield-changed"] == "true"
    assert answer.headers["shield-revision"] == "1"
    assert answer.headers["etag"].startswith('"')
    assert without_status(answer.json) == {"name": "login", **POLICY}


def test_300_02_identical_put_changes_nothing(daemon):
    first = daemon.call("PUT", "/v1/policies/login", POLICY)
    again = daemon.call("PUT", "/v1/policies/login", POLICY)
    assert again.status == 200
    assert again.headers["shield-changed"] == "false"
    assert again.headers["shield-revision"] == first.headers["shield-revision"]
    assert again.headers["etag"] == first.headers["etag"]
    assert again.json == first.json
    assert revision(daemon) == 1


def test_300_03_spec_comes_back_byte_for_byte(daemon):
    text = ('{"labels":{"z":"1","a":"ä\\u0001"},"action":{"ban":{"seconds":60}},'
            '"name":"odd","detect":{"always":{}},"match":{"client":'
            '{"in":["2001:DB8:0::/32","192.0.2.1"]}},"description":""}')
    answer = daemon.call("PUT", "/v1/policies/odd", raw=text.encode())
    assert answer.status == 201, answer
    spec = daemon.call("GET", "/v1/policies/odd?view=spec")
    assert spec.text == json.dumps(json.loads(text), ensure_ascii=False,
                                   separators=(",", ":")) + "\n"


def test_300_04_get_edit_put_works_and_status_is_ignored(daemon):
    daemon.call("PUT", "/v1/policies/login", POLICY)
    document = daemon.call("GET", "/v1/policies/login").json
    assert "status" in document
    same = daemon.call("PUT", "/v1/policies/login", document)
    assert (same.status, same.headers["shield-changed"]) == (200, "false")
    document["mode"] = "observe"
    changed = daemon.call("PUT", "/v1/policies/login", document)
    assert (changed.status, changed.headers["shield-changed"]) == (200, "true")
    assert changed.json["status"]["revision"] == 2


def test_300_05_effective_shows_defaults_and_spec_does_not(daemon):
    daemon.call("PUT", "/v1/policies/login", {"detect": {"always": {}}, "action": {"log": {}}})
    document = daemon.call("GET", "/v1/policies/login").json
    assert "mode" not in document and "priority" not in document
    effective = document["status"]["effective"]
    assert effective["mode"] == "observe" and effective["priority"] == 100
    assert effective["count"]["by"] == ["client"]


def test_300_06_bad_policy_is_refused_with_every_error_and_old_one_stays(daemon):
    before = daemon.call("PUT", "/v1/policies/login", POLICY)
    answer = daemon.call("PUT", "/v1/policies/login", BAD)
    assert (answer.status, answer.code) == (422, "invalid")
    pointers = {pointer for pointer, _ in answer.errors}
    assert pointers == {"/nam", "/mode", "/priority", "/match/client/in/0",
                        "/match/client/in/1", "/match/method", "/detect/rate/requests",
                        "/action", "/action/ban/seconds"} or pointers >= {
                            "/nam", "/mode", "/priority", "/match/client/in/0",
                            "/match/method", "/detect/rate/requests", "/action"}
    assert str(len(answer.json["errors"])) in answer.json["detail"]
    now = daemon.call("GET", "/v1/policies/login")
    assert now.headers["etag"] == before.headers["etag"]
    assert revision(daemon) == 1


def test_300_07_unknown_key_says_did_you_mean(daemon):
    answer = daemon.call("PUT", "/v1/policies/login",
                         {**POLICY, "match": {"method": ["POST"]}})
    assert answer.errors == {("/match/method", "unknown_key")}
    assert 'did you mean "methods"?' in answer.json["errors"][0]["message"]


def test_300_08_cidr_with_host_bits_names_the_corrected_one(daemon):
    answer = daemon.call("PUT", "/v1/policies/login",
                         {**POLICY, "match": {"client": {"in": ["203.0.113.7/24"]}}})
    assert answer.status == 422
    assert answer.errors == {("/match/client/in/0", "cidr_host_bits")}
    assert "203.0.113.0/24" in answer.json["errors"][0]["message"]


def test_300_09_name_in_body_must_be_the_paths(daemon):
    answer = daemon.call("PUT", "/v1/policies/login", {**POLICY, "name": "other"})
    assert answer.status == 422
    assert answer.errors == {("/name", "name_mismatch")}


@pytest.mark.parametrize("name", ["Login", "-a", "a-", "a_b", "a" * 64, "%C3%A4"])
def test_300_10_bad_names_are_refused(daemon, name):
    answer = daemon.call("PUT", f"/v1/policies/{name}", POLICY)
    assert answer.status == 422
    assert {pointer for pointer, _ in answer.errors} == {"/name"}


def test_300_11_unknown_list_is_named_with_a_suggestion(daemon):
    assert daemon.call("PUT", "/v1/lists/office", {"entries": []}).status == 201
    answer = daemon.call("PUT", "/v1/policies/login",
                         {**POLICY, "match": {"client": {"in": ["@ofice"]}}})
    assert answer.errors == {("/match/client/in/0", "list_unknown")}
    assert 'did you mean "office"' in answer.json["errors"][0]["message"]


@pytest.mark.parametrize("raw", [b"{", b"", b"[1,", b'{"a":1}x', b"nope", b"\xff{}",
                                 b'{"detect":{"always":{}},"detect":{"always":{}}}',
                                 b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
                                 b'{"a":"\\u0000"}'])
def test_300_12_invalid_json_is_400(daemon, raw):
    answer = daemon.call("PUT", "/v1/policies/login", raw=raw)
    assert (answer.status, answer.code) == (400, "invalid_json")


def test_300_13_json_that_is_no_object_is_refused(daemon):
    assert daemon.call("PUT", "/v1/policies/login", raw=b"[]").status == 422


def test_300_14_two_megabytes_are_413(daemon):
    answer = daemon.call("PUT", "/v1/policies/login", {**POLICY, "description": "x" * 2 ** 21})
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert daemon.call("GET", "/v1/policies/login").status == 404


def test_300_15_two_megabytes_in_chunks_are_413(daemon):
    def chunks():
        for _ in range(32):
            yield b" " * 65536
    answer = daemon.call("PUT", "/v1/policies/login", raw=chunks())
    assert (answer.status, answer.code) == (413, "body_too_large")


def test_300_16_if_match_guards_replace_patch_and_delete(daemon):
    etag = daemon.call("PUT", "/v1/policies/login", POLICY).headers["etag"]
    wrong = '"0123456789abcdef0123456789abcdef"'
    for method, body in (("PUT", POLICY), ("PATCH", {"mode": "off"}), ("DELETE", None)):
        answer = daemon.call(method, "/v1/policies/login", body, if_match=wrong)
        assert (answer.status, answer.code) == (412, "precondition_failed"), method
        assert daemon.call(method, "/v1/policies/login", body, if_match="W/" + etag,
                           ).status == 412
    changed = daemon.call("PATCH", "/v1/policies/login", {"mode": "off"}, if_match=etag)
    assert changed.status == 200 and changed.headers["etag"] != etag
    assert daemon.call("DELETE", "/v1/policies/login", if_match="*").status == 204
    assert daemon.call("PUT", "/v1/policies/login", POLICY, if_match="*").status == 412


def test_300_17_if_none_match_star_creates_only(daemon):
    first = daemon.call("PUT", "/v1/policies/login", POLICY, if_none_match="*")
    again = daemon.call("PUT", "/v1/policies/login", POLICY, if_none_match="*")
    assert (first.status, again.status) == (201, 412)


def test_300_41_a_policy_that_has_expired_is_shown_to_be_off(daemon):
    for end, mode in (("2020-01-01T00:00:00Z", "off"), ("2099-01-01T00:00:00Z", "enforce")):
        document = {**POLICY, "mode": "enforce", "expires_at": end}
        answer = daemon.call("PUT", "/v1/policies/login?force=true", document).json
        assert answer["status"]["effective"]["mode"] == mode
        assert answer["mode"] == "enforce"  # as it was sent


def test_300_42_one_point_nought_is_an_integer_wherever_the_schema_says_so(daemon):
    policy = {**POLICY, "detect": {"rate": {"requests": 10.0, "per_seconds": 60.0}}}
    assert daemon.call("PUT", "/v1/policies/login", policy).status == 201
    override = {"limit_percent": 50.0, "until": "2099-01-01T00:00:00Z"}
    assert daemon.call("PUT", "/v1/policies/login/override", override).status == 201
    shown = daemon.call("GET", "/v1/policies/login").json["status"]["effective"]
    assert shown["detect"]["rate"][0]["requests"] == 5
    tried = daemon.call("POST", "/v1/policies:test",
                        {"requests": [{"client": "192.0.2.7", "repeat": 3.0}]})
    assert len(tried.json["items"]) == 3
    ban = daemon.call("PUT", "/v1/bans/ip:192.0.2.8",
                      {"key": {"client": "192.0.2.8"}, "seconds": 60.0, "status": 429.0})
    assert ban.status == 201 and ban.json["status"]["refusal_status"] == 429
    held = daemon.call("POST", "/v1/check:release", {"client": "192.0.2.8",
                                                     "hold_seconds": 60.0})
    assert held.status == 200 and held.json["held_until"] is not None


def test_300_43_one_object_too_many_is_said_of_the_configuration(daemon):
    one = {"detect": {"always": {}}, "action": {"log": {}}}
    full = {"policies": [{"name": f"p{number}", **one} for number in range(1024)]}
    assert daemon.call("PUT", "/v1/sets/full", full).status == 201
    for path, body in (("/v1/policies/more", one),
                       ("/v1/sets/other", {"policies": [{"name": "more", **one}]})):
        answer = daemon.call("PUT", path, body)
        assert (answer.status, answer.code) == (422, "too_many")
        assert answer.json["detail"] == (
            "There would be 1025 policies; at most 1024 can be configured.")


def test_300_40_what_is_not_there_and_what_is_in_force_are_named(daemon):
    for path, detail in (("/v1/policies/nix", 'There is no policy "nix".'),
                         ("/v1/policies/nix/stats", 'There is no policy "nix".'),
                         ("/v1/policies/nix/override",
                          'There is no override of the policy "nix".'),
                         ("/v1/lists/nix/entries", 'There is no list "nix".'),
                         ("/v1/sets/nix", 'There is no set "nix".'),
                         ("/v1/tokens/nix", 'There is no token "nix".'),
                         ("/v1/webhooks/nix", 'There is no webhook "nix".')):
        answer = daemon.call("GET", path)
        assert (answer.status, answer.json["detail"]) == (404, detail)
    etag = daemon.call("PUT", "/v1/policies/login", POLICY).headers["etag"]
    answer = daemon.call("PUT", "/v1/policies/login", POLICY, if_match=etag.strip('"'))
    assert answer.status == 412 and etag in answer.json["detail"]


def test_300_18_if_none_match_on_get_is_304(daemon):
    etag = daemon.call("PUT", "/v1/policies/login", POLICY).headers["etag"]
    answer = daemon.call("GET", "/v1/policies/login", if_none_match=etag)
    assert (answer.status, answer.text, answer.headers["etag"]) == (304, "", etag)
    assert daemon.call("GET", "/v1/policies/login", if_none_match='"x"').status == 200


def test_300_19_patch_merges_removes_and_keeps_the_rest(daemon):
    daemon.call("PUT", "/v1/policies/login", {**POLICY, "labels": {"a": "1", "b": "2"}})
    answer = daemon.call("PATCH", "/v1/policies/login",
                         {"labels": {"a": None, "c": "3"}, "mode": None, "priority": 7},
                         content_type="application/merge-patch+json")
    assert answer.status == 200
    spec = without_status(answer.json)
    assert spec["labels"] == {"b": "2", "c": "3"} and spec["priority"] == 7
    assert "mode" not in spec and spec["detect"] == POLICY["detect"]
    bad = daemon.call("PATCH", "/v1/policies/login", {"detect": None})
    assert bad.status == 422
    nothing = daemon.call("PATCH", "/v1/policies/login", {"priority": 7})
    assert nothing.headers["shield-changed"] == "false"


def test_300_20_patch_and_delete_of_what_is_not_there_are_404(daemon):
    assert daemon.call("PATCH", "/v1/policies/login", {"mode": "off"}).status == 404
    assert daemon.call("DELETE", "/v1/policies/login").status == 404
    assert daemon.call("GET", "/v1/policies/login").status == 404


def test_300_21_delete_is_204_and_gone(daemon):
    daemon.call("PUT", "/v1/policies/login", POLICY)
    answer = daemon.call("DELETE", "/v1/policies/login")
    assert (answer.status, answer.text) == (204, "")
    assert answer.headers["shield-revision"] == "2"
    assert daemon.call("GET", "/v1/policies/login").status == 404


def test_300_22_dry_run_answers_the_same_and_stores_nothing(daemon):
    dry = daemon.call("PUT", "/v1/policies/login?dry_run=true", POLICY)
    assert (dry.status, dry.headers["shield-changed"]) == (201, "true")
    assert daemon.call("GET", "/v1/policies/login").status == 404
    daemon.call("PUT", "/v1/policies/login", POLICY)
    before = daemon.call("GET", "/v1/policies/login").json
    assert daemon.call("PATCH", "/v1/policies/login?dry_run=true",
                       {"mode": "off"}).json["mode"] == "off"
    assert daemon.call("DELETE", "/v1/policies/login?dry_run=true").status == 204
    bad = daemon.call("PUT", "/v1/policies/login?dry_run=true", BAD)
    assert bad.status == 422
    assert daemon.call("GET", "/v1/policies/login").json == before
    assert revision(daemon) == 1


def test_300_23_collection_pages_by_cursor_without_loss(daemon):
    names = [f"p-{number:02}" for number in range(7)]
    for name in names:
        assert daemon.call("PUT", f"/v1/policies/{name}", POLICY).status == 201
    seen, cursor = [], ""
    while cursor is not None:
        page = daemon.call("GET", f"/v1/policies?limit=3&cursor={cursor}" if cursor
                           else "/v1/policies?limit=3").json
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        assert len(page["items"]) <= 3
    assert seen == names
    assert daemon.call("GET", "/v1/policies?limit=7").json["next_cursor"] is None


def test_300_24_empty_collection_is_an_empty_array(daemon):
    answer = daemon.call("GET", "/v1/policies")
    assert answer.text == '{"items":[],"next_cursor":null}\n'


def test_300_25_labels_filter_or_within_a_name_and_between_names(daemon):
    for name, labels in (("a", {"team": "web", "env": "prod"}), ("b", {"team": "api"}),
                         ("c", {"team": "web"}), ("d", {})):
        daemon.call("PUT", f"/v1/policies/{name}", {**POLICY, "labels": labels})

    def names(query):
        return [item["name"] for item in
                daemon.call("GET", f"/v1/policies?{query}").json["items"]]
    assert names("label=team=web") == ["a", "c"]
    assert names("label=team=web&label=team=api") == ["a", "b", "c"]
    assert names("label=team=web&label=env") == ["a"]
    assert names("label=nothing") == []


def test_300_26_ndjson_streams_everything(daemon):
    for number in range(120):
        daemon.call("PUT", f"/v1/policies/p-{number:03}?view=spec", POLICY)
    answer = daemon.call("GET", "/v1/policies?view=spec", accept="application/x-ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.text.splitlines()
    assert len(lines) == 120 and json.loads(lines[0]) == {"name": "p-000", **POLICY}


@pytest.mark.parametrize("query,code", [
    ("limit=0", "invalid_parameter"), ("limit=1001", "invalid_parameter"),
    ("limit=ten", "invalid_parameter"), ("limit=1&limit=2", "invalid_parameter"),
    ("cursor=zz", "invalid_cursor"), ("cursor=abc", "invalid_cursor"),
    ("view=all", "invalid_parameter"), ("pretty=yes", "invalid_parameter"),
    ("limitt=3", "unknown_parameter"), ("dry_run=true", "unknown_parameter")])
def test_300_27_bad_query_parameters_are_400(daemon, query, code):
    answer = daemon.call("GET", f"/v1/policies?{query}")
    assert (answer.status, answer.code) == (400, code)
    if query.startswith("limitt"):
        assert 'did you mean "limit"' in answer.json["detail"]


def test_300_28_validate_says_what_a_put_would_say(daemon):
    good = daemon.call("POST", "/v1/policies:validate", {"name": "x", **POLICY})
    assert good.status == 200 and good.json["valid"] is True
    assert good.json["effective"]["scope"] == "fleet"
    bad = daemon.call("POST", "/v1/policies:validate", BAD)
    assert bad.status == 422
    assert bad.errors == daemon.call("PUT", "/v1/policies/login", BAD).errors
    assert daemon.call("GET", "/v1/policies").json["items"] == []
    assert revision(daemon) == 0


def test_300_29_kill_9_keeps_what_was_acknowledged(daemon):
    acknowledged = []
    for number in range(40):
        if daemon.call("PUT", f"/v1/policies/k-{number:02}", POLICY).status == 201:
            acknowledged.append(f"k-{number:02}")
    daemon.kill()
    daemon.start()
    stored = [item["name"] for item in
              daemon.call("GET", "/v1/policies?limit=1000").json["items"]]
    assert stored == acknowledged and len(stored) == 40
    assert revision(daemon) == 40


def test_300_30_apps_and_responses_are_objects_too(daemon):
    app = daemon.call("PUT", "/v1/apps/shop", {"hosts": ["www.example.com"], "tier": 1})
    assert app.status == 201
    assert daemon.call("PATCH", "/v1/apps/shop", {"tier": 2}).json["tier"] == 2
    assert daemon.call("PUT", "/v1/apps/shop", {"tier": 9}).errors == {("/tier", "out_of_range")}
    page = daemon.call("PUT", "/v1/responses/sorry",
                       {"content_type": "text/plain", "body": "No. {incident}"})
    assert page.status == 201
    big = daemon.call("PUT", "/v1/responses/sorry", {"body": "x" * 4097})
    assert big.status == 422 and {pointer for pointer, _ in big.errors} == {"/body"}
    policy = copy.deepcopy(POLICY)
    policy["action"] = {"deny": {"response": "sorry"}}
    assert daemon.call("PUT", "/v1/policies/closed", policy).status == 201
    answer = daemon.call("DELETE", "/v1/responses/sorry")
    assert (answer.status, answer.code) == (409, "still_referenced")
    assert "closed" in answer.json["detail"]
    daemon.call("DELETE", "/v1/policies/closed")
    assert daemon.call("DELETE", "/v1/responses/sorry").status == 204
    assert [item["name"] for item in daemon.call("GET", "/v1/apps").json["items"]] == ["shop"]
    assert daemon.call("DELETE", "/v1/apps/shop").status == 204


# ------------------------------------------------------------------ one's own address

def test_300_90_policy_that_bans_its_author_needs_force(daemon):
    ban = {"mode": "enforce", "detect": {"always": {}}, "action": {"ban": {"seconds": 60}}}
    answer = daemon.call("PUT", "/v1/policies/all", ban)
    assert (answer.status, answer.code) == (422, "bans_own_address")
    assert "force=true" in answer.json["detail"]
    assert daemon.call("GET", "/v1/policies/all").status == 404
    whole = {"policies": [{"name": "all", **ban}], "lists": [], "apps": [], "responses": []}
    assert daemon.call("PUT", "/v1/config", whole).code == "bans_own_address"
    # Watching bans nobody; switching it on does.
    assert daemon.call("PUT", "/v1/policies/all", {**ban, "mode": "observe"}).status == 201
    on = {"mode": "enforce"}
    assert daemon.call("PATCH", "/v1/policies/all", on).code == "bans_own_address"
    assert daemon.call("PATCH", "/v1/policies/all?force=true", on).status == 200


def test_300_91_policy_for_others_or_some_paths_needs_no_force(daemon):
    for name, match in [("others", {"client": {"in": ["203.0.113.0/24"]}}),
                        ("trap", {"paths": ["/.env"]}),
                        ("except-me", {"except": [{"client": {"in": ["127.0.0.0/8"]}}]})]:
        ban = {"mode": "enforce", "match": match, "detect": {"always": {}},
               "action": {"ban": {"seconds": 60}}}
        assert daemon.call("PUT", f"/v1/policies/{name}", ban).status == 201, name
