# SPDX-License-Identifier: Apache-2.0
"""What a refused client gets to read: by what it accepts, and across origins."""
import json
from html.parser import HTMLParser

import pytest

from httpd import config, policy, rate

CHROME = ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
          "image/webp,*/*;q=0.8")
ORIGIN = {"Origin": "https://other.example"}
ALLOW = 'Header always set Access-Control-Allow-Origin "https://other.example"'


def closed():
    return config(policy("closed", {"throttle": {}}, detect=rate(1, 3600)))


def refused(server, **headers):
    """The answer to one request of a client that has used up its budget."""
    server.get("/")
    return server.get("/", headers={name.replace("_", "-"): value
                                    for name, value in headers.items()})


class Page(HTMLParser):
    """What a person, or a screen reader, finds in a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.lang = [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.lang = attributes.get("lang", self.lang)
        assert not {"src", "href"} & set(attributes), "nothing is fetched from anywhere"

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("accept, kind", [
    (None, "text/plain"), ("*/*", "text/plain"), ("image/png", "text/plain"),
    (CHROME, "text/html"), ("text/html;q=0.2, application/json;q=0.3", "application/problem"),
    ("application/json, text/plain, */*", "application/problem"),
    ("text/html;q=0, */*", "text/plain")])
@pytest.mark.parametrize("host", ["", "Header always set X-Site yes"])
def test_720_01_body_is_what_the_client_prefers(httpd, accept, kind, host):
    answer = refused(httpd(policies=closed(), host=host),
                     **({} if accept is None else {"Accept": accept}))
    assert answer.status == 429
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["l7shield-incident"].encode() in answer.body


def test_720_02_page_is_complete_and_says_what_to_do(httpd):
    answer = refused(httpd(policies=closed()), Accept=CHROME)
    page = Page(answer.body.decode())
    assert page.lang == "en"
    assert {"title", "main", "h1", "p"} <= set(page.tags) and "script" not in page.tags
    assert "429 Too Many Requests" in page.text
    assert f"Try again in {answer.headers['retry-after']} seconds." in page.text
    assert answer.headers["l7shield-incident"] in page.text


def test_720_03_problem_is_one_of_rfc_9457(httpd):
    answer = refused(httpd(policies=closed()), Accept="application/problem+json")
    problem = json.loads(answer.body)
    assert problem["type"] == "about:blank" and problem["title"] == "Too Many Requests"
    assert problem["status"] == 429 and problem["policy"] == "closed"
    assert problem["incident"] == answer.headers["l7shield-incident"]
    assert problem["retry_after_seconds"] == int(answer.headers["retry-after"])


def test_720_04_response_of_the_policy_wins_and_does_not_vary(httpd):
    server = httpd(policies=config(
        policy("closed", {"throttle": {"response": "sorry"}}, detect=rate(1, 3600)),
        responses=[{"name": "sorry", "content_type": "text/x-sorry", "body": "sorry"}]))
    for accept in CHROME, "application/json", "*/*":
        answer = refused(server, Accept=accept)
        assert (answer.headers["content-type"], answer.body) == ("text/x-sorry", b"sorry")
        assert "vary" not in answer.headers


@pytest.mark.parametrize("host", ["", "Header always set X-Site yes"])
def test_720_05_status_that_httpd_has_no_words_for_is_sent_as_it_is(httpd, host):
    """It would say 500 instead."""
    server = httpd(policies=config(policy("closed", {"deny": {"status": 499}})), host=host)
    answer = server.get("/")
    assert answer.status == 499
    assert answer.body.startswith(b"499 Refused")


@pytest.mark.parametrize("document", ["/page.txt", "oops"])
def test_720_08_page_for_errors_of_the_site_is_none_for_another_status(httpd, document):
    """httpd takes a number that it does not know for 500."""
    server = httpd(policies=config(policy("closed", {"deny": {"status": 499}},
                                          match={"paths": ["/"]})),
                   host=f"ErrorDocument 500 {document}")
    answer = server.get("/")
    assert answer.status == 499
    assert answer.body.startswith(b"499 Refused")


def test_720_06_scripts_of_other_sites_read_what_the_site_lets_them(httpd):
    """Only together with the site's own Access-Control-Allow-Origin."""
    answer = refused(httpd(policies=closed(), host=ALLOW), **ORIGIN)
    assert answer.status == 429
    assert answer.headers["access-control-allow-origin"] == ORIGIN["Origin"]
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"Retry-After", "L7Shield-Incident"} <= set(exposed)
    for host, headers in (("", ORIGIN), ("Header always set X-Site yes", ORIGIN), (ALLOW, {})):
        answer = refused(httpd(policies=closed(), host=host), **headers)
        assert answer.status == 429
        assert "access-control-expose-headers" not in answer.headers


def test_720_07_what_the_site_exposes_itself_stays(httpd):
    host = ALLOW + '\nHeader always set Access-Control-Expose-Headers "X-Site"'
    answer = refused(httpd(policies=closed(), host=host), **ORIGIN)
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert exposed[0] == "X-Site" and "L7Shield-Incident" in exposed
