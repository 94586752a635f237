# SPDX-License-Identifier: Apache-2.0
"""A back end behind mod_proxy that answers as the query says: ?status=401&sleep=0.3&
bytes=1000, and any other name becomes a response header (&L7Shield-Cost=5)."""
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

MODULES = ("proxy", "proxy_http")


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self):
        said = parse_qsl(urlsplit(self.path).query)
        options = dict(said)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, dict(self.headers), len(body)))
        time.sleep(float(options.get("sleep", 0)))
        self.send_response(int(options.get("status", 200)))
        for name, value in said:
            if name not in ("status", "sleep", "bytes"):
                self.send_header(name, value)
        answer = b"x" * int(options.get("bytes", 3))
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, *arguments):
        pass


class Backend:
    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.server.seen = []
        self.port = self.server.server_port
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def seen(self):
        return self.server.seen

    def config(self, path="/app/", options=""):
        return f"ProxyPass {path} http://127.0.0.1:{self.port}/\n{options}\n"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
