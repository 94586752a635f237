# SPDX-License-Identifier: Apache-2.0
"""/v1/bans: by hand and by nodes, lifting, and how bans reach the fleet."""
import re
from bus import ban_entry, bus, incident_id  # noqa: F401
from httpd import wait_until

CLIENT = {"key": {"client": "203.0.113.7"}, "seconds": 600, "reason": "scraping"}


def ids(bus, query=""):  # noqa: F811
    return [ban["id"] for ban in bus.api("GET", "/v1/bans" + query).json["items"]]


def put(bus, document, **options):  # noqa: F811
    key = document["key"].get("client") or document["key"]["network"]
    kind = "net:" if "/" in key else "ip:"
    return bus.api("PUT", f"/v1/bans/{kind}{key.replace('/', '_')}", document, **options)


def test_410_01_manual_ban_comes_back_as_sent_with_a_status(bus):  # noqa: F811
    answer = put(bus, {**CLIENT, "labels": {"ticket": "17"}, "status": 404})
    assert answer.status == 201
    assert answer.headers["location"] == "/v1/bans/ip:203.0.113.7"
    assert answer.headers["shield-changed"] == "true"
    ban = bus.api("GET", "/v1/bans/ip:203.0.113.7")
    assert ban.headers["etag"] == answer.headers["etag"]
    status = ban.json.pop("status")
    assert ban.json == {"id": "ip:203.0.113.7", **CLIENT, "labels": {"ticket": "17"}}
    assert status["origin"] == "daemon" and status["state"] == "active"
    assert status["refusal_status"] == 404
    assert (status["policy"], status["incident"]) == (None, None)
    assert status["since"] < status["until"]
    spec = bus.api("GET", "/v1/bans/ip:203.0.113.7?view=spec").json
    assert spec == {"id": "ip:203.0.113.7", **CLIENT, "labels": {"ticket": "17"},
                    "status": 404}


def test_410_02_identical_put_changes_nothing_and_get_edit_put_works(bus):  # noqa: F811
    first = put(bus, {**CLIENT, "status": 404})
    again = put(bus, {**CLIENT, "status": 404})
    assert (again.status, again.headers["shield-changed"]) == (200, "false")
    assert again.headers["etag"] == first.headers["etag"]
    document = bus.api("GET", "/v1/bans/ip:203.0.113.7").json
    document["reason"] = "worse"
    edited = put(bus, document, if_match='"another", ' + first.headers["etag"])
    assert (edited.status, edited.headers["shield-changed"]) == (200, "true")
    assert edited.json["status"]["refusal_status"] == 404
    assert put(bus, CLIENT, if_match=first.headers["etag"]).status == 412
    assert put(bus, CLIENT, if_none_match="*").status == 412
    assert put(bus, CLIENT, if_none_match=edited.headers["etag"]).status == 412


def test_410_03_ban_and_lift_reach_log_and_snapshot(bus):  # noqa: F811
    put(bus, CLIENT)
    wait_until(lambda: len(bus.entries()) == 1, 1, "the entry")
    wait_until(lambda: bus.bans() == {"ip:203.0.113.7": "put"}, 1, "the bans part")
    assert bus.api("DELETE", "/v1/bans/ip:203.0.113.7?hold_seconds=30").status == 204
    wait_until(lambda: len(bus.entries()) == 2, 1, "the lift")
    (_, ban), (_, lift) = bus.entries()
    assert (ban["op"], lift["op"]) == ("put", "lift")
    assert ban["digest"] == lift["digest"]
    assert lift["hold_until_ms"] - lift["since_ms"] == 30000
    wait_until(lambda: bus.bans() == {"ip:203.0.113.7": "lift"}, 1, "the tombstone")
    assert bus.api("GET", "/v1/bans/ip:203.0.113.7").status == 404
    assert bus.api("DELETE", "/v1/bans/ip:203.0.113.7").status == 404
    # Held off: neither an operator nor a node bans it meanwhile.
    assert put(bus, CLIENT).status == 409
    node = bus.node("web-1").live()
    node.ban(ban_entry("203.0.113.7"))
    node.ban(ban_entry("203.0.113.6"))
    wait_until(lambda: ids(bus) == ["ip:203.0.113.6"], 2, "the entry behind it")
    assert bus.api("GET", "/v1/bans/ip:203.0.113.7").status == 404


