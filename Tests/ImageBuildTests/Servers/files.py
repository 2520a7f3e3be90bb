#!/usr/bin/env python3
"""A web server for tests of ADD: files with validators, redirects, lies; git repositories by the smart protocol.

    files.py PORT FOLDER

Everything below /git/ goes to git-http-backend(1) with FOLDER as its root, below /private/ too for who says PASSWORD;
below /dumb/ come FOLDER's files themselves. What was asked for is told at /log.
"""
import base64
import glob
import http.server
import os
import subprocess
import sys
import time

port, folder = int(sys.argv[1]), sys.argv[2]
CONTENT = b"content\n"
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
USER, PASSWORD = "user", "qX7/readable-by-nobody"
log = []


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/log":
            return self.reply(200, "\n".join(log).encode())
        log.append(f"{self.command} {self.path} {self.headers.get('Authorization', '-')}")
        for prefix, handler in (("/git/", self.git), ("/dumb/", self.dumb), ("/private/", self.private)):
            if path.startswith(prefix):
                return handler(path[len(prefix) - 1:])
        name = path.split("/")[1]
        getattr(self, "get_" + name, lambda: self.reply(404, b"no"))()

    do_POST = do_GET

    def reply(self, code, body, **headers):
        log.append(f"{code} {self.path} -")
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if code != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def get_plain(self):
        self.reply(200, CONTENT)

    def get_dated(self):
        if self.headers.get("If-Modified-Since") == DATE:
            return self.reply(304, b"")
        self.reply(200, CONTENT, Last_Modified=DATE)

    def get_tagged(self):
        tag = open(os.path.join(folder, "tag")).read()
        if self.headers.get("If-None-Match") == tag:
            return self.reply(304, b"", ETag=tag)
        self.reply(200, CONTENT + tag.encode(), ETag=tag)

    def get_aged(self):
        self.reply(200, CONTENT, Last_Modified=open(os.path.join(folder, "date")).read())

    def get_redirect(self):
        self.reply(302, b"elsewhere", Location="/plain/other")

    def get_away(self):
        self.reply(302, b"", Location=open(os.path.join(folder, "target")).read())

    def get_loop(self):
        self.reply(302, b"", Location="/loop")

    def get_file(self):
        self.reply(302, b"", Location="file:///etc/passwd")

    def get_big(self):
        self.reply(200, bytes(3_000_000))

    def get_endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(1 << 16))

    def get_cut(self):
        number = sum("/cut" in line for line in log)
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: 3 if number < 3 else None])
        self.close_connection = True

    def get_unasked(self):
        self.reply(304, b"")

    def get_stall(self):
        time.sleep(60)

    # Git

    def dumb(self, path):
        file = os.path.normpath(folder + path)
        if not file.startswith(folder) or not os.path.isfile(file):
            return self.reply(404, b"")
        self.reply(200, open(file, "rb").read())

    def private(self, path):
        # Who asks still runs, and everybody can read its arguments.
        for file in glob.glob("/proc/[0-9]*/cmdline"):
            try:
                if b"readable-by-nobody" in open(file, "rb").read():
                    log.append("LEAK")
            except OSError:
                pass
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != wanted:
            return self.reply(401, b"", WWW_Authenticate='Basic realm="x"')
        self.git(path)

    def git(self, path):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = self.path.split("?")[1] if "?" in self.path else ""
        environment = {
            "GIT_PROJECT_ROOT": folder, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""), "PATH": os.environ["PATH"],
            "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=environment)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        code = int(fields.pop("Status", "200 OK").split()[0])
        fields.pop("Content-Length", None)
        self.reply(code, content, **fields)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
