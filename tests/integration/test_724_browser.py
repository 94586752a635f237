# SPDX-License-Identifier: Apache-2.0
"""Challenges in a real browser: Debian's Chromium, without a window."""
import os
import subprocess

import pytest

from browser import PROGRAM, Browser
from httpd import config, policy, rate
from solver import HTML, Visitor

NOTE = "a page"


@pytest.fixture(scope="module")
def browser():
    assert os.path.exists(PROGRAM), "install the packages of script/packages"
    made = Browser()
    yield made
    made.close()


def gated(httpd, kind="proof_of_work", **more):
    options = {"kind": kind}
    if kind == "proof_of_work":
        options["difficulty"] = more.pop("difficulty", 16)
    made = httpd(policies=config(policy("gate", {"challenge": options},
                                        match={"paths": ["/page.txt", "/form/**"]})),
                 **more)
    return made


def page_of(server, browser, scripts=True, query="?a=1&b=%22x%22"):
    browser.new_page(scripts)
    url = f"http://127.0.0.1:{server.port}/page.txt{query}"
    browser.go(url)
    return url


@pytest.mark.parametrize("difficulty", [8, 18])
def test_724_01_work_passes_and_lands_on_the_page_asked_for(httpd, browser, difficulty):
    server = gated(httpd, difficulty=difficulty)
    url = page_of(server, browser)
    browser.wait(lambda: browser.text == NOTE, 30, "the page")
    assert browser.url == url
    assert set(browser.cookies()) == {"l7shield-gate"}
    assert browser.complaints() == []
    base = f"http://127.0.0.1:{server.port}/"
    assert all(asked.startswith(base) for asked in browser.requested())
    browser.go(url)
    browser.wait(lambda: browser.text == NOTE, 5, "the page again")
    assert sum("proof.js" in asked for asked in browser.requested()) <= 2


def test_724_02_over_tls_and_http2(httpd, browser):
    server = gated(httpd, tls=True)
    browser.new_page()
    browser.go(f"https://localhost:{server.tls_port}/page.txt")
    browser.wait(lambda: browser.text == NOTE, 30, "the page")
    assert browser.complaints() == []


def test_724_03_cookie_carried_to_another_network_does_not_pass(httpd, browser):
    server = gated(httpd)
    page_of(server, browser)
    browser.wait(lambda: browser.text == NOTE, 30, "the page")
    agent = browser.evaluate("navigator.userAgent")
    carried = Visitor(server, "127.0.0.9", agent)
    carried.cookies = browser.cookies()
    assert carried.get("/page.txt").status == 200, "the neighbour's address"
    assert carried.moved(address="127.0.1.1").get("/page.txt").status == 403
    assert carried.moved(agent=agent + "x").get("/page.txt").status == 403


def test_724_04_curl_does_not_pass(httpd, browser, tmp_path):
    server = gated(httpd)
    url = f"http://127.0.0.1:{server.port}/page.txt"
    jar = tmp_path / "jar"
    for _ in range(3):
        done = subprocess.run(["curl", "-sL", "-w", "%{http_code}", "-b", jar, "-c", jar,
                               "-H", f"Accept: {HTML}", url], capture_output=True,
                              text=True, timeout=10)
        assert done.stdout.endswith("403") and "One moment" in done.stdout


def test_724_05_page_without_javascript_explains_itself(httpd, browser):
    page_of(gated(httpd), browser, scripts=False)
    browser.wait(lambda: "JavaScript" in browser.text, 10, "the explanation")
    assert "Turn it on for this site and load the page again." in browser.text
    assert "Reference: inc_" in browser.text
    assert browser.cookies() == {}


def test_724_06_cookie_challenge_needs_no_javascript(httpd, browser):
    for scripts in True, False:
        url = page_of(gated(httpd, "cookie"), browser, scripts)
        browser.wait(lambda: browser.text == NOTE, 10, "the page")
        assert browser.url == url
        assert browser.complaints() == []


def test_724_07_page_tells_assistive_technology_what_happens(httpd, browser):
    """While it works on something that takes it far longer than this test."""
    page_of(gated(httpd, difficulty=24), browser)
    browser.wait(lambda: browser.evaluate("document.getElementById('bar')?.value > 0"), 20,
                 "progress")
    outline = browser.outline()
    assert ("heading", "One moment") in outline
    assert ("progressbar", "Progress of the check") in outline
    assert browser.evaluate("document.documentElement.lang") == "en"
    assert browser.evaluate("document.title") == "One moment"
    assert browser.evaluate("document.querySelector('main') !== null")
    assert "you need not do anything" in browser.text
    # The page stays usable: the counting is done elsewhere.
    assert browser.evaluate("1 + 1") == 2
    assert browser.complaints() == []
    browser.go("about:blank")


def test_724_08_page_that_gives_up_says_so_and_offers_the_way_back(httpd, browser):
    """A browser whose cookies are lost on the way is not sent in circles."""
    server = gated(httpd, difficulty=8, host="RequestHeader unset Cookie early")
    browser.new_page()
    url = f"http://127.0.0.1:{server.port}/page.txt"
    browser.go(url)
    browser.wait(lambda: "does not keep this site's cookies" in browser.text, 30, "the end")
    assert ("link", "Try again") in browser.outline()
    assert browser.evaluate("document.querySelector('#again a').href") == url


def test_724_09_form_is_never_sent_twice_and_its_page_is_challenged(httpd, browser):
    """A challenge stands in front of the form's page; what is sent from it passes then."""
    server = gated(httpd)
    (server.document_root / "form").mkdir()
    (server.document_root / "form/index.html").write_text(
        "<form method=post action=/form/sent.html><input name=a value=b></form>")
    (server.document_root / "form/sent.html").write_text("sent")
    browser.new_page()
    browser.go(f"http://127.0.0.1:{server.port}/form/")
    browser.wait(lambda: browser.evaluate("document.forms.length == 1 && "
                                          "document.forms[0].method == 'post'"), 30, "the form")
    browser.evaluate("document.forms[0].submit()")
    browser.wait(lambda: browser.text == "sent", 10, "the answer")
    assert sum('"POST /form' in line for line in server.accesses()) <= 1
