# SPDX-License-Identifier: Apache-2.0
"""A browser that keeps cookies and computes, as far as a challenge needs one."""
import hashlib
import html
import re
from urllib.parse import urlencode

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
VERIFY = "/.well-known/l7shield/verify"


def fields(page):
    """The hidden fields of a proof of work's page, and its difficulty."""
    text = page.decode()
    found = {name: html.unescape(value or "") for name, value in
             re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?>', text)}
    return found, int(re.search(r'data-bits="(\d+)"', text)[1])


def solve(seed, bits):
    """The first number whose hash behind the seed begins with so many zero bits."""
    number = 0
    while int.from_bytes(hashlib.sha256(f"{seed}.{number}".encode()).digest()[:4], "big") >> (
            32 - bits):
        number += 1
    return number


class Visitor:
    """One person's browser, at one address."""

    def __init__(self, server, address="127.0.1.7", agent="Mozilla/5.0 (X11) Test/1.0",
                 tls=False):
        self.server, self.address, self.agent, self.tls = server, address, agent, tls
        self.cookies = {}

    def get(self, path, accept=HTML, method="GET", headers=None, body=None):
        sent = {"User-Agent": self.agent, **(headers or {})}
        if accept is not None:
            sent["Accept"] = accept
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in
                                       self.cookies.items())
        answer = self.server.get(path, method=method, headers=sent, body=body,
                                 address=self.address, tls=self.tls)
        if "set-cookie" in answer.headers:
            name, value = answer.headers["set-cookie"].split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer

    def verify(self, page, nonce=None, **changed):
        """Brings back the solution of a page; the answer of the check."""
        found, bits = fields(page)
        found.update(changed)
        found["nonce"] = solve(found["seed"], bits) if nonce is None else nonce
        return self.get(f"{VERIFY}?{urlencode(found)}")

    def moved(self, address=None, agent=None):
        """The same cookies somewhere else."""
        other = Visitor(self.server, address or self.address, agent or self.agent, self.tls)
        other.cookies = dict(self.cookies)
        return other
