# SPDX-License-Identifier: Apache-2.0
"""What the tests of conf/examples have in common."""
import json
import os
import subprocess
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "conf" / "examples"
WEB = json.loads((EXAMPLES / "web.json").read_text())


def environment(daemon, **more):
    """For a script that talks to this daemon as its first administrator."""
    return {**os.environ, "LC_ALL": "C.UTF-8", "SHIELD": f"http://127.0.0.1:{daemon.port}",
            "SHIELD_TOKEN_FILE": str(daemon.token_file), **more}


def run(command, seconds=60, **options):
    return subprocess.run(command, text=True, capture_output=True, timeout=seconds, **options)


def stored(daemon, name="web"):
    """The set as it was sent, or None."""
    answer = daemon.call("GET", f"/v1/sets/{name}?view=spec")
    return answer.json if answer.status == 200 else None


def revision(daemon):
    return daemon.call("GET", "/v1").json["revision"]
