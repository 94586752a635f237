# SPDX-License-Identifier: Apache-2.0
"""Writes what the fuzzers begin with: seeds.py CHECKOUT OPENAPI OUT.

OUT/TARGET/ gets small inputs that are valid, so that a fuzzer need not find JSON or zlib
by itself; OUT/TARGET.dict the words that are worth trying: those of the contract.
"""
import json
import pathlib
import struct
import sys
import zlib

BAN = {"op": "put", "id": "ip:203.0.113.7", "digest": "00000000000000010000000000000002",
       "network": "203.0.113.7", "since_ms": 1699999999000, "until_ms": 1700000300000,
       "status": 403, "policy": "login", "incident": "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV",
       "response": "", "origin": "node"}
REPORT = {"node": "web-1", "id": "inc_01ARZ3NDEKTSV4RRFFQ69G5FAV", "state": "active",
          "policy": "login", "mode": "enforce", "detector": "rate", "action": "ban",
          "key": {"client": "203.0.113.7"}, "ban_id": "ip:203.0.113.7", "app": "shop",
          "host": "www.example.com", "path": "/login", "method": "POST",
          "user_agent": "curl/8", "client": "203.0.113.7",
          "clients": "0" * 63 + "1", "campaign": False, "revision": 7,
          "started_ms": 1699999990000, "last_ms": 1699999999000,
          "ban_until_ms": 1700000300000, "limit": 10, "per_seconds": 60, "requests": 20,
          "acted": 10, "passed": 10, "peak_per_second": 5}
MANIFEST = {"config_epoch": 1, "revision": 41, "secret_id": "k1", "bans_generation": 7,
            "ban_log": 120, "published_ms": 1700000000000,
            "parts": [{"name": "policies", "size": 1234, "chunks": ["a1" * 32]},
                      {"name": "list/office", "size": 5, "chunks": ["0f" * 32]}]}


def dumps(document):
    return json.dumps(document, separators=(",", ":")).encode()


def part(promised, at, text):
    return struct.pack("<HH", promised, at) + text


def change(number, *changes):
    return bytes([number, 0]) + b"".join(struct.pack("<II", *one) for one in changes)


def config_seeds(checkout):
    for path in sorted((checkout / "tests/core/data").glob("*valid/*.json")):
        case = json.loads(path.read_text())
        yield dumps({key: case[key] for key in ("kind", "name", "document")
                     if key in case})
        if case["kind"] == "policy" and "name" in case:
            yield dumps({"policies": [{**case["document"], "name": case["name"]}
                                      if isinstance(case["document"], dict) else 1]})
    yield (checkout / "conf/policies.json").read_bytes()
    strict = {"name": "s", "consistency": "strict", "when_store_down": "closed",
              "detect": {"rate": {"requests": 1, "per_seconds": 10}},
              "action": {"throttle": {}}}
    yield dumps({"policies": [strict]})
    condition = {"name": "q", "is": "regex", "values": ["^[0-9]{3}$", "(?i)a.*b"]}
    matching = {"name": "m", "match": {"path_regex": ["^/a(b|c)+$"], "headers": [condition],
                                       "query": [condition], "cookies": [condition]},
                "count": {"by": ["cookie:q"]}, "detect": {"always": {}},
                "action": {"deny": {}}}
    yield dumps({"policies": [matching]})


