#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How well a fleet of 3 to 1,000 nodes keeps one limit, by simulation of core's own rules
and of others beside them: volume admitted too much and too little as a share of what one
exact limiter admits, light clients refused, operations and bytes per request."""
import argparse
import pathlib
import subprocess


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    subprocess.run([pathlib.Path(arguments.build).resolve() / "bench/bench_fleet"],
                   check=True)


if __name__ == "__main__":
    main()