def test_410_04_lift_without_hold_allows_a_later_ban_only(bus):  # noqa: F811
    node = bus.node("web-1").live()
    early = ban_entry("203.0.113.40")
    put(bus, {"key": {"client": "203.0.113.40"}})
    assert bus.api("DELETE", "/v1/bans/ip:203.0.113.40").status == 204
    node.ban(early)
    node.ban(ban_entry("203.0.113.41"))
    wait_until(lambda: "ip:203.0.113.41" in ids(bus), 2, "the entry behind it")
    assert ids(bus) == ["ip:203.0.113.41"]
    node.ban(ban_entry("203.0.113.40"))
    wait_until(lambda: ids(bus) == ["ip:203.0.113.40", "ip:203.0.113.41"], 2,
               "the new offence")


def test_410_17_a_held_client_is_said_to_be_so_and_until_when(bus):  # noqa: F811
    path, document = "/v1/bans/ip:203.0.113.42", {"key": {"client": "203.0.113.42"}}
    etag = put(bus, document).headers["etag"]
    listed = {"If-Match": f'"old", {etag}'}
    assert bus.api("DELETE", path + "?hold_seconds=600", headers=listed).status == 204
    single = bus.api("PUT", path, document)
    batch = bus.api("POST", "/v1/bans:batch", {"put": [document]})
    for answer in (single, batch):
        assert (answer.status, answer.code) == (409, "conflict")
        assert re.search(r"ip:203.0.113.42 was lifted and is held free until \d{4}-.*Z;",
                         answer.json["detail"]), answer


def test_410_05_ban_of_a_node_is_listed_and_published(bus):  # noqa: F811
    first, second = bus.node("web-1").live(), bus.node("web-2").live()
    first.ban(ban_entry("203.0.113.50"))
    second.ban(ban_entry("203.0.113.51", policy="other"))
    second.ban(ban_entry("203.0.113.50", seconds=900))
    wait_until(lambda: len(ids(bus)) == 2, 2, "both bans")
    ban = bus.api("GET", "/v1/bans/ip:203.0.113.50").json
    assert ban["key"] == {"client": "203.0.113.50"}
    assert ban["status"]["origin"] == "node"
    assert ban["status"]["policy"] == "login"
    assert ban["status"]["incident"] == incident_id(1)
    wait_until(lambda: bus.api("GET", "/v1/bans/ip:203.0.113.50").json["seconds"] == 900, 2,
               "the later end")
    wait_until(lambda: bus.bans() == {"ip:203.0.113.50": "put", "ip:203.0.113.51": "put"},
               2, "the bans part")
    assert ids(bus, "?policy=other") == ["ip:203.0.113.51"]
    assert ids(bus, "?origin=node&policy=login&policy=other") == ids(bus)
    assert ids(bus, "?origin=daemon") == []
    assert bus.get("manifest")["ban_log"] == 4


def test_410_06_lift_all_bans_of_a_policy(bus):  # noqa: F811
    node = bus.node("web-1").live()
    for number in range(60, 65):
        node.ban(ban_entry(f"203.0.113.{number}", policy="odd" if number % 2 else "even"))
    wait_until(lambda: len(ids(bus)) == 5, 2, "all bans")
    dry = bus.api("DELETE", "/v1/bans?policy=even&dry_run=true")
    assert dry.json == {"lifted": 3} and len(ids(bus)) == 5
    answer = bus.api("DELETE", "/v1/bans?policy=even")
    assert answer.json == {"lifted": 3}
    assert answer.headers["shield-changed"] == "true"
    assert ids(bus) == ["ip:203.0.113.61", "ip:203.0.113.63"]
    again = bus.api("DELETE", "/v1/bans?policy=even")
    assert (again.json, again.headers["shield-changed"]) == ({"lifted": 0}, "false")
    assert bus.api("DELETE", "/v1/bans").code == "invalid_parameter"


