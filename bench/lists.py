#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Lists of networks in an image: bytes for each network and nanoseconds for a look-up, in
lists of 1,000 and of 100,000."""
import argparse
import pathlib
import subprocess


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    subprocess.run([pathlib.Path(arguments.build).resolve() / "bench/bench_lists"],
                   check=True)


if __name__ == "__main__":
    main()
