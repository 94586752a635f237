# SPDX-License-Identifier: Apache-2.0
"""JSONTestSuite against the running daemon, every file as the body of a request. The folder
that L7S_CONFORMANCE_DATA names holds it; what the reader does with it by itself, and the
official suite of JSON Schema, are in tests/core/test_json_read.c and test_schema.c."""
import os
from pathlib import Path

import pytest

from daemon import daemon  # noqa: F401 (a fixture)

# Valid JSON that is refused on purpose: NUL within strings, and duplicate keys.
WANTED_REFUSALS = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json",
                   "y_object_escaped_null_in_key.json", "y_string_null_escape.json"}


def files(kind):
    folder = os.environ.get("L7S_CONFORMANCE_DATA")
    if folder is None:
        pytest.skip("L7S_CONFORMANCE_DATA is not set")
    return sorted(Path(folder, "json-test-suite", "test_parsing").glob(f"{kind}_*.json"))


def send(daemon, path, connection):
    return daemon.call("PUT", "/v1/policies/conformance?dry_run=true",
                       raw=path.read_bytes(), connection=connection)


def test_391_01_what_is_json_is_read_and_judged_as_a_policy(daemon):
    connection = daemon.connect()
    for path in files("y"):
        answer = send(daemon, path, connection)
        if path.name in WANTED_REFUSALS:
            assert (answer.status, answer.code) == (400, "invalid_json"), (path, answer)
        else:
            assert (answer.status, answer.code) == (422, "invalid"), (path, answer)
    connection.close()


def test_391_02_what_is_not_json_is_400(daemon):
    connection = daemon.connect()
    for path in files("n"):
        answer = send(daemon, path, connection)
        assert (answer.status, answer.code) == (400, "invalid_json"), (path, answer)
    connection.close()


def test_391_03_what_may_be_either_is_one_of_both(daemon):
    connection = daemon.connect()
    for path in files("i"):
        assert send(daemon, path, connection).status in (400, 422), path
    connection.close()
    assert daemon.call("GET", "/livez").status == 200
