# SPDX-License-Identifier: Apache-2.0
"""/v1/lists and their entries: who owns what, one entry at a time and many at once."""
import pytest

from daemon import POLICY, daemon  # noqa: F401

OFFICE = {"effect": "allow", "entries": [{"value": "198.51.100.0/24", "note": "head office"},
                                         {"value": "2001:db8::/32"}]}


@pytest.fixture
def office(daemon):  # noqa: F811
    assert daemon.call("PUT", "/v1/lists/office", OFFICE).status == 201
    return daemon


def values(daemon, query=""):
    page = daemon.call("GET", f"/v1/lists/office/entries{query}").json
    return [entry["value"] for entry in page["items"]]


def test_310_01_list_comes_back_as_sent_with_a_count(office):
    document = office.call("GET", "/v1/lists/office").json
    assert document.pop("status")["entry_count"] == 2
    assert document == {"name": "office", **OFFICE}


def test_310_02_host_bits_name_the_entry_and_the_correction(daemon):
    bad = {"entries": [{"value": "192.0.2.1"}, {"value": "192.0.2.9/24"}, {"value": "nope"},
                       {"value": "192.0.2.1"}]}
    answer = daemon.call("PUT", "/v1/lists/office", bad)
    assert answer.status == 422
    pointers = {pointer: message["message"] for message in answer.json["errors"]
                for pointer in [message["pointer"]]}
    assert "192.0.2.0/24" in pointers["/entries/1/value"]
    assert "/entries/2/value" in pointers
    assert daemon.call("GET", "/v1/lists/office").status == 404


def test_310_03_unknown_key_in_an_entry_is_found(daemon):
    answer = daemon.call("PUT", "/v1/lists/office",
                         {"entries": [{"value": "192.0.2.1", "nota": "x"}]})
    assert answer.errors == {("/entries/0/nota", "unknown_key")}


def test_310_04_deleting_a_list_in_use_is_409_and_names_the_policy(office):
    policy = {**POLICY, "match": {"except": [{"client": {"in": ["@office"]}}]}}
    assert office.call("PUT", "/v1/policies/login", policy).status == 201
    answer = office.call("DELETE", "/v1/lists/office")
    assert (answer.status, answer.code) == (409, "list_in_use")
    assert answer.json["detail"] == (
        "policies/login refers to it at /match/except/0/client/in/0.")
    assert answer.errors == {("", "list_unknown")}
    assert office.call("GET", "/v1/lists/office").status == 200
    office.call("DELETE", "/v1/policies/login")
    assert office.call("DELETE", "/v1/lists/office").status == 204


def test_310_05_entries_are_objects_with_ids_from_their_value(office):
    entry = office.call("GET", "/v1/lists/office/entries/198.51.100.0_24")
    assert entry.status == 200 and entry.json["note"] == "head office"
    assert office.call("GET", "/v1/lists/office/entries/2001:db8::_32").status == 200
    assert office.call("GET", "/v1/lists/office/entries/192.0.2.1").status == 404
    assert office.call("GET", "/v1/lists/nope/entries/192.0.2.1").status == 404
    assert office.call("GET", "/v1/lists/nope/entries").status == 404


def test_310_06_put_entry_creates_replaces_and_repeats(office):
    path, body = "/v1/lists/office/entries/192.0.2.7", {"value": "192.0.2.7"}
    first = office.call("PUT", path, body)
    assert (first.status, first.headers["shield-changed"]) == (201, "true")
    assert first.headers["location"] == path
    same = office.call("PUT", path, body)
    assert (same.status, same.headers["shield-changed"]) == (200, "false")
    assert same.headers["etag"] == first.headers["etag"]
    noted = office.call("PUT", path, {**body, "note": "printer"},
                        if_match=first.headers["etag"])
    assert (noted.status, noted.headers["shield-changed"]) == (200, "true")
    assert office.call("PUT", path, body, if_match=first.headers["etag"]).status == 412
    assert office.call("PUT", path, body, if_none_match="*").status == 412
    assert values(office) == ["198.51.100.0/24", "2001:db8::/32", "192.0.2.7"]


def test_310_07_bad_entries_are_refused_relative_to_the_entry(office):
    path = "/v1/lists/office/entries/192.0.2.9_24"
    answer = office.call("PUT", path, {"value": "192.0.2.9/24"})
    assert answer.status == 422
    assert answer.errors == {("/value", "cidr_host_bits")}
    other = office.call("PUT", path, {"value": "192.0.2.0/24"})
    assert other.errors == {("/value", "id_mismatch")}
    over = office.call("PUT", "/v1/lists/office/entries/192.0.2.7",
                       {"value": "192.0.2.7", "expires_at": "2020-01-01T00:00:00Z"})
    assert over.errors == {("/expires_at", "in_the_past")}
    assert '"192.0.2.0_24"' in other.json["errors"][0]["message"]  # where it belongs
    assert len(values(office)) == 2


