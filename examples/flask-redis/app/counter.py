"""Counts visits in Redis, so every replica counts on, whoever is asked."""

import os
import socket

import flask
import redis

app = flask.Flask(__name__)
# A Redis that restarts costs a moment, not an error.
store = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=3, retry_on_error=[redis.ConnectionError],
                             retry=redis.retry.Retry(redis.backoff.ExponentialBackoff(cap=0.5, base=0.01), 8))


@app.get("/")
def visit():
    return f"Visit {store.incr('visits')}, served by {socket.gethostname()}.\n", {"Content-Type": "text/plain"}


@app.get("/healthz")
def health():
    store.ping()
    return "well\n"
