#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A thousand and a million tracked sources in one table: bytes per source, counters lost,
and what finding one costs, in instructions (callgrind, look_up alone) and nanoseconds.
Nanoseconds at a million are mostly the cache's: the table no longer fits into it."""
import argparse
import json
import pathlib
import re
import subprocess
import tempfile

LOOKUPS = 200000


def run(program, mebibytes, keys):
    text = subprocess.run([program, str(mebibytes), str(keys), str(LOOKUPS)], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)


def instructions(program, mebibytes, keys):
    with tempfile.TemporaryDirectory(prefix="l7shield-bench-") as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=look_up",
                        f"--callgrind-out-file={out}", program, str(mebibytes), str(keys),
                        str(LOOKUPS)], check=True, capture_output=True)
        return int(re.search(r"(?m)^(?:summary|totals): (\d+)", out.read_text()).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.build).resolve() / "bench/bench_memory"
    base = None
    # A million with room to spare; the default with half of it, four fifths, too many.
    for mebibytes, keys in ((160, 1000), (160, 1000000), (64, 300000), (64, 500000), (64, 1000000)):
        figures = run(program, mebibytes, keys)
        cost = instructions(program, mebibytes, keys) / LOOKUPS
        base = base or cost
        figures.update({"bench": "memory", "lookup_instructions": round(cost, 1),
                        "lookup_ratio": round(cost / base, 2),
                        "bytes_per_key": round(figures["memory_bytes"] / keys, 1)})
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
