#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From the PUT of a set to the confirmation that both nodes of a fleet enforce it, in
milliseconds: a list of 10,000 networks that all change, and 10,000 changed ones in a list
of 100,000. Each round asks both nodes as an address that has just been listed."""
import argparse
import json
import os
import pathlib
import sys
import time

ROUNDS = 10


def networks(number, count):
    """Different ones that do not melt together: every other /32."""
    return [{"value": f"{10 + number}.{n >> 15 & 255}.{n >> 7 & 255}.{n << 1 & 255}"}
            for n in range(count)]


def document(entries, address):
    return {"lists": [{"name": "blocked", "effect": "deny", "entries_from": "set",
                       "entries": entries + [{"value": address}]}]}


def measure(fleet, name, kept, changed, figures):
    puts, confirmations = [], []
    for number in range(ROUNDS + 1):
        address = f"127.0.5.{number + 1}"
        body = json.dumps(document(kept + networks(number, changed), address)).encode()
        begin = time.monotonic()
        answer = fleet.api("PUT", "/v1/sets/bench", raw=body)
        put = time.monotonic() - begin
        fleet.rollout(int(answer.headers["shield-revision"]))
        if number > 0:  # the first one creates what the others change
            puts.append(put)
            confirmations.append(time.monotonic() - begin)
        for node in fleet.nodes:
            status = node.get("/", address=address).status
            assert status == 403, f"{node.node} confirmed but answered {status}"
    print(json.dumps({"bench": name, "entries": len(kept) + changed, "changed": changed,
                      "nodes": len(fleet.nodes), "rounds": ROUNDS, "put": figures(puts),
                      "confirmed": figures(confirmations)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    os.environ["L7S_BUILD_DIR"] = str(pathlib.Path(arguments.build).resolve())
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/integration"))
    from fleet import Fleet
    from propagate import figures

    fleet = Fleet(nodes=2, children=2)
    try:
        fleet.start()
        measure(fleet, "set_10000_changed", [], 10000, figures)
        measure(fleet, "set_10000_of_100000_changed", networks(100, 89999), 10000, figures)
    finally:
        fleet.close()


if __name__ == "__main__":
    main()
