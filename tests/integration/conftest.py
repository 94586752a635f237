# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: real servers, and a look at their logs afterwards."""
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from httpd import APACHE, MODULE, Httpd  # noqa: E402


def pytest_collection_modifyitems(items):
    """A missing program fails the run; a skipped test would look like a passed one."""
    needed = any("httpd" in getattr(item, "fixturenames", ()) for item in items)
    if needed and not (os.path.exists(APACHE) and MODULE.exists()):
        raise pytest.UsageError(f"needs {APACHE} and {MODULE} (set L7S_BUILD_DIR)")


@pytest.fixture
def httpd():
    """Makes servers: httpd(policies=…, …) starts one. Every one is stopped after the test,
    and an error-log line that no test expected fails it."""
    servers = []

    def make(start=True, **options):
        server = Httpd(**options)
        servers.append(server)
        return server.start() if start else server

    yield make
    unexpected = []
    for server in reversed(servers):
        unexpected += server.close()
    assert not unexpected, "unexpected lines in the error log:\n" + "\n".join(unexpected)
