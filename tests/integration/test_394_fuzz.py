# SPDX-License-Identifier: Apache-2.0
"""Thousands of documents, most of them nearly valid: the daemon and ajv must agree about
each of them, and no answer may be a server error or hang (tests/contract/fuzz.cjs)."""
import os
import re
import subprocess

from contract import CHECKER, OPENAPI
from daemon import POLICY, daemon  # noqa: F401 (a fixture)

CASES = int(os.environ.get("L7S_FUZZ_CASES", "2000"))
# The suite tries the same cases each time; the long run (script/fuzz api) draws its own.
SEED = os.environ.get("L7S_FUZZ_SEED", "1" if CASES == 2000 else None)


def test_394_01_daemon_and_ajv_agree(daemon):
    for kind, document in (("policies", POLICY), ("lists", {}), ("responses", {"body": "no"}),
                           ("apps", {"hosts": ["a.example"]})):
        assert daemon.call("PUT", f"/v1/{kind}/kept", document).status == 201
    run = subprocess.run(
        ["node", CHECKER.parent / "fuzz.cjs", OPENAPI, f"http://127.0.0.1:{daemon.port}",
         str(CASES), *filter(None, [SEED])],
        env={**os.environ, "TOKEN": daemon.token}, capture_output=True, text=True,
        timeout=60 + CASES / 20, check=False)
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
    cases, accepted, refused = map(int, re.search(
        r": (\d+) cases.* (\d+) accepted, (\d+) refused", run.stdout).groups())
    assert cases == CASES and accepted > CASES / 20 and refused > CASES / 5, run.stdout
    assert daemon.call("GET", "/v1").json["revision"] == 4
