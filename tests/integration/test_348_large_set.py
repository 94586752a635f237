# SPDX-License-Identifier: Apache-2.0
"""A set with a list of 100,000 networks, through the daemon to two nodes."""
import json
import time

from fleet import Fleet

COUNT = 100000


def networks(first_octet, count):
    """Different ones that do not melt together: every other /32."""
    return [{"value": f"{first_octet}.{n >> 15 & 255}.{n >> 7 & 255}.{n << 1 & 255}"}
            for n in range(count)]


def document(entries, address):
    return {"lists": [{"name": "blocked", "effect": "deny", "entries_from": "set",
                       "entries": entries + [{"value": address}]}]}


def test_348_01_100000_networks_are_accepted_propagated_and_enforced():
    fleet = Fleet(nodes=2, children=1)

    def apply(entries, address):
        """What each node answers the listed address once both have confirmed."""
        begin = time.monotonic()
        answer = fleet.api("PUT", "/v1/sets/big",
                           raw=json.dumps(document(entries, address)).encode())
        assert answer.status in (200, 201), answer
        fleet.rollout(int(answer.headers["shield-revision"]))
        print(f"{len(entries)} entries in force after {time.monotonic() - begin:.1f} s")
        return [node.get("/", address=address).status for node in fleet.nodes]
    try:
        fleet.start()
        kept = networks(10, COUNT - 10001)
        assert apply(kept + networks(11, 10000), "127.0.5.1") == [403, 403]
        assert apply(kept + networks(12, 10000), "127.0.5.2") == [403, 403]
        assert [node.get("/", address="127.0.5.1").status for node in fleet.nodes] == [200, 200]
        assert len(fleet.api("GET", "/v1/sets/big").json["lists"][0]["entries"]) == COUNT
        # One more is too many, and nothing of it is stored.
        answer = fleet.api("PUT", "/v1/sets/big", raw=json.dumps(
            document(networks(13, COUNT), "127.0.5.3")).encode())
        assert answer.status == 422 and {pointer for pointer, _ in answer.errors} == \
            {"/lists/0/entries"}
        assert [node.get("/", address="127.0.5.2").status for node in fleet.nodes] == [403, 403]
    finally:
        unexpected = fleet.close()
    assert not unexpected, "unexpected lines in the logs:\n" + "\n".join(unexpected)
