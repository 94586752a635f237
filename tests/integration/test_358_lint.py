# SPDX-License-Identifier: Apache-2.0
"""POST /v1/policies:validate: what is valid and probably not meant, beside what is stored.
Each rule has its unit test (tests/core/test_lint.c); here is what a caller sees."""
from daemon import daemon  # noqa: F401 (a fixture)
from httpd import policy, rate


def warnings(daemon, document):
    answer = daemon.call("POST", "/v1/policies:validate", document)
    assert answer.status == 200 and answer.json["valid"] and answer.json["errors"] == [], answer
    for warning in answer.json["warnings"]:
        assert len(warning["message"]) > 20, warning
    return {(warning["code"], warning["pointer"]) for warning in answer.json["warnings"]}


def put(daemon, path, document):
    answer = daemon.call("PUT", path, document)
    assert answer.status == 201, answer


def test_358_01_a_good_policy_has_no_warnings(daemon):
    assert warnings(daemon, policy("login", {"throttle": {}}, {"paths": ["/login"]},
                                   detect=rate(10, 60))) == set()


def test_358_02_it_is_looked_at_beside_what_is_stored(daemon):
    put(daemon, "/v1/lists/office", {"effect": "allow", "entries": [{"value": "198.51.100.0/24"}]})
    put(daemon, "/v1/policies/closed", policy(
        "closed", {"deny": {}}, {"paths": ["/admin/**"]}, priority=1))
    tried = policy("admin", {"ban": {"seconds": 40 * 86400}}, {
        "paths": ["/admin/login"], "client": {"in": ["198.51.100.7"]},
        "headers": [{"name": "x-a", "is": "absent"}, {"name": "X-A", "is": "present"}]},
        detect=rate(10, 60), count={"by": ["header:x-key"]})
    assert warnings(daemon, tried) == {
        ("shadowed", "/priority"), ("contradictory", "/match/headers/1"),
        ("overlaps_allow_list", "/match/client/in"), ("unbounded_keys", "/count/by/0"),
        ("long_ban", "/action/ban/seconds")}
    assert daemon.call("DELETE", "/v1/policies/closed").status == 204
    assert ("shadowed", "/priority") not in warnings(daemon, tried)


def test_358_03_a_stored_policy_is_replaced_by_what_is_tried(daemon):
    """It is not its own companion, nor does it shadow itself."""
    put(daemon, "/v1/policies/keys", policy("keys", {"deny": {}}))
    tried = policy("keys", {"throttle": {}}, detect=rate(10, 60), count={"by": ["cookie:sid"]})
    assert warnings(daemon, tried) == {("unbounded_keys", "/count/by/0")}
    put(daemon, "/v1/policies/clients", policy("clients", {"throttle": {}}, detect=rate(99, 60)))
    assert warnings(daemon, tried) == set()


def test_358_04_errors_come_first(daemon):
    answer = daemon.call("POST", "/v1/policies:validate", policy(
        "p", {"ban": {"seconds": 40 * 86400}}, {"client": {"in": ["10.0.0.1/8"]}}))
    assert answer.status == 422 and answer.errors == {("/match/client/in/0", "cidr_host_bits")}
