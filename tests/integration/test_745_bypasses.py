# SPDX-License-Identifier: Apache-2.0
"""Ways around the shield that a client may try, or that httpd's other modules open."""
import subprocess

import pytest

from httpd import config, policy, rate

SECRET = config(policy("secret", {"deny": {}}, match={"paths": ["/secret/**"]}))


def protected(httpd, policies=SECRET, **options):
    server = httpd(start=False, policies=policies, **options)
    folder = server.document_root / "secret"
    folder.mkdir()
    (folder / "index.html").write_text("the secret\n")
    (folder / "page.txt").write_text("the secret\n")
    return server.start()


def answer(server, target, line="", host="localhost"):
    return server.raw(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{line}Connection: close\r\n"
                      f"\r\n".encode("latin-1"))


# ------------------------------------------------------------------- spellings

SPELLINGS = ["/secret/page.txt", "/secret%2fpage.txt", "/secret%2Fpage.txt", "/%2fsecret/",
             "/secret/%2e/page.txt", "/secret/%2e%2e/secret/page.txt", "/x/..%2fsecret/",
             "/x%2f..%2fsecret/page.txt", "//secret//page.txt", "/secret/page.txt%00",
             "/secret%00/page.txt", "/%00/../secret/page.txt", "/.%00./secret/page.txt",
             "/secret\\page.txt", "/%c0%afsecret/page.txt", "/secret%c0%afpage.txt",
             "/%e0%80%afsecret/page.txt", "/x/%c0%ae%c0%ae/secret/page.txt",
             "/%2573ecret/page.txt", "/secret;x/page.txt", "/secret/page.txt;x",
             "/secret./page.txt", "/secret/page.txt?/../../x", "/%u0073ecret/page.txt",
             "/secret%", "/secret/%zz", "/secret/%2", "/./%73%65%63%72%65%74/%70age.txt",
             "http://localhost/secret/page.txt", "http://localhost//secret/./page.txt",
             "HTTP://other.example//secret/page.txt", "/secret/page.txt#x", "/secret"]


@pytest.mark.parametrize("slashes", ["Off", "On", "NoDecode"])
def test_745_01_no_spelling_of_a_path_shows_what_is_denied(httpd, slashes):
    server = protected(httpd, host=f"AllowEncodedSlashes {slashes}")
    server.expects("AH00026", "AH00127", "AH00128", "AH10244", "AH00036")
    for spelling in SPELLINGS:
        found = answer(server, spelling)
        assert b"the secret" not in found, spelling
        assert int(found.split(b" ", 2)[1]) in (400, 403, 404), (spelling, found[:80])


def test_745_02_alias_and_rewriting_are_judged_by_the_clients_path(httpd):
    """What another path leads to is another path; what leads to it is not forgotten."""
    server = protected(
        httpd, modules=("rewrite",), policies=config(
            policy("public", {"throttle": {}}, {"paths": ["/public/**", "/short"]},
                   detect=rate(3, 600))),
        host="Alias /public {root}/htdocs/secret\nRewriteEngine On\n"
             "RewriteRule ^/short$ /secret/page.txt [PT]\n"
             "RewriteRule ^/secret/again$ /short [N]\n")
    server.stop()
    server.host = server.host.replace("{root}", str(server.root))
    server.write_config()
    server.start()
    asked = ["/public/page.txt", "/short", "/public/", "/short", "/public/page.txt"]
    assert [server.get(path).status for path in asked] == [200, 200, 200, 429, 429]
    assert server.get("/secret/again").status == 200, "the client's path is not /short"


# ------------------------------------------------------------------- httpd's other ways

MOST = 30  # a request is counted when its answer has left: the next may be quicker


def admitted_until_banned(server, path, method="GET"):
    """How many of one client's requests are answered before it is banned."""
    for number in range(2 * MOST):
        if server.get(path, method=method, address="127.0.0.9").status == 403:
            assert server.get("/", address="127.0.0.9").status == 403
            return number
    return 2 * MOST


@pytest.mark.parametrize("section", ["", "<Location /x>\nL7ShieldApp shop\n</Location>"])
def test_745_10_error_documents_and_folder_indexes_are_counted_once(httpd, section):
    server = protected(httpd, modules=("rewrite", "negotiation"), policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(5, 600))), host=f"""
        ErrorDocument 404 /secret/page.txt
        DirectoryIndex missing.html none.html index.html
        <Directory "/">
            Options +MultiViews
            RewriteEngine On
            RewriteRule twice$ /secret/thrice
            RewriteRule thrice$ /secret/index.html
        </Directory>
        {section}""")
    asked = ["/secret/", "/nowhere", "/secret/twice", "/secret/", "/nowhere", "/secret/"]
    assert [server.get(path).status for path in asked] == [200, 404, 200, 200, 404, 429]


