# SPDX-License-Identifier: Apache-2.0
"""admin_api/README.md and the contract name the same endpoints and errors, and each of its
curl lines is one that the daemon understands."""
import json
import os
import re
import subprocess
from pathlib import Path

from contract import OPENAPI
from daemon import daemon  # noqa: F401 (a fixture)

README = Path(__file__).resolve().parent.parent.parent / "admin_api" / "README.md"
BLOCK = re.compile(r"^\*\*`([A-Z]+) (\S+)`\*\* .*\nrole: (\w+); errors: ([\d ]+)\n\n    (.*)$",
                   re.MULTILINE)
MEND = "run script/build and script/api-readme"


def described():
    """{(method, path): (role, errors, line)}"""
    return {(method, path): (role, errors.split(), line)
            for method, path, role, errors, line in BLOCK.findall(README.read_text())}


def documented():
    out = {}
    for path, methods in json.loads(OPENAPI.read_text())["paths"].items():
        for method, operation in methods.items():
            errors = [status for status in operation["responses"] if status >= "400"]
            out[(method.upper(), path)] = (operation["x-role"], errors)
    return out


def test_393_01_every_endpoint_is_described_and_no_other():
    missing = sorted(documented().keys() - described().keys())
    assert not missing, f"admin_api/README.md lacks {missing}: {MEND}"
    gone = sorted(described().keys() - documented().keys())
    assert not gone, f"admin_api/README.md has {gone}, the contract has not: {MEND}"


def test_393_02_roles_and_errors_are_those_of_the_contract():
    known = documented()
    for call, (role, errors, _) in described().items():
        assert (role, errors) == known[call], f"{call} in admin_api/README.md: {MEND}"


def test_393_03_every_line_is_understood(daemon):  # noqa: F811
    environment = {**os.environ, "shield": f"http://127.0.0.1:{daemon.port}",
                   "auth": f"Authorization: Bearer {daemon.token}"}
    dry = {(method.upper(), path)
           for path, methods in json.loads(OPENAPI.read_text())["paths"].items()
           for method, operation in methods.items()
           if {"$ref": "#/components/parameters/dry_run"} in operation["parameters"]}
    for (method, path), (_, _, line) in described().items():
        # A dry run, where there is one: the admin's token must survive all of them.
        line = re.sub(r"^curl ", "curl -w '\\n%{http_code}' --max-time 30 ", line)
        if (method, path) in dry and path != "/v1/session":
            line = re.sub(r'"(\$shield[^"]*)"', lambda at: '"' + at[1] + (
                "&" if "?" in at[1] else "?") + 'dry_run=true"', line, count=1)
        done = subprocess.run(["bash", "-c", line], env=environment, text=True, check=False,
                              capture_output=True, cwd=daemon.root)
        body, _, status = done.stdout.rpartition("\n")
        assert done.returncode == 0, (line, done.stderr)
        # What it asks for is not there, or asks for more: but nothing is wrong with the line.
        assert int(status) < 300 or status in ("401", "404", "409", "422", "503"), (line, body)
        assert status != "422" or "unknown_key" not in body, (line, body)
