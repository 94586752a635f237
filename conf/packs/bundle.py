#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Packs in one JSON object by their names, in the order of keys in which they stand."""
import json
import pathlib
import sys


def main(target, *files):
    packs = {path.stem: json.loads(path.read_text(encoding="utf-8"))
             for path in map(pathlib.Path, files)}
    pathlib.Path(target).write_text(
        json.dumps(packs, ensure_ascii=False, separators=(",", ":")) + "\n",
        encoding="utf-8")


main(*sys.argv[1:])
