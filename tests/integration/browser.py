# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium without a window, driven over the pipe of its DevTools protocol, so
that no driver has to be installed and no port is open."""
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from base64 import b64decode

PROGRAM = "/usr/bin/chromium"
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
           "--disable-background-networking", "--disable-component-update",
           "--disable-sync", "--disable-default-apps", "--disable-extensions",
           "--disable-dev-shm-usage", "--no-proxy-server", "--mute-audio",
           # Nothing but this machine can be reached.
           "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
           "--ignore-certificate-errors", "--remote-debugging-pipe")


class Browser:
    """One Chromium with a profile of its own; close() leaves nothing behind."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="l7s-chromium-")
        ours, theirs = os.pipe(), os.pipe()  # what it reads, what it writes
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", f'exec 3<&{ours[0]} 4>&{theirs[1]}; exec "$0" "$@"', PROGRAM,
             *OPTIONS, f"--user-data-dir={self.profile}", "about:blank"],
            pass_fds=(ours[0], theirs[1]), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "HOME": self.profile})
        os.close(ours[0])
        os.close(theirs[1])
        self.write_end, self.read_end = ours[1], theirs[0]
        self.received, self.last, self.session = b"", 0, None
        self.events = []

    def _message(self, deadline):
        while b"\0" not in self.received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_end], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            piece = os.read(self.read_end, 1 << 20)
            if not piece:
                raise AssertionError("the browser has ended")
            self.received += piece
        text, self.received = self.received.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, seconds=30, **parameters):
        """Calls a method of the protocol; its result."""
        answer = self._answer(method, seconds, parameters)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _answer(self, method, seconds, parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            answer = self._message(deadline)
            if answer.get("id") == self.last:
                return answer
            self.events.append(answer)

    def new_page(self, scripts=True):
        """An empty page, which the other methods are about from now on."""
        self.session = None
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank",
                           browserContextId=context)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        self.events = []
        for domain in "Page", "Network", "Log", "Runtime":
            self.call(f"{domain}.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def go(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, expression):
        """Its value in the page; None while a page gives way to the next."""
        answer = self._answer("Runtime.evaluate", 30,
                              {"expression": expression, "returnByValue": True})
        if "navigated" in answer.get("error", {}).get("message", ""):
            return None
        assert "error" not in answer, (expression, answer["error"])
        return answer["result"].get("result", {}).get("value")

    @property
    def url(self):
        return self.evaluate("location.href")

    @property
    def text(self):
        text = self.evaluate("document.body ? document.body.innerText : ''")
        return (text or "").strip()

    def wait(self, condition, seconds, what):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come; {self.url}: {self.text}")

    def cookies(self):
        return {cookie["name"]: cookie["value"]
                for cookie in self.call("Network.getCookies")["cookies"]}

    def outline(self):
        """(role, name) of what assistive technology is told about."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", ""))
                for node in nodes if not node.get("ignored")]

    def complaints(self):
        """What the page's console said: errors of scripts, violations of its policy."""
        return [event["params"]["entry"]["text"] for event in self.events
                if event.get("method") == "Log.entryAdded" and
                event["params"]["entry"]["source"] in ("security", "javascript")]

    def requested(self):
        return [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close", seconds=5)
        except (AssertionError, OSError):
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        os.close(self.write_end)
        os.close(self.read_end)
        shutil.rmtree(self.profile, ignore_errors=True)
