# SPDX-License-Identifier: Apache-2.0
"""Every answer of the daemon against the contract, with ajv as the judge: one process of
tests/contract/check.cjs for all that a run of tests receives.

What has been seen is kept: each documented operation and status must have been, once all
tests have run (test_395)."""
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from httpd import BUILD

OPENAPI = BUILD / "schemas" / "openapi.json"
CHECKER = Path(__file__).resolve().parent.parent / "contract" / "check.cjs"
LOCK = threading.Lock()  # tests call from several threads, the checker answers in order
SEEN = set()  # (method, path of the contract, status), of this process


@functools.cache
def checker():
    """Ends with its standard input, so with this process."""
    assert shutil.which("node"), "needs node: run script/setup"
    return subprocess.Popen(["node", CHECKER, OPENAPI], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE)


def ask(exchange):
    line = json.dumps(exchange).encode() + b"\n"
    with LOCK:
        process = checker()
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except BrokenPipeError:
            pass  # it says why on standard error
        answer = process.stdout.readline()
    if not answer:
        raise RuntimeError("the checker ended; script/setup installs what it needs from npm")
    return answer.decode().strip()


def problem(method, template, answer):
    """What is wrong with this answer, "" when nothing is. `template` is the path as the
    contract has it."""
    note(method.lower(), template, answer.status)
    return ask({"method": method.lower(), "path": template, "status": answer.status,
                "headers": answer.headers, "body": answer.text})


# ------------------------------------------------------------------ what has been seen

@functools.cache
def folder():
    """Of this contract: what was seen of another one is not counted."""
    digest = hashlib.sha256(OPENAPI.read_bytes()).hexdigest()[:16]
    path = BUILD / "tests" / "integration" / "seen" / digest
    path.mkdir(parents=True, exist_ok=True)
    return path


def note(method, template, status):
    """Once each, in a file of its own for each file of tests."""
    if (method, template, status) in SEEN:
        return
    with LOCK:
        SEEN.add((method, template, status))
        name = os.environ.get("PYTEST_CURRENT_TEST", Path(sys.argv[0]).name)
        path = folder() / Path(name.split("::")[0]).stem
        line = f"{method} {template} {status}"
        if not path.exists() or line not in path.read_text().splitlines():
            with open(path, "a", encoding="utf-8") as out:
                out.write(line + "\n")


def seen():
    """{(method, path, status)} of all files of tests that have run with this contract."""
    out = set()
    for path in folder().iterdir():
        for line in path.read_text().splitlines():
            method, template, status = line.split(" ")
            out.add((method, template, int(status)))
    return out
