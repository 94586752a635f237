#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPU of the client per key and tick, 100 to 100,000 keys on a real memcached: the sync
process' own pipeline as a share of the same counts through libmemcached, how much of a
tick of 100 ms an exchange takes, and its instructions per key (callgrind)."""
import argparse
import json
import pathlib
import re
import socket
import subprocess
import tempfile
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def instructions(program, address, keys):
    """Of one exchange of new keys, per key."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=l7s_meta_run",
                        f"--callgrind-out-file={out}", program, address, str(keys)],
                       check=True, capture_output=True)
        total = re.search(r"^summary: (\d+)", out.read_text(), re.MULTILINE)
    return round(int(total.group(1)) / keys)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.build).resolve() / "bench/bench_store"
    port = free_port()
    # As the README recommends, with a table that has grown as a running server's has.
    server = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(port), "-m", "512",
                               "-t", "4", "-R", "200", "-o", "hashpower=20", "-U", "0",
                               "-u", "nobody"])
    try:
        wait_for(port, 10)
        address = f"127.0.0.1:{port}"
        subprocess.run([program, address], check=True)
        for keys in (1000, 100000):
            print(json.dumps({"bench": "store", "keys": keys, "own_instructions_per_key":
                              instructions(program, address, keys)}), flush=True)
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
