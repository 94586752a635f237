# SPDX-License-Identifier: Apache-2.0
"""The contract as a document: redocly finds nothing, and nothing is left unsaid. Needs no
server."""
import functools
import json
import re
import shutil
import subprocess

from contract import CHECKER, OPENAPI

# People write these in files; no call takes or gives them.
FILES = {"Snapshot", "DaemonConfig"}
PROBLEMS = CHECKER.parent.parent.parent / "admin_api" / "http" / "problem.c"


@functools.cache
def contract():
    return json.loads(OPENAPI.read_text())


def operations():
    for path, methods in contract()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def resolved(value):
    while "$ref" in value:
        at = contract()
        for name in value["$ref"][2:].split("/"):
            at = at[name]
        value = at
    return value


def test_392_01_redocly_finds_nothing(tmp_path):
    assert shutil.which("node"), "needs node: run script/setup"
    document = json.loads(OPENAPI.read_text())
    for name in FILES:
        del document["components"]["schemas"][name]
    copy = tmp_path / "openapi.json"
    copy.write_text(json.dumps(document))
    run = subprocess.run(["node", CHECKER.parent / "lint.cjs", copy], capture_output=True,
                         text=True, timeout=120, check=False)
    assert run.stdout, f"redocly did not run; script/setup installs it:\n{run.stderr}"
    report = json.loads(run.stdout)
    found = [f"{problem['ruleId']}: {problem['message']} at "
             f"{problem['location'][0].get('pointer')}" for problem in report["problems"]]
    assert not found, "\n".join(found)
    assert run.returncode == 0


def test_392_02_every_media_type_has_an_example():
    missing = []
    for name, operation in operations():
        places = {"the request": operation.get("requestBody", {})}
        places.update(operation["responses"])
        for place, value in places.items():
            for media_type, media in resolved(value).get("content", {}).items():
                if "json" in media_type and not {"example", "examples"} & set(media):
                    missing.append(f"{name}, {place}, {media_type}: give its schema "
                                   "\"examples\" in schemas/openapi.yaml")
    assert not missing, "\n".join(missing)


def test_392_03_every_operation_header_and_parameter_is_described():
    missing = []
    for name, operation in operations():
        missing += [f"{name}: no {key}" for key in
                    ("operationId", "summary", "tags", "security", "x-role")
                    if key not in operation]
        for parameter in map(resolved, operation["parameters"]):
            if not parameter.get("description"):
                missing.append(f"{name}: parameter {parameter['name']}")
        for status, response in operation["responses"].items():
            for header, value in resolved(response)["headers"].items():
                if not resolved(value).get("description"):
                    missing.append(f"{name}, {status}: header {header}")
    assert not missing, "\n".join(missing)


def test_392_04_operation_ids_are_unique_and_tags_are_known():
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)
    known = {tag["name"] for tag in contract()["tags"]}
    assert {tag for _, operation in operations() for tag in operation["tags"]} == known


def test_392_05_codes_of_problems_are_those_of_the_daemon():
    rows = dict(re.findall(r'\{"(\w+)", (\d+), "', PROBLEMS.read_text()))
    known = {}
    for name, response in contract()["components"]["responses"].items():
        if name.startswith("Problem"):
            media = response["content"]["application/problem+json"]
            for code in media["schema"]["allOf"][1]["properties"]["code"]["enum"]:
                known[code] = name.removeprefix("Problem")
    # Neither belongs to an operation: a method that there is not, and what must not happen.
    assert rows.pop("method_not_allowed") == "405" and rows.pop("internal_error") == "500"
    assert known == rows, "x-codes in schemas/openapi.yaml and the rows of problem.c differ"
