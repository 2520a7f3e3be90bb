#!/usr/bin/env python3
"""A registry that misbehaves as the first part of a repository's name says.

    faulty_registry.py PORT OTHER_PORT SIZE

Every repository has one blob of SIZE bytes: byte i is (i * 7 + i // 251) % 256. OTHER_PORT serves the same, as the host
that redirects lead to; it refuses requests that carry credentials.
"""
import hashlib
import http.server
import json
import sys
import threading
import time

port, other_port, size = (int(word) for word in sys.argv[1:4])
BLOB = bytes((i * 7 + i // 251) % 256 for i in range(size))
counts = {}
uploads = {}
lock = threading.Lock()


def count(name):
    with lock:
        counts[name] = counts.get(name, 0) + 1
        return counts[name]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = self.path.split("?")[0].strip("/").split("/")
        if self.path == "/v2/":
            return self.reply(200, b"{}")
        mode, kind = parts[1], parts[3]
        if self.server.server_port == other_port and self.headers.get("Authorization"):
            return self.reply(400, b"credentials went to another host")
        if kind == "uploads" or parts[3:5] == ["blobs", "uploads"]:
            return self.upload_status(parts)
        handler = getattr(self, "mode_" + mode.replace("-", "_"), None)
        if kind == "manifests":
            return self.manifest(mode)
        number = count("/".join(parts[1:3]))
        handler(number) if handler else self.send_blob()

    # Blobs

    def send_blob(self, start=None, stop=None, content=BLOB):
        """The blob as asked for with Range; the connection ends after `stop` bytes of it."""
        asked = self.headers.get("Range")
        first = int(asked.removeprefix("bytes=").split("-")[0]) if asked and start is None else start or 0
        self.send_response(206 if asked and start is None else 200)
        if asked and start is None:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:stop])
        if stop is not None:
            self.close_connection = True

    def mode_truncate(self, number):
        self.send_blob(stop=size * number // 4 if number < 4 else None)

    def mode_norange(self, number):
        self.send_blob(start=0, stop=size // 2 if number < 3 else None)

    def mode_badrange(self, number):
        if number == 1:
            return self.send_blob(stop=size // 2)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 5-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - 5))
        self.end_headers()
        self.wfile.write(BLOB[5:])

    def mode_lying(self, number):
        self.send_blob(content=BLOB[:-1] + bytes([BLOB[-1] ^ 1]))

    def mode_long(self, number):
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while True:
                self.wfile.write(BLOB)
        except OSError:
            self.close_connection = True

    def mode_dead(self, number):
        self.reply(503, b"<html>")

    def mode_busy(self, number):
        self.reply(429, b"", [("Retry-After", "1")]) if number == 1 else self.send_blob()

    def mode_redirect(self, number):
        if not self.headers.get("Authorization") and self.server.server_port == port:
            return self.reply(401, b"", [("WWW-Authenticate", "Basic realm=x")])
        if self.server.server_port == port:
            return self.reply(307, b"", [("Location", f"http://127.0.0.1:{other_port}{self.path}")])
        self.send_blob()

    def mode_loop(self, number):
        self.reply(302, b"", [("Location", self.path)])

    def mode_headers(self, number):
        self.send_response(200)
        for index in range(5000):
            self.send_header(f"X-{index}", "a" * 1000)
        self.end_headers()

    def mode_garbage(self, number):
        self.wfile.write(b"\x00\x01\x02 this is no HTTP\r\n\r\n" * 100)
        self.close_connection = True

    def mode_stall(self, number):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(BLOB[:10])
        self.wfile.flush()
        time.sleep(20)
        self.close_connection = True

    def mode_mute(self, number):
        time.sleep(20)
        self.close_connection = True

    def mode_short(self, number):
        self.send_blob(content=BLOB[:-1000])

    def mode_trickle(self, number):
        self.send_response(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.trickle(BLOB)

    def trickle(self, content):
        """A byte now and then: never silent, never done."""
        self.close_connection = True
        try:
            for byte in content:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass

    def mode_slowhead(self, number):
        self.trickle(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 10000)

    def mode_abyss(self, number):
        # Redirects, each to another address, without end.
        self.reply(307, b"", [("Location", f"{self.path.split('?')[0]}?{number}")])

    # Manifests

    def manifest(self, mode):
        if mode == "hugemanifest":
            return self.reply(200, b" " * (5 << 20) + b"{}", [("Content-Type", "application/json")])
        if mode == "endless":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b'{"schemaVersion":2,' * 4096)
            except OSError:
                return None
        if mode == "control":
            document = {"errors": [{"code": "DENIED", "message": "go away\x1b[31m\r\nX: y"}]}
            return self.reply(403, json.dumps(document).encode())
        self.reply(404, json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode())

    # Uploads: /v2/MODE/NAME/blobs/uploads/[ID]

    def do_HEAD(self):
        digest = self.path.rsplit("/", 1)[-1]
        found = digest in uploads.get("done", {})
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        identifier = str(count("uploads"))
        uploads[identifier] = b""
        self.reply(202, b"", [("Location", f"{identifier}?state=0")])

    def upload_status(self, parts):
        have = uploads.get(parts[-1])
        if have is None:
            return self.reply(404, b"")
        self.reply(204, b"", [("Location", self.path), ("Range", f"0-{max(len(have) - 1, 0)}")])

    def do_PATCH(self):
        mode, identifier = self.path.split("/")[2], self.path.split("?")[0].rsplit("/", 1)[-1]
        length = int(self.headers["Content-Length"])
        first = int(self.headers["Content-Range"].split("-")[0])
        if identifier not in uploads or first != len(uploads[identifier]):
            self.rfile.read(length)
            return self.reply(416 if identifier in uploads else 404, b"")
        number = count("patch " + mode)
        if mode == "breaking" and number <= 2:
            uploads[identifier] += self.rfile.read(length // 3)
            self.close_connection = True
            return
        if mode == "forgetful" and number == 1:
            uploads.pop(identifier)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if mode == "partial" and number == 1:
            body = body[: length // 2]
        uploads[identifier] += body
        # Relative to the address before, with a new state that must be sent back.
        self.reply(202, b"", [("Location", f"{identifier}?state={len(uploads[identifier])}"),
                              ("Range", f"0-{len(uploads[identifier]) - 1}")])

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        identifier = path.rsplit("/", 1)[-1]
        if identifier not in uploads:
            return self.reply(404, b"")
        if body and path.split("/")[2] == "breaking" and count("put") == 1:
            # The upload is gone, and nobody is told.
            uploads.pop(identifier)
            self.close_connection = True
            return
        content = uploads.pop(identifier) + body
        digest = "sha256:" + hashlib.sha256(content).hexdigest()
        if digest.replace(":", "%3A") not in query or (not body and f"state={len(content)}" not in query):
            return self.reply(400, json.dumps({"errors": [{"code": "DIGEST_INVALID"}]}).encode())
        uploads.setdefault("done", {})[digest] = content
        self.reply(201, b"", [("Location", "/v2/"), ("Docker-Content-Digest", digest)])

    def reply(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *arguments):
        pass


threading.Thread(target=Server(("127.0.0.1", other_port), Handler).serve_forever, daemon=True).start()
Server(("127.0.0.1", port), Handler).serve_forever()
