"""A web server on the loopback for ADD, with times and names that a builder may take over."""

import http.server
import threading
from pathlib import Path

import contexts

PORT = 8099
FILES = {"plain.txt": b"from the web\n", "deep/named": b"deep\n"}


def address():
    return f"http://127.0.0.1:{PORT}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0].lstrip("/")
        if path == "moved":
            self.send_response(302)
            self.send_header("Location", "/plain.txt")
            self.end_headers()
            return
        content = self.server.files.get(path)
        self.send_response(200 if content is not None else 404)
        if content is not None:
            self.send_header("Content-Length", str(len(content)))
            if not path.startswith("no-time"):
                self.send_header("Last-Modified", self.date_time_string(contexts.OLD_SECONDS))
        self.end_headers()
        if self.command == "GET" and content is not None:
            self.wfile.write(content)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, files):
        super().__init__(("127.0.0.1", PORT), Handler)
        self.files = files
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.server_close()


def start(folder):
    import cases_add

    return Server(FILES | {"archive.tar.gz": cases_add.archive("gz"), "no-time": b"no time\n"})
