# SPDX-License-Identifier: Apache-2.0
"""Sessions of browsers: log-in by token, the cookie, the csrf token, log-out, and what ends
a session besides."""
import re

from daemon import POLICY, Daemon, daemon, started, token_checksum_broken  # noqa: F401
from httpd import wait_until
from stream import Stream


class Browser:
    """What a browser would send: the cookie, and the csrf token unless told otherwise."""

    def __init__(self, daemon, token=None):
        self.daemon = daemon
        self.answer = daemon.call("POST", "/v1/session", {"token": token or daemon.token},
                                  token=None)
        assert self.answer.status == 201, self.answer
        self.set_cookie = self.answer.headers["set-cookie"]
        self.cookie = self.set_cookie.partition(";")[0]
        self.csrf = self.answer.json["csrf_token"]

    def call(self, method, path, body=None, csrf=True, **named):
        if csrf and method != "GET":
            named["headers"] = {"Shield-CSRF": self.csrf if csrf is True else csrf}
        return self.daemon.call(method, path, body, token=None, cookie=self.cookie, **named)


def test_333_01_log_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(daemon):
    browser = Browser(daemon)
    assert re.fullmatch(r"l7shield=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; "
                        r"SameSite=Strict", browser.set_cookie)
    document = browser.answer.json
    assert (document["principal"], document["role"]) == ("token:admin", "admin")
    assert document["idle_seconds"] == 1800
    for server in started(Daemon(tls=True)):
        assert re.fullmatch(r"__Host-l7shield=[\w-]{43}; Path=/; Max-Age=43200; HttpOnly; "
                            r"SameSite=Strict; Secure", Browser(server).set_cookie)
        browser = Browser(server)
        assert browser.call("GET", "/v1").status == 200
        bare = browser.cookie.replace("__Host-", "")
        assert server.call("GET", "/v1", token=None, cookie=bare).status == 401


def test_333_02_session_is_worth_what_its_token_is_worth(daemon):
    token = daemon.token_of("viewer", "eve")
    browser = Browser(daemon, token)
    caller = browser.call("GET", "/v1").json["caller"]
    assert (caller["principal"], caller["role"]) == ("token:eve", "viewer")
    assert caller["session"]["csrf_token"] == browser.csrf
    assert browser.call("PUT", "/v1/policies/a", POLICY).code == "forbidden"
    daemon.call("PUT", "/v1/tokens/eve", {"role": "editor"})
    assert browser.call("PUT", "/v1/policies/a", POLICY).status == 201


def test_333_03_whatever_is_no_get_needs_the_csrf_token(daemon):
    browser, other = Browser(daemon), Browser(daemon)
    for csrf in (False, "", "x" * 43, other.csrf):
        answer = browser.call("PUT", "/v1/policies/a", POLICY, csrf=csrf)
        assert (answer.status, answer.code) == (403, "csrf_token_required"), csrf
        assert browser.call("POST", "/v1/policies:validate", POLICY, csrf=csrf).status == 403
    assert browser.call("DELETE", "/v1/session", csrf=False).status == 403
    assert daemon.call("GET", "/v1/policies/a").status == 404
    assert browser.call("PUT", "/v1/policies/a", POLICY).status == 201


def test_333_04_a_session_that_was_ended_cannot_be_replayed(daemon):
    browser = Browser(daemon)
    ended = browser.call("DELETE", "/v1/session")
    assert ended.status == 204 and ended.headers["set-cookie"].startswith("l7shield=;")
    assert "Max-Age=0;" in ended.headers["set-cookie"]
    for method, path, body in (("GET", "/v1", None), ("PUT", "/v1/policies/a", POLICY),
                               ("DELETE", "/v1/session", None)):
        assert browser.call(method, path, body).status == 401, (method, path)
    assert daemon.call("DELETE", "/v1/session", token=None).status == 404


def test_333_05_with_its_token_the_session_ends(daemon):
    def session():
        return Browser(daemon, daemon.call("POST", "/v1/tokens/ci:rotate").json["token"])
    daemon.token_of("viewer", "ci")
    browser = session()
    assert browser.call("GET", "/v1").status == 200
    daemon.call("POST", "/v1/tokens/ci:rotate?overlap_seconds=60")
    assert browser.call("GET", "/v1").status == 200
    daemon.call("POST", "/v1/tokens/ci:rotate")
    assert browser.call("GET", "/v1").status == 401
    browser = session()
    daemon.call("DELETE", "/v1/tokens/ci")
    assert browser.call("GET", "/v1").status == 401


