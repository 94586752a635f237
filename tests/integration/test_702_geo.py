# SPDX-License-Identifier: Apache-2.0
"""Countries and ASNs, by databases that a script writes as an operator's are written:
127.0.2.0/24 is in XA (its lower half in AS 64500), 127.0.3.0/24 in XB and AS 64501."""
import subprocess
from pathlib import Path

import pytest

from daemon import POLICY, daemon  # noqa: F401
from httpd import config, policy, rate, wait_until

SCRIPT = Path(__file__).resolve().parents[1] / "geo_database.pl"
IN_A, IN_A_ONLY, IN_B, NOWHERE = "127.0.2.1", "127.0.2.200", "127.0.3.1", "127.0.0.9"


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("geo")
    folder.chmod(0o755)
    files = [str(folder / "countries.mmdb"), str(folder / "asns.mmdb")]
    subprocess.run(["/usr/bin/perl", SCRIPT, *files], check=True)
    return files


@pytest.fixture
def located(httpd, databases):
    def make(document, **options):
        return httpd(policies=document, directives="L7ShieldGeoDatabase " +
                     " ".join(databases), **options)
    return make


def deny(name, match):
    return policy(name, {"deny": {}}, match=match)


def test_702_01_client_in_country_or_asn(located):
    server = located(config(
        deny("country", {"client": {"in": ["country:XB", "country:XZ"]}}),
        deny("asn", {"client": {"in": ["asn:64500"]}, "paths": ["/page.txt"]})))
    assert server.get("/", address=IN_B).headers["l7shield-policy"] == "country"
    assert server.get("/page.txt", address=IN_A).headers["l7shield-policy"] == "asn"
    for address in (IN_A, IN_A_ONLY, NOWHERE):
        assert server.get("/", address=address).status == 200
    for address in (IN_A_ONLY, NOWHERE):
        assert server.get("/page.txt", address=address).status == 200


def test_702_02_exceptions_and_lists_in_policies(located):
    server = located(config(
        deny("all-but", {"except": [{"client": {"in": ["@home", "127.0.0.0/24"]}},
                                    {"client": {"in": ["@partners"]}}]}),
        lists=[{"name": "home", "kind": "countries", "entries": [{"value": "XA"}]},
               {"name": "partners", "kind": "asns", "entries": [{"value": "64501"}]}]))
    assert [server.get("/", address=a).status for a in
            (IN_A, IN_A_ONLY, IN_B, NOWHERE, "127.0.4.1")] == [200, 200, 200, 200, 403]


def test_702_03_lists_deny_and_allow_by_themselves(located):
    server = located(config(
        deny("no", {"paths": ["/no"]}),
        lists=[{"name": "away", "kind": "countries", "effect": "deny",
                "entries": [{"value": "XB"}]},
               {"name": "friends", "kind": "asns", "effect": "allow",
                "entries": [{"value": "64500"}]}]))
    refused = server.get("/page.txt", address=IN_B)
    assert (refused.status, refused.headers["l7shield-policy"]) == (403, "away")
    assert refused.headers["connection"] == "close", "the connection stage knows it"
    assert server.get("/no", address=IN_A).status == 404
    assert server.get("/no", address=IN_A_ONLY).status == 403
    assert server.get("/page.txt", address=NOWHERE).status == 200


def test_702_04_count_by_asn_and_by_country(located):
    """A swarm within one network operator, each address below every limit."""
    server = located(config(
        policy("asn", {"throttle": {}}, detect=rate(5, 60), match={"paths": ["/page.txt"]},
               count={"by": ["asn"], "when_absent": "skip"}),
        policy("country", {"throttle": {}}, detect=rate(3, 60), match={"paths": ["/"]},
               count={"by": ["country"]})))
    swarm = [server.get("/page.txt", address=f"127.0.2.{n + 1}").status for n in range(8)]
    assert swarm == [200] * 5 + [429] * 3
    assert server.get("/page.txt", address=IN_B).status == 200
    assert [server.get("/page.txt", address=NOWHERE).status for _ in range(9)] == [200] * 9
    assert [server.get("/", address=f"127.0.2.{n + 100}").status for n in range(4)] == [
        200, 200, 200, 429]
    assert [server.get("/", address=NOWHERE).status for _ in range(4)] == [200, 200, 200, 429]
    assert server.get("/", address="127.0.0.10").status == 200, "not known: by client"
    keys = [line for line in server.accesses() if " 429 " in line]
    assert any("key=asn=64500" in line for line in keys)
    assert any("key=country=XA" in line for line in keys)