def seeds(checkout):
    packed = zlib.compress(b"[" + b"1," * 100 + b"1]")
    return {
        "addr": [b"203.0.113.7\n203.0.113.0/24\n10.1.2.3/8\nip:203.0.113.7",
                 b"2001:db8::/32\n2001:db8::1\n::/0\n::ffff:192.0.2.1/120\n0.0.0.0/0",
                 b"net:203.0.113.0_24\nnet:2001:db8::_64\nip:::1\n::ffff:0:0/95"],
        "config": list(config_seeds(checkout)),
        "image": [change(n) for n in range(16)] + [change(1, (1 << 31, 7), (4096, 1))],
        "item": [bytes([1, kind, 5, 1, 20, 0, 1]) + dumps({"n": 1}) for kind in range(10)]
        + [b"\0L7B1" + bytes([kind, 2]) + bytes(250) for kind in range(1, 10)],
        "meta_reply": [b"VA 3 t59\r\n123\r\nEN\r\nMN\r\n", b"VA 20 t4294967295\r\n"
                       b"18446744073709551615\r\n", b"VA 5 t0\r\n12   \r\n", b"ERROR\r\n",
                       b"VA 3 c17\r\n123\r\nHD\r\nEX\r\nNF\r\nNS\r\nMN\r\n",
                       b"VA 00000000000000000020 c18446744073709551615\r\n"
                       b"18446744073709551615\r\n"],
        "access_line": [b"\x00" + b"".join(
            path.read_bytes() for path in sorted((checkout / "tests/core/access").glob("*/*")))],
        "body": [b"[[1,-0.5e3,\"\\u00e4\\ud83d\\ude00\"],null,true,{\"a\":{}}]", b"[" * 33 + b"]" * 33,
                 b"123", b"{\"a\":1,\"a\":2}", b"\"\\u0000\"", b"[1]\x00"],
        "cursor": [b"limit=100\ncursor=61626364", b"cursor=", b"limit=1001",
                   b"cursor=" + b"61" * 191, b"cursor=" + b"61" * 192, b"cursor=c3a4\nlimit=1"],
        "query": [b"since=-15m\nwait_seconds=60\nlabel=team=web\nlabel=a\npolicy=x\nclient=10.0.0.0/8",
                  b"since=2026-01-31T23:59:59.999+01:00\naccept=text/html;q=0.5, */*;q=0\nlabel==",
                  b"since=-1000000d\nclient=::1\n" + b"policy=a\n" * 20],
        "schema": [bytes([number % 256]) + dumps(document) for number, document in enumerate(
            json.loads(path.read_text()).get("document")
            for path in sorted((checkout / "tests/core/data").glob("*valid/*.json")))],
        "pairs": [b"aa=1&bb=%41+x&%61%61=%00&==&cc", b"aa=1; bb=\"x y\" ;cc;=; aa=2",
                  b"aa=%&bb=%4&cc=%zz&" + b"dd&" * 300],
        "part": [part(203, 0, packed), part(202, 0, packed), part(203, 7, packed),
                 part(0, 0, zlib.compress(b""))],
        "accept": [b"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
                   b"application/json, text/*;q=0.5;x=y , application/problem+json"],
        "guard": [b"1/v1/policies/a?label=a%2Fb\nHost: shield.example:9180\nContent-Length: 12\n"
                  b"Content-Type: application/json\nOrigin: https://shield.example:9180\n",
                  b"1/v1\nHost: [::1]:9180\nTransfer-Encoding: chunked\nCookie: a=b; c=d\n",
                  b"0/livez\nHost: 127.0.0.1\nContent-Length: 3\nContent-Length: 4\n"],
        "challenge": [b"a=b; l7shield-gate=" + b"69558c00695598102" + b"A" * 23 + b"; c=d\n" +
                      b"69558c0069558e5808" + b"B" * 22 + b"\n1234\n/page?a=b\n",
                      b"l7shield-gate=;l7shield-gate\n\n0\n//evil.example\n"],
        "signals": [b"failed-login, remote-command;detail=932160\nweb-shell;x=1;detail=a.b:c/d",
                   b"a;detail=,b;;c, ,;detail=1\n" + b"x" * 70 + b";detail=" + b"y" * 40],
        "path": [b"\xff/a/%2e%2E/b//c/./d?x\n/a/*/c/**\nWWW.Example.COM:80\n*.example.com",
                 b"\x08/long/path/../..%2f%25\n/*.php\n[2001:DB8::1]:443\n[2001:db8::1]"],
        "payload": [dumps(BAN), dumps({**BAN, "op": "lift", "hold_until_ms": 1700000600000}),
                    dumps({**BAN, "id": "header:h-AAAAAAAAAAAAAAAAAAAAAA", "network": None,
                           "until_ms": None, "origin": "daemon"}),
                    dumps(REPORT), dumps({**REPORT, "state": "ended", "campaign": True}),
                    dumps(MANIFEST), b"observe 1 41 1700000000000\n", b"off 0 0 0\n"],
    }


def words(document):
    """Names of members, values of enumerations: what a schema is written in."""
    if isinstance(document, dict):
        yield from document.get("properties", {})
        yield from (w for w in document.get("enum", []) if isinstance(w, str))
        document = list(document.values())
    for item in document if isinstance(document, list) else []:
        yield from words(item)


def dictionaries(openapi):
    schemas = openapi["components"]["schemas"]
    known = [f'"{word}"' for word in sorted(set(words(schemas)))]
    members = sorted({key for d in (BAN, REPORT, MANIFEST) for key in d})
    return {
        "body": ['"\\u', '\\ud83d', "1e", "null", "true", "false", '":', "[]", "{}"],
        "cursor": ["limit=", "cursor=", "1000", "61", "ff"],
        "query": ["since=", "wait_seconds=", "label=", "policy=", "client=", "accept=", "-15m",
                  "2026-01-31T23:59:59Z", "application/json", "*/*", ";q=0", "team=web"],
        "schema": known + ["null", "true", "1e9", "-1"],
        "config": known + ["null", "true", "1e9", "0", "-1", '"@office"', '"/a/**"',
                           '"10.0.0.0/8"', '"*.example.com"'],
        "payload": [f'"{word}"' for word in members] + ["enforce ", "null", '"lift"'],
        "accept": ["text/html", "text/plain", "text/*", "application/json",
                   "application/problem+json", "application/*", "*/*", ";q=0.", ","],
        "challenge": ["l7shield-gate=", "; ", "69558c00", "//", "/\\\\"],
        "access_line": ['] \\"', '\\x', '\\u', '\\\\"', '""""', " HTTP/1.1", "://", '{"', '":', " - "],
        "guard": ["Host: ", "Content-Length: ", "Transfer-Encoding: ", "chunked", "evil.example",
                  "shield.example", ".localhost", "[::1]", "%00", "%2f", "%5c", "//", "Origin: "],
        "path": ["%2e", "%2F", "%25", "%00", "/../", "/./", "//", "/**", "*", "?"],
        "addr": ["::ffff:", "/128", "/32", "/0", "ip:", "net:", "_24", "255"],
        "meta_reply": ["VA ", " t", " c", "\r\n", "EN\r\n", "MN\r\n", "HD\r\n", "18446744073709551616"],
        "item": ["L7B1"],
    }


def quoted(word):
    plain = "".join(c if c.isalnum() or c in "_-/.:@* " else f"\\x{ord(c):02x}"
                    for c in word if ord(c) < 256)
    return f'"{plain}"\n'


def main(checkout, openapi, out):
    out = pathlib.Path(out)
    for target, inputs in seeds(pathlib.Path(checkout)).items():
        folder = out / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, content in enumerate(inputs):
            (folder / f"{number:03}").write_bytes(content)
    for target, entries in dictionaries(json.loads(pathlib.Path(openapi).read_text())).items():
        (out / f"{target}.dict").write_text("".join(map(quoted, entries)))


main(*sys.argv[1:])
