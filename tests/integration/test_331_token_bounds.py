# SPDX-License-Identifier: Apache-2.0
"""What a token is bound to: apps, addresses, an expiry; the roles beside the ladder;
rotation with an overlap."""
import http.client

import pytest

from daemon import POLICY, daemon  # noqa: F401
from httpd import wait_until

SHOP = {**POLICY, "match": {"apps": ["shop"]}}
BLOG = {**POLICY, "match": {"apps": ["blog"]}}


def bound(daemon, name="ci", **document):
    answer = daemon.call("PUT", f"/v1/tokens/{name}", {"role": "editor", **document})
    assert answer.status == 201, answer
    return answer.json["token"]


@pytest.fixture
def apps(daemon):
    for name in ("shop", "blog"):
        assert daemon.call("PUT", f"/v1/apps/{name}",
                           {"hosts": [f"{name}.example"]}).status == 201
    assert daemon.call("PUT", "/v1/policies/of-shop", SHOP).status == 201
    assert daemon.call("PUT", "/v1/policies/of-blog", BLOG).status == 201
    assert daemon.call("PUT", "/v1/policies/of-all", POLICY).status == 201
    assert daemon.call("PUT", "/v1/lists/of-shop", {
        "kind": "addresses", "effect": "none", "apps": ["shop"]}).status == 201
    assert daemon.call("PUT", "/v1/lists/of-all", {
        "kind": "addresses", "effect": "none"}).status == 201
    return daemon


def refused(answer, *words):
    assert (answer.status, answer.code) == (403, "forbidden"), answer
    assert all(word in answer.json["detail"] for word in words), answer
    return True


def test_331_01_token_of_an_app_changes_what_concerns_it_alone(apps):
    token = bound(apps, apps=["shop"])
    before = apps.call("GET", "/v1/config").text
    for method, path, body in (
            ("PUT", "/v1/policies/of-all", SHOP), ("PUT", "/v1/policies/of-blog", SHOP),
            ("PUT", "/v1/policies/of-shop", BLOG), ("PUT", "/v1/policies/of-shop", POLICY),
            ("PUT", "/v1/policies/new", POLICY), ("DELETE", "/v1/policies/of-blog", None),
            ("PATCH", "/v1/policies/of-all", {"mode": "off"}),
            ("PUT", "/v1/apps/blog", {"hosts": []}), ("DELETE", "/v1/apps/blog", None),
            ("PUT", "/v1/lists/of-all/entries/192.0.2.1", {"value": "192.0.2.1"}),
            ("PUT", "/v1/responses/sorry", {"content_type": "text/plain", "body": "x"}),
            ("PUT", "/v1/config", {})):
        assert refused(apps.call(method, path, body, token=token), "apps", "token:ci")
    for method, path, body in (
            ("PATCH", "/v1/apps/shop", {"hosts": ["shop.example", "blog.example"]}),
            ("PATCH", "/v1/apps/shop", {"paths": ["/**"]}), ("DELETE", "/v1/apps/shop", None)):
        assert refused(apps.call(method, path, body, token=token), "Hosts and paths")
    for method, path, body in (
            ("PATCH", "/v1/settings", {"mode": "off"}),
            ("PUT", "/v1/bans/ip:192.0.2.1", {"key": {"client": "192.0.2.1"}}),
            ("POST", "/v1/check:release", {"client": "192.0.2.1"})):
        assert refused(apps.call(method, path, body, token=token), "not bound")
    assert apps.call("GET", "/v1/config").text == before
    assert apps.call("PUT", "/v1/policies/of-shop", {**SHOP, "mode": "off"},
                     token=token).status == 200
    assert apps.call("PUT", "/v1/policies/new", SHOP, token=token).status == 201
    assert apps.call("DELETE", "/v1/policies/new", token=token).status == 204
    assert apps.call("PUT", "/v1/lists/of-shop/entries/192.0.2.1", {"value": "192.0.2.1"},
                     token=token).status == 201
    assert apps.call("PATCH", "/v1/apps/shop", {"tier": 1}, token=token).status == 200
    assert apps.call("GET", "/v1/policies/of-blog", token=token).status == 200


def test_331_02_whole_configuration_and_restore_keep_the_bounds(apps):
    token = bound(apps, apps=["shop"])
    document = apps.call("GET", "/v1/config?view=spec").json
    for policy in document["policies"]:
        if policy["name"] == "of-shop":
            policy["mode"] = "observe"
    assert apps.call("PUT", "/v1/config", document, token=token).status == 200
    revision = apps.call("GET", "/v1/config").headers["shield-revision"]
    apps.call("PUT", "/v1/policies/of-blog", {**BLOG, "mode": "off"})
    assert refused(apps.call("POST", f"/v1/revisions/{revision}:restore", token=token),
                   "of-blog")


