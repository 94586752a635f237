# SPDX-License-Identifier: Apache-2.0
"""Every answer of the daemon against the schema that the contract gives for it, with the
project's own validator (contract_tool.c), which the official suite keeps honest."""
import functools
import json
import subprocess
import threading

from httpd import BUILD

TOOL = BUILD / "tests" / "integration" / "contract_tool"
LOCK = threading.Lock()  # tests call from several threads, the tool answers in order


@functools.cache
def tool():
    """Ends with its standard input, so with this process."""
    return subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ask(line):
    with LOCK:
        process = tool()
        process.stdin.write(json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        return process.stdout.readline().decode().strip()


def problems(method, template, status, content_type, text):
    """What is wrong with this answer, "" when nothing is. `template` is the path as the
    contract has it; every line of NDJSON is checked."""
    media_type = content_type.partition(";")[0].strip()
    bodies = [text]
    if media_type == "application/x-ndjson":
        bodies = [json.loads(line) for line in text.splitlines()]
    elif media_type.endswith("json"):
        bodies = [json.loads(text)]
    for body in bodies:
        found = ask({"method": method.lower(), "path": template, "status": status,
                     "type": media_type, "body": body})
        if found:
            return found
    return ""