def test_410_07_networks_and_ipv6(bus):  # noqa: F811
    assert put(bus, {"key": {"network": "198.51.100.0/24"}}).status == 201
    answer = bus.api("PUT", "/v1/bans/net:2001:db8::_64",
                     {"key": {"client": "2001:db8::1234"}})
    assert answer.status == 201, answer
    assert bus.api("PUT", "/v1/bans/net:2001:db8::_32",
                   {"key": {"network": "2001:db8::/32"}}).status == 201
    assert ids(bus, "?client=198.51.100.9") == ["net:198.51.100.0_24"]
    assert ids(bus, "?client=2001:db8:0:1::1") == ["net:2001:db8::_32"]
    assert ids(bus, "?client=2001:db8::9") == ["net:2001:db8::_32", "net:2001:db8::_64"]
    plain = bus.api("GET", "/v1/bans?format=plain", headers={"Accept": "text/plain"})
    assert plain.text.splitlines() == ["198.51.100.0/24", "2001:db8::/32", "2001:db8::/64"]
    nft = bus.api("GET", "/v1/bans?format=nft", headers={"Accept": "text/plain"}).text
    assert "flush set inet l7shield banned4\n" in nft
    assert "add element inet l7shield banned4 { 198.51.100.0/24 }\n" in nft
    assert nft.endswith("add element inet l7shield banned6 { 2001:db8::/64 }\n")
    assert bus.api("GET", "/v1/bans?format=csv").code == "invalid_parameter"


def test_410_08_what_cannot_be_banned_is_refused_with_reasons(bus):  # noqa: F811
    cases = [
        ({"key": {"user": "joe"}}, {("/key/user", "unsupported")}),
        ({"key": {"network": "203.0.113.7/24"}}, {("/key/network", "cidr_host_bits")}),
        ({"key": {"network": "0.0.0.0/0"}}, {("/key/network", "bans_everybody")}),
        ({"key": {"client": "203.0.113.0/24"}}, {("/key/client", "bad_address")}),
        ({"key": {"client": "203.0.113.7"}, "until": "2020-01-01T00:00:00Z"},
         {("/until", "out_of_range")}),
        ({"key": {"client": "203.0.113.7"}, "seconds": 0, "colour": "red"},
         {("/seconds", "out_of_range"), ("/colour", "unknown_key")}),
        ({"key": {"client": "203.0.113.7"}, "status": 200}, {("/status", "out_of_range")}),
        ({"key": {"client": "203.0.113.7"}, "response": "sorry"},
         {("/response", "response_unknown")}),
        ({}, {("", "missing_key")}),
    ]
    for document, problems in cases:
        answer = bus.api("PUT", "/v1/bans/ip:203.0.113.7", document)
        assert answer.status == 422, answer
        assert answer.errors == problems, answer
    answer = bus.api("PUT", "/v1/bans/ip:203.0.113.8", CLIENT)
    assert (answer.status, answer.code) == (422, "id_mismatch")
    assert "ip:203.0.113.7" in answer.json["detail"]
    assert ids(bus) == []