@pytest.mark.parametrize("quick", ["on", "off"])
def test_745_11_a_client_does_not_ask_the_cache_for_ever(httpd, quick):
    """In a host whose policies wait for the section, mod_cache's quick handler answers
    before they are asked: then it is counted, and no fresh page is to be had."""
    server = httpd(start=False, modules=("cache", "cache_disk"), policies=config(
        policy("per-client", {"ban": {"seconds": 600}}, detect=rate(5, 600))))
    cache = server.root / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    server.host = f"""
        CacheRoot {cache}
        CacheEnable disk /
        CacheQuickHandler {quick}
        Header set Cache-Control "max-age=600"
        <Location /x>
            L7ShieldApp shop
        </Location>"""
    server.write_config()
    server.start()
    assert 5 <= admitted_until_banned(server, "/page.txt") <= MOST


@pytest.mark.parametrize("target", ["/moved", "/gone"])
def test_745_12_redirects_of_the_server_itself_are_counted(httpd, target):
    server = httpd(policies=config(
        policy("per-client", {"ban": {"seconds": 600}}, detect=rate(5, 600))), host="""
        Redirect /moved http://localhost/page.txt
        Redirect gone /gone
        <Location /x>
            L7ShieldApp shop
        </Location>""")
    assert 5 <= admitted_until_banned(server, target) <= MOST


def test_745_13_trace_is_counted(httpd):
    server = httpd(directives="TraceEnable on", policies=config(
        policy("per-client", {"ban": {"seconds": 600}}, detect=rate(5, 600))),
        host="<Location /x>\nL7ShieldApp shop\n</Location>")
    assert 5 <= admitted_until_banned(server, "/", "TRACE") <= MOST


# ------------------------------------------------------------------- connections


@pytest.mark.parametrize("section", ["", "<Location /x>\nL7ShieldApp shop\n</Location>"])
def test_745_20_pipelined_requests_are_judged_one_by_one(httpd, section):
    server = httpd(host=section, policies=config(
        policy("per-client", {"throttle": {}}, detect=rate(4, 600))))
    one = b"GET /page.txt HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = server.raw(one * 9 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert found.count(b"HTTP/1.1 200 OK") == found.count(b"a page") == 4
    assert found.count(b"HTTP/1.1 429 ") == 6


@pytest.mark.parametrize("section", ["", "<Location /x>\nL7ShieldApp shop\n</Location>"])
def test_745_21_request_that_upgrades_to_http2_is_counted_once(httpd, section):
    """Though httpd sees it twice. A refused one stays what it was."""
    server = httpd(modules=("http2",), directives="Protocols h2c http/1.1", host=section,
                   policies=config(policy("per-client", {"throttle": {}},
                                          detect=rate(4, 600))))
    command = ["curl", "-s", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}",
               f"http://127.0.0.1:{server.port}/page.txt"]
    asked = [subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
             for _ in range(7)]
    assert asked == ["2 200"] * 4 + ["1.1 429"] * 3


def test_745_22_refused_upgrade_is_refused(httpd):
    server = httpd(modules=("http2",), directives="Protocols h2c http/1.1", policies=SECRET)
    done = subprocess.run(["curl", "-s", "--http2", "-o", "/dev/null", "-w", "%{http_code}",
                           f"http://127.0.0.1:{server.port}/secret/page.txt"],
                          capture_output=True, text=True, timeout=30)
    assert done.stdout == "403"


# ------------------------------------------------------------------- missing headers


def test_745_30_leaving_out_the_counted_header_gains_nothing(httpd):
    server = httpd(policies=config(
        policy("per-key", {"throttle": {}}, detect=rate(3, 600),
               count={"by": ["header:x-api-key"]})))
    assert [server.get("/").status for _ in range(4)] == [200] * 3 + [429]
    assert server.get("/", address="127.0.0.9").status == 200, "another client's"
    key = {"X-Api-Key": "k"}
    assert [server.get("/", headers=key).status for _ in range(4)] == [200] * 3 + [429]
    # An empty one is a value like any other, and so is one of blanks.
    for value in ("", "  "):
        assert server.get("/", headers={"X-Api-Key": value}).status in (200, 429)
    empty = [server.get("/", headers={"X-Api-Key": ""}).status for _ in range(4)]
    assert empty[-1] == 429