def test_702_05_ban_of_a_country_ends_and_hits_nobody_else(located):
    server = located(config(
        policy("trap", {"ban": {"seconds": 2}}, match={"paths": ["/trap"]},
               count={"by": ["country"], "when_absent": "skip"}),
        policy("carrier", {"log": {}}, count={"by": ["country"], "when_absent": "skip"})))
    assert server.get("/trap", address=IN_A).status == 403
    assert server.get("/", address=IN_A_ONLY).status == 403, "the whole country"
    assert server.get("/", address=IN_B).status == 200
    assert server.get("/trap", address=NOWHERE).status == 404
    wait_until(lambda: server.get("/", address=IN_A).status == 200, 5, "the ban's end")


def test_702_06_kept_connection_and_restart(located):
    server = located(config(deny("b", {"client": {"in": ["country:XB"]}})), children=2)
    client = server.client(IN_B)
    assert [client.get("/").status for _ in range(5)] == [403] * 5
    client.close()
    server.graceful()
    assert [server.get("/", address=IN_B).status for _ in range(5)] == [403] * 5
    assert server.get("/", address=IN_A).status == 200


def test_702_07_without_a_database_it_never_matches_and_the_node_says_so_once(httpd):
    server = httpd(policies=config(deny("b", {"client": {"in": ["country:XB"]}})))
    server.expects("L7S2023")
    assert server.get("/", address=IN_B).status == 200
    server.write_policies(config(deny("b", {"client": {"in": ["country:XB"]}}),
                                 deny("c", {"paths": ["/c"]})))
    wait_until(lambda: server.get("/c").status == 403, 5, "the new policies")
    assert server.errors().count("L7S2023") == 1


@pytest.mark.parametrize("what, says", [
    ("missing", "cannot be opened (No such file or directory)"),
    ("broken", "is no MaxMind database"),
    ("five", "one more than the 4 files")])
def test_702_08_what_cannot_be_used_fails_the_configuration_test(httpd, databases, tmp_path,
                                                                what, says):
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(Path(databases[0]).read_bytes()[:700])
    files = {"missing": "/nowhere.mmdb", "broken": str(broken),
             "five": " ".join(databases[:1] * 5)}[what]
    server = httpd(start=False, policies=config(), directives=f"L7ShieldGeoDatabase {files}")
    status, said = server.configtest()
    assert status != 0 and "L7ShieldGeoDatabase must be MaxMind databases" in said
    assert says in said


def test_702_09_daemon_checks_countries_asns_and_their_lists(daemon):  # noqa: F811
    bad = {**POLICY, "match": {"client": {"in": ["country:de", "asn:AS1", "ja4:x"]}}}
    assert daemon.call("PUT", "/v1/policies/p", bad).errors == {
        ("/match/client/in/0", "bad_country"), ("/match/client/in/1", "bad_asn"),
        ("/match/client/in/2", "unsupported")}
    countries = {"kind": "countries", "entries": [{"value": "XA"}]}
    assert daemon.call("PUT", "/v1/lists/home", countries).status == 201
    assert daemon.call("PUT", "/v1/lists/home/entries/XB", {"value": "XB"}).status == 201
    assert daemon.call("PUT", "/v1/lists/home/entries/xb", {"value": "xb"}).errors == {
        ("/value", "bad_country")}
    assert daemon.call("GET", "/v1/lists/home").json["status"]["entry_count"] == 2
    good = {**POLICY, "match": {"client": {"in": ["@home", "country:XC", "asn:64500"]}},
            "count": {"by": ["asn", "country"]}}
    assert daemon.call("PUT", "/v1/policies/p", good).status == 201
    assert daemon.call("GET", "/v1/policies/p").json["match"] == good["match"]