def test_410_09_allow_list_refuses_a_ban(bus):  # noqa: F811
    bus.api("PUT", "/v1/lists/office", {"effect": "allow",
                                        "entries": [{"value": "203.0.113.0/24"}]})
    bus.api("PUT", "/v1/lists/shop", {"effect": "allow", "apps": ["shop"],
                                      "entries": [{"value": "198.51.100.0/24"}]})
    answer = put(bus, CLIENT)
    assert (answer.status, answer.code) == (409, "allow_listed")
    assert "office" in answer.json["detail"]
    # A list of one application does not hold on the connection; a wider ban is not covered.
    assert put(bus, {"key": {"client": "198.51.100.1"}}).status == 201
    assert put(bus, {"key": {"network": "203.0.112.0/23"}}).status == 201
    batch = bus.api("POST", "/v1/bans:batch",
                    {"put": [{"key": {"client": "192.0.2.1"}}, CLIENT]})
    assert (batch.status, batch.errors) == (409, {("/put/1/key", "allow_listed")})
    assert "ip:192.0.2.1" not in ids(bus)


def test_410_10_batch_is_all_or_nothing(bus):  # noqa: F811
    put(bus, CLIENT)
    batch = {"put": [CLIENT, {"key": {"client": "203.0.113.8"}},
                     {"key": {"network": "198.51.100.0/24"}, "seconds": 60}],
             "delete": ["ip:192.0.2.1"]}
    bad = {"put": [{"key": {"client": "x"}}, *batch["put"], {"key": {}}], "delete": [7]}
    answer = bus.api("POST", "/v1/bans:batch", bad)
    assert answer.errors == {("/put/0/key/client", "bad_address"),
                             ("/put/4/key", "wrong_members"),
                             ("/delete/0", "wrong_type")}, answer
    dry = bus.api("POST", "/v1/bans:batch?dry_run=true", batch)
    assert dry.json == {"created": 2, "updated": 0, "unchanged": 1, "deleted": 0,
                        "not_found": ["ip:192.0.2.1"]}
    assert ids(bus) == ["ip:203.0.113.7"]
    assert bus.api("POST", "/v1/bans:batch", batch).json == dry.json
    assert ids(bus) == ["ip:203.0.113.7", "ip:203.0.113.8", "net:198.51.100.0_24"]
    lifted = bus.api("POST", "/v1/bans:batch", {"delete": ids(bus)})
    assert lifted.json["deleted"] == 3 and ids(bus) == []
    assert bus.api("POST", "/v1/bans:batch", {"puts": []}).errors == \
        {("/puts", "unknown_key")}


def test_410_11_list_pages_by_key_and_filters(bus):  # noqa: F811
    documents = [{"key": {"client": f"203.0.113.{number}"}, "labels": {"n": str(number % 2)}}
                 for number in range(100, 125)]
    bus.api("POST", "/v1/bans:batch", {"put": documents})
    seen, cursor = [], ""
    while cursor is not None:
        page = bus.api("GET", "/v1/bans?limit=10" + cursor).json
        seen += [ban["id"] for ban in page["items"]]
        cursor = page["next_cursor"] and "&cursor=" + page["next_cursor"]
    assert seen == sorted(f"ip:203.0.113.{number}" for number in range(100, 125))
    lines = bus.api("GET", "/v1/bans", headers={"Accept": "application/x-ndjson"}).text
    assert len(lines.splitlines()) == 25
    assert len(ids(bus, "?label=n=1")) == 12 and len(ids(bus, "?label=n")) == 25
    assert ids(bus, "?label=n=2") == []
    assert bus.api("GET", "/v1/bans?client=203.0.113.1/24").code == "invalid_parameter"
    assert bus.api("GET", "/v1/bans?cursor=rubbish").code == "invalid_cursor"


def test_410_12_dry_run_stores_and_tells_nothing(bus):  # noqa: F811
    answer = bus.api("PUT", "/v1/bans/ip:203.0.113.7?dry_run=true", CLIENT)
    assert (answer.status, answer.headers["shield-changed"]) == (201, "true")
    put(bus, {"key": {"client": "203.0.113.8"}})
    assert bus.api("DELETE", "/v1/bans/ip:203.0.113.8?dry_run=true").status == 204
    assert ids(bus) == ["ip:203.0.113.8"]
    wait_until(lambda: bus.bans() == {"ip:203.0.113.8": "put"}, 2, "the other ban")
    assert len(bus.entries()) == 1


