"""The shop: answers each request with its own host name and a counter that all replicas share.

GET /         one line of text: who answers, the counter (PostgreSQL), today's offer (Redis, else PostgreSQL)
GET /healthz  200 when the database answers, 503 when it does not
"""

import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg2
import redis

PORT = 8000
OFFER_KEY = "offer"
OFFER_SECONDS = 5
TIMEOUT_SECONDS = 3
SCHEMA = """
CREATE TABLE IF NOT EXISTS counter (name text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE IF NOT EXISTS offer (text text NOT NULL);
INSERT INTO counter VALUES ('visits', 0) ON CONFLICT DO NOTHING;
INSERT INTO offer SELECT 'a gantry crane, hardly used' WHERE NOT EXISTS (SELECT 1 FROM offer);
"""
SCHEMA_LOCK = 7302  # any number: the replicas start together, and one of them makes the tables


class Store:
    """The database and the cache. One connection a thread: the server answers each request in a thread of its own."""

    def __init__(self):
        with open(os.environ["DATABASE_PASSWORD_FILE"]) as file:
            password = file.read().strip()
        self.settings = {
            "host": os.environ.get("DATABASE_HOST", "db"), "dbname": os.environ.get("DATABASE_NAME", "shop"),
            "user": os.environ.get("DATABASE_USER", "shop"), "password": password,
            "connect_timeout": TIMEOUT_SECONDS,
        }
        self.cache = redis.Redis(
            host=os.environ.get("CACHE_HOST", "cache"), decode_responses=True,
            socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS)

    def query(self, *statements):
        """Runs the statements in one transaction; the first row of the last one, if it has rows."""
        connection = psycopg2.connect(**self.settings)
        try:
            with connection, connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchone() if cursor.description else None
        finally:
            connection.close()

    def prepare(self):
        self.query(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})", SCHEMA)

    def count(self):
        return self.query("UPDATE counter SET value = value + 1 WHERE name = 'visits' RETURNING value")[0]

    def offer(self):
        """The offer and where it came from. Without its cache the shop is slower, not closed."""
        try:
            cached = self.cache.get(OFFER_KEY)
            if cached is not None:
                return cached, "cache"
        except redis.RedisError as error:
            print(f"cache: {error}", file=sys.stderr)
        text = self.query("SELECT text FROM offer LIMIT 1")[0]
        try:
            self.cache.set(OFFER_KEY, text, ex=OFFER_SECONDS)
        except redis.RedisError as error:
            print(f"cache: {error}", file=sys.stderr)
        return text, "database"


class Handler(BaseHTTPRequestHandler):
    store = None

    def do_GET(self):
        try:
            if self.path == "/healthz":
                self.store.query("SELECT 1")
                self.answer(200, "ok\n")
            elif self.path == "/":
                visits = self.store.count()
                offer, source = self.store.offer()
                self.answer(200, f"{socket.gethostname()}: visit {visits}, on offer: {offer} (from the {source})\n")
            else:
                self.answer(404, "not found\n")
        except psycopg2.Error as error:
            print(f"database: {error}", file=sys.stderr)
            self.answer(503, "the database does not answer\n")

    def answer(self, status, text):
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *arguments):
        if self.path != "/healthz":
            print(f"{self.address_string()} {format % arguments}")


def main():
    Handler.store = Store()
    Handler.store.prepare()
    server = ThreadingHTTPServer(("", PORT), Handler)
    # Process 1 gets no default action for SIGTERM. shutdown() waits for the loop that the main thread is in.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"{socket.gethostname()} listens on port {PORT}")
    server.serve_forever()


if __name__ == "__main__":
    main()