def test_333_06_with_the_daemon_all_sessions_end(daemon):
    browser = Browser(daemon)
    daemon.stop()
    daemon.start()
    assert browser.call("GET", "/v1").status == 401


def test_333_07_wrong_tokens_are_refused_and_limited(daemon):
    wrong = {"token": token_checksum_broken(daemon.token)}
    statuses = [daemon.call("POST", "/v1/session", wrong, token=None).status
                for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    Browser(daemon)
    assert daemon.call("POST", "/v1/session", {}, token=None).status == 422
    assert daemon.call("POST", "/v1/session", {"token": "x", "y": 1}, token=None).status == 422


def test_333_08_a_page_of_another_site_cannot_log_in(daemon):
    answer = daemon.call("POST", "/v1/session", {"token": daemon.token}, token=None,
                         origin="http://evil.example")
    assert (answer.status, answer.code) == (403, "origin_not_allowed")
    plain = daemon.call("POST", "/v1/session", {"token": daemon.token}, token=None,
                        content_type="text/plain")
    assert plain.status == 415


def test_333_09_a_token_keeps_its_16_newest_sessions(daemon):
    browsers = [Browser(daemon) for _ in range(18)]
    alive = [browser.call("GET", "/v1").status == 200 for browser in browsers]
    assert alive == [False] * 2 + [True] * 16


def test_333_10_a_token_in_the_header_goes_before_the_cookie(daemon):
    browser = Browser(daemon)
    viewer = daemon.token_of("viewer")
    answer = daemon.call("GET", "/v1", token=viewer, cookie=browser.cookie)
    assert answer.json["caller"]["role"] == "viewer"
    assert daemon.call("PUT", "/v1/policies/a", POLICY, cookie=browser.cookie).status == 201


def test_333_11_the_audit_knows_the_session_but_not_its_secret(daemon):
    browser = Browser(daemon)
    browser.call("PUT", "/v1/policies/a", POLICY)
    browser.call("DELETE", "/v1/session")
    answer = daemon.call("GET", "/v1/audit")
    ended, change, begun = answer.json["items"]
    name = browser.answer.json["id"]
    assert (begun["path"], begun["object"], begun["principal"]) == (
        "/v1/session", name, "token:admin")
    assert (change["session"], ended["session"], ended["method"]) == (name, name, "DELETE")
    assert browser.cookie.partition("=")[2] not in answer.text
    assert browser.csrf not in answer.text
    daemon.call("POST", "/v1/session", {"token": "shld_x"}, token=None)
    failed = daemon.call("GET", "/v1/audit?outcome=refused").json["items"][0]
    assert (failed["path"], failed["code"], failed["principal"]) == (
        "/v1/session", "unauthenticated", None)


def test_333_12_a_dry_run_begins_and_ends_nothing(daemon):
    answer = daemon.call("POST", "/v1/session?dry_run=true", {"token": daemon.token}, token=None)
    assert answer.status == 201 and "set-cookie" not in answer.headers
    browser = Browser(daemon)
    assert browser.call("DELETE", "/v1/session?dry_run=true").status == 204
    assert browser.call("GET", "/v1").status == 200


def test_333_13_every_answer_tells_browsers_to_do_nothing_with_it(daemon):
    for answer in (daemon.call("GET", "/v1"), daemon.call("GET", "/v1/none"),
                   daemon.call("GET", "/openapi.json", token=None)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["content-security-policy"] == \
            "default-src 'none'; frame-ancestors 'none'"
        assert "access-control-allow-origin" not in answer.headers


def test_333_14_streams_end_with_what_opened_them(daemon):
    """A token that was revoked, or a session that was ended, reads no further event."""
    token = daemon.token_of("viewer", "ci")
    streams = {"kept": Stream(daemon), "revoked": Stream(daemon, token=token)}
    daemon.call("PUT", "/v1/policies/a", POLICY)
    for stream in streams.values():
        assert stream.next().type == "policy.changed"
    daemon.call("DELETE", "/v1/tokens/ci")

    def end():
        daemon.call("DELETE", "/v1/policies/a")
        daemon.call("PUT", "/v1/policies/a", POLICY)
        streams["revoked"].frame(0.3)
        return streams["revoked"].ended
    wait_until(end, 15, "the end of the stream")
    assert streams["kept"].next() is not None
    for stream in streams.values():
        stream.close()