def test_410_13_bans_survive_kill_and_run_out(bus):  # noqa: F811
    put(bus, CLIENT)
    put(bus, {"key": {"client": "203.0.113.8"}, "seconds": 1})
    until = "2036-01-01T00:00:00.000Z"
    put(bus, {"key": {"client": "203.0.113.9"}, "until": until})
    bus.daemon.kill()
    bus.daemon.start()
    wait_until(lambda: ids(bus) == ["ip:203.0.113.7", "ip:203.0.113.9"], 3,
               "the end of the short one")
    ban = bus.api("GET", "/v1/bans/ip:203.0.113.9").json
    assert ban["until"] == ban["status"]["until"] == until


def test_410_14_roles(bus):  # noqa: F811
    viewer, operator = bus.daemon.token_of("viewer"), bus.daemon.token_of("operator")
    assert put(bus, CLIENT, token=viewer).status == 403
    assert put(bus, CLIENT, token=operator).status == 201
    assert bus.api("GET", "/v1/bans", token=viewer).status == 200
    path = "/v1/bans/ip:203.0.113.7"
    assert bus.api("DELETE", path, token=viewer).status == 403
    assert bus.api("DELETE", path, token=operator).status == 204
    assert bus.api("DELETE", path + "?hold_seconds=-1", token=operator).status == 400


def test_410_15_bans_of_a_flushed_log_are_said_again(bus):  # noqa: F811
    """A ban that was appended, but lost before the daemon read it, comes with the new bus
    epoch, since nodes then say again what they had banned."""
    bus.daemon.expect("L7S3503|L7S3531")
    node = bus.node("web-1").live()
    node.ban(ban_entry("203.0.113.70"))
    wait_until(lambda: ids(bus) == ["ip:203.0.113.70"], 2, "the first ban")
    bus.flush()
    wait_until(lambda: bus.get("head") is not None, 3, "the head")
    wait_until(lambda: bus.get("manifest")["ban_log"] == 1, 3, "the new log")
    wait_until(lambda: node.say("apply on") and node.ban(ban_entry("203.0.113.71")) == 1, 3,
               "the node in the new log")
    wait_until(lambda: len(ids(bus)) == 2, 3, "the ban in the new log")


def test_410_16_gap_in_the_log_begins_a_new_epoch(bus):  # noqa: F811
    bus.daemon.expect("L7S3531")
    node = bus.node("web-1").live()
    epoch = bus.get("head")["bus_epoch"]
    node.say("at 40")
    assert node.ban(ban_entry("203.0.113.80")) == 40
    wait_until(lambda: bus.get("head")["bus_epoch"] != epoch, 5, "the new epoch")
    wait_until(lambda: node.say("apply on") and node.ban(ban_entry("203.0.113.80")) < 40, 3,
               "the node in the new log")
    wait_until(lambda: ids(bus) == ["ip:203.0.113.80"], 3, "the ban")


def test_410_17_own_address_is_banned_by_force_only(bus):  # noqa: F811
    own, around = {"key": {"client": "127.0.0.1"}}, {"key": {"network": "127.0.0.0/24"}}
    for document in (own, around):
        answer = put(bus, document)
        assert (answer.status, answer.code) == (422, "bans_own_address"), answer
    batch = {"put": [CLIENT, own]}
    answer = bus.api("POST", "/v1/bans:batch", batch)
    assert (answer.status, answer.code) == (422, "bans_own_address")
    assert answer.errors == {("/put/1/key", "bans_own_address")}
    assert ids(bus) == []
    assert bus.api("PUT", "/v1/bans/net:127.0.0.0_24?force=true", around).status == 201
    assert bus.api("POST", "/v1/bans:batch?force=true", batch).status == 200
    assert ids(bus) == ["ip:127.0.0.1", "ip:203.0.113.7", "net:127.0.0.0_24"]
