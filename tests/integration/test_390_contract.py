# SPDX-License-Identifier: Apache-2.0
"""The route table and the contract say the same: who may call what, with which
parameters. Asked of a running daemon, call by call."""
import json
import re

from daemon import OPENAPI, daemon  # noqa: F401 (a fixture)

LADDER = ["viewer", "operator", "editor", "admin"]
VALUES = {"name": "nothing", "id": "ip:192.0.2.1", "set": "nothing", "revision": "999999", "file": "x.json"}


def contract():
    return json.loads(OPENAPI.read_text())


def operations():
    for path, methods in contract()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def concrete(path):
    if path.startswith("/v1/incidents/{id}"):
        path = path.replace("{id}", "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    return re.sub(r"\{(\w+)\}", lambda match: VALUES[match[1]], path)


def parameters(operation):
    known = contract()["components"]["parameters"]
    for item in operation["parameters"]:
        yield known[item["$ref"].split("/")[-1]] if "$ref" in item else item


def body(operation):
    return {} if "requestBody" in operation else None


def test_390_01_nobody_gets_in_without_a_token_but_where_none_is_needed(daemon):
    for method, path, operation in operations():
        answer = daemon.call(method, concrete(path), body(operation), token=None)
        assert (answer.status == 401) == (operation["x-role"] != "none"), (method, path)


def test_390_02_each_role_calls_what_the_contract_gives_it(daemon):
    tokens = {role: daemon.token_of(role) for role in LADDER + ["metrics", "auditor"]}
    for method, path, operation in operations():
        needed = operation["x-role"]
        for role, token in tokens.items():
            # dry_run: an admin may do everything, and the tokens must survive it.
            suffix = "?dry_run=true" if any(one["name"] == "dry_run"
                                            for one in parameters(operation)) else ""
            answer = daemon.call(method, concrete(path) + suffix, body(operation), token=token)
            may = needed in ("none", role) or (needed, role) == ("auditor", "admin") or (
                role in LADDER and needed != "auditor" and (needed == "metrics" or
                    LADDER.index(role) >= LADDER.index(needed)))
            assert (answer.status != 403) == may, (method, path, role, answer)


def test_390_03_documented_parameters_are_known_others_are_not(daemon):
    for method, path, operation in operations():
        for parameter in parameters(operation):
            if parameter["in"] != "query" or parameter["name"] == "wait_seconds":
                continue
            answer = daemon.call(method, f"{concrete(path)}?{parameter['name']}=%00bad",
                                 body(operation))
            assert answer.status < 400 or answer.code != "unknown_parameter", (path, answer)
        answer = daemon.call(method, concrete(path) + "?no_such_thing=1", body(operation))
        assert answer.status == 400 and answer.code == "unknown_parameter", (path, answer)


def test_390_04_methods_that_are_not_documented_are_not_allowed(daemon):
    for path, methods in contract()["paths"].items():
        for method in {"get", "put", "post", "patch", "delete"} - set(methods):
            answer = daemon.call(method.upper(), concrete(path), raw=b"")
            assert answer.status == 405, (method, path, answer)
            assert {name.strip().lower() for name in answer.headers["allow"].split(",")} \
                - {"head"} == set(methods), (path, answer)