def test_331_03_dry_run_is_refused_alike(apps):
    token = bound(apps, apps=["shop"])
    assert refused(apps.call("PUT", "/v1/policies/new?dry_run=true", POLICY, token=token))
    assert apps.call("PUT", "/v1/policies/new?dry_run=true", SHOP, token=token).status == 201


def test_331_04_token_of_an_address_is_of_no_use_elsewhere(daemon):
    here = bound(daemon, addresses=["192.0.2.0/24", "127.0.0.1"])
    elsewhere = bound(daemon, "far", addresses=["192.0.2.0/24", "2001:db8::/32"])
    assert daemon.call("GET", "/v1", token=here).status == 200
    assert refused(daemon.call("GET", "/v1", token=elsewhere), "address", "token:far")
    other = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10,
                                       source_address=("127.0.0.2", 0))
    assert refused(daemon.call("GET", "/v1", token=here, connection=other), "address")
    other.close()


def test_331_05_bad_bounds_are_refused_with_their_pointers(daemon):
    answer = daemon.call("PUT", "/v1/tokens/ci", {
        "role": "editor", "addresses": ["198.51.100.7/24", "nowhere", "192.0.2.1"]})
    assert answer.errors == {("/addresses/0", "cidr_host_bits"), ("/addresses/1", "bad_cidr")}
    assert "198.51.100.0/24" in answer.text
    answer = daemon.call("PUT", "/v1/tokens/ci", {"role": "editor", "apps": ["Shop"]})
    assert {pointer for pointer, _ in answer.errors} == {"/apps/0"}


def test_331_06_a_bound_admin_is_not_the_last_admin(daemon):
    bound(daemon, role="admin", addresses=["127.0.0.1"])
    bound(daemon, "other", role="admin", apps=["shop"])
    assert daemon.call("DELETE", "/v1/tokens/admin").code == "last_admin_token"
    assert daemon.call("PUT", "/v1/tokens/admin", {
        "role": "admin", "addresses": ["127.0.0.1"]}).code == "last_admin_token"
    bound(daemon, "full", role="admin")
    assert daemon.call("DELETE", "/v1/tokens/admin").status == 204


def test_331_07_bounds_change_at_once(apps):
    token = bound(apps, apps=["shop"])
    assert apps.call("PUT", "/v1/policies/new", POLICY, token=token).status == 403
    assert apps.call("PUT", "/v1/tokens/ci", {"role": "editor"}).status == 200
    assert apps.call("PUT", "/v1/policies/new", POLICY, token=token).status == 201


def test_331_08_an_auditor_stands_beside_the_ladder(daemon):
    token = bound(daemon, role="auditor")
    for path in ("/v1", "/v1/policies", "/metrics", "/v1/tokens"):
        assert refused(daemon.call("GET", path, token=token), "auditor")
    assert refused(daemon.call("PUT", "/v1/policies/a", POLICY, token=token), "editor")


def test_331_10_rotation_with_an_overlap_keeps_the_old_secret_for_a_while(daemon):
    old = bound(daemon)
    answer = daemon.call("POST", "/v1/tokens/ci:rotate?overlap_seconds=2")
    new = answer.json["token"]
    assert answer.json["status"]["previous"]["id"] == old.split("_")[1]
    assert daemon.call("GET", "/v1", token=old).status == 200
    assert daemon.call("GET", "/v1", token=new).status == 200
    previous = daemon.call("GET", "/v1/tokens/ci").json["status"]["previous"]
    assert previous["last_used_at"] is not None
    wait_until(lambda: daemon.call("GET", "/v1", token=old).status == 401, 8,
               "the end of the old secret")
    assert daemon.call("GET", "/v1", token=new).status == 200
    assert daemon.call("GET", "/v1/tokens/ci").json["status"]["previous"] is None


def test_331_11_a_second_rotation_ends_the_overlap_of_the_first(daemon):
    first = bound(daemon)
    second = daemon.call("POST", "/v1/tokens/ci:rotate?overlap_seconds=3600").json["token"]
    third = daemon.call("POST", "/v1/tokens/ci:rotate?overlap_seconds=3600").json["token"]
    assert [daemon.call("GET", "/v1", token=token).status
            for token in (first, second, third)] == [401, 200, 200]
    daemon.stop()
    daemon.start()
    assert daemon.call("GET", "/v1", token=second).status == 200
    last = daemon.call("POST", "/v1/tokens/ci:rotate").json["token"]
    assert [daemon.call("GET", "/v1", token=token).status
            for token in (second, third, last)] == [401, 401, 200]
    assert daemon.call("DELETE", "/v1/tokens/ci").status == 204
    assert daemon.call("GET", "/v1", token=last).status == 401


@pytest.mark.parametrize("value", ["-1", "604801", "x", ""])
def test_331_12_bad_overlaps_are_refused(daemon, value):
    answer = daemon.call("POST", f"/v1/tokens/admin:rotate?overlap_seconds={value}")
    assert (answer.status, answer.code) == (400, "invalid_parameter")
    assert daemon.call("GET", "/v1").status == 200
