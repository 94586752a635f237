# SPDX-License-Identifier: Apache-2.0
"""Lists of strings: values of headers, which may be secrets."""
import hashlib
import time

import pytest
from daemon import daemon  # noqa: F401
from fleet import Fleet
from httpd import config, policy, rate, wait_until

KEYS = {"name": "api-keys", "kind": "strings",
        "entries": [{"value": "k-5b3f-secret"}, {"value": "k-77aa-secret"}]}
UNKNOWN = policy("unknown-key", {"deny": {"status": 401}}, {"except": [
    {"headers": [{"name": "X-Api-Key", "is": "equals", "list": "api-keys"}]}]})


def digest(value):
    return hashlib.sha256(value.encode()).hexdigest()


@pytest.fixture
def keys(daemon):  # noqa: F811
    assert daemon.call("PUT", "/v1/lists/api-keys", KEYS).status == 201
    return daemon


def status(server, key, address="127.0.7.1", **options):
    headers = {} if key is None else {"X-Api-Key": key}
    return server.get("/page.txt", address=address, headers=headers, **options).status


# ------------------------------------------------------------------- on a node

@pytest.mark.parametrize("tls", [False, True])
def test_730_01_header_equals_a_value_of_the_list_and_nothing_else(httpd, tls):
    server = httpd(policies=config(UNKNOWN, lists=[KEYS]), tls=tls)
    for key in ("k-5b3f-secret", "k-77aa-secret"):
        assert status(server, key, tls=tls) == 200
    for key in (None, "", "k", "K-5B3F-SECRET", "k-5b3f-secret1", "k-5b3f-secre", "k-*"):
        assert status(server, key, tls=tls) == 401


def test_730_02_changed_and_expiring_entries_take_effect_without_a_reload(httpd):
    server = httpd(policies=config(UNKNOWN, lists=[KEYS]))
    assert status(server, "k-new") == 401
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4))
    server.write_policies(config(UNKNOWN, lists=[{**KEYS, "entries": [
        {"value": "k-new", "expires_at": soon}, {"value": "k-77aa-secret"}]}]))
    wait_until(lambda: status(server, "k-new") == 200, 3, "the new key")
    assert status(server, "k-5b3f-secret") == 401
    wait_until(lambda: status(server, "k-new") == 401, 8, "the end of the key")
    assert status(server, "k-77aa-secret") == 200


def test_730_03_hundred_thousand_keys_are_each_known(httpd):
    entries = [{"value": f"key-{number:06}"} for number in range(100000)]
    server = httpd(policies=config(UNKNOWN, lists=[{**KEYS, "entries": entries}]),
                   directives="L7ShieldMemory 64M")
    client = server.client("127.0.7.1")
    for number in range(0, 100000, 997):
        assert client.get(headers={"X-Api-Key": f"key-{number:06}"}).status == 200
        assert client.get(headers={"X-Api-Key": f"key-{number:06}x"}).status == 401
    client.close()


def test_730_04_keys_stand_in_no_log_record_or_answer(httpd):
    """A policy that counts by the header of the keys and matches by their list."""
    limit = policy("per-key", {"throttle": {}}, {"headers": [
        {"name": "X-Api-Key", "is": "equals", "list": "api-keys"}]},
        detect=rate(1, 60), count={"by": ["header:X-Api-Key"]})
    server = httpd(policies=config(limit, lists=[KEYS]))
    assert status(server, "k-5b3f-secret") == 200
    refused = server.get("/page.txt", address="127.0.7.1",
                         headers={"X-Api-Key": "k-5b3f-secret"})
    assert refused.status == 429
    assert b"secret" not in refused.body and "secret" not in str(refused.headers)

    def logged():
        return [line for line in server.accesses() if "policy=per-key" in line]
    lines = wait_until(logged, 3, "the refusal in the access log")
    assert "key=header:x-api-key=h:" in lines[0] and "secret" not in lines[0]
    assert "secret" not in server.error_log.read_text()
    for file in server.state_dir.rglob("*"):
        assert not file.is_file() or b"-secret" not in file.read_bytes(), file


