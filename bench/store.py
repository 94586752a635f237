#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CPU of the client per key and tick, 100 to 100,000 keys on a real memcached: the sync
process' own pipeline as a share of the same counts through libmemcached, and how much of
a tick of 100 ms an exchange takes."""
import argparse
import pathlib
import socket
import subprocess
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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    arguments = parser.parse_args()
    program = pathlib.Path(arguments.build).resolve() / "bench/bench_store"
    port = free_port()
    server = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(port), "-m", "128",
                               "-t", "4", "-U", "0", "-u", "nobody"])
    try:
        wait_for(port, 10)
        subprocess.run([program, f"127.0.0.1:{port}"], check=True)
    finally:
        server.terminate()
        server.wait(10)


if __name__ == "__main__":
    main()
