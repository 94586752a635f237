#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the OpenAPI document from YAML into compact JSON, keeping the order of keys."""
import json
import sys

import yaml

source, target = sys.argv[1], sys.argv[2]
with open(source, encoding="utf-8") as stream:
    document = yaml.safe_load(stream)
with open(target, "w", encoding="utf-8") as stream:
    json.dump(document, stream, ensure_ascii=False, separators=(",", ":"))
    stream.write("\n")
