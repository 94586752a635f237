# SPDX-License-Identifier: Apache-2.0
"""The Terraform configuration of conf/examples: its provider's dialogue with the API,
replayed. The provider sends what encoding/json makes of a map (keys sorted), reads the
object after each write, compares it member by member, and takes each member that it did
not send for drift, unless it is ignored. Any 2xx is success; 404 when reading means that
the object is gone."""
import json
import re

import pytest

from daemon import daemon  # noqa: F401
from examples import EXAMPLES, WEB, revision

FOLDER = EXAMPLES / "terraform"
TEXT = (FOLDER / "main.tf").read_text()


def setting(block, name):
    found = re.search(rf'^\s*{name}\s*=\s*(.+)$', block, re.MULTILINE)
    return found[1] if found else None


def blocks(kind):
    """{name: text} of the blocks of this kind."""
    return {name: text for name, text in re.findall(
        rf'^{kind} "restapi(?:_object)?"(?: "(\w+)")? {{\n(.*?)^}}', TEXT,
        re.MULTILINE | re.DOTALL)}


PROVIDER = blocks("provider")[""]


class Resource:
    """One restapi_object as the provider handles it."""

    def __init__(self, daemon, block):
        self.daemon = daemon
        self.path = json.loads(setting(block, "path"))
        self.create_path = json.loads(setting(block, "create_path"))
        self.ignored = json.loads(setting(block, "ignore_changes_to"))
        data = setting(block, "data")
        source = re.search(r'file\("\$\{path.module\}/([^"]+)"\)', data)[1]
        self.data = json.loads((FOLDER / source).read_text())
        merged = re.search(r'merge\(\{ name = ("[^"]+") \}', data)
        if merged is not None:
            self.data = {"name": json.loads(merged[1]), **self.data}
        self.id = self.data[json.loads(setting(PROVIDER, "id_attribute"))]

    def _send(self, method, path, data=None):
        raw = None if data is None else json.dumps(
            data, separators=(",", ":"), sort_keys=True).encode()
        return self.daemon.call(method, path.replace("{id}", self.id), raw=raw)

    def create(self):
        answer = self._send(json.loads(setting(PROVIDER, "create_method")), self.create_path,
                            self.data)
        assert answer.status // 100 == 2, answer
        return self.read()

    def read(self):
        """The drift that a plan would show; None: the object is gone."""
        answer = self._send("GET", self.path + "/{id}")
        if answer.status == 404:
            return None
        assert answer.status == 200
        return {key for key in {*answer.json, *self.data}
                if key not in self.ignored and answer.json.get(key) != self.data.get(key)}

    def update(self):
        method = json.loads(setting(PROVIDER, "update_method"))
        answer = self._send(method, self.path + "/{id}", self.data)
        assert answer.status // 100 == 2, answer
        return self.read()

    def delete(self):
        answer = self._send("DELETE", self.path + "/{id}")
        assert answer.status // 100 == 2 or answer.status == 404, answer


RESOURCES = blocks("resource")


def test_361_01_provider_says_how_to_write():
    assert setting(PROVIDER, "id_attribute") == '"name"'
    assert set(RESOURCES) == {"search", "web"}


@pytest.mark.parametrize("name", sorted(RESOURCES))
def test_361_02_plan_apply_plan_update_destroy(daemon, name):
    assert daemon.call("GET", json.loads(setting(PROVIDER, "test_path"))).status == 200
    resource = Resource(daemon, RESOURCES[name])
    assert resource.read() is None
    assert resource.create() == set()
    # The next plan is empty, and an apply that sends it again changes nothing.
    before = revision(daemon)
    assert resource.update() == set() and revision(daemon) == before
    # Somebody else changes something: the plan shows it, the apply takes it back.
    policy = "web-per-client" if name == "web" else resource.id
    answer = daemon.call("PATCH", f"/v1/policies/{policy}?force=true", {"priority": 3})
    assert answer.status == 200
    assert resource.read() == ({"policies"} if name == "web" else {"priority"})
    assert resource.update() == set() and revision(daemon) == before + 2
    resource.delete()
    assert resource.read() is None
    resource.delete()


def test_361_03_entries_of_operators_and_overrides_are_no_drift(daemon):
    resource = Resource(daemon, RESOURCES["web"])
    resource.create()
    assert daemon.call("PUT", "/v1/lists/web-blocked/entries/192.0.2.1",
                       {"value": "192.0.2.1"}).status == 201
    assert daemon.call("PUT", "/v1/policies/web-login/override",
                       {"mode": "off", "until": "2090-01-01T00:00:00Z"}).status == 201
    assert resource.read() == set() and resource.update() == set()
    assert {"name": "web", **WEB} == resource.data
