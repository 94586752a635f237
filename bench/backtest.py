#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Backtest of a million lines (100,000 clients) against what awk takes to print the first
word of each: lines a second as a ratio, the best of several runs that take turns; and the
memory that it took."""
import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time

LINES, ROUNDS = 1_000_000, 5
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
          "Chrome/126.0.0.0 Safari/537.36", "curl/8.5.0")
POLICY = {"name": "per-client", "detect": {"rate": {"requests": 60, "per_seconds": 60}},
          "action": {"throttle": {}}}


def write_log(path):
    dice = random.Random(1)
    with open(path, "w", encoding="ascii") as out:
        for i in range(LINES):
            client = f"10.{int(dice.expovariate(1 / 3)) % 256}.{dice.randrange(256)}." \
                     f"{dice.randrange(1, 30)}"
            stamp = time.strftime("%d/%b/%Y:%H:%M:%S", time.gmtime(1769900399 + i // 200))
            out.write(f'{client} - - [{stamp} +0000] "GET /p{dice.randrange(200)}/index.html?x={i}'
                      f' HTTP/1.1" 200 {dice.randrange(100000)} "https://www.example.com/" '
                      f'"{AGENTS[i % 3]}"\n')


def seconds(command):
    """(wall, processor, KiB at most) of one run."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build")
    program = pathlib.Path(parser.parse_args().build).resolve() / "admin_api/l7shieldd"
    with tempfile.TemporaryDirectory() as folder:
        log, policies = f"{folder}/access.log", f"{folder}/policies.json"
        pathlib.Path(policies).write_text(json.dumps({"policies": [POLICY]}), encoding="ascii")
        write_log(log)
        backtest = [program, "backtest", log, "--policies", policies, "--json"]
        awk = ["awk", "{print $1}", log]
        runs = [(seconds(awk), seconds(backtest)) for _ in range(ROUNDS)]
        best = [min(run[side][0] for run in runs) for side in (0, 1)]
        print(json.dumps({
            "bench": "backtest", "lines": LINES, "bytes": os.path.getsize(log),
            "awk_lines_per_second": round(LINES / best[0]),
            "backtest_lines_per_second": round(LINES / best[1]),
            "backtest_per_awk": round(best[0] / best[1], 2),
            "backtest_per_awk_processor_time": round(
                min(run[0][1] for run in runs) / min(run[1][1] for run in runs), 2),
            "most_memory_mib": max(run[1][2] for run in runs) // 1024}))


if __name__ == "__main__":
    main()