def test_310_08_delete_entry_is_204_then_404(office):
    path = "/v1/lists/office/entries/198.51.100.0_24"
    assert office.call("DELETE", path + "?dry_run=true").status == 204
    assert office.call("DELETE", path).status == 204
    assert office.call("DELETE", path).status == 404
    assert values(office) == ["2001:db8::/32"]


def test_310_09_batch_puts_and_deletes_atomically(office):
    answer = office.call("POST", "/v1/lists/office/entries:batch", {
        "put": [{"value": "192.0.2.1"}, {"value": "2001:db8::/32"},
                {"value": "192.0.2.2", "note": "x"}],
        "delete": ["198.51.100.0_24", "203.0.113.1"]})
    assert answer.status == 200
    assert answer.json == {"created": 2, "updated": 0, "deleted": 1, "unchanged": 2}
    assert values(office) == ["2001:db8::/32", "192.0.2.1", "192.0.2.2"]
    bad = office.call("POST", "/v1/lists/office/entries:batch", {
        "put": [{"value": "192.0.2.3"}, {"value": "192.0.2.9/24"}],
        "delete": ["2001:db8::_32"]})
    assert bad.status == 422
    assert bad.errors == {("/put/1/value", "cidr_host_bits")}
    assert values(office) == ["2001:db8::/32", "192.0.2.1", "192.0.2.2"]
    missing = office.call("POST", "/v1/lists/offices/entries:batch", {"delete": []})
    assert missing.json["detail"] == 'There is no list "offices".'


def test_310_10_put_without_entries_leaves_the_operators_alone(office):
    office.call("PUT", "/v1/lists/office/entries/192.0.2.7", {"value": "192.0.2.7"})
    answer = office.call("PUT", "/v1/lists/office", {"effect": "deny"})
    assert answer.status == 200
    assert len(values(office)) == 3
    again = office.call("PUT", "/v1/lists/office", {"effect": "deny"})
    assert again.headers["shield-changed"] == "false"
    emptied = office.call("PUT", "/v1/lists/office", {"effect": "deny", "entries": []})
    assert emptied.headers["shield-changed"] == "true"
    assert values(office) == []


def test_310_11_entries_of_a_set_are_the_documents(daemon):
    daemon.call("PUT", "/v1/lists/office", {**OFFICE, "entries_from": "set"})
    answer = daemon.call("PUT", "/v1/lists/office/entries/192.0.2.7", {"value": "192.0.2.7"})
    assert (answer.status, answer.code) == (409, "conflict")
    daemon.call("PUT", "/v1/lists/office", {"entries_from": "set"})
    assert values(daemon) == []


def test_310_12_entries_page_in_their_order(office):
    put = [{"value": f"192.0.2.{number}"} for number in range(250)]
    assert office.call("POST", "/v1/lists/office/entries:batch", {"put": put}).status == 200
    seen, cursor = [], None
    while True:
        page = office.call("GET", "/v1/lists/office/entries?limit=100" +
                           (f"&cursor={cursor}" if cursor else "")).json
        seen += [entry["value"] for entry in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 252
    assert seen[2:] == [entry["value"] for entry in put]


def test_310_13_large_list_goes_through(daemon):
    entries = [{"value": f"10.{a}.{b}.0/24", "note": "x" * 100}
               for a in range(80) for b in range(250)]
    answer = daemon.call("PUT", "/v1/lists/big?view=spec", {"entries": entries})
    assert answer.status == 201 and len(answer.body) > 2 ** 21
    document = daemon.call("GET", "/v1/lists/big?view=spec").json
    assert document == {"name": "big", "entries": entries}
    one = daemon.call("PUT", "/v1/lists/big/entries/192.0.2.1", {"value": "192.0.2.1"})
    assert one.status == 201


def test_310_14_operators_may_change_entries_but_not_lists(office):
    token = office.token_of("operator")
    assert office.call("PUT", "/v1/lists/office/entries/192.0.2.7", {"value": "192.0.2.7"},
                       token=token).status == 201
    answer = office.call("PUT", "/v1/lists/office", OFFICE, token=token)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert "editor" in answer.json["detail"]