# ----------------------------------------------------------------- over the API

def test_730_10_entries_are_named_by_the_hash_of_their_value(keys):
    path = f"/v1/lists/api-keys/entries/{digest('k-5b3f-secret')}"
    assert keys.call("GET", path).json == {"value": "k-5b3f-secret"}
    assert keys.call("GET", "/v1/lists/api-keys/entries/k-5b3f-secret").status == 404
    added = {"value": "k/with space", "attributes": {"plan": "gold"}}
    new = f"/v1/lists/api-keys/entries/{digest('k/with space')}"
    assert keys.call("PUT", new, added).status == 201
    assert keys.call("PUT", new, added).headers["shield-changed"] == "false"
    wrong = keys.call("PUT", path, {"value": "another"})
    assert wrong.errors == {("/value", "id_mismatch")}
    assert keys.call("DELETE", path).status == 204
    page = keys.call("GET", "/v1/lists/api-keys/entries?limit=1").json
    assert [entry["value"] for entry in page["items"]] == ["k-77aa-secret"]
    page = keys.call("GET", f"/v1/lists/api-keys/entries?cursor={page['next_cursor']}").json
    assert page["items"] == [added]


def test_730_11_batch_of_strings(keys):
    answer = keys.call("POST", "/v1/lists/api-keys/entries:batch", {
        "put": [{"value": "k-1"}, {"value": "k-77aa-secret", "note": "rotated"}],
        "delete": [digest("k-5b3f-secret"), digest("nobody")]})
    assert answer.json == {"created": 1, "updated": 1, "deleted": 1, "unchanged": 1}
    entries = keys.call("GET", "/v1/lists/api-keys").json["entries"]
    assert [entry["value"] for entry in entries] == ["k-77aa-secret", "k-1"]


def test_730_12_list_in_use_stays_and_keeps_its_kind(keys):
    assert keys.call("PUT", "/v1/policies/unknown-key", UNKNOWN).status == 201
    gone = keys.call("DELETE", "/v1/lists/api-keys")
    assert (gone.status, gone.code) == (409, "list_in_use")
    assert "unknown-key" in gone.json["detail"]
    other = keys.call("PUT", "/v1/lists/api-keys", {"entries": []})
    assert other.status == 409, "strings cannot become addresses under a policy"
    assert other.code == "still_referenced"
    bad = {**UNKNOWN, "name": "bad", "match": {"client": {"in": ["@api-keys"]}}}
    assert keys.call("PUT", "/v1/policies/bad", bad).errors == {
        ("/match/client/in/0", "list_kind")}
    bad = {**UNKNOWN, "name": "bad", "match": {"headers": [
        {"name": "x", "is": "equals", "list": "api-kyes"}]}}
    answer = keys.call("PUT", "/v1/policies/bad", bad)
    assert answer.errors == {("/match/headers/0/list", "list_unknown")}
    assert 'did you mean "api-keys"' in answer.json["errors"][0]["message"]


def test_730_13_fleet_knows_a_new_key_at_once_and_keeps_it_to_itself():
    fleet = Fleet(nodes=2).start()
    try:
        fleet.put("/v1/lists/api-keys", KEYS)
        fleet.put_policy(UNKNOWN)
        assert [status(node, "k-77aa-secret") for node in fleet.nodes] == [200, 200]
        assert [status(node, "k-late-secret") for node in fleet.nodes] == [401, 401]
        fleet.put(f"/v1/lists/api-keys/entries/{digest('k-late-secret')}",
                  {"value": "k-late-secret"})
        assert [status(node, "k-late-secret") for node in fleet.nodes] == [200, 200]
        assert "-secret" not in fleet.api("GET", "/v1/incidents").text
        assert "-secret" not in fleet.daemon.log()
        assert not [node for node in fleet.nodes if "-secret" in node.error_log.read_text()]
    finally:
        unexpected = fleet.close()
    assert not unexpected, "\n".join(unexpected)
