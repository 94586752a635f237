#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From PUT to the confirmation that both nodes enforce it: 100 changes of one policy on a
fleet of two httpd nodes, in milliseconds; beside it the PUT alone and the time until the
node itself decides by the new policy."""
import argparse
import json
import os
import pathlib
import statistics
import sys
import time

CHANGES = 100


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def figures(values):
    return {"p50_ms": round(statistics.median(values) * 1000, 1),
            "p99_ms": round(percentile(values, 99) * 1000, 1),
            "max_ms": round(max(values) * 1000, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    os.environ["L7S_BUILD_DIR"] = str(pathlib.Path(arguments.build).resolve())
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests/integration"))
    from fleet import Fleet
    from httpd import policy

    fleet = Fleet(nodes=2, children=2)
    puts, confirmations = [], []
    try:
        fleet.start()
        for number in range(CHANGES):
            document = policy("gate", {"deny": {}}, {"paths": [f"/change-{number}"]})
            begin = time.monotonic()
            answer = fleet.api("PUT", "/v1/policies/gate", document)
            puts.append(time.monotonic() - begin)
            fleet.rollout(int(answer.headers["shield-revision"]))
            confirmations.append(time.monotonic() - begin)
            for node in fleet.nodes:
                status = node.get(f"/change-{number}").status
                assert status == 403, f"{node.node} confirmed but answered {status}"
            time.sleep(0.01 * (number % 10))  # any phase of the nodes' ticks
    finally:
        fleet.close()
    print(json.dumps({"bench": "propagate", "changes": CHANGES, "nodes": 2,
                      "put": figures(puts), "confirmed": figures(confirmations)}))


if __name__ == "__main__":
    main()
